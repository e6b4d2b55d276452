"""Write the model cards of the packaged embedded voters.

    python -m bench.cards [VOTES.csv [--without-share-alike OTHER.csv]]

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes beside the packaged weights,
OTHER.csv what it writes with `--without-share-alike`: the cards then say what leaving those sources
out costs (`training/share_alike.json`). Without VOTES.csv only the versions, the scores of
categories and attributes (`training/kinds.json`) and the sources are written anew. The cards are
`docs/model-cards.md`.
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
from quorum.core import registry
from quorum.core.models import Attribute, Category
from quorum.vote.panel import packaged

from analysis.recorded import NONE, UNSAFE, Recorded, read
from training.cards import cards
from training.kinds import read_figures
from training.rows import Row, sources
from training.train import KIND_FIGURES
from training.votes import Votes, average_precision, log_odds

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
SHARE_ALIKE = Path(__file__).parent.parent / "training" / "share_alike.json"
"""What each voter is worth with share-alike sources and without."""
SHARE_ALIKE_HEADING = "## Without share-alike sources"
SHARE_ALIKE_SAY = (
    "Mean AUPRC over sources and languages, of the same unseen rows, of voters trained with the"
    " share-alike sources (K-MHaS, ToLD-Br, Stormfront, XQuAD, PUD, UD) and without"
    " (`python -m training.train … --without-share-alike`). `rules` learns from the training"
    " collections alone. Abstentions count as even odds."
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
    """The page with these figures, the versions and the sources in place of those it has."""
    heading = KINDS_HEADING if f"{KINDS_HEADING}\n" in written else SOURCES_HEADING
    before = written.partition(f"{heading}\n")[0]
    for voter, version in versions().items():
        before = re.sub(rf"(## {voter}\n\nVersion `)\w+", rf"\g<1>{version}", before)
    return f"{before}{scores_of_kinds()}\n{credits_of_sources()}"


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
    if SHARE_ALIKE.exists():
        found: dict[str, Worth] = json.loads(SHARE_ALIKE.read_text(encoding="utf-8"))
        written = f"{written}\n{share_alike_table(found)}"
    return f"{written}\n{scores_of_kinds()}\n{credits_of_sources()}"


Worth = dict[str, dict[str, float]]
"""By voter: the mean AUPRC on each kind of rows."""


def share_alike(with_them: Path, without: Path) -> dict[str, Worth]:
    """What the voters are worth on the rows that are in both files of votes, by file."""
    files = {"with": _by_text(with_them), "without": _by_text(without)}
    shared = files["with"].keys() & files["without"].keys()
    return {name: _worth([found[key] for key in sorted(shared)]) for name, found in files.items()}


def _by_text(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["language"], row["text"]): row for row in csv.DictReader(file)}


def _worth(rows: list[dict[str, str]]) -> Worth:
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((row["source"], row["language"]), []).append(row)
    found: Worth = {}
    for voter in versions():
        parts: dict[str, list[float]] = {"trained for": [], "unseen source": []}
        for (source, _), group in groups.items():
            unsafe = np.array([row["gold"] == "unsafe" for row in group])
            if min(unsafe.sum(), (~unsafe).sum()) >= LEAST_SHOWN:
                odds = np.array([log_odds(_vote(row, voter)) for row in group])
                kind = "unseen source" if source in sources() else "trained for"
                parts[kind].append(average_precision(unsafe, odds))
        found[voter] = {
            kind: round(float(np.mean(each)), 3) for kind, each in parts.items() if each
        }
    return found


def _vote(row: dict[str, str], voter: str) -> tuple[bool, float] | None:
    return (row[voter] == "unsafe", float(row[f"{voter}.confidence"])) if row[voter] else None


def share_alike_table(found: dict[str, Worth]) -> str:
    """The section of the cards on what share-alike sources are worth."""
    lines = [
        SHARE_ALIKE_HEADING,
        "",
        SHARE_ALIKE_SAY,
        "",
        "| voter | trained for | without | unseen source | without |",
        "|---|---:|---:|---:|---:|",
    ]
    for voter, worth in found["with"].items():
        without = found["without"][voter]
        cells = [
            f"{figures[kind]:.3f}" if kind in figures else "–"
            for kind in ("trained for", "unseen source")
            for figures in (worth, without)
        ]
        lines.append(f"| {voter} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the votes and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv", nargs="?")
    parser.add_argument("--without-share-alike", type=Path, metavar="OTHER.csv")
    options = parser.parse_args()
    path: Path | None = options.votes
    if path is None:
        PAGE.write_text(with_kinds(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    if options.without_share_alike:
        worth = share_alike(path, options.without_share_alike)
        SHARE_ALIKE.write_text(json.dumps(worth, indent=1) + "\n", encoding="utf-8")
    with path.open(encoding="utf-8", newline="") as file:
        source = [row["source"] for row in csv.DictReader(file)]
    PAGE.write_text(page(read(path), source), encoding="utf-8")


if __name__ == "__main__":
    main()
