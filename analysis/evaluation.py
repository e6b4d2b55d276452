"""Replay of recorded votes through the production tally, and the figures of the result.

Figures come with percentile-bootstrap 95 % intervals (Efron 1979), resampled within each language.
A share of 0 or 1 has Wilson's interval (1927): resamples of rows that are all alike are all alike.
A decision is forced, for `accuracy`, `precision`, `recall` and `f1`, where the panel would ask a
person: at the midpoint of its thresholds; a single voter's `needs_review` or missing vote counts as
a score of one half, and one half as unsafe. `auprc` is average precision (the area under the
precision–recall curve as a step function).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
from quorum.core.models import Abstention, CastVote, Decision, Outcome
from quorum.vote.panel import Estimate, Panel
from quorum.vote.quality_sample import wilson
from quorum.vote.tally import tally

from analysis.recorded import (
    CODES,
    NONE,
    REVIEW,
    SAFE,
    UNSAFE,
    Codes,
    Flags,
    Floats,
    Indices,
    Recorded,
)

RESAMPLES = 1000
_CHUNK = 4_000_000
"""Weights held in memory at once, so that large files need no more memory than small ones."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The decisions of a panel, or of one voter alone, on n rows.

    `scores` measure unsafe in [0, 1] (NaN: none given), `forced` is the decision where one is
    forced. `calls` and `dollars` are per row; None where they are not known.
    """

    name: str
    decisions: Codes
    forced: Codes
    scores: Floats
    calls: Floats | None
    dollars: Floats | None

    def rows(self, indices: Indices) -> "Answers":
        """Those rows only."""
        return Answers(
            name=self.name,
            decisions=self.decisions[indices],
            forced=self.forced[indices],
            scores=self.scores[indices],
            calls=None if self.calls is None else self.calls[indices],
            dollars=None if self.dollars is None else self.dollars[indices],
        )


def replay(
    panel: Panel,
    recorded: Recorded,
    costs: Mapping[str, Decimal],
    *,
    progress: Callable[[], None] = lambda: None,
) -> Answers:
    """The panel's verdicts, asked round by round as production asks. One `progress` per row.

    Dollars are unknown if the price of one voter of the panel is.
    """
    decisions = np.zeros(len(recorded), dtype=np.int8)
    scores = np.zeros(len(recorded))
    calls = np.zeros(len(recorded))
    dollars = np.zeros(len(recorded))
    for row in range(len(recorded)):
        outcome, asked = replayed(panel, recorded, row)
        decisions[row] = CODES[outcome.decision]
        scores[row] = outcome.score
        calls[row] = len(asked)
        dollars[row] = float(sum((costs.get(voter, Decimal(0)) for voter in asked), Decimal(0)))
        progress()
    return Answers(
        name=panel.name,
        decisions=decisions,
        forced=force(decisions, scores, midpoints(panel, recorded)),
        scores=scores,
        calls=calls,
        dollars=dollars if set(panel.voters) <= costs.keys() else None,
    )


def replayed(panel: Panel, recorded: Recorded, row: int) -> tuple[Outcome, list[str]]:
    """The outcome of one row, and the voters that were asked for it."""
    language = str(recorded.languages[row]) or None
    votes: list[CastVote | Abstention] = []
    asked: list[str] = []
    while not (outcome := tally(panel, votes, language)).settled:
        votes += recorded.votes(row, outcome.next_voters)
        asked += outcome.next_voters
    return outcome, asked


def alone(voter: str, recorded: Recorded, costs: Mapping[str, Decimal]) -> Answers:
    """One voter's answers, had it been asked alone for every row."""
    column = recorded.column(voter)
    decisions = recorded.decisions[:, column]
    confidences = recorded.confidences[:, column]
    scores = np.select(
        [decisions == UNSAFE, decisions == SAFE], [confidences, 1 - confidences], default=0.5
    )
    if np.isnan(confidences).all():
        scores = np.full(len(recorded), np.nan)
    return Answers(
        name=voter,
        decisions=decisions,
        forced=force(decisions, np.full(len(recorded), 0.5), 0.5),
        scores=scores,
        calls=np.ones(len(recorded)),
        dollars=np.full(len(recorded), float(costs[voter])) if voter in costs else None,
    )


def as_recorded(recorded: Recorded) -> Answers | None:
    """The decisions of a running panel, if the file has them; calls and cost are unknown."""
    if recorded.panel is None:
        return None
    decisions, scores = recorded.panel.decisions, recorded.panel.scores
    return Answers(
        name="panel",
        decisions=decisions,
        forced=force(decisions, np.where(np.isnan(scores), 0.5, scores), 0.5),
        scores=scores,
        calls=None,
        dollars=None,
    )


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers one after the other; calls and dollars are known if they are in every part."""

    def all_or_none(values: list[Floats | None]) -> Floats | None:
        known = [value for value in values if value is not None]
        return np.concatenate(known) if len(known) == len(values) else None

    return Answers(
        name=parts[0].name,
        decisions=np.concatenate([part.decisions for part in parts]),
        forced=np.concatenate([part.forced for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        calls=all_or_none([part.calls for part in parts]),
        dollars=all_or_none([part.dollars for part in parts]),
    )


def force(decisions: Codes, scores: Floats, midpoints: float | Floats) -> Codes:
    """The decisions, with `needs_review` and none replaced by the side of the row's midpoint."""
    open_ = (decisions == REVIEW) | (decisions == NONE)
    return np.where(open_, np.where(scores >= midpoints, UNSAFE, SAFE), decisions).astype(np.int8)


def midpoints(panel: Panel, recorded: Recorded) -> Floats:
    """Each row's midpoint: that of the panel's thresholds for its language."""
    known, which = np.unique(recorded.languages, return_inverse=True)
    return np.array([panel.midpoint_of(str(language) or None) for language in known])[which]


# --- figures with intervals ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resampling:
    """Counts of each row in each bootstrap resample: integers, resamples × rows."""

    weights: npt.NDArray[np.float32]

    @classmethod
    def within(cls, languages: npt.NDArray[np.str_], resamples: int, seed: int) -> "Resampling":
        """Rows redrawn with replacement within their own language."""
        random = np.random.default_rng(seed)
        weights = np.zeros((resamples, len(languages)), dtype=np.float32)
        for language in np.unique(languages):
            rows = np.flatnonzero(languages == language)
            even = np.full(len(rows), 1 / len(rows))
            weights[:, rows] = random.multinomial(len(rows), even, size=resamples)
        return cls(weights)

    def rows(self, indices: Indices) -> "Resampling":
        """Those rows only."""
        return Resampling(self.weights[:, indices])


Figures = dict[str, Estimate | None]
"""Figures by name; None for an unknown one (no score, no price, nothing decided)."""


def figures(
    answers: Answers, gold: Codes, resampling: Resampling, reference_dollars: float | None
) -> Figures:
    """Every figure of `answers` against `gold`, with its interval.

    `cost_vs_reference` is the cost as a share of the cost of asking the reference voter alone
    (`reference_dollars` each).
    """
    right = answers.forced == gold
    unsafe, flagged = gold == UNSAFE, answers.forced == UNSAFE
    decided = (answers.decisions == SAFE) | (answers.decisions == UNSAFE)
    caught = unsafe & flagged
    let_through = unsafe & (answers.decisions == SAFE)
    found: Figures = {}
    always = np.ones(len(gold), dtype=np.bool_)

    def ratio(name: str, above: npt.ArrayLike, below: npt.ArrayLike, scale: float = 1.0) -> None:
        found[name] = _ratio(np.asarray(above), np.asarray(below), resampling, scale)

    def share(name: str, above: Flags, below: Flags) -> None:
        ratio(name, above, below)
        found[name] = _never_certain(found[name], int(below.sum()))

    share("accuracy", right, always)
    share("decided_accuracy", decided & (answers.decisions == gold), decided)
    share("review_rate", ~decided, always)
    share("precision", caught, flagged)
    share("recall", caught, unsafe)
    ratio("f1", 2.0 * caught, unsafe.astype(float) + flagged)
    share("let_through", let_through, unsafe)
    found["auprc"] = _auprc(answers.scores, unsafe, resampling)
    found |= dict.fromkeys(("calls_per_1000", "cost_per_1000_usd", "cost_vs_reference"))
    if answers.calls is not None:
        ratio("calls_per_1000", answers.calls, always, 1000)
    if answers.dollars is not None:
        ratio("cost_per_1000_usd", answers.dollars, always, 1000)
        if reference_dollars:
            ratio("cost_vs_reference", answers.dollars, always, 1 / reference_dollars)
    return found


def _never_certain(share: Estimate | None, rows: int) -> Estimate | None:
    """The share with an interval that has a width, also where it is 0 or 1."""
    if share is None or share.value not in {0.0, 1.0}:
        return share
    low, high = wilson(share.value, rows)
    return Estimate(value=share.value, low=min(low, share.value), high=max(high, share.value))


def average(values: Floats, resampling: Resampling) -> Estimate | None:
    """The mean of the values; None without rows."""
    return _ratio(values, np.ones(len(values)), resampling, 1.0)


def difference(first: Flags, second: Flags, resampling: Resampling) -> Estimate:
    """The share of rows with `first` less the share with `second` (a paired difference)."""
    estimate = _ratio(first.astype(float) - second, np.ones(len(first)), resampling, 1.0)
    if estimate is None:
        raise ValueError("no rows to compare")
    return estimate


def _ratio(
    above: npt.NDArray[np.generic],
    below: npt.NDArray[np.generic],
    resampling: Resampling,
    scale: float,
) -> Estimate | None:
    total_above, total_below = (float(side.astype(np.float64).sum()) for side in (above, below))
    if not total_below > 0:
        return None
    drawn = resampling.weights @ np.column_stack([above, below]).astype(np.float32)
    drawn = drawn[drawn[:, 1] > 0].astype(np.float64)
    return _estimate(scale * total_above / total_below, scale * drawn[:, 0] / drawn[:, 1])


def _estimate(value: float, drawn: npt.NDArray[np.floating[Any]]) -> Estimate:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))


def _auprc(scores: Floats, unsafe: Flags, resampling: Resampling) -> Estimate | None:
    known = np.flatnonzero(~np.isnan(scores))
    if len(known) < len(scores) or not unsafe.any():
        return None
    value = float(average_precision(scores, unsafe, np.ones((1, len(scores)), dtype=np.float32))[0])
    per_chunk = max(1, _CHUNK // len(scores))
    drawn = [
        average_precision(scores, unsafe, resampling.weights[start : start + per_chunk])
        for start in range(0, len(resampling.weights), per_chunk)
    ]
    return _estimate(value, np.concatenate(drawn))


def average_precision(scores: Floats, unsafe: Flags, weights: npt.NDArray[np.float32]) -> Floats:
    """Average precision once for each row of `weights` (resamples × rows); ties count together."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = weights[:, order].astype(np.float64)
    all_ = np.cumsum(drawn, axis=1)[:, ends]
    hits = np.cumsum(drawn * unsafe[order], axis=1)[:, ends]
    total = np.maximum(hits[:, -1:], 1e-12)
    precision = np.divide(hits, all_, out=np.zeros_like(hits), where=all_ > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    return np.asarray((precision * gained).sum(axis=1) / total[:, 0], dtype=np.float64)


# --- the whole evaluation ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of the panel and of every voter alone, over all rows or one language."""

    rows: int
    panel: Figures | None
    voters: dict[str, Figures]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures: overall and by language."""

    overall: Section
    languages: dict[str, Section]
    reference: str | None
    panel: Answers | None
    voters: dict[str, Answers]

    def document(self) -> dict[str, object]:
        """As JSON types: `overall`, and `languages` by language, each with `panel` and `voters`."""
        return {
            "reference": self.reference,
            "overall": _section(self.overall),
            "languages": {name: _section(section) for name, section in self.languages.items()},
        }


def evaluate(
    recorded: Recorded,
    panel: Answers | None,
    costs: Mapping[str, Decimal],
    reference: str | None,
    *,
    seed: int = 0,
) -> Evaluation:
    """The figures of `panel` (if there is one) and of every recorded voter alone."""
    voters = {voter: alone(voter, recorded, costs) for voter in recorded.voters}
    resampling = Resampling.within(recorded.languages, RESAMPLES, seed)
    reference_dollars = None if reference is None else float(costs[reference])

    def section(rows: Indices) -> Section:
        gold, drawn = recorded.gold[rows], resampling.rows(rows)
        return Section(
            rows=len(rows),
            panel=None
            if panel is None
            else figures(panel.rows(rows), gold, drawn, reference_dollars),
            voters={
                name: figures(answers.rows(rows), gold, drawn, reference_dollars)
                for name, answers in voters.items()
            },
        )

    return Evaluation(
        overall=section(np.arange(len(recorded))),
        languages={
            str(language): section(np.flatnonzero(recorded.languages == language))
            for language in np.unique(recorded.languages)
        },
        reference=reference,
        panel=panel,
        voters=voters,
    )


def changes(before: Answers, after: Answers) -> dict[tuple[Decision, Decision], Indices]:
    """The rows whose verdict changes, by verdict before and after."""
    pairs: Sequence[tuple[Decision, Decision]] = [
        (first, second) for first in Decision for second in Decision if first is not second
    ]
    return {
        (first, second): rows
        for first, second in pairs
        if len(
            rows := np.flatnonzero(
                (before.decisions == CODES[first]) & (after.decisions == CODES[second])
            )
        )
    }


def _section(section: Section) -> dict[str, object]:
    return {
        "rows": section.rows,
        "panel": None if section.panel is None else _plain(section.panel),
        "voters": {name: _plain(found) for name, found in section.voters.items()},
    }


def _plain(found: Figures) -> dict[str, dict[str, float] | None]:
    return {
        name: None if estimate is None else estimate.model_dump()
        for name, estimate in found.items()
    }


def percent(estimate: Estimate | None) -> str:
    """In percent, with half the width of the interval."""
    if estimate is None:
        return "–"
    half = (estimate.high - estimate.low) / 2
    return f"{estimate.value:.1%} ±{100 * half:.1f}"
