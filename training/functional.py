"""The functional suite: how the embedded panel decides short sentences of known kinds.

    python -m training.functional [--panel PANEL.json]

The sentences (`tests/unit/functional/sentences.tsv`, columns kind, language, expected, text) were
written for this project, after the idea of Röttger et al. 2021, *HateCheck: functional tests for
hate speech detection models*: harmless sentences that look harmful beside harmful ones, by kind.
No voter is trained on them.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from embedded import characters, meaning, rules
from quorum.core.models import Content, Decision
from quorum.vote.panel import Panel, load, packaged
from quorum.vote.policy import DEFAULT
from quorum.vote.policy_reading import read_through
from quorum.vote.tally import tally
from rich.console import Console
from rich.table import Table

SENTENCES = Path(__file__).parent.parent / "tests" / "unit" / "functional" / "sentences.tsv"
VOTERS = (rules, characters, meaning)


class Sentence(NamedTuple):
    """A sentence, its language, what it is, and what a person would decide."""

    kind: str
    language: str
    expected: Decision
    text: str


class Decided(NamedTuple):
    """A sentence, and what the panel decided."""

    sentence: Sentence
    decision: Decision

    @property
    def outcome(self) -> str:
        """`right`, `wrong` or `review`."""
        if self.decision is Decision.NEEDS_REVIEW:
            return "review"
        return "right" if self.decision is self.sentence.expected else "wrong"


def read(path: Path = SENTENCES) -> list[Sentence]:
    """The sentences of the suite."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Sentence(row["kind"], row["language"], Decision(row["expected"]), row["text"])
            for row in csv.DictReader(file, delimiter="\t")
        ]


def decide(sentence: Sentence, panel: Panel) -> Decided:
    """Let the embedded voters vote, and the panel decide; a language that is empty is not told."""
    content = Content(text=sentence.text, language=sentence.language or None)
    votes = read_through(DEFAULT, [voter.vote(content) for voter in VOTERS])
    return Decided(sentence, tally(panel, votes, content.language, final=True).decision)


def table(title: str, decided: Sequence[Decided], keys: Iterable[str]) -> Table:
    """Counts of right, to a person and wrong, by the kind or language that `keys` lists."""
    counts: dict[str, Counter[str]] = {}
    for each, key in zip(decided, keys, strict=True):
        counts.setdefault(key, Counter())[each.outcome] += 1
        counts.setdefault("all", Counter())[each.outcome] += 1
    shown = Table(title=title)
    for column in ("", "sentences", "right", "to a person", "wrong"):
        shown.add_column(column)
    for key, count in counts.items():
        cells = (count.total(), count["right"], count["review"], count["wrong"])
        shown.add_row(key, *map(str, cells))
    return shown


def main() -> None:
    """Print the suite by kind and by language, and each sentence decided wrongly."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--panel", type=Path, help="a panel of embedded voters; else `embedded`")
    chosen = parser.parse_args().panel
    panel = load(chosen.read_text(encoding="utf-8")) if chosen else packaged("embedded")
    decided = [decide(sentence, panel) for sentence in read()]
    console = Console(width=120)
    kinds = [f"{each.sentence.kind} ({each.sentence.expected})" for each in decided]
    console.print(table("by kind", decided, kinds))
    console.print(table("by language", decided, [each.sentence.language for each in decided]))
    for each in decided:
        if each.outcome == "wrong":
            console.print(f"{each.decision}: {each.sentence.text}", markup=False)


if __name__ == "__main__":
    main()
