"""`quorum evaluate`: measure a panel on recorded votes, beside every voter alone."""

from pathlib import Path
from typing import Annotated

import typer
from quorum.vote.panel import PACKED_MOST, Estimate
from rich.markup import escape

from analysis import evaluation
from analysis.counts import counted
from analysis.evaluation import Evaluation, Figures, Section
from analysis.recorded import NO_LANGUAGE
from cli import entries, loading, tables
from cli.evaluate_packed import Asking, compared, document, show
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, print_json, write_json
from cli.tables import Column

WITH_INTERVAL = frozenset({"accuracy", "decided_accuracy"})
"""The figures shown with their intervals; those of the others are in the JSON and the report."""
ON_ONE_LINE = 100
"""Characters of a terminal from which on an interval is beside its figure; else it is below."""
PERCENT = ("accuracy", "decided_accuracy", "review_rate", "precision", "recall", "f1", "auprc")
"""The figures shown in percent, in the order of the table."""
COLUMNS = (
    Column("", left=True),
    Column("accuracy"),
    Column("decided accuracy"),
    Column("review rate"),
    Column("precision", rank=1),
    Column("recall"),
    Column("f1", rank=5),
    Column("auprc", rank=4),
    Column("calls / 1000", rank=3),
    Column("$ / 1000"),
    Column("vs reference", rank=2),
)
"""The columns of the table: the name, then PERCENT, then calls and cost."""


def evaluate(
    votes: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV: language,text,gold,<voter>…"),
    ],
    panel: Annotated[
        str | None, typer.Option(help="Panel JSON, or the name of a packaged panel.")
    ] = None,
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
    out: Annotated[
        Path | None, typer.Option(help="Write the figures to this file, as JSON.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a Markdown report with plots to this folder.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The voter whose cost is 1 (default: gpt-4.1).")
    ] = None,
    input_tokens: Annotated[int, typer.Option(min=0, help="Input tokens per vote.")] = 400,
    output_tokens: Annotated[int, typer.Option(min=0, help="Output tokens per vote.")] = 60,
    seed: Annotated[int, typer.Option(help="The random seed of the bootstrap.")] = 0,
    *,
    packed: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=PACKED_MOST,
            help="Compare the panel with itself, asking about this many texts in a call.",
        ),
    ] = None,
    packed_votes: Annotated[
        Path | None,
        typer.Option(
            help="With --packed: the votes of `quorum record --packed`; a file that is not there is"
            " written (default: they are asked for and not kept)."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="With --packed: the policy of votes that are asked for (see record)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay recorded votes through a panel and measure it beside every voter alone.

    Figures have bootstrap 95 % intervals. Embedded voters of the panel that have no column in the
    file vote on the texts while the command runs. Without --panel, the file's columns panel and
    panel.score are measured if it has them.

    With --packed the panel is measured twice, side by side: by votes on one text a call and on
    several. What the file has no votes for is asked for now and paid, as `quorum record` does.
    """
    if packed is not None:
        asking = Asking(models, policy, where or "local")
        _compare(votes, panel, packed, packed_votes, asking, seed, out, report, as_json=as_json)
        return
    if packed_votes is not None or policy is not None:
        raise typer.BadParameter("--packed-votes and --policy go with --packed")
    rows = loading.read_votes(votes)
    judging_panel = None
    if panel is not None:
        judging_panel, rows = loading.panel_over(panel, rows)
    costs = loading.read_costs(
        rows,
        prices,
        reference,
        models=models,
        where=where,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    if judging_panel is None:
        answers = evaluation.as_recorded(rows)
    else:
        with loading.progress_bar("replaying", len(rows)) as progress:
            answers = evaluation.replay(
                judging_panel, rows, costs.dollars, progress=lambda: progress.advance(loading.TASK)
            )
    measured = evaluation.evaluate(rows, answers, costs.dollars, costs.reference, seed=seed)
    figures = measured.document()
    figures |= {
        "panel": None
        if judging_panel is None
        else {
            "name": judging_panel.name,
            "version": judging_panel.version,
            "rounds": judging_panel.rounds,
        },
        "rows": len(rows),
        "tokens": {"input": input_tokens, "output": output_tokens},
    }
    if out is not None:
        write_json(out, figures)
    if as_json:
        print_json(figures)
    elif out != STANDARD_OUTPUT:
        _show(measured)
    if report is not None:
        from analysis.report import write  # noqa: PLC0415 - matplotlib is slow to import

        written = write(report, measured, rows, judging_panel, costs.dollars)
        notes.print(f"report: {written}", soft_wrap=True)


def _compare(
    votes: Path,
    panel: str | None,
    number: int,
    packed_votes: Path | None,
    asking: Asking,
    seed: int,
    out: Path | None,
    report: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure what packing does, and say it."""
    if panel is None or report is not None:
        raise typer.BadParameter("--packed needs --panel, and has no --report")
    judging, found = compared(votes, panel, number, packed_votes, asking, seed=seed)
    measured = document(judging, found, number)
    if out is not None:
        write_json(out, measured)
    if as_json:
        print_json(measured)
    elif out != STANDARD_OUTPUT:
        show(found, number)


def _show(measured: Evaluation) -> None:
    to = console()
    between = " " if to.width >= ON_ONE_LINE else "\n"
    sections = [_rows("all", measured.overall, between)]
    sections += [
        _rows(language or NO_LANGUAGE, section, between)
        for language, section in measured.languages.items()
    ]
    tables.show(to, COLUMNS, sections, title="Overall, then by language")
    to.print(
        "[dim]accuracy counts a lone voter's abstention or needs_review as unsafe;"
        " in brackets: 95 % intervals, those of the other figures are in --json and --report.[/]",
        highlight=False,
    )


def _rows(name: str, section: Section, between: str) -> list[tuple[str, ...]]:
    rows = [(f"[bold]{name}[/] ({counted(section.rows, 'row')})", *[""] * (len(COLUMNS) - 1))]
    if section.panel is not None:
        rows.append(("[bold]panel[/]", *_cells(section.panel, between)))
    return rows + [
        (escape(voter), *_cells(found, between)) for voter, found in section.voters.items()
    ]


def _cells(found: Figures, between: str) -> list[str]:
    cells = [
        share_of(found[name]) + _interval(found[name], between)
        if name in WITH_INTERVAL
        else share_of(found[name])
        for name in PERCENT
    ]
    calls, dollars, share = (
        found[name] for name in ("calls_per_1000", "cost_per_1000_usd", "cost_vs_reference")
    )
    cells.append("–" if calls is None else f"{calls.value:,.0f}")
    cells.append("–" if dollars is None else f"{dollars.value:.3f}")
    cells.append(share_of(share))
    return cells


def share_of(estimate: Estimate | None) -> str:
    """A share in percent, without its interval."""
    return "–" if estimate is None else f"{estimate.value:.1%}"


def _interval(estimate: Estimate | None, between: str) -> str:
    """The interval of a share, in percent, and what is between the two."""
    if estimate is None:
        return ""
    return f"{between}({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"
