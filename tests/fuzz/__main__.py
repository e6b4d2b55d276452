"""`python -m tests.fuzz --seconds 3600` (`make fuzz SECONDS=3600`): made-up inputs to every parser.

The time is shared out equally. Each parser has a process of its own, which begins again where a
reader of files crashes it. What comes of it is printed, and with `--record` kept in
`docs/fuzzing.json` and shown in `docs/fuzzing.md`; `--add` adds it to what is kept. Exits with 1 if
anything was found.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.fuzz.parsers import PARSERS
from tests.template import ROOT

PAGE, KEPT = ROOT / "docs/fuzzing.md", ROOT / "docs/fuzzing.json"
NOTHING: Mapping[str, Any] = MappingProxyType({"runs": [], "outcomes": {}})
ROUNDS_APART = 1_000_000
"""Between the seeds of two processes."""
SPARE_SECONDS = 600.0
"""Seconds that a process may take beyond its time: a round is finished, an input made small, on a
machine that has other things to do."""
HEAD = """\
# Fuzzing

Written by `make fuzz`: what every parser did with inputs that were made up, from nothing and by
breaking good ones ([tests/fuzz](../tests/fuzz/parsers.py)). A parser returns or refuses with an
error that it names; any other error, a wrong result, more than three seconds of a processor or a
crash is a finding. What was found is mended since ([changelog](../CHANGELOG.md)).
[Raw figures](fuzzing.json).

{runs}

| parser | inputs | findings |
|---|---:|---:|
"""


class Outcome(NamedTuple):
    """What came of one parser."""

    inputs: int
    findings: list[dict[str, Any]]


def outcome_of(lines: Iterable[str]) -> Outcome:
    """The outcome in the lines that a process wrote."""
    said = [json.loads(line) for line in lines if line.strip()]
    inputs = max((one["inputs"] for one in said if "inputs" in one), default=0)
    return Outcome(inputs, [one for one in said if "error" in one])


def fuzzed(name: str, seconds: float, seed: int) -> Outcome:
    """One parser for that many seconds."""
    end, inputs = time.monotonic() + seconds, 0
    findings: dict[tuple[str, str], dict[str, Any]] = {}
    while (left := end - time.monotonic()) > 1:
        command = [sys.executable, "-m", "tests.fuzz.one", name, f"{left:.0f}", str(seed)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            written, _ = child.communicate(timeout=left + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            written, _ = child.communicate()
            written += json.dumps({"error": "it does not end", "at": name, "input": f"{seed}"})
        found = outcome_of(written.split("\n"))
        inputs += found.inputs
        if child.returncode not in {0, -9}:
            crash = {"error": f"exit code {child.returncode}", "at": name, "input": f"seed {seed}"}
            found.findings.append(crash)
        findings |= {(one["error"].partition(":")[0], one["at"]): one for one in found.findings}
        seed += ROUNDS_APART
    return Outcome(inputs, list(findings.values()))


def run_of(seconds: int, seed: int, parsers: Sequence[str]) -> dict[str, Any]:
    """What is kept of a run beside its outcome; `parsers` are empty for all."""
    return {
        "seconds": seconds,
        "seed": seed,
        "parsers": list(parsers),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, Python {platform.python_version()},"
        f" hypothesis {version('hypothesis')}",
    }


def kept_with(kept: Mapping[str, Any], run: dict[str, Any], new: Mapping[str, Outcome]) -> Any:
    """What is kept once a run is added: inputs are summed, and findings stay."""
    outcomes = dict(kept["outcomes"])
    for name, outcome in new.items():
        before = outcomes.get(name, {"inputs": 0, "findings": []})
        outcomes[name] = {
            "inputs": before["inputs"] + outcome.inputs,
            "findings": [*before["findings"], *outcome.findings],
        }
    known = {name: outcomes[name] for name in PARSERS if name in outcomes}
    return {"runs": [*kept["runs"], run], "outcomes": known}


def page(kept: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    runs = "\n".join(
        f"* {run['date']}: {run['seconds']:,} s, seed {run['seed']}, "
        f"{', '.join(run['parsers']) or 'every parser'}; {run['machine']}{run.get('note', '')}"
        for run in kept["runs"]
    )
    text = HEAD.format(runs=runs)
    for name, outcome in kept["outcomes"].items():
        text += f"| {name} | {outcome['inputs']:,} | {len(outcome['findings'])} |\n"
    total = sum(outcome["inputs"] for outcome in kept["outcomes"].values())
    found = [
        f"* {name}: {one['error']}, {one['at']}: `{one['input']}`"
        for name, outcome in kept["outcomes"].items()
        for one in outcome["findings"]
    ]
    text += f"| together | {total:,} | {len(found)} |\n"
    return text + ("\n## Findings\n\n" + "\n".join(found) + "\n" if found else "")


def keep(kept: Mapping[str, Any]) -> None:
    """Write the figures and their page."""
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")


def main() -> None:
    """Fuzz the parsers and say what came of it."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--seconds", type=int, default=300)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--parser", choices=sorted(PARSERS), action="append")
    options.add_argument("--record", action="store_true", help="write docs/fuzzing.md")
    options.add_argument("--add", action="store_true", help="… with what is kept already")
    chosen = options.parse_args()
    names = chosen.parser or list(PARSERS)
    outcomes: dict[str, Outcome] = {}
    end = time.monotonic() + chosen.seconds
    for number, name in enumerate(names):
        share = (end - time.monotonic()) / (len(names) - number)
        outcomes[name] = fuzzed(name, max(share, 2), chosen.seed)
        shown = "".join(f"\n  {one}" for one in outcomes[name].findings)
        sys.stdout.write(f"{name}: {outcomes[name].inputs:,}{shown}\n")
        sys.stdout.flush()
    if chosen.record:
        kept = json.loads(KEPT.read_text(encoding="utf-8")) if chosen.add else NOTHING
        run = run_of(chosen.seconds, chosen.seed, chosen.parser or ())
        keep(kept_with(kept, run, outcomes))
    sys.exit(any(outcome.findings for outcome in outcomes.values()))


if __name__ == "__main__":
    main()
