"""What packing does to a panel: the same texts, asked about alone and several in a call, in pairs.

Differences are of pairs, so their intervals are narrower than those of the two ways apart.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from quorum.core import registry
from quorum.vote.panel import Panel

from analysis import evaluation
from analysis.evaluation import Answers, Figures, Resampling
from analysis.recorded import REVIEW, UNSAFE, Floats, Indices, Recorded, VotesUnreadable

FIGURES = (
    *("accuracy", "decided_accuracy", "review_rate", "recall"),
    *("tokens_per_text", "cost_per_1000_usd"),
)
"""The figures of a comparison."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The figures of both ways on the same rows, and packed less alone; None where unknown."""

    rows: int
    alone: Figures
    packed: Figures
    difference: Figures

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        ways = {"alone": self.alone, "packed": self.packed, "difference": self.difference}
        return {
            "rows": self.rows,
            **{
                way: {
                    name: None if estimate is None else estimate.model_dump()
                    for name, estimate in found.items()
                }
                for way, found in ways.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The panel over all rows and by language, each language model, and verdicts that change.

    `changes` are numbers of rows, by verdict alone and packed.
    """

    panel: Pair
    languages: dict[str, Pair]
    voters: dict[str, Pair]
    changes: dict[tuple[str, str], int]

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "overall": self.panel.document(),
            "languages": {name: pair.document() for name, pair in self.languages.items()},
            "voters": {name: pair.document() for name, pair in self.voters.items()},
            "changes": [
                {"alone": alone, "packed": packed, "rows": rows}
                for (alone, packed), rows in self.changes.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class _Way:
    """The answers of one way of asking, and what each row took."""

    answers: Answers
    tokens: Floats | None

    def rows(self, indices: Indices) -> "_Way":
        tokens = None if self.tokens is None else self.tokens[indices]
        return _Way(self.answers.rows(indices), tokens)


def paired(alone: Recorded, packed: Recorded) -> Recorded:
    """The rows of `packed` in the order of `alone`, by their texts.

    Raises `VotesUnreadable` where the two are not of the same texts, or under one policy.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(packed.texts):
        places[text].append(index)
    if len(packed) != len(alone) or not all(places.get(text) for text in alone.texts):
        raise VotesUnreadable(
            f"the packed votes are on other texts: {len(packed):,} rows beside {len(alone):,}"
        )
    if alone.voted_under and packed.voted_under and alone.voted_under != packed.voted_under:
        raise VotesUnreadable(
            f"the packed votes are under another policy: {', '.join(packed.voted_under)} beside"
            f" {', '.join(alone.voted_under)}"
        )
    order = np.array(
        [found.pop(0) if len(found := places[text]) > 1 else found[0] for text in alone.texts],
        dtype=np.int64,
    )
    return replace(packed.rows(order), languages=alone.languages, gold=alone.gold)


def compare(
    panel: Panel,
    alone: Recorded,
    packed: Recorded,
    *,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Comparison:
    """Both ways replayed through `panel`; the rows of `packed` are those of `alone`, in order."""
    resampling = Resampling.within(alone.languages, evaluation.RESAMPLES, seed)
    everything = np.arange(len(alone))

    def pair(ways: tuple[_Way, _Way], rows: Indices) -> Pair:
        one, other = (way.rows(rows) for way in ways)
        return _pair(one, other, alone.rows(rows), resampling.rows(rows))

    ways = (_of_panel(panel, alone, progress), _of_panel(panel, packed, progress))
    changes = evaluation.changes(ways[0].answers, ways[1].answers)
    return Comparison(
        panel=pair(ways, everything),
        languages={
            str(language): pair(ways, np.flatnonzero(alone.languages == language))
            for language in np.unique(alone.languages)
        },
        voters={
            voter: pair((_of_voter(voter, alone), _of_voter(voter, packed)), everything)
            for voter in language_models(panel.voters)
        },
        changes={(str(one), str(other)): len(rows) for (one, other), rows in changes.items()},
    )


def language_models(voters: Iterable[str]) -> tuple[str, ...]:
    """Those of `voters` that are no embedded ones."""
    embedded = {model.name for model in registry.voters() if model.kind == "embedded"}
    return tuple(voter for voter in voters if voter not in embedded)


def _of_panel(panel: Panel, recorded: Recorded, progress: Callable[[], None]) -> _Way:
    answers = evaluation.replay(panel, recorded, {}, progress=progress)
    if recorded.paid is None:
        return _Way(replace(answers, dollars=None), None)
    asked = np.zeros((len(recorded), len(recorded.voters)))
    for row in range(len(recorded)):
        names = evaluation.replayed(panel, recorded, row)[1]
        asked[row, [recorded.column(name) for name in names]] = 1
    tokens, dollars = (
        np.where(asked > 0, each, 0.0).sum(axis=1)
        for each in (recorded.paid.tokens, recorded.paid.dollars)
    )
    return _Way(replace(answers, dollars=_known(dollars)), _known(tokens))


def _of_voter(voter: str, recorded: Recorded) -> _Way:
    answers = replace(evaluation.alone(voter, recorded, {voter: Decimal(0)}), dollars=None)
    if recorded.paid is None:
        return _Way(answers, None)
    column = recorded.column(voter)
    dollars = _known(recorded.paid.dollars[:, column])
    return _Way(replace(answers, dollars=dollars), _known(recorded.paid.tokens[:, column]))


def _known(values: Floats) -> Floats | None:
    """The values; None where one of them is not known."""
    return None if np.isnan(values).any() else values


def _pair(alone: _Way, packed: _Way, rows: Recorded, resampling: Resampling) -> Pair:
    unsafe = np.flatnonzero(rows.gold == UNSAFE)
    of_unsafe = resampling.rows(unsafe)

    def figures(way: _Way) -> Figures:
        found = evaluation.figures(way.answers, rows.gold, resampling, None)
        tokens = None if way.tokens is None else evaluation.average(way.tokens, resampling)
        found["tokens_per_text"] = tokens
        return {name: found[name] for name in FIGURES}

    def difference(of: Callable[[_Way], Floats | None], drawn: Resampling) -> Any:
        before, after = of(alone), of(packed)
        if before is None or after is None or not len(before):
            return None
        return evaluation.average(after - before, drawn)

    def right(way: _Way) -> Floats:
        return np.asarray(way.answers.forced == rows.gold, dtype=np.float64)

    def reviewed(way: _Way) -> Floats:
        decisions = way.answers.decisions
        return np.asarray((decisions == REVIEW) | (decisions == 0), dtype=np.float64)

    def caught(way: _Way) -> Floats:
        return np.asarray(way.answers.forced[unsafe] == UNSAFE, dtype=np.float64)

    def dollars(way: _Way) -> Floats | None:
        return None if way.answers.dollars is None else 1000 * way.answers.dollars

    return Pair(
        rows=len(rows),
        alone=figures(alone),
        packed=figures(packed),
        difference={
            "accuracy": difference(right, resampling),
            "decided_accuracy": None,  # of other rows: no pairs
            "review_rate": difference(reviewed, resampling),
            "recall": difference(caught, of_unsafe),
            "tokens_per_text": difference(lambda way: way.tokens, resampling),
            "cost_per_1000_usd": difference(dollars, resampling),
        },
    )
