"""Count the calls of a verdict on recorded votes, for what a million verdicts cost.

``python -m bench.asked VOTES.csv`` replays the packaged panels and writes `analysis/asked.json`,
from which `quorum cost-model` makes its page. VOTES.csv holds a vote of every voter of the panels,
the embedded ones included: `quorum record` adds what is missing. Whoever calibrates a panel anew
runs it again: a test compares the versions of the panels.
"""

import argparse
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from quorum.vote.panel import PACKAGED, Panel, Stop, packaged

from analysis.cost_model import ASKED
from analysis.evaluation import replayed
from analysis.recorded import Recorded, read

DEAREST = "gpt-4.1"
"""The model that is compared with, asked alone."""
DIGITS = Decimal("0.0001")
ONCE = Decimal(1)


def counted(panel: Panel, recorded: Recorded) -> tuple[dict[str, Decimal], Decimal]:
    """The calls of each voter for a text, and the rounds, on average over the recorded texts."""
    calls: Counter[str] = Counter()
    rounds = 0
    for row in range(len(recorded)):
        _, asked = replayed(panel, recorded, row)
        calls.update(asked)
        rounds += sum(not set(voters).isdisjoint(asked) for voters in panel.rounds)
    return {voter: _share(calls[voter], recorded) for voter in panel.voters}, _share(
        rounds, recorded
    )


def counts(recorded: Recorded) -> dict[str, Any]:
    """Calls and rounds of every packaged panel by its stop rule and asking all, and its version."""
    asked: dict[str, dict[str, dict[str, Decimal]]] = {}
    rounds: dict[str, dict[str, Decimal]] = {}
    for name in PACKAGED:
        panel = packaged(name)
        everybody = dict.fromkeys(panel.voters, ONCE)
        asked[name], rounds[name] = {Stop.ALL: everybody}, {Stop.ALL: ONCE}
        if panel.stop is not Stop.ALL:
            calls, times = counted(panel, recorded)
            asked[name] = {panel.stop: calls} | asked[name]
            rounds[name] = {panel.stop: times} | rounds[name]
    alone = f"{DEAREST} alone"
    asked[alone], rounds[alone] = {Stop.ALL: {DEAREST: ONCE}}, {Stop.ALL: ONCE}
    return {
        "source": f"the packaged panels over {len(recorded):,} recorded"
        " votes (docs/benchmarks.md), each voter's calls a text; `all` asks everybody at once"
        " (`python -m bench.asked`)",
        "panels": {name: packaged(name).version for name in PACKAGED},
        "asked": asked,
        "rounds": rounds,
    }


def _share(count: int, recorded: Recorded) -> Decimal:
    return (Decimal(count) / len(recorded)).quantize(DIGITS).normalize()


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(prog="bench.asked", description=__doc__)
    parser.add_argument(
        "votes", type=Path, help="recorded votes (language, text, gold, a column a voter)"
    )
    recorded = read(parser.parse_args().votes)
    written = json.dumps(counts(recorded), indent=2, default="{:f}".format, ensure_ascii=False)
    ASKED.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
