"""Learning a panel from labelled votes: evidence, rounds, bounds and thresholds.

Everything is scored on rows it was not fitted on. Within one design every stage's probabilities are
out-of-fold, and rounds, bounds and thresholds are chosen on those. `cross_validated` measures
a design: it repeats the whole design once for each fold, without that fold's rows.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from multiprocessing import get_context

import numpy as np
from quorum.vote.panel import Calibrated, Panel, Stop, Thresholds
from threadpoolctl import threadpool_limits

from analysis.evaluation import Answers, joined, replay
from analysis.evidence import Design, Shrinkage, fit, stage
from analysis.plans import FOLDS, Losses, OutOfFold, Plan, Terms, best_plan, folds, heard
from analysis.recorded import NONE, REVIEW, UNSAFE, Indices, Recorded
from analysis.thresholds import (
    LEAST_ROWS,
    LanguageThresholds,
    Scored,
    Targets,
    by_language,
    promised_thresholds,
    thresholds_losing_least,
    usual_thresholds,
)

_HELD_FOR_PROMISES = 3
"""With a target, one row in this many is kept from fitting."""
_EVERYTHING = 1.0
"""The bound on the error after the last round: asking ends."""
_USUALLY = 0.99
"""Share of rows on which at least two voters of the first round answer, above which two must."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What calibration does not choose: fields of the panel in whose place the new one comes.

    Voters that are not on the new panel cannot escalate there.
    """

    escalates: tuple[str, ...] = ()
    quorum: int | None = None
    default_language: str | None = None

    @classmethod
    def of(cls, panel: Panel) -> "Kept":
        """Those of `panel`."""
        return cls(panel.escalates, panel.quorum, panel.default_language)


@dataclass(frozen=True, slots=True)
class Task:
    """What a panel is designed for: dollars of one vote by voter, dollars a row at most.

    `targets` and `losses` exclude each other: losses decide where a person is asked. See
    `analysis.plans.Terms` for `free_may_clear`.
    """

    costs: Mapping[str, float]
    budget: float
    free_may_clear: bool = False
    losses: Losses | None = None
    targets: Targets = field(default_factory=Targets)
    kept: Kept = field(default_factory=Kept)
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    name: str = "calibrated"
    seed: int = 0

    @property
    def terms(self) -> Terms:
        """The terms that a plan keeps to."""
        return Terms(self.costs, self.budget, self.free_may_clear, self.losses, self.kept.escalates)


@dataclass(frozen=True, slots=True)
class Designed:
    """A panel, and by language why its contents are left to a person."""

    panel: Panel
    refused: Mapping[str, str]


def design(recorded: Recorded, task: Task, progress: Callable[[], None] = lambda: None) -> Designed:
    """The panel learned from these rows; raises `NothingAffordable` or `TargetOutOfReach`."""
    if task.targets:
        fitted_on, held_out = next(folds(recorded, _HELD_FOR_PROMISES, task.seed))
        learned, unseen = recorded.rows(fitted_on), recorded.rows(held_out)
        out_of_fold = OutOfFold(learned, task.shrinkage, task.seed)
        plan = best_plan(out_of_fold, task.terms, progress=progress)
        panel = _panel(learned, plan, LanguageThresholds(Thresholds(unsafe=0.5, safe=0.5)), task)
        # These thresholds leave no band: what is not decided under them, the panel may not decide.
        answers = replay(panel, unseen, {})
        thresholds = by_language(
            Scored(answers.scores, unseen.gold == UNSAFE, answers.decisions == REVIEW),
            unseen.languages,
            partial(promised_thresholds, targets=task.targets),
        )
        return Designed(_panel(learned, plan, thresholds, task), thresholds.refused)
    out_of_fold = OutOfFold(recorded, task.shrinkage, task.seed)
    plan = best_plan(out_of_fold, task.terms, progress=progress)
    if task.losses is None:
        thresholds = by_language(
            _planned(out_of_fold, plan, task.terms),
            recorded.languages,
            usual_thresholds,
            least_rows=LEAST_ROWS,
            careful=True,
        )
    else:
        thresholds = LanguageThresholds(thresholds_losing_least(task.losses))
    return Designed(_panel(recorded, plan, thresholds, task), thresholds.refused)


def design_alone(recorded: Recorded, task: Task) -> Designed:
    """As `design`, on one thread: matrices this small only lose by being shared between threads."""
    with threadpool_limits(1):
        return design(recorded, task)


def _planned(out_of_fold: OutOfFold, plan: Plan, terms: Terms) -> Scored:
    """Each row where the plan stops asking."""
    recorded = out_of_fold.recorded
    scores = np.full(len(recorded), np.nan)
    held = np.zeros(len(recorded), dtype=bool)
    rounds = heard(out_of_fold, terms, plan.rounds)
    for now, bound in zip(rounds, (*plan.bounds, _EVERYTHING), strict=True):
        ended = np.isnan(scores) & (now.error <= bound)
        scores[ended], held[ended] = now.probability[ended], now.held[ended]
    return Scored(scores, recorded.gold == UNSAFE, held)


def _panel(recorded: Recorded, plan: Plan, thresholds: LanguageThresholds, task: Task) -> Panel:
    stages = []
    heard: set[str] = set()
    for voters in plan.rounds:
        heard |= set(voters)
        columns = Design.of(recorded, [voter for voter in recorded.voters if voter in heard])
        rows = np.arange(len(recorded))
        stages.append(stage(fit(columns, recorded.gold, rows, task.shrinkage)))
    several = len(plan.rounds) > 1
    seated = {voter for voters in plan.rounds for voter in voters}
    return Panel(
        name=task.name,
        rounds=plan.rounds,
        stop=Stop.RISK if several else Stop.ALL,
        risk=plan.bounds if several else None,
        quorum=min(task.kept.quorum or _usual_quorum(recorded, plan), len(seated)),
        thresholds=thresholds.pooled,
        thresholds_by_language=thresholds.own,
        reviewed_languages=tuple(sorted(thresholds.refused)),
        escalates=tuple(voter for voter in task.kept.escalates if voter in seated),
        clears=task.terms.clearing(plan.rounds),
        default_language=task.kept.default_language,
        rule=Calibrated(stages=tuple(stages)),
    )


def _usual_quorum(recorded: Recorded, plan: Plan) -> int:
    """Two must answer, unless the first round often has no second answer to give."""
    first = [recorded.column(voter) for voter in plan.rounds[0]]
    answered = (recorded.decisions[:, first] != NONE).sum(axis=1)
    return 2 if (answered >= 2).mean() >= _USUALLY else 1  # noqa: PLR2004 - two is two


def cross_validated(
    recorded: Recorded,
    task: Task,
    dollars: Mapping[str, Decimal],
    *,
    workers: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Answers:
    """The answers on each row of a panel that was designed without the row's fold.

    Their figures are those to expect on unseen rows. The whole design is repeated for each of the
    five folds, rounds and thresholds included. One `progress` per fold.
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
    return replay(design_alone(learned, task).panel, unseen, dollars)
