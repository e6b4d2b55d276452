"""Plans: which voters are asked in which rounds, and where asking may stop, within a budget."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from analysis.evidence import Design, Shrinkage, fit
from analysis.recorded import NONE, REVIEW, SAFE, UNSAFE, Codes, Flags, Floats, Indices, Recorded

FOLDS = 5
_EVEN = 0.5
"""The probability at which safe and unsafe are equally likely."""
_LABELS_REPEATED = 2400
"""Labels below which folds are repeated, so that the panel does not depend on the folds drawn."""
_BOUNDS = np.concatenate(
    [
        [0.0, 0.004, 0.008, 0.012, 0.017, 0.023, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.11, 0.13],
        [0.16, 0.19, 0.22, 0.26, 0.3, 0.34, 0.38, 0.42, 0.46, 0.5],
    ]
)
"""Probabilities of error at which asking may stop."""
_BEAM = 3
"""Plans that the beam search keeps for each number of voters."""
_PAID_VOTERS = 4
_PAID_ROUNDS = 3
_WORTH_OF_A_VOTER = 0.0005
"""Worth that another paid voter must add to a plan."""
_MARGIN = 1.0
"""Standard errors of the cost kept free below the budget: unseen rows may be dearer."""

_NEVER = 1.0
"""A probability of error above every bound: asking does not stop."""

Rounds = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Dollars that are lost by what a panel does with one content.

    `review`: by asking a person. `miss`: by deciding an unsafe one safe. `false_alarm`: by deciding
    a safe one unsafe.
    """

    review: float
    miss: float
    false_alarm: float

    @property
    def unsafe_from(self) -> float:
        """The probability of unsafe from which deciding unsafe loses least (Chow 1970)."""
        return max(
            1 - self.review / self.false_alarm, self.false_alarm / (self.miss + self.false_alarm)
        )

    @property
    def safe_from(self) -> float:
        """The probability of safe from which deciding safe loses least."""
        return max(1 - self.review / self.miss, self.miss / (self.miss + self.false_alarm))

    def of(self, probability: Floats, unsafe: Flags, held: Flags) -> Floats:
        """The dollars lost on each row that is decided by its probability of unsafe.

        A row that is `held` is never said to be safe.
        """
        says_unsafe = probability >= self.unsafe_from
        says_safe = ~says_unsafe & ~held & (1 - probability >= self.safe_from)
        decisions = np.select([says_unsafe, says_safe], [UNSAFE, SAFE], REVIEW)
        return self.decided(decisions.astype(np.int8), unsafe)

    def decided(self, decisions: Codes, unsafe: Flags) -> Floats:
        """The dollars lost on each row by these decisions."""
        return np.select(
            [(decisions == UNSAFE) & ~unsafe, (decisions == SAFE) & unsafe, decisions == REVIEW],
            [self.false_alarm, self.miss, self.review],
            0.0,
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that a plan keeps to.

    `costs` are dollars of one vote by voter, `budget` the most dollars a row. A panel with paid
    voters does not say safe before one of them has answered, unless `free_may_clear`. With `losses`
    the best plan is the one that loses the fewest dollars, votes included; without, the one that is
    right most often. `escalating` names voters without whose vote for safe, if they answer, the
    panel does not say safe.
    """

    costs: Mapping[str, float]
    budget: float
    free_may_clear: bool = False
    losses: Losses | None = None
    escalating: tuple[str, ...] = ()

    def clearing(self, rounds: Rounds) -> tuple[str, ...]:
        """The voters of whom one must answer before the panel says safe; none if any may."""
        voters = chain.from_iterable(rounds)
        return () if self.free_may_clear else tuple(v for v in voters if self.costs[v] > 0)


class Heard(NamedTuple):
    """Each row once a round was heard: its probability of unsafe, and of error if asking stops.

    `held`: it would be safe, but the panel may not say so.
    """

    probability: Floats
    error: Floats
    held: Flags


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
    terms: Terms,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Plan:
    """The best rounds within the budget, found by a beam search.

    Free voters make up the first round. Paid ones are added one at a time, to any round or as a new
    one; each must add `_WORTH_OF_A_VOTER`.
    """
    costs = terms.costs
    candidates = [voter for voter in out_of_fold.recorded.voters if voter in costs]
    free = tuple(voter for voter in candidates if costs[voter] == 0)
    paid = [voter for voter in candidates if costs[voter] > 0]
    best = plan_of(out_of_fold, terms, (free,)) if free else None
    beam: list[Rounds] = [(free,) if free else ()]
    unit = 1.0 if terms.losses is None else max(terms.losses.miss, terms.losses.false_alarm)
    for _ in range(_PAID_VOTERS):
        grown = {
            longer for rounds in beam for longer in _grown(rounds, paid, first=1 if free else 0)
        }
        plans = []
        for rounds in sorted(grown):
            plan = plan_of(out_of_fold, terms, rounds)
            if plan is not None:
                plans.append(plan)
            progress()
        plans.sort(key=lambda plan: -plan.worth)
        beam = [plan.rounds for plan in plans[:_BEAM]]
        if plans and (best is None or plans[0].worth > best.worth + unit * _WORTH_OF_A_VOTER):
            best = plans[0]
    if best is None:
        cheapest = min(candidates, key=lambda voter: costs[voter], default=None)
        raise NothingAffordable(
            "no voter has both votes and a price"
            if cheapest is None
            else f"no voter fits the budget of ${terms.budget:.3g} a text; the cheapest, "
            f"{cheapest}, costs ${costs[cheapest]:.3g}"
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


def plan_of(out_of_fold: OutOfFold, terms: Terms, rounds: Rounds) -> Plan | None:
    """The best bounds for `rounds` within the budget, or None if there are none."""
    unsafe = out_of_fold.recorded.gold == UNSAFE
    spent = 0.0
    worths, spendings, errors = [], [], []
    for voters, now in zip(rounds, heard(out_of_fold, terms, rounds), strict=True):
        spent += sum(terms.costs[voter] for voter in voters)
        if terms.losses is None:
            right = (now.probability >= _EVEN) == unsafe
            worths.append(right - (now.probability - unsafe) ** 2)
        else:
            worths.append(-spent - terms.losses.of(now.probability, unsafe, now.held))
        spendings.append(np.full(len(unsafe), spent))
        errors.append(now.error)
    bins = [np.searchsorted(_BOUNDS, error) for error in errors[:-1]]
    dollars = _by_bounds(spendings, bins)
    squares = _by_bounds([spending**2 for spending in spendings], bins)
    deviation = np.sqrt(np.maximum(squares - dollars**2, 0.0))
    margin = _MARGIN * deviation * np.sqrt(2 / len(unsafe))
    dearer = dollars + margin
    for axis in range(dollars.ndim):
        dearer = np.take(dearer, [0, *range(len(_BOUNDS) - 1)], axis=axis)
    worth = np.where(dearer <= terms.budget, _by_bounds(worths, bins), -np.inf)
    position = np.unravel_index(int(np.argmax(worth)), worth.shape)
    if not np.isfinite(worth[position]):
        return None
    return Plan(
        rounds=rounds,
        bounds=tuple(float(_BOUNDS[index]) for index in position),
        worth=float(worth[position]),
        dollars=float(dollars[position]),
    )


def heard(out_of_fold: OutOfFold, terms: Terms, rounds: Rounds) -> Iterator[Heard]:
    """After each round, every row.

    Asking does not stop at safe before a voter that clears has answered, nor while one escalates:
    the error is `_NEVER`.
    """
    recorded, clearing = out_of_fold.recorded, terms.clearing(rounds)
    voters: tuple[str, ...] = ()
    for asked in rounds:
        voters += asked
        probability = (1 + np.tanh(out_of_fold.log_odds(voters) / 2)) / 2
        error = np.minimum(probability, 1 - probability)
        held = np.zeros(len(recorded), dtype=bool)
        if clearing:
            held = ~(_said(recorded, voters, clearing) != NONE).any(axis=1)
        said = _said(recorded, voters, terms.escalating)
        held |= ((said != NONE) & (said != SAFE)).any(axis=1)
        held &= probability < _EVEN
        yield Heard(probability, np.where(held, _NEVER, error), held)


def _said(recorded: Recorded, asked: Sequence[str], of: Sequence[str]) -> Codes:
    """The decisions of those voters that were asked, by row."""
    return recorded.decisions[:, [recorded.column(voter) for voter in asked if voter in of]]


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
