"""`quorum estimate`: what documents would take, counted here; nothing is sent."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from quorum.app.settings import DEFAULT_MODEL, WonSettings
from quorum.document.estimating import Estimate, ModelEstimate, Terms, estimate
from quorum.document.operations import SHARE_UNTIL_LEARNED
from quorum.gateway.limiter import RateLimit
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import work
from cli.loading import console, notes
from cli.service import Service, connect

_SHOWN = 40
"""Documents a table shows one by one; of more, the dearest."""


def estimate_command(
    files: Annotated[list[Path], work.FILES],
    operation: work.Asked,
    model: work.ModelName = DEFAULT_MODEL,
    *,
    sentences: work.Sentences = None,
    categories: work.Categories = None,
    target_language: work.TargetLanguage = None,
    schema: work.Schema = None,
    prompt: work.Prompt = None,
    compare: Annotated[bool, typer.Option(help="show what every model would take")] = False,
    where: Annotated[
        str | None,
        typer.Option(help="`local` or a deployment's URL: its limits, and what it has learned"),
    ] = None,
    requests_per_minute: Annotated[int, typer.Option(min=1)] = 500,
    tokens_per_minute: Annotated[int, typer.Option(min=1)] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, to stdout")] = False,
) -> None:
    """Count tokens, dollars, won and time of documents; offline, nothing leaves this machine."""
    options = work.Options(sentences, categories, target_language, schema, prompt)
    asked = work.request(operation, model, options)
    limit = RateLimit(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
    terms = offline(limit) if where is None else learned(connect(where), asked)
    read = work.read(files)
    found = of(read, asked, terms, compare=compare)
    if as_json:
        print(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))  # noqa: T201 asked for
        return
    show(found, read, console)


def of(
    files: Sequence[work.File], asked: dict[str, object], terms: Terms, *, compare: bool = False
) -> Estimate:
    """The estimate of the files that can be read."""
    documents = [file.document for file in files if file.unreadable is None]
    return estimate(work.work_of(asked), documents, terms, compare=compare)


def offline(limit: RateLimit) -> Terms:
    """The terms where no service is asked."""
    won = WonSettings.from_environment()
    return Terms(lambda _model: SHARE_UNTIL_LEARNED, {}, limit, won.krw_per_usd, won.krw_as_of)


def learned(service: Service, asked: dict[str, object]) -> Terms:
    """The terms of a deployment, as it says them of a document of one letter."""
    body = asked | {"documents": [{"text": "x"}], "compare": True}
    said = Estimate.model_validate(_estimated(service.post("documents/estimate", body)))
    models = {one.model: one for one in (said, *said.compared)}
    limits = {
        name: RateLimit(
            requests_per_minute=one.requests_per_minute, tokens_per_minute=one.tokens_per_minute
        )
        for name, one in models.items()
    }
    return Terms(
        lambda model: models[model].output_share,
        limits,
        RateLimit(),
        said.krw_per_usd,
        said.krw_as_of,
    )


def _estimated(answer: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != "rejected"}


def show(found: Estimate, files: Sequence[work.File], to: Console) -> None:
    """The documents, the total, the models compared, and what cannot be read."""
    to.print(_documents(found))
    if found.compared:
        to.print(_models(found))
    for file in files:
        if file.unreadable is not None:
            notes.print(f"{escape(file.name)} is left out: {file.unreadable.message}")
    to.print(
        f"[bold]{dollars(found.cost_usd)}[/], ₩{found.cost_krw:,} (₩{found.krw_per_usd:f} a dollar,"
        f" {found.krw_as_of}), {_time(found.seconds)} (bound by {_words(found)}); output expected:"
        f" {found.output_share:.0%} of the input",
        soft_wrap=True,
    )
    if found.token_error:
        notes.print(
            f"{found.model} counts tokens its own way: nine of ten texts are within"
            f" {found.token_error:.1%} of the count (English)"
        )


def _documents(found: Estimate) -> Table:
    table = Table(box=None, pad_edge=False, show_footer=len(found.documents) > 1)
    shown = sorted(found.documents, key=lambda one: one.cost_usd, reverse=True)[:_SHOWN]
    kept = {one.index for one in shown}
    rest = len(found.documents) - len(shown)
    table.add_column("document", footer=f"in all {len(found.documents):,}", overflow="fold")
    for heading, total in (
        ("pages", ""),
        ("calls", f"{found.calls:,}"),
        ("tokens in", f"{found.input_tokens:,}"),
        ("out", f"{found.output_tokens:,}"),
        ("USD", f"{found.cost_usd.normalize():f}"),
        ("KRW", f"{found.cost_krw:,}"),
    ):
        table.add_column(heading, footer=total, justify="right")
    for one in found.documents:
        if one.index in kept:
            table.add_row(
                escape(one.name or str(one.index)),
                "" if one.pages is None else f"{one.pages:,}",
                f"{one.calls:,}",
                f"{one.input_tokens:,}",
                f"{one.output_tokens:,}",
                f"{one.cost_usd.normalize():f}",
                f"{round(one.cost_usd * found.krw_per_usd, 2):,}",
            )
    if rest:
        table.add_row(f"[dim]… and {rest:,} cheaper ones[/]", *[""] * 6)
    return table


def _models(found: Estimate) -> Table:
    table = Table(box=None, pad_edge=False, title="every model", title_justify="left")
    table.add_column("model")
    for heading in ("calls", "tokens in", "± 9 of 10", "out", "USD", "KRW", "time"):
        table.add_column(heading, justify="right")
    models: list[ModelEstimate] = [found, *found.compared]
    for one in sorted(models, key=lambda one: one.cost_usd):
        table.add_row(
            f"[bold]{one.model}[/]" if one is found else one.model,
            f"{one.calls:,}",
            f"{one.input_tokens:,}",
            f"{one.token_error:.1%}" if one.token_error else "exact",
            f"{one.output_tokens:,}",
            f"{one.cost_usd.normalize():f}",
            f"{one.cost_krw:,}",
            _time(one.seconds),
        )
    return table


def dollars(amount: Decimal) -> str:
    """Dollars, in as many digits as there are."""
    return f"${amount.normalize():f}"


def _time(seconds: int) -> str:
    return str(timedelta(seconds=seconds))


def _words(found: ModelEstimate) -> str:
    if found.bound_by == "answer":
        return "the longest answer"
    return f"{getattr(found, found.bound_by):,} {found.bound_by.replace('_per_', ' a ')}"
