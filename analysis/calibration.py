"""Learning a panel from labelled votes: evidence, rounds, bounds and thresholds.

Everything is scored on rows it was not fitted on. Within one design every stage's probabilities are
out-of-fold, and rounds, bounds and thresholds are chosen on those. `cross_validated` measures
a design: it repeats the whole design once for each fold, without that fold's rows.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing import get_context

import numpy as np
from quorum.vote.panel import Calibrated, Panel, Stop, Thresholds
from threadpoolctl import threadpool_limits

from analysis.evaluation import Answers, joined, replay
from analysis.evidence import Design, Shrinkage, fit, stage
from analysis.plans import FOLDS, OutOfFold, Plan, best_plan, folds
from analysis.recorded import NONE, UNSAFE, Floats, Indices, Recorded
from analysis.thresholds import Targets, promised_thresholds, usual_thresholds

_HELD_FOR_PROMISES = 3
"""With a target, one row in this many is kept from fitting."""
_USUALLY = 0.99
"""Share of rows on which at least two voters of the first round answer, above which two must."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a panel is designed for: dollars of one vote by voter, dollars a row at most."""

    costs: Mapping[str, float]
    budget: float
    targets: Targets = field(default_factory=Targets)
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    name: str = "calibrated"
    seed: int = 0


def design(recorded: Recorded, task: Task, progress: Callable[[], None] = lambda: None) -> Panel:
    """The panel learned from these rows; raises `NothingAffordable` or `TargetOutOfReach`."""
    if not task.targets:
        out_of_fold = OutOfFold(recorded, task.shrinkage, task.seed)
        plan = best_plan(out_of_fold, task.costs, task.budget, progress=progress)
        thresholds = usual_thresholds(_planned_scores(out_of_fold, plan), recorded.gold == UNSAFE)
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
    return replay(design_alone(learned, task), unseen, dollars)
