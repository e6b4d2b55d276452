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
SENTENCES = {
    "en": "The train to the coast leaves at nine, and we bring soup, bread and a few good books. ",
    "de": "Der Zug zur Küste fährt um neun, und wir bringen Suppe, Brot und ein paar Bücher mit. ",
    "ko": "바다로 가는 기차는 아홉 시에 떠나고 우리는 국과 빵과 좋은 책 몇 권을 가져갑니다. ",
    "zh": "去海边的火车九点出发，我们带上汤、面包和几本好书，晚上再一起回来。",
    "ar": "يغادر القطار إلى الساحل في التاسعة، ونحضر معنا الحساء والخبز وبعض الكتب الجيدة. ",
}
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


def text_of(length: int, number: int, language: str = "en") -> str:
    """A harmless text of that length; no two are the same."""
    sentence = SENTENCES[language]
    return f"{number} {sentence * (length // len(sentence) + 1)}"[:length].strip()


def cold(voter: str) -> tuple[float, float]:
    """Seconds of a new process for loading and for its first text of 200 characters."""
    code = COLD.format(voter=voter, text=text_of(200, 0))
    runs = []
    for _ in range(PROCESSES):
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        loading, first = map(float, done.stdout.split())
        runs.append((loading, first))
    return min(runs)


def warm(voter: str, length: int, language: str = "en", repeats: int = REPEATS) -> float:
    """Milliseconds of a vote on a text of that length."""
    vote = import_module(f"embedded.{voter}").vote
    vote(Content(text=text_of(length, 0, language), language=language))
    spent = []
    for number in range(repeats):
        content = Content(text=text_of(length, number + 1, language), language=language)
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
