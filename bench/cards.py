"""Write the model cards of the packaged embedded voters.

    python -m bench.cards VOTES.csv

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes beside the packaged weights.
The cards are `docs/model-cards.md`.
"""

import argparse
import csv
from pathlib import Path

from quorum.core import registry
from quorum.vote.panel import packaged

from analysis.recorded import NONE, UNSAFE, Recorded, read
from training.cards import cards
from training.rows import Row, sources
from training.votes import Votes

PAGE = Path(__file__).parent.parent / "docs" / "model-cards.md"
LEAST_SHOWN = 60
"""Rows of a language and kind below which figures say nothing."""
LIMITS = (
    'The figures are of votes on texts that the voters had not seen: "trained for" are other rows'
    ' of the training collections, "unseen source" rows of sources of which they had seen none.'
    " Where right is low on unseen sources, hate without a bad word and requests for harm are"
    " missed. AUPRC is given where there are both safe and unsafe texts."
)


def versions() -> dict[str, str]:
    """The trained state of each voter of the panel `embedded`."""
    return {voter: registry.model(voter).revision for voter in packaged("embedded").voters}


def credits_of_sources() -> str:
    """The outside sources, with licence and credit."""
    lines = ["## Outside sources", "", "| source | licence | credit |", "|---|---|---|"]
    for name, facts in sorted(sources().items()):
        lines.append(f"| {name} | {facts['licence']} | {facts['credit']} |")
    return "\n".join(lines) + "\n"


def votes_of(recorded: Recorded, voter: str) -> Votes:
    """A voter's recorded votes as training has them."""
    column = recorded.column(voter)
    said = recorded.decisions[:, column].tolist()
    sure = recorded.confidences[:, column].tolist()
    return [
        None if code == NONE else (code == UNSAFE, confidence)
        for code, confidence in zip(said, sure, strict=True)
    ]


def page(recorded: Recorded, source: list[str]) -> str:
    """The cards, with the sources at their end."""
    rows = [
        Row(str(language), text, bool(gold == UNSAFE), name)
        for language, text, gold, name in zip(
            recorded.languages, recorded.texts, recorded.gold, source, strict=True
        )
    ]
    count: dict[tuple[str, bool], int] = {}
    for row in rows:
        count[row.language, row.outside] = count.get((row.language, row.outside), 0) + 1
    shown = [at for at, row in enumerate(rows) if count[row.language, row.outside] >= LEAST_SHOWN]
    votes = {voter: votes_of(recorded, voter) for voter in versions()}
    written = cards(
        [rows[at] for at in shown],
        {voter: [cast[at] for at in shown] for voter, cast in votes.items()},
        versions(),
        data="the training collections in [NOTICE](../NOTICE) and the outside sources below",
        licence="of each source, below and in NOTICE",
        command="python -m bench.cards votes.csv",
        limits=LIMITS,
    )
    return f"{written}\n{credits_of_sources()}"


def main() -> None:
    """Read the votes and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv")
    path: Path = parser.parse_args().votes
    with path.open(encoding="utf-8", newline="") as file:
        source = [row["source"] for row in csv.DictReader(file)]
    PAGE.write_text(page(read(path), source), encoding="utf-8")


if __name__ == "__main__":
    main()
