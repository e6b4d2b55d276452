"""Recalibration of a panel on labels, and what it would change.

A calibrated panel's score is a probability of unsafe, learned once. Where contents or voters change
it drifts. Recalibration fits two numbers on the labels, an intercept and a slope of the panel's
log-odds (Cox 1958; Platt 1999)::

    log-odds of unsafe = intercept + slope × the panel's log-odds

Voters, rounds, thresholds and bounds stay: thresholds and bounds are limits of probabilities, and
the probabilities are right again. The result is an ordinary panel, with every number of its
evidence multiplied and the intercept added to its biases, so it can be tallied on the same votes.

Labels are no random sample (`quorum.vote.quality_sample`). Each counts by the number of verdicts it
stands for, 1/probability (Horvitz and Thompson 1952): the fit maximises the weighted likelihood
(Binder 1983), with weights that sum to the effective number of labels (Kish 1965) and a normal
prior around "no change". What the new panel would do is measured on labels that had no part in its
fit: five folds, by a hash of the verdict's id. Shares are weighted ratios (Hájek 1971), and the
intervals of 95 % are those of linearised ratios (Särndal, Swensson and Wretman 1992, section 5.6).
The interval of a change takes both panels' results on a label as a pair.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

from quorum.core.models import CastVote, Decision, Frozen
from quorum.vote.panel import Calibrated, Estimate, Evidence, Panel, Stage
from quorum.vote.quality_sample import Z, wilson
from quorum.vote.reviews import Label
from quorum.vote.tally import tally

LEAST_LABELS = 100
"""Effective number of labels below which nothing is fitted."""
LEAST_OF_A_KIND = 20
"""Labels of safe and of unsafe contents, each, below which nothing is fitted."""
FOLDS = 5
LEAST_SLOPE, MOST_SLOPE = 0.2, 3.0
"""A slope beyond these means that labels and votes are about different things."""

_PRIOR_INTERCEPT, _PRIOR_SLOPE = 1.0, 0.5
"""Standard deviations of the prior around an intercept of 0 and a slope of 1."""
_STEPS = 30
_PRECISION = 1e-9
_DIGITS = 3
"""Decimals of a recalibrated panel's numbers: a parameter holds 8 kB."""
_SURE = 1e-6
"""The probability nearest to 0 or 1 that a score is read as."""


class TooFewLabels(ValueError):
    """The labels are too few to fit anything; the message says how many there are."""


class NotCalibrated(ValueError):
    """The panel's scores are no probabilities."""


class Scale(NamedTuple):
    """The slope by which a panel's log-odds are multiplied, and the intercept added to them."""

    intercept: float
    slope: float


UNCHANGED = Scale(0.0, 1.0)


class Change(Frozen):
    """A figure of the panel in force, of the proposed one, and their difference."""

    before: Estimate
    after: Estimate
    change: Estimate


class Recalibration(Frozen):
    """A recalibrated panel, and what it would change.

    `labels` are those it was fitted on, `effective` the number of equally weighted ones with the
    same information, `represents` the verdicts they stand for. `changes` are by figure,
    `by_language` those of each language with enough labels. `flips` are shares of all verdicts that
    would be decided otherwise, by both decisions (`safe → unsafe`). `unheard` is the share for
    which the new panel would ask voters whose votes are not known: they count as left to a person.
    """

    panel: Panel
    labels: int
    effective: float
    represents: float
    intercept: float
    slope: float
    changes: dict[str, Change]
    by_language: dict[str, dict[str, Change]]
    flips: dict[str, float]
    unheard: float


class _Row(NamedTuple):
    """A label as it is fitted on."""

    label: Label
    unsafe: bool
    weight: float
    language: str | None
    log_odds: float


class _Judged(NamedTuple):
    """What a panel does with a label's content; `heard` unless a vote was missing."""

    decision: Decision
    forced: Decision
    dollars: float
    heard: bool


def recalibration(panel: Panel, labels: Iterable[Label]) -> Recalibration:
    """The panel recalibrated on those labels that have votes of its voters.

    The same labels in any order give the same. Raises `NotCalibrated` and `TooFewLabels`.
    """
    if not isinstance(panel.rule, Calibrated):
        raise NotCalibrated(
            f"the rule of {panel.name} is {panel.rule.kind}: its scores are no probabilities"
        )
    rows = _rows(panel, labels)
    _require_enough(rows)
    scale = fitted(rows)
    folds: dict[int, Panel] = {}
    for fold in range(FOLDS):
        learned = [row for row in rows if _fold(row) != fold]
        folds[fold] = scaled(panel, fitted(learned))
    dollars = _dollars(rows)
    before = [_judged(panel, row, dollars) for row in rows]
    after = [_judged(folds[_fold(row)], row, dollars) for row in rows]
    weights = [row.weight for row in rows]
    changes = _changes(rows, before, after)
    return Recalibration(
        panel=_described(panel, scaled(panel, scale), len(rows), changes),
        labels=len(rows),
        effective=effective(weights),
        represents=math.fsum(weights),
        intercept=round(scale.intercept, 4),
        slope=round(scale.slope, 4),
        changes=changes,
        by_language=_by_language(rows, before, after),
        flips=_flips(rows, before, after),
        unheard=_share(rows, [not one.heard for one in after]),
    )


def effective(weights: Sequence[float]) -> float:
    """The number of equally weighted labels with the same information (Kish)."""
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


# ---- fitting ---------------------------------------------------------------------------------


def _rows(panel: Panel, labels: Iterable[Label]) -> list[_Row]:
    found = []
    for label in labels:
        decision = label.reviews[-1].decision
        votes = [vote for vote in label.verdict.votes if vote.voter in panel.voters]
        if decision is Decision.NEEDS_REVIEW or not any(isinstance(one, CastVote) for one in votes):
            continue
        language = label.verdict.language
        score = tally(panel, votes, language, final=True).score
        sure = min(max(score, _SURE), 1 - _SURE)
        odds = math.log(sure / (1 - sure))
        found.append(_Row(label, decision is Decision.UNSAFE, label.weight, language, odds))
    return sorted(found, key=lambda row: row.label.verdict.id)


def _require_enough(rows: Sequence[_Row]) -> None:
    worth = effective([row.weight for row in rows])
    unsafe = sum(row.unsafe for row in rows)
    if worth < LEAST_LABELS or min(unsafe, len(rows) - unsafe) < LEAST_OF_A_KIND:
        raise TooFewLabels(
            f"{len(rows)} labels with votes, {unsafe} of them unsafe, count as {worth:.0f};"
            f" at least {LEAST_LABELS} are needed, and {LEAST_OF_A_KIND} of each kind"
        )


def fitted(rows: Sequence[_Row]) -> Scale:
    """The intercept and slope of the highest weighted likelihood, by Newton's method."""
    weights = [row.weight for row in rows]
    unit = effective(weights) / math.fsum(weights)
    a, b = UNCHANGED
    for _ in range(_STEPS):
        # The prior's part of the gradient and of the curvature comes first.
        slope_a, slope_b = [a / _PRIOR_INTERCEPT**2], [(b - 1) / _PRIOR_SLOPE**2]
        bend_aa, bend_ab, bend_bb = [_PRIOR_INTERCEPT**-2], [0.0], [_PRIOR_SLOPE**-2]
        for row in rows:
            said = (1 + math.tanh((a + b * row.log_odds) / 2)) / 2
            weight, off = row.weight * unit, said - row.unsafe
            bend = weight * said * (1 - said)
            slope_a.append(weight * off)
            slope_b.append(weight * off * row.log_odds)
            bend_aa.append(bend)
            bend_ab.append(bend * row.log_odds)
            bend_bb.append(bend * row.log_odds**2)
        (ga, gb, haa, hab, hbb) = map(math.fsum, (slope_a, slope_b, bend_aa, bend_ab, bend_bb))
        divisor = haa * hbb - hab * hab
        step_a, step_b = (hbb * ga - hab * gb) / divisor, (haa * gb - hab * ga) / divisor
        # A step is at most 1, so that far from the optimum it does not overshoot.
        longest = max(abs(step_a), abs(step_b), 1.0)
        a, b = a - step_a / longest, b - step_b / longest
        if max(abs(step_a), abs(step_b)) < _PRECISION:
            break
    return Scale(a, min(max(b, LEAST_SLOPE), MOST_SLOPE))


def scaled(panel: Panel, scale: Scale) -> Panel:
    """The panel whose log-odds are the scaled ones of `panel`; `expected` no longer holds."""
    if not isinstance(panel.rule, Calibrated):
        raise NotCalibrated(f"the rule of {panel.name} is {panel.rule.kind}")
    stages = tuple(_stage(stage, scale) for stage in panel.rule.stages)
    return _with(panel, rule=Calibrated(stages=stages), expected=None)


def _described(panel: Panel, new: Panel, labels: int, changes: Mapping[str, Change]) -> Panel:
    """The new panel with where it comes from, and what is expected of it."""
    return _with(
        new,
        description=f"Recalibrated on {labels} labels, from version {panel.version}.",
        expected={name: change.after for name, change in changes.items()},
    )


def _with(panel: Panel, **changed: Any) -> Panel:
    """The panel with other fields, checked anew."""
    fields = {name: getattr(panel, name) for name in Panel.model_fields}
    return Panel(**fields | changed)


def _stage(stage: Stage, scale: Scale) -> Stage:
    def bias(number: float) -> float:
        return _within(scale.intercept + scale.slope * number)

    def times(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
        return {
            voter: Evidence(
                **{name: _within(scale.slope * number) for name, number in one if number}
            )
            for voter, one in evidence.items()
        }

    return Stage(
        bias=bias(stage.bias),
        evidence=times(stage.evidence),
        pairs=tuple(
            pair.model_copy(
                update={
                    "unsafe": _within(scale.slope * pair.unsafe),
                    "safe": _within(scale.slope * pair.safe),
                }
            )
            for pair in stage.pairs
        ),
        languages={
            language: terms.model_copy(
                update={"bias": bias(terms.bias), "evidence": times(terms.evidence)}
            )
            for language, terms in stage.languages.items()
        },
    )


def _within(number: float) -> float:
    """The number with a few decimals, within the limits of a panel's log-odds."""
    return min(max(round(number, _DIGITS), -50.0), 50.0)


def _fold(row: _Row) -> int:
    digest = sha256(f"fold#{row.label.verdict.id}".encode()).digest()
    return int.from_bytes(digest[:8]) % FOLDS


# ---- judging ---------------------------------------------------------------------------------


def _dollars(rows: Sequence[_Row]) -> dict[str, float]:
    """What a vote of each voter costs on average, cached ones at what they saved."""
    spent: dict[str, list[float]] = {}
    for vote in chain.from_iterable(row.label.verdict.votes for row in rows):
        if isinstance(vote, CastVote):
            spent.setdefault(vote.voter, []).append(float(vote.cost_usd + vote.saved_usd))
    return {voter: math.fsum(each) / len(each) for voter, each in spent.items()}


def _judged(panel: Panel, row: _Row, dollars: Mapping[str, float]) -> _Judged:
    """What the panel says, asked round by round as production asks, of the votes that are known."""
    known = {vote.voter: vote for vote in row.label.verdict.votes}
    asked: list[str] = []
    heard = True
    while True:
        votes = [known[voter] for voter in asked if voter in known]
        outcome = tally(panel, votes, row.language, final=not heard)
        if outcome.settled:
            break
        asked += outcome.next_voters
        heard = all(voter in known for voter in outcome.next_voters)
    decision = outcome.decision if heard else Decision.NEEDS_REVIEW
    forced = decision
    if decision is Decision.NEEDS_REVIEW:
        high = outcome.score >= panel.midpoint_of(row.language)
        forced = Decision.UNSAFE if high else Decision.SAFE
    return _Judged(decision, forced, math.fsum(dollars.get(one, 0.0) for one in asked), heard)


# ---- what would change -----------------------------------------------------------------------


class _Ratio(NamedTuple):
    """The values of a figure: the ratio of two weighted sums over labels."""

    above: list[float]
    below: list[float]
    scale: float = 1.0
    is_share: bool = True


_FIGURES: Mapping[str, Callable[[Sequence[_Row], Sequence[_Judged]], _Ratio]] = {
    "accuracy": lambda rows, said: _Ratio(
        [one.forced is _gold(row) for row, one in zip(rows, said, strict=True)], [1.0] * len(rows)
    ),
    "decided_accuracy": lambda rows, said: _Ratio(
        [one.decision is _gold(row) for row, one in zip(rows, said, strict=True)],
        [one.decision is not Decision.NEEDS_REVIEW for one in said],
    ),
    "review_rate": lambda rows, said: _Ratio(
        [one.decision is Decision.NEEDS_REVIEW for one in said], [1.0] * len(rows)
    ),
    "let_through": lambda rows, said: _Ratio(
        [row.unsafe and one.decision is Decision.SAFE for row, one in zip(rows, said, strict=True)],
        [row.unsafe for row in rows],
    ),
    "cost_per_1000_usd": lambda rows, said: _Ratio(
        [one.dollars for one in said], [1.0] * len(rows), 1000.0, is_share=False
    ),
}
"""The figures of what a panel does, as ratios."""


def _gold(row: _Row) -> Decision:
    return Decision.UNSAFE if row.unsafe else Decision.SAFE


def _changes(
    rows: Sequence[_Row], before: Sequence[_Judged], after: Sequence[_Judged]
) -> dict[str, Change]:
    """Each figure before and after; without those that have nothing to be a share of."""
    weights = [row.weight for row in rows]
    found = {}
    for name, of in _FIGURES.items():
        ratios = of(rows, before), of(rows, after)
        if all(math.fsum(map(float, ratio.below)) > 0 for ratio in ratios):
            first, second = (_Estimated.of(weights, ratio) for ratio in ratios)
            found[name] = Change(
                before=first.estimate(), after=second.estimate(), change=first.until(second)
            )
    return found


def _by_language(
    rows: Sequence[_Row], before: Sequence[_Judged], after: Sequence[_Judged]
) -> dict[str, dict[str, Change]]:
    found = {}
    for language in sorted({row.language for row in rows if row.language is not None}):
        here = [at for at, row in enumerate(rows) if row.language == language]
        own = [rows[at] for at in here]
        if effective([row.weight for row in own]) >= LEAST_OF_A_KIND:
            found[language] = _changes(own, [before[at] for at in here], [after[at] for at in here])
    return found


def _flips(
    rows: Sequence[_Row], before: Sequence[_Judged], after: Sequence[_Judged]
) -> dict[str, float]:
    pairs = [(one.decision, other.decision) for one, other in zip(before, after, strict=True)]
    flipped = sorted({pair for pair in pairs if pair[0] is not pair[1]})
    return {
        f"{one} → {other}": _share(rows, [p == (one, other) for p in pairs])
        for one, other in flipped
    }


def _share(rows: Sequence[_Row], holds: Sequence[bool]) -> float:
    """The weighted share of rows of which something holds."""
    held = math.fsum(row.weight for row, one in zip(rows, holds, strict=True) if one)
    return held / math.fsum(row.weight for row in rows)


class _Estimated(NamedTuple):
    """A ratio with each label's part in its error (the linearised residuals)."""

    value: float
    parts: list[float]
    share_of: float | None
    """Of a share: the effective number of labels that it is a share of."""

    @classmethod
    def of(cls, weights: Sequence[float], ratio: _Ratio) -> "_Estimated":
        """The ratio of the weighted sums."""
        above = math.fsum(w * y for w, y in zip(weights, ratio.above, strict=True))
        below = math.fsum(w * x for w, x in zip(weights, ratio.below, strict=True))
        value = above / below
        parts = [
            ratio.scale * w * (y - value * x) / below
            for w, y, x in zip(weights, ratio.above, ratio.below, strict=True)
        ]
        counted = [w for w, x in zip(weights, ratio.below, strict=True) if x]
        return cls(ratio.scale * value, parts, effective(counted) if ratio.is_share else None)

    def estimate(self) -> Estimate:
        """The value with its interval: Wilson's for a share, which 0 and 1 need."""
        if self.share_of is not None:
            low, high = wilson(self.value, self.share_of)
        else:
            half = _half(self.parts)
            low, high = self.value - half, self.value + half
        return _rounded(self.value, min(low, self.value), max(high, self.value))

    def until(self, after: "_Estimated") -> Estimate:
        """The difference to a later one of the same labels."""
        value = after.value - self.value
        half = _half([b - a for a, b in zip(self.parts, after.parts, strict=True)])
        return _rounded(value, value - half, value + half)


def _half(parts: Sequence[float]) -> float:
    """Half the width of the interval of a sum of independent parts."""
    number = len(parts)
    if number <= 1:  # one part tells of no spread
        return math.inf
    return Z * math.sqrt(math.fsum(part * part for part in parts) * number / (number - 1))


def _rounded(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=round(value, 6), low=round(low, 6), high=round(high, 6))
