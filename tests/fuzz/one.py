"""`python -m tests.fuzz.one PARSER SECONDS SEED`: one parser, in a process that it may crash.

Writes a line of JSON for every finding, and one with the number of inputs about every second.
"""

import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.checks import Parser
from tests.fuzz.parsers import PARSERS
from tests.template import ROOT

ROUND = 400
"""Inputs of a round, after which the time is looked at."""
SLOW_SECONDS = 3.0
"""Seconds of a processor for one input, above which it is a finding."""
MEMORY = 3 * 1024**3
"""Bytes of address space: what takes more raises `MemoryError`."""
SHOWN = 160
"""Characters of an input in a report."""


class Slow(AssertionError):
    """An input took longer than `SLOW_SECONDS`."""


def place(error: BaseException) -> str:
    """Where an error arose: the deepest line that is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame for frame in frames if str(ROOT) in frame.filename and "/.venv/" not in frame.filename
    ]
    if not ours:
        return "elsewhere"
    return f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].name}"


class Fuzzing:
    """The inputs so far, and what they found."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self.inputs = 0
        self.known: set[tuple[str, str]] = set()
        self._found: tuple[tuple[str, str], Any] | None = None

    def check(self, made_up: Any) -> None:
        """Read one input; raises what was not seen before and is no refusal."""
        self.inputs += 1
        began = time.process_time()
        try:
            self._parser.read(made_up)
        except self._parser.refusals:
            pass
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._note((f"{type(error).__name__}: {error}"[:200], place(error)), made_up)
        took = time.process_time() - began
        if took > SLOW_SECONDS:
            self._note((Slow.__name__, f"{took:.0f} s"), made_up)

    def _note(self, kind: tuple[str, str], made_up: Any) -> None:
        """Report what is new; an error's words may differ, its type and place not."""
        known = (kind[0].partition(":")[0], kind[1] if kind[0] != Slow.__name__ else "")
        if known in self.known:
            return
        if self._found is None or self._found[0] == known:
            self._found = (known, made_up)
            self._words = kind[0]
            raise AssertionError(known)

    def round(self, number: int) -> dict[str, Any] | None:
        """One round of made-up inputs; the finding, its input as small as it gets."""
        self._found = None

        @seed(number)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        )
        @given(self._parser.given)
        def one(made_up: Any) -> None:
            self.check(made_up)

        try:
            one()
        except BaseException:
            if self._found is None:
                raise
        if self._found is None:
            return None
        known, made_up = self._found
        self.known.add(known)
        shown = repr(made_up)
        return {
            "error": self._words,
            "at": known[1],
            "input": shown[:SHOWN] + ("…" if len(shown) > SHOWN else ""),
        }


def main(name: str, seconds: float, first: int) -> None:
    """Rounds until the time is over."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    fuzzing = Fuzzing(PARSERS[name])
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        found = fuzzing.round(number)
        number += 1
        if found is not None:
            sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.write(json.dumps({"inputs": fuzzing.inputs}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
