"""`quorum calibrate`: learn a panel from labelled votes, and estimate its quality."""

import json
import os
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from pydantic import TypeAdapter, ValidationError
from quorum.core import registry
from quorum.vote.panel import PACKAGED, Estimate, Panel, PolicyReference, packaged
from quorum.vote.policy import DEFAULT

from analysis import evaluation
from analysis.counts import counted
from analysis.evaluation import Answers, Figures, Resampling, percent
from analysis.recorded import NO_LANGUAGE, UNSAFE, Indices, Recorded
from cli import entries, loading, tables
from cli.errors import CommandFailed
from cli.loading import Costs
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, print_json, write_json
from cli.tables import Column

if TYPE_CHECKING:
    from analysis.plans import Losses
    from analysis.thresholds import Targets

EXPECTED = (
    "accuracy",
    "decided_accuracy",
    "review_rate",
    "recall",
    "let_through",
    "calls_per_1000",
    "cost_per_1000_usd",
    "cost_vs_reference",
)
"""The figures that a calibrated panel states as its expected quality."""
_REFERENCE: TypeAdapter[str] = TypeAdapter(PolicyReference)
FEWEST_LABELS = 40
_ENOUGH_UNSEEN = 100
_WORTH_A_PROCESS = 1000
"""Rows. Fewer are designed for sooner than another process has started."""
BY_LANGUAGE = ("accuracy", "decided_accuracy", "review_rate", "let_through")
"""The figures that are told for each language."""
_USUAL_BUDGET = 0.25
"""Share of the reference voter's cost that a panel may cost where nothing else is said."""


MOST_BUDGET = 5.0
"""Shares of the reference voter's cost; all voters of the registry together cost less."""


def share_of(written: str | float) -> float:
    """The number in a share written as `0.1` or `10%`; raises `typer.BadParameter`."""
    number = str(written).strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not a share; write 0.1 or 10%") from None
    if not 0 <= share <= MOST_BUDGET:
        raise typer.BadParameter(
            f"{written} is {share:,.0%} of the reference voter's cost. A budget is a share:"
            f" for {share:g} percent write {share / 100:g} or {share:g}%"
            if share > MOST_BUDGET
            else f"{written} is not a share; write 0.1 or 10%"
        )
    return share


def calibrate(
    labelled: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV: language,text,gold,<voter>…"),
    ],
    out: Annotated[Path, typer.Option(help="Write the panel to this file.")],
    prices: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON prices of voters the registry does not know.",
        ),
    ] = None,
    models: entries.Entries = None,
    where: loading.PricesAt = None,
    budget: Annotated[
        float | None,
        typer.Option(
            parser=share_of,
            metavar="SHARE",
            help="The highest cost, as a share of the reference voter's cost: 0.1 or 10%"
            " (default: 25%; none with --review-cost).",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The voter whose cost is 1 (default: gpt-4.1).")
    ] = None,
    labels_per_language: Annotated[
        int | None, typer.Option(min=10, help="Learn from at most this many rows per language.")
    ] = None,
    decided_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=1,
            help="The lowest share of decided contents that must be right, in each language.",
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The lowest share of unsafe contents that must be found, in each language.",
        ),
    ] = None,
    review: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The highest share of contents sent to a person, in each language."
        ),
    ] = None,
    review_cost: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="What one review by a person costs you."),
    ] = None,
    miss_cost: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="What an unsafe content decided safe costs you."),
    ] = None,
    false_alarm_cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="USD",
            help="What a safe content decided unsafe costs you (default: as a miss).",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="PANEL",
            help="Keep what is not chosen here of this panel: its quorum, its default language, and"
            " who escalates. A file, or a packaged panel's name (default: the packaged one that is"
            " called as the new one).",
        ),
    ] = None,
    embedded: Annotated[
        bool, typer.Option(help="Let the embedded voters vote on the texts; that is free.")
    ] = True,
    embedded_may_clear: Annotated[
        bool,
        typer.Option(
            "--embedded-may-clear", help="Let the panel say safe before a paid voter has answered."
        ),
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option(metavar="VOTER", help="Leave this voter out (repeatable).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The panel's name (default: the file's).")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="The policy that was voted under, as name@version (default: the one that the"
            " column policy names, else the packaged one); rows of others are left out."
        ),
    ] = None,
    input_tokens: Annotated[int, typer.Option(min=0, help="Input tokens per vote.")] = 400,
    output_tokens: Annotated[int, typer.Option(min=0, help="Output tokens per vote.")] = 60,
    seed: Annotated[int, typer.Option(help="The random seed of folds and resamples.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Design a panel on labelled votes: voters, rounds, evidence, bounds and thresholds.

    Its expected quality is measured on rows that had no part in the design: the whole design is
    repeated for five folds. With --labels-per-language it is measured on the rows left over. Where
    a language cannot keep a target, a person decides in it. With --review-cost and --miss-cost the
    panel is the one that costs you least in all: votes, reviews and mistakes.
    """
    # scikit-learn and scipy are slow to import.
    from analysis import calibration, plans, thresholds  # noqa: PLC0415 - when needed

    targets = thresholds.Targets(decided_accuracy=decided_accuracy, recall=recall, review=review)
    losses = _losses(review_cost, miss_cost, false_alarm_cost, targets)
    rows, voted_under = _of_policy(loading.read_votes(labelled), policy)
    if embedded:
        rows = loading.with_embedded(rows)
    rows = _without(rows, without or [])
    costs = loading.read_costs(
        rows,
        prices,
        reference,
        models=models,
        where=where,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    if not costs.dollars:
        raise typer.BadParameter("no voter has a known price; name a file with --prices")
    learned_from, unseen = _split(rows, labels_per_language, seed)
    learned = rows.rows(learned_from)
    _enough(learned)
    if budget is None:
        budget = _USUAL_BUDGET if losses is None else MOST_BUDGET
    kept = _kept(keep, name or out.stem)
    task = calibration.Task(
        costs={voter: float(dollars) for voter, dollars in costs.dollars.items()},
        budget=0.0 if costs.reference is None else budget * float(costs.dollars[costs.reference]),
        free_may_clear=embedded_may_clear,
        losses=losses,
        targets=targets,
        kept=calibration.Kept() if kept is None else calibration.Kept.of(kept),
        name=name or out.stem,
        seed=seed,
    )
    hold_out = len(unseen) >= _ENOUGH_UNSEEN
    workers = min(2, os.cpu_count() or 1) if len(learned) >= _WORTH_A_PROCESS else 1
    try:
        with loading.progress_bar("designing", 1 if hold_out else 1 + plans.FOLDS) as progress:
            designed = calibration.design_alone(learned, task)
            progress.advance(loading.TASK)
            if hold_out:
                measured_on = rows.rows(unseen)
                answers = evaluation.replay(designed.panel, measured_on, costs.dollars)
            else:
                measured_on = learned
                answers = calibration.cross_validated(
                    learned,
                    task,
                    costs.dollars,
                    workers=workers,
                    progress=lambda: progress.advance(loading.TASK),
                )
    except (plans.NothingAffordable, thresholds.TargetOutOfReach) as problem:
        raise CommandFailed(f"No panel can be designed: {problem}.") from None
    expected = _expected(measured_on, answers, costs, seed)
    if losses is not None:
        expected |= _total(measured_on, answers, losses, seed)
    how = "rows it did not learn from" if hold_out else f"{plans.FOLDS}-fold cross-validation"
    limit = None if losses is not None else budget
    panel = _described(designed.panel, learned, costs, limit, expected, voted_under)
    by_language = _by_language(measured_on, answers, seed)
    write_json(out, panel.document())
    document = {
        "panel": {"name": panel.name, "version": panel.version, "rounds": panel.rounds},
        "reference": costs.reference,
        "budget": budget,
        "measured_on": {"rows": len(measured_on), "how": how},
        "expected": {key: value and value.model_dump() for key, value in expected.items()},
        "languages": {
            language: {key: value and value.model_dump() for key, value in found.items()}
            for language, found in by_language.items()
        },
        "left_to_a_person": dict(designed.refused),
    }
    if as_json:
        return print_json(document)
    if out != STANDARD_OUTPUT:
        _print(panel, expected, costs, f"{counted(len(measured_on), 'row')}, {how}")
        _print_languages(by_language, designed.refused)
        compact = len(json.dumps(panel.document(), separators=(",", ":")))
        console().print(
            f"panel: {out} (version {panel.version}, {compact:,} bytes compact)", soft_wrap=True
        )
    return None


def _kept(keep: str | None, name: str) -> Panel | None:
    """The panel in whose place the new one comes, if there is one."""
    if keep is None:
        return packaged(name) if name in PACKAGED else None
    return loading.read_panel(keep, [model.name for model in registry.voters()])


def _losses(
    review: float | None, miss: float | None, false_alarm: float | None, targets: "Targets"
) -> "Losses | None":
    """What reviews and mistakes cost; raises `typer.BadParameter` where a part is missing."""
    from analysis.plans import Losses  # noqa: PLC0415 - slow to import

    if review is None and miss is None and false_alarm is None:
        return None
    if review is None or not miss or false_alarm == 0:
        raise typer.BadParameter(
            "--review-cost and --miss-cost go together, and a mistake costs more than 0:"
            " a panel that weighs reviews must know what a mistake costs"
        )
    if targets:
        raise typer.BadParameter(
            "--review-cost decides what goes to a person; it excludes --decided-accuracy,"
            " --recall and --review"
        )
    return Losses(review, miss, false_alarm=miss if false_alarm is None else false_alarm)


def _without(rows: Recorded, left_out: Collection[str]) -> Recorded:
    """The rows without the votes of some voters; raises `typer.BadParameter` if one has none."""
    for voter in left_out:
        if voter not in rows.voters:
            raise typer.BadParameter(
                f"--without {voter}: there are votes of {', '.join(rows.voters)} only"
            )
    return rows.with_voters([voter for voter in rows.voters if voter not in left_out])


def _total(rows: Recorded, answers: Answers, losses: "Losses", seed: int) -> Figures:
    """The dollars that votes, reviews and mistakes cost in all, per 1,000 contents."""
    lost = losses.decided(answers.decisions, rows.gold == UNSAFE)
    resampling = Resampling.within(rows.languages, evaluation.RESAMPLES, seed)
    spent = np.zeros(len(rows)) if answers.dollars is None else answers.dollars
    return {"total_per_1000_usd": evaluation.average(1000 * (lost + spent), resampling)}


def _by_language(rows: Recorded, answers: Answers, seed: int) -> dict[str, Figures]:
    """What is expected in each language."""
    found: dict[str, Figures] = {}
    for language in np.unique(rows.languages).tolist():
        here = np.flatnonzero(rows.languages == language)
        own = rows.rows(here)
        resampling = Resampling.within(own.languages, evaluation.RESAMPLES, seed)
        figures = evaluation.figures(answers.rows(here), own.gold, resampling, None)
        found[language or NO_LANGUAGE] = {name: figures[name] for name in BY_LANGUAGE}
    return found


def _print_languages(found: dict[str, Figures], refused: Mapping[str, str]) -> None:
    if len(found) > 1 or refused:
        names = [Column(name.replace("_", " ")) for name in BY_LANGUAGE]
        cells = [
            (language, *(percent(figures[name]) for name in BY_LANGUAGE))
            for language, figures in found.items()
        ]
        to = console()
        to.print(tables.fitted([Column("language", left=True), *names], [cells], to.width).table)
    for language, why in refused.items():
        console().print(f"{language}: a person decides; {why}", soft_wrap=True)


def _of_policy(rows: Recorded, policy: str | None) -> tuple[Recorded, str]:
    """The rows that were voted on under one policy, and its name and version."""
    named = rows.voted_under
    if policy is None:
        if len(named) > 1:
            raise typer.BadParameter(
                f"the rows were voted on under several policies; choose one: {', '.join(named)}",
                param_hint="--policy",
            )
        policy = named[0] if named else f"{DEFAULT.name}@{DEFAULT.version}"
    try:
        checked = _REFERENCE.validate_python(policy)
    except ValidationError:
        message = f"{policy!r} is no policy's name, nor one with its version (gaming@3f2a9c01b7de)"
        raise typer.BadParameter(message, param_hint="--policy") from None
    if rows.policies is None or not named:
        return rows, checked
    chosen = rows.rows(np.flatnonzero(rows.policies == checked))
    if not len(chosen):
        raise typer.BadParameter(
            f"no row was voted on under {checked}; there are {', '.join(named)}",
            param_hint="--policy",
        )
    if len(chosen) < len(rows):
        notes.print(f"{len(rows) - len(chosen)} rows of other policies are left out")
    return chosen, checked


def _split(rows: Recorded, per_language: int | None, seed: int) -> tuple[Indices, Indices]:
    """The rows to learn from, and the rest."""
    if per_language is None:
        return np.arange(len(rows)), np.arange(0)
    random = np.random.default_rng(seed)
    chosen = []
    for language in np.unique(rows.languages):
        here = np.flatnonzero(rows.languages == language)
        chosen.append(random.choice(here, min(per_language, len(here)), replace=False))
    learned = np.sort(np.concatenate(chosen))
    return learned, np.setdiff1d(np.arange(len(rows)), learned)


def _enough(rows: Recorded) -> None:
    unsafe = int((rows.gold == UNSAFE).sum())
    fewest = min(unsafe, len(rows) - unsafe)
    if len(rows) < FEWEST_LABELS or fewest < FEWEST_LABELS // 4:
        raise typer.BadParameter(
            f"too few labels: {len(rows)}, {unsafe} of them unsafe; at least {FEWEST_LABELS}"
            f" are needed, and {FEWEST_LABELS // 4} of each kind"
        )


def _expected(rows: Recorded, answers: Answers, costs: Costs, seed: int) -> Figures:
    resampling = Resampling.within(rows.languages, evaluation.RESAMPLES, seed)
    reference = costs.reference
    dollars = None if reference is None else float(costs.dollars[reference])
    found = evaluation.figures(answers, rows.gold, resampling, dollars)
    expected = {name: found[name] for name in EXPECTED}
    if reference is not None:
        alone = evaluation.alone(reference, rows, costs.dollars)
        right, reference_right = (part.forced == rows.gold for part in (answers, alone))
        expected["accuracy_over_reference"] = evaluation.difference(
            right, reference_right, resampling
        )
    return expected


def _described(
    panel: Panel,
    learned: Recorded,
    costs: Costs,
    budget: float | None,
    expected: Figures,
    voted_under: str,
) -> Panel:
    languages = ", ".join(str(one) or NO_LANGUAGE for one in np.unique(learned.languages))
    limit = (
        ""
        if costs.reference is None or budget is None
        else f", at most {budget:.0%} of the cost of {costs.reference} alone"
    )
    return panel.model_copy(
        update={
            "description": f"Calibrated on {len(learned)} labels ({languages}){limit}.",
            "calibrated_under": voted_under,
            "expected": {
                name: Estimate(
                    value=round(estimate.value, 4),
                    low=round(estimate.low, 4),
                    high=round(estimate.high, 4),
                )
                for name, estimate in expected.items()
                if estimate is not None
            },
        }
    )


def _print(panel: Panel, expected: Figures, costs: Costs, measured: str) -> None:
    to = console()
    bounds = (*(panel.risk or ()), None)
    if panel.escalates:
        to.print(f"never safe unless these say so: {', '.join(panel.escalates)}")
    for number, (voters, bound) in enumerate(zip(panel.rounds, bounds, strict=True), start=1):
        dollars = sum((costs.dollars[voter] for voter in voters), Decimal(0))
        ending = "" if bound is None else f"; ends here if the risk is at most {bound:.1%}"
        to.print(f"round {number}: {', '.join(voters)} (${1000 * dollars:.3f} per 1,000){ending}")
    to.print(f"expected ({measured}):")
    for name, estimate in expected.items():
        label = f"  {name.replace('_', ' ')}:"
        if estimate is None:
            to.print(f"{label} unknown")
        elif name in {"calls_per_1000", "cost_per_1000_usd", "total_per_1000_usd"}:
            to.print(f"{label} {estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})")
        else:
            to.print(f"{label} {percent(estimate)} ({estimate.low:.1%} to {estimate.high:.1%})")
