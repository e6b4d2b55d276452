"""Learning a panel from labelled votes: evidence, rounds, bounds and thresholds.

Everything is scored on rows it was not fitted on. Within one design every stage's probabilities are
out-of-fold, and rounds, bounds and thresholds are chosen on those. `cross_validated` measures
a design: it repeats the whole design once for each fold, without that fold's rows.

The evidence is a logistic model with quadratic shrinkage. Voters share a prior: each one's evidence
is drawn to the mean of all, and a language's own evidence to the pooled one, so that fifty labels a
language move the numbers a little and two thousand determine them (a hierarchical
model at its posterior mode). Signs are bounded, so no vote for unsafe can lower a score.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, combinations
from multiprocessing import get_context

import numpy as np
from quorum.vote.panel import (
    Calibrated,
    Evidence,
    LanguageTerms,
    Pair,
    Panel,
    Stage,
    Stop,
    Thresholds,
)
from quorum.vote.tally import confidence_logit
from scipy.special import betaincinv
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from analysis.evaluation import Answers, Flags, joined, replay
from analysis.recorded import NONE, REVIEW, SAFE, UNSAFE, Codes, Floats, Indices, Recorded

FOLDS = 5
_EVEN = 0.5
"""The probability at which safe and unsafe are equally likely."""
_LABELS_REPEATED = 2400
"""Labels below which folds are repeated, so that the panel does not depend on the folds drawn."""
_LABELS_FOR_OWN_TERMS = 20
"""Labels of a language below which it takes the pooled numbers."""
_NEWTON_STEPS = 30
_LOSS_TOLERANCE = 1e-3
_REVIEWS_FOR_EVIDENCE = 10
"""Votes for review below which a voter has no evidence of its own for them."""


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Weights of the quadratic penalties, in units of one label's log-loss per squared log-odds."""

    to_zero: float = 0.02
    voters: float = 2.0
    languages: float = 4.0
    pairs: float = 4.0
    bias: float = 0.3


@dataclass(frozen=True, slots=True)
class Design:
    """The columns of the logistic model for some voters, over all rows; folds share them.

    A column is one voter's vote of one kind (`names`) or two voters' agreement (`pairs`). Rows
    with the same votes are one pattern: `pattern[row]` is a row of `columns` and of `spoken`.
    """

    voters: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    pattern: Indices
    columns: Floats
    spoken: Indices

    @classmethod
    def of(cls, recorded: Recorded, voters: Sequence[str]) -> "Design":
        """The columns for `voters`."""
        names: list[tuple[str, str]] = []
        columns: list[Floats] = []
        said = {voter: recorded.decisions[:, recorded.column(voter)] for voter in voters}
        for voter in voters:
            sure = recorded.confidences[:, recorded.column(voter)]
            names += [(voter, "unsafe"), (voter, "safe")]
            columns += [1.0 * (said[voter] == UNSAFE), -1.0 * (said[voter] == SAFE)]
            if (said[voter] == REVIEW).sum() >= _REVIEWS_FOR_EVIDENCE:
                names.append((voter, "needs_review"))
                columns.append(1.0 * (said[voter] == REVIEW))
            if not np.isnan(sure).all():
                names.append((voter, "slope"))
                columns.append(_signed_logits(said[voter], sure))
        pairs = tuple(combinations(voters, 2))
        for first, second in pairs:
            for code, sign in ((UNSAFE, 1.0), (SAFE, -1.0)):
                columns.append(sign * ((said[first] == code) & (said[second] == code)))
        languages, spoken = np.unique(recorded.languages, return_inverse=True)
        table = np.column_stack([*columns, spoken])
        patterns, pattern = np.unique(table, axis=0, return_inverse=True)
        return cls(
            voters=tuple(voters),
            names=tuple(names),
            pairs=pairs,
            languages=tuple(str(language) for language in languages),
            pattern=pattern.reshape(-1).astype(np.int64),
            columns=patterns[:, :-1],
            spoken=patterns[:, -1].astype(np.int64),
        )


def _signed_logits(said: Codes, sure: Floats) -> Floats:
    logits = np.array([confidence_logit(1.0 if np.isnan(value) else value) for value in sure])
    return np.asarray(np.select([said == UNSAFE, said == SAFE], [logits, -logits], default=0.0))


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted stage: the coefficients of a design's columns, pooled and by language."""

    design: Design
    bias: float
    pooled: Floats
    pairs: Floats
    languages: dict[str, tuple[float, Floats]]

    def log_odds(self, rows: Indices) -> Floats:
        """The log-odds of unsafe of those rows."""
        own = self.design.columns[:, : len(self.pooled)]
        found = self.bias + own @ self.pooled
        for language, (bias, coefficients) in self.languages.items():
            here = self.design.spoken == self.design.languages.index(language)
            found[here] = bias + own[here] @ coefficients
        found += self.design.columns[:, len(self.pooled) :] @ self.pairs
        return np.asarray(found[self.design.pattern[rows]])


def fit(design: Design, gold: Codes, rows: Indices, shrinkage: Shrinkage) -> Fit:
    """The posterior mode given the labels of `rows`."""
    patterns = design.pattern[rows]
    count = np.bincount(patterns, minlength=len(design.columns)).astype(float)
    unsafe = np.bincount(patterns, (gold[rows] == UNSAFE).astype(float), len(design.columns))
    seen = np.flatnonzero(count)
    labels = np.bincount(design.spoken, count, minlength=len(design.languages))
    named = np.array([bool(language) for language in design.languages])
    # Rows without a language teach the pooled terms only: no content will ever name theirs.
    own_terms = np.flatnonzero(named & (labels >= _LABELS_FOR_OWN_TERMS))

    # Blocks of coefficients: bias and votes pooled, bias and votes of each language, then pairs.
    width = len(design.names) + 1
    blocks = 1 + len(own_terms)
    votes = np.hstack([np.ones((len(seen), 1)), design.columns[seen, : width - 1]])
    spread = np.zeros((len(seen), blocks, width))
    block = np.zeros(len(design.languages), dtype=np.int64)
    block[own_terms] = np.arange(1, blocks)
    spread[np.arange(len(seen)), block[design.spoken[seen]]] = votes
    matrix = np.hstack([spread.reshape(len(seen), -1), design.columns[seen, width - 1 :]])

    signed = np.array([False, *(kind != "needs_review" for _, kind in design.names)])
    bounded = np.append(np.tile(signed, blocks), np.ones(2 * len(design.pairs), dtype=bool))
    penalty = np.zeros((len(bounded), len(bounded)))
    votes_end = blocks * width
    penalty[:votes_end, :votes_end] = _vote_penalty(design, blocks, shrinkage)
    penalty[votes_end:, votes_end:] = shrinkage.pairs * np.eye(2 * len(design.pairs))
    found = _minimum(matrix, count[seen], unsafe[seen].astype(float), penalty, bounded)
    terms = found[:votes_end].reshape(blocks, width)
    return Fit(
        design=design,
        bias=float(terms[0, 0]),
        pooled=terms[0, 1:],
        pairs=found[votes_end:],
        languages={
            design.languages[language]: (float(terms[number, 0]), terms[number, 1:])
            for number, language in enumerate(own_terms, start=1)
        },
    )


def _vote_penalty(design: Design, blocks: int, shrinkage: Shrinkage) -> Floats:
    """The quadratic form of the shared priors.

    Pooled evidence of one kind is drawn to its mean over voters, and that mean to zero; a
    language's evidence is drawn to the pooled one.
    """
    kinds = ["bias", *("vote" if kind in {"unsafe", "safe"} else kind for _, kind in design.names)]
    prior: Floats = np.zeros((len(kinds), len(kinds)))
    for kind in set(kinds):
        members = np.flatnonzero(np.array(kinds) == kind)
        centred = np.eye(len(members)) - 1 / len(members)
        prior[np.ix_(members, members)] = shrinkage.to_zero * np.eye(len(members)) + (
            shrinkage.voters * centred
        )
    strength = np.full(len(kinds), shrinkage.languages)
    strength[0] = shrinkage.bias
    # Σ strength (own - pooled)², written as a quadratic form over [pooled, own of each language].
    ties = np.diag([blocks - 1.0] + [1.0] * (blocks - 1))
    ties[0, 1:] = ties[1:, 0] = -1.0
    penalty = np.kron(ties, np.diag(strength))
    pooled = penalty[: len(kinds), : len(kinds)]
    penalty[: len(kinds), : len(kinds)] = pooled + prior
    return np.asarray(penalty)


def _minimum(
    matrix: Floats, count: Floats, unsafe: Floats, penalty: Floats, bounded: Flags
) -> Floats:
    """The penalised logistic fit with `bounded` coefficients not negative.

    Newton's method on the coefficients that are off their bound, projected (Bertsekas 1982). The
    loss is convex, so there is one minimum.
    """

    def loss(vector: Floats) -> float:
        log_odds = matrix @ vector
        return float(
            count @ np.logaddexp(0, log_odds) - unsafe @ log_odds + vector @ penalty @ vector
        )

    vector = np.where(bounded, 0.1, 0.0)
    current = loss(vector)
    for _ in range(_NEWTON_STEPS):
        probability = (1 + np.tanh(matrix @ vector / 2)) / 2
        slope = matrix.T @ (count * probability - unsafe) + 2 * penalty @ vector
        curvature = count * np.maximum(probability * (1 - probability), 1e-9)
        free = np.flatnonzero(~(bounded & (vector <= 0) & (slope > 0)))
        inner = (matrix[:, free].T * curvature) @ matrix[:, free] + 2 * penalty[np.ix_(free, free)]
        step = np.zeros_like(vector)
        step[free] = np.linalg.solve(inner + 1e-9 * np.eye(len(free)), -slope[free])
        for length in (1.0, 0.5, 0.25, 0.1, 0.02):
            moved = np.where(
                bounded, np.maximum(vector + length * step, 0.0), vector + length * step
            )
            if (reached := loss(moved)) < current:
                break
        else:
            break
        gained, vector, current = current - reached, moved, reached
        if gained < _LOSS_TOLERANCE:
            break
    return vector


def stage(fitted: Fit) -> Stage:
    """The fit as a panel writes it."""
    pooled = _evidence(fitted.design, fitted.pooled)
    return Stage(
        bias=_written(fitted.bias),
        evidence=pooled,
        pairs=tuple(
            Pair(voters=pair, unsafe=_written(unsafe), safe=-_written(safe))
            for pair, (unsafe, safe) in zip(
                fitted.design.pairs, fitted.pairs.reshape(-1, 2), strict=True
            )
            if max(unsafe, safe) >= _NOTICEABLE
        ),
        languages={
            language: LanguageTerms(
                bias=_written(bias),
                evidence={
                    voter: own
                    for voter, own in _evidence(fitted.design, coefficients).items()
                    if _apart(own, pooled[voter]) >= _NOTICEABLE
                },
            )
            for language, (bias, coefficients) in fitted.languages.items()
        },
    )


_NOTICEABLE = 0.05
"""Log-odds below which a number is left out, so that a panel stays small and readable."""


def _apart(first: Evidence, second: Evidence) -> float:
    ours, others = first.model_dump(), second.model_dump()
    return max(abs(float(ours[name]) - float(others[name])) for name in ours)


def _evidence(design: Design, coefficients: Floats) -> dict[str, Evidence]:
    numbers: dict[str, dict[str, float]] = {voter: {} for voter in design.voters}
    for (voter, kind), coefficient in zip(design.names, coefficients, strict=True):
        numbers[voter][kind] = _written(-coefficient if kind == "safe" else coefficient)
    for terms in numbers.values():
        if "needs_review" in terms:
            terms["needs_review"] = min(max(terms["needs_review"], terms["safe"]), terms["unsafe"])
    return {voter: Evidence(**terms) for voter, terms in numbers.items()}


def _written(number: float) -> float:
    return round(float(number), 2) + 0.0  # no minus zero


# --- which voters, in which rounds ---------------------------------------------------------------

_BOUNDS = np.concatenate(
    [
        [0.0, 0.004, 0.008, 0.012, 0.017, 0.023, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.11, 0.13],
        [0.16, 0.19, 0.22, 0.26, 0.3, 0.34, 0.38, 0.42, 0.46, 0.5],
    ]
)
"""Probabilities of error at which asking may stop."""

_BEAM = 3
_PAID_VOTERS = 4
_PAID_ROUNDS = 3
_WORTH_A_SEAT = 0.0005
"""Worth that another paid voter must add to a plan."""
_MARGIN = 1.0
"""Standard errors of the cost kept free below the budget: unseen rows may be dearer."""

Rounds = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds and the bounds between them, with their figures out of fold."""

    rounds: Rounds
    bounds: tuple[float, ...]
    worth: float
    dollars: float


class OutOfFold:
    """Stage probabilities for any set of voters, each row's fitted without its fold. Cached."""

    def __init__(self, recorded: Recorded, shrinkage: Shrinkage, seed: int) -> None:
        """Over all rows of `recorded`, which must be labelled."""
        self.recorded = recorded
        self.shrinkage = shrinkage
        repeats = min(max(_LABELS_REPEATED // len(recorded), 1), 4)
        self.repeats = [list(folds(recorded, FOLDS, seed + repeat)) for repeat in range(repeats)]
        self._cached: dict[frozenset[str], Floats] = {}

    def log_odds(self, voters: Sequence[str]) -> Floats:
        """The log-odds of unsafe once all `voters` were heard."""
        key = frozenset(voters)
        if key not in self._cached:
            # In column order, so that the order of rounds cannot change the fit.
            design = Design.of(
                self.recorded, [voter for voter in self.recorded.voters if voter in key]
            )
            found = np.zeros(len(self.recorded))
            for fitted_on, held_out in chain.from_iterable(self.repeats):
                fitted = fit(design, self.recorded.gold, fitted_on, self.shrinkage)
                found[held_out] += fitted.log_odds(held_out)
            self._cached[key] = found / len(self.repeats)
        return self._cached[key]


def folds(recorded: Recorded, number: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of rows to fit on and rows held out, stratified by language and label."""
    strata = np.char.add(recorded.languages, recorded.gold.astype(str))
    fewest = int(np.min(np.unique(strata, return_counts=True)[1]))
    if fewest < number:  # a stratum too small for every fold is not stratified
        strata = recorded.gold.astype(str)
    split = StratifiedKFold(number, shuffle=True, random_state=seed)
    yield from split.split(strata, strata)


def best_plan(
    out_of_fold: OutOfFold,
    costs: Mapping[str, float],
    budget: float,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Plan:
    """The best rounds within `budget` dollars a row, found by a beam search.

    Free voters make up the first round. Paid ones are added one at a time, to any round or as a new
    one; each must add `_WORTH_A_SEAT`.
    """
    candidates = [voter for voter in out_of_fold.recorded.voters if voter in costs]
    free = tuple(voter for voter in candidates if costs[voter] == 0)
    paid = [voter for voter in candidates if costs[voter] > 0]
    best = plan_of(out_of_fold, costs, budget, (free,)) if free else None
    beam: list[Rounds] = [(free,) if free else ()]
    for _ in range(_PAID_VOTERS):
        grown = {
            longer for rounds in beam for longer in _grown(rounds, paid, first=1 if free else 0)
        }
        plans = []
        for rounds in sorted(grown):
            plan = plan_of(out_of_fold, costs, budget, rounds)
            if plan is not None:
                plans.append(plan)
            progress()
        plans.sort(key=lambda plan: -plan.worth)
        beam = [plan.rounds for plan in plans[:_BEAM]]
        if plans and (best is None or plans[0].worth > best.worth + _WORTH_A_SEAT):
            best = plans[0]
    if best is None:
        cheapest = min(candidates, key=lambda voter: costs[voter], default=None)
        raise NothingAffordable(
            "no voter has both votes and a price"
            if cheapest is None
            else f"no voter fits the budget of ${budget:.3g} a text; the cheapest, {cheapest}, "
            f"costs ${costs[cheapest]:.3g}"
        )
    return best


class NothingAffordable(ValueError):
    """No voter fits the budget; the message says which is the cheapest."""


def _grown(rounds: Rounds, paid: Sequence[str], first: int) -> Iterator[Rounds]:
    voters = {voter for round_ in rounds for voter in round_}
    for voter in paid:
        if voter in voters:
            continue
        for position in range(first, len(rounds)):
            together = tuple(sorted((*rounds[position], voter)))
            yield (*rounds[:position], together, *rounds[position + 1 :])
        if len(rounds) - first < _PAID_ROUNDS:
            for position in range(first, len(rounds) + 1):
                yield (*rounds[:position], (voter,), *rounds[position:])


def plan_of(
    out_of_fold: OutOfFold, costs: Mapping[str, float], budget: float, rounds: Rounds
) -> Plan | None:
    """The best bounds for `rounds` within the budget, or None if there are none."""
    unsafe = out_of_fold.recorded.gold == UNSAFE
    heard: tuple[str, ...] = ()
    spent = 0.0
    worths, spendings, errors = [], [], []
    for voters in rounds:
        heard += voters
        spent += sum(costs[voter] for voter in voters)
        probability = (1 + np.tanh(out_of_fold.log_odds(heard) / 2)) / 2
        right = (probability >= _EVEN) == unsafe
        worths.append(right - (probability - unsafe) ** 2)
        spendings.append(np.full(len(unsafe), spent))
        errors.append(np.minimum(probability, 1 - probability))
    bins = [np.searchsorted(_BOUNDS, error) for error in errors[:-1]]
    dollars = _by_bounds(spendings, bins)
    squares = _by_bounds([spending**2 for spending in spendings], bins)
    deviation = np.sqrt(np.maximum(squares - dollars**2, 0.0))
    margin = _MARGIN * deviation * np.sqrt(2 / len(unsafe))
    dearer = dollars + margin
    for axis in range(dollars.ndim):
        dearer = np.take(dearer, [0, *range(len(_BOUNDS) - 1)], axis=axis)
    worth = np.where(dearer <= budget, _by_bounds(worths, bins), -np.inf)
    position = np.unravel_index(int(np.argmax(worth)), worth.shape)
    if not np.isfinite(worth[position]):
        return None
    return Plan(
        rounds=rounds,
        bounds=tuple(float(_BOUNDS[index]) for index in position),
        worth=float(worth[position]),
        dollars=float(dollars[position]),
    )


def _by_bounds(values: Sequence[Floats], bins: Sequence[Indices]) -> Floats:
    """The mean over rows of the value where asking ends, for every combination of bounds.

    `values[k]` are each row's if asking ends after round k; `bins[k]` is the first bound at which
    it does. One axis per bound.
    """
    size = len(_BOUNDS)
    total = np.zeros((size,) * len(bins))
    for ended, value in enumerate(values):
        axes = min(ended + 1, len(bins))
        shape = (size + 1,) * axes
        position = np.ravel_multi_index(tuple(bins[:axes]), shape) if axes else np.zeros_like(value)
        found = np.bincount(
            position.astype(np.int64), value.astype(float), minlength=int(np.prod(shape))
        ).reshape(shape)
        for axis in range(axes):
            upto = np.cumsum(found, axis=axis)
            everything = np.take(upto, [size], axis=axis)
            upto = np.take(upto, range(size), axis=axis)
            found = upto if axis == ended else everything - upto
        total += found.reshape(found.shape + (1,) * (len(bins) - axes))
    return np.asarray(total / len(values[0]))


# --- where a person decides ----------------------------------------------------------------------

_REVIEW_AT_MOST = 0.19
_DECIDED_RIGHT = 0.96
"""Without targets: the accuracy of decided rows, and the share of reviews, that the band of reviews
keeps; the narrowest such band is taken."""
_EDGE = 0.03
_DOUBT = 0.1
"""Probability, over the labels drawn, that a promise on decided accuracy does not hold."""
_STARTS = (0.3, 0.5, 0.7, 0.85)
"""Shares of decided rows at which the tests of decided accuracy start; they divide `_DOUBT`."""
_WIDTHS = np.round(np.arange(0.0, 0.496, 0.005), 3)
"""Half widths of the band of reviews, around a midpoint of one half."""
_HELD_FOR_PROMISES = 3
"""With a target, one row in this many is kept from fitting."""


class TargetOutOfReach(ValueError):
    """These labels cannot promise that target; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of a panel on unseen rows; each may be left open.

    `decided_accuracy`: the least accuracy of decided rows. `recall`: the least share of unsafe rows
    that are found when a decision is forced. `review`: the greatest share of rows sent to a person.
    """

    decided_accuracy: float | None = None
    recall: float | None = None
    review: float | None = None

    def __bool__(self) -> bool:
        """Whether there is any target."""
        return any(
            target is not None for target in (self.decided_accuracy, self.recall, self.review)
        )


def promised_thresholds(scores: Floats, unsafe: Flags, targets: Targets) -> Thresholds:
    """Thresholds that keep `targets` on rows drawn as these were; raises `TargetOutOfReach`.

    `scores` must be of rows that the panel was not fitted on. Recall and review are kept in
    expectation by conformal risk control (Angelopoulos et al. 2022): the empirical risk with one
    more row counted as lost. Decided accuracy is kept with probability 0.9, by fixed-sequence tests
    of exact binomial bounds (Clopper and Pearson 1934; Angelopoulos et al. 2021).
    """
    middle = 0.5 if targets.recall is None else _middle_for(scores[unsafe], targets.recall)
    away = np.abs(scores - middle) / (2 * middle)
    widest = _WIDTHS[-1] if targets.review is None else _widest(away, targets.review)
    if targets.decided_accuracy is not None:
        right = (scores >= middle) == unsafe
        half = _narrowest(away, right, targets.decided_accuracy, widest)
    elif targets.review is not None:
        half = widest
    else:
        half = 0.0
    return _band(middle, half)


def _band(middle: float, half: float) -> Thresholds:
    edge = 2 * middle * half
    upper, lower = round(middle + edge, 4), round(middle - edge, 4)
    return Thresholds(unsafe=min(upper, 0.9999), safe=min(round(1 - lower, 4), 0.9999))


def _middle_for(scores: Floats, recall: float) -> float:
    """The highest midpoint below which at most 1 - `recall` of the unsafe rows are expected."""
    ordered = np.sort(scores)
    missed_at_most = int(np.floor((1 - recall) * (len(scores) + 1))) - 1
    if missed_at_most < 0:
        needed = int(np.ceil(1 / (1 - recall))) if recall < 1 else 0
        raise TargetOutOfReach(
            f"recall {recall}: no number of labels promises it"
            if not needed
            else f"recall {recall}: needs {needed} unsafe rows held out, there are {len(scores)}"
        )
    # A score equal to the midpoint is unsafe, so exactly the scores below it are missed.
    middle = min(float(ordered[missed_at_most]), 0.5)
    middle = np.floor(middle * 1e4) / 1e4
    if middle < _LEAST_MIDDLE:
        raise TargetOutOfReach(f"recall {recall}: everything would be called unsafe")
    return float(middle)


_LEAST_MIDDLE = 0.001


def _widest(away: Floats, review: float) -> float:
    """The widest band that sends at most `review` of the rows to a person, in expectation."""
    reviewed = (away[:, None] < _WIDTHS).sum(axis=0)
    kept = np.flatnonzero((reviewed + 1) / (len(away) + 1) <= review)
    if not len(kept):
        raise TargetOutOfReach(f"review {review}: {len(away)} held-out rows are too few")
    return float(_WIDTHS[kept[-1]])


def _narrowest(away: Floats, right: Flags, accuracy: float, widest: float) -> float:
    """The narrowest band whose decided rows are right enough, tested inwards from wider ones."""
    decided = away[:, None] >= _WIDTHS
    wrong = (decided & ~right[:, None]).sum(axis=0)
    number = decided.sum(axis=0)
    doubt = _DOUBT / len(_STARTS)
    passed = None
    for start in _STARTS:
        enough = np.flatnonzero(number >= start * len(away))
        for width in enough[::-1]:
            worst = float(betaincinv(wrong[width] + 1, number[width] - wrong[width], 1 - doubt))
            if number[width] == wrong[width] or worst > 1 - accuracy:
                break
            passed = width if passed is None else min(passed, width)
    if passed is None:
        raise TargetOutOfReach(
            f"decided accuracy {accuracy}: {len(away)} held-out rows do not show it at any coverage"
        )
    if _WIDTHS[passed] > widest:
        share = float((away < _WIDTHS[passed]).mean())
        raise TargetOutOfReach(
            f"decided accuracy {accuracy} needs {share:.0%} sent to review, more than allowed"
        )
    return float(_WIDTHS[passed])


def _usual_thresholds(scores: Floats, unsafe: Flags) -> Thresholds:
    away = np.abs(scores - _EVEN)
    right = (scores >= _EVEN) == unsafe
    chosen = 0.0
    doubt = np.sqrt(_REVIEW_AT_MOST * (1 - _REVIEW_AT_MOST) / len(away))
    for width in _WIDTHS:
        decided = away >= width
        # Rows just outside the band may be inside it for a panel fitted on a few rows more.
        if (away < width + _EDGE).mean() + doubt > _REVIEW_AT_MOST:
            break
        chosen = float(width)
        if right[decided].mean() >= _DECIDED_RIGHT:
            break
    return _band(0.5, chosen)


# --- the whole design ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """What a panel is designed for: dollars of one vote by voter, dollars a row at most."""

    costs: Mapping[str, float]
    budget: float
    targets: Targets = Targets()
    shrinkage: Shrinkage = Shrinkage()
    name: str = "calibrated"
    seed: int = 0


def design(recorded: Recorded, task: Task, progress: Callable[[], None] = lambda: None) -> Panel:
    """The panel learned from these rows; raises `NothingAffordable` or `TargetOutOfReach`."""
    if not task.targets:
        out_of_fold = OutOfFold(recorded, task.shrinkage, task.seed)
        plan = best_plan(out_of_fold, task.costs, task.budget, progress=progress)
        thresholds = _usual_thresholds(_planned_scores(out_of_fold, plan), recorded.gold == UNSAFE)
        return _panel(recorded, plan, thresholds, task)
    fitted_on, held_out = next(folds(recorded, _HELD_FOR_PROMISES, task.seed))
    learned = recorded.rows(fitted_on)
    plan = best_plan(
        OutOfFold(learned, task.shrinkage, task.seed), task.costs, task.budget, progress=progress
    )
    panel = _panel(learned, plan, Thresholds(unsafe=0.5, safe=0.5), task)
    unseen = recorded.rows(held_out)
    scores = replay(panel, unseen, {}).scores
    thresholds = promised_thresholds(scores, unseen.gold == UNSAFE, task.targets)
    return panel.model_copy(update={"thresholds": thresholds})


def design_alone(recorded: Recorded, task: Task) -> Panel:
    """As `design`, on one thread: matrices this small only lose by being shared between threads."""
    with threadpool_limits(1):
        return design(recorded, task)


def _planned_scores(out_of_fold: OutOfFold, plan: Plan) -> Floats:
    heard: tuple[str, ...] = ()
    scores = np.full(len(out_of_fold.recorded), np.nan)
    for voters, bound in zip(plan.rounds, (*plan.bounds, 0.5), strict=True):
        heard += voters
        probability = (1 + np.tanh(out_of_fold.log_odds(heard) / 2)) / 2
        ended = np.isnan(scores) & (np.minimum(probability, 1 - probability) <= bound)
        scores[ended] = probability[ended]
    return scores


def _panel(recorded: Recorded, plan: Plan, thresholds: Thresholds, task: Task) -> Panel:
    stages = []
    heard: set[str] = set()
    for voters in plan.rounds:
        heard |= set(voters)
        columns = Design.of(recorded, [voter for voter in recorded.voters if voter in heard])
        rows = np.arange(len(recorded))
        stages.append(stage(fit(columns, recorded.gold, rows, task.shrinkage)))
    several = len(plan.rounds) > 1
    first = [recorded.column(voter) for voter in plan.rounds[0]]
    answered = (recorded.decisions[:, first] != NONE).sum(axis=1)
    return Panel(
        name=task.name,
        rounds=plan.rounds,
        stop=Stop.RISK if several else Stop.ALL,
        risk=plan.bounds if several else None,
        # Two must answer, unless the first round often has no second answer to give.
        quorum=2 if (answered >= 2).mean() >= _USUALLY else 1,  # noqa: PLR2004 - two is two
        thresholds=thresholds,
        rule=Calibrated(stages=tuple(stages)),
    )


_USUALLY = 0.99


def cross_validated(
    recorded: Recorded,
    task: Task,
    dollars: Mapping[str, Decimal],
    *,
    workers: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Answers:
    """What panels designed without each row's fold made of the row: the honest expectation.

    The whole design is repeated for each of the five folds, rounds and thresholds included.
    One `progress` per fold.
    """
    parts: list[tuple[Indices, Answers]] = []
    jobs = [
        (recorded.rows(fitted_on), recorded.rows(held_out), task, dict(dollars))
        for fitted_on, held_out in folds(recorded, FOLDS, task.seed)
    ]
    held = [held_out for _, held_out in folds(recorded, FOLDS, task.seed)]
    if workers == 1:
        for held_out, job in zip(held, jobs, strict=True):
            parts.append((held_out, _one_fold(job)))
            progress()
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for held_out, answers in zip(held, pool.map(_one_fold, jobs), strict=True):
                parts.append((held_out, answers))
                progress()
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    return joined([answers for _, answers in parts]).rows(order)


def _one_fold(job: tuple[Recorded, Recorded, Task, dict[str, Decimal]]) -> Answers:
    learned, unseen, task, dollars = job
    return replay(design_alone(learned, task), unseen, dollars)
