"""Write the model cards of the packaged embedded voters.

    python -m bench.cards [VOTES.csv]

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes beside the packaged weights.
Without it only the versions and the scores of categories and attributes (`training/kinds.json`) are
written anew. The cards are `docs/model-cards.md`.
"""

import argparse
import csv
import re
from pathlib import Path

from quorum.core import registry
from quorum.core.models import Attribute, Category
from quorum.vote.panel import packaged

from analysis.recorded import NONE, UNSAFE, Recorded, read
from training.cards import cards
from training.kinds import read_figures
from training.rows import Row, sources
from training.train import KIND_FIGURES
from training.votes import Votes

PAGE = Path(__file__).parent.parent / "docs" / "model-cards.md"
LEAST_SHOWN = 60
"""Rows of a language and kind below which figures say nothing."""
SOURCES_HEADING = "## Outside sources"
KINDS_HEADING = "## Scores of categories and attributes"
KINDS_SAY = (
    "Probabilities by `meaning`, of profanity by `rules`; toxicity is each voter's probability of"
    " unsafe. The figures are of texts of sources that the scores had not seen: the area under the"
    " ROC curve (and the lower end of its 90 % interval), its mean within single sources that have"
    " both answers, the area under the precision-recall curve, and the mean difference between"
    " probability and share. Where they are too low (`training.kinds`) or a language is not listed,"
    " a vote has no score."
)
KINDS_COLUMNS = (
    "| kind | language | holds | absent | ROC | at least | within | PR | error | covered |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
)
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
    lines = [SOURCES_HEADING, "", "| source | licence | credit |", "|---|---|---|"]
    for name, facts in sorted(sources().items()):
        lines.append(f"| {name} | {facts['licence']} | {facts['credit']} |")
    return "\n".join(lines) + "\n"


def scores_of_kinds() -> str:
    """The figures of the scores of categories and attributes, by language."""
    figures = read_figures(KIND_FIGURES)
    lines = [KINDS_HEADING, "", KINDS_SAY, "", *KINDS_COLUMNS]
    for one in figures:
        within = "–" if one.within is None else f"{one.within:.3f}"
        lines.append(
            f"| {one.kind} | {one.language} | {one.holding:,} | {one.absent:,} | {one.area:.3f}"
            f" | {one.least_area:.3f} | {within} | {one.precision:.3f} | {one.error:.3f}"
            f" | {'yes' if one.covered else 'no'} |"
        )
    named = {one.kind for one in figures if one.covered}
    never = [str(kind) for kind in (*Category, *Attribute) if kind not in named | {"toxicity"}]
    return "\n".join([*lines, "", f"Covered in no language: {', '.join(never)}."]) + "\n"


def with_kinds(written: str) -> str:
    """The page with these figures, and the versions, in place of those it has."""
    before, _, rest = written.partition(f"{KINDS_HEADING}\n")
    after = rest[rest.index(SOURCES_HEADING) :] if rest else ""
    if not rest:
        before, _, after = written.partition(SOURCES_HEADING)
        after = SOURCES_HEADING + after
    for voter, version in versions().items():
        before = re.sub(rf"(## {voter}\n\nVersion `)\w+", rf"\g<1>{version}", before)
    return f"{before}{scores_of_kinds()}\n{after}"


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
    return f"{written}\n{scores_of_kinds()}\n{credits_of_sources()}"


def main() -> None:
    """Read the votes and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv", nargs="?")
    path: Path | None = parser.parse_args().votes
    if path is None:
        PAGE.write_text(with_kinds(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    with path.open(encoding="utf-8", newline="") as file:
        source = [row["source"] for row in csv.DictReader(file)]
    PAGE.write_text(page(read(path), source), encoding="utf-8")


if __name__ == "__main__":
    main()
