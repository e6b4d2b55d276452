"""Measure what a vote of each embedded voter costs on one core: cold, warm, and by length of text.

    python -m bench.voters

Cold is a new process: loading is the import of the voter, of its weights and of its encoder, as in
INIT; then comes its first text (200 characters). Warm votes are medians. All are seconds of a core
(`time.process_time`), so that neighbours count less. Prints the table of `docs/benchmarks.md`.
"""

import subprocess
import sys
from importlib import import_module
from statistics import median
from time import process_time

from quorum.core.models import Content

VOTERS = ("rules", "characters", "meaning")
LENGTHS = (20, 200, 1_000, 10_000)
"""Characters of the texts."""
REPEATS = 15
PROCESSES = 3
SENTENCE = "The train to the coast leaves at nine, and we bring soup, bread and a few good books. "
COLD = """
from time import process_time
from importlib import import_module
start = process_time()
voter = import_module("embedded.{voter}")
from quorum.core.models import Content
if hasattr(voter, "scorer"):
    voter.scorer()
if hasattr(voter, "start"):
    voter.start()
loaded = process_time()
voter.vote(Content(text={text!r}, language="en"))
print(loaded - start, process_time() - loaded)
"""


def text_of(length: int, number: int) -> str:
    """A harmless text of that length; no two are the same."""
    return f"{number} {SENTENCE * (length // len(SENTENCE) + 1)}"[:length].strip()


def cold(voter: str) -> tuple[float, float]:
    """Seconds of a new process for loading and for its first text of 200 characters."""
    code = COLD.format(voter=voter, text=text_of(200, 0))
    runs = []
    for _ in range(PROCESSES):
        done = subprocess.run(  # noqa: S603 -- this interpreter, code of ours
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        loading, first = map(float, done.stdout.split())
        runs.append((loading, first))
    return min(runs)


def warm(voter: str, length: int) -> float:
    """Milliseconds of a vote on a text of that length."""
    vote = import_module(f"embedded.{voter}").vote
    spent = []
    for number in range(REPEATS):
        content = Content(text=text_of(length, number + 1), language="en")
        start = process_time()
        vote(content)
        spent.append(process_time() - start)
    return 1_000 * median(spent)


def main() -> None:
    """Print the table."""
    lengths = " | ".join(f"{length:,} characters" for length in LENGTHS)
    print(f"| voter | loading | first text | {lengths} |")
    print(f"|---|---:|---:|{'---:|' * len(LENGTHS)}")
    for voter in VOTERS:
        loading, first = cold(voter)
        figures = " | ".join(f"{warm(voter, length):.1f} ms" for length in LENGTHS)
        print(f"| `{voter}` | {loading:.2f} s | {1_000 * first:.0f} ms | {figures} |")


if __name__ == "__main__":
    main()
