"""`quorum estimate`: estimate documents on this machine; nothing is sent."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from quorum.app.settings import DEFAULT_MODEL, WonSettings
from quorum.document.estimating import DocumentEstimate, Estimate, ModelEstimate, Terms, estimate
from quorum.document.operations import SHARE_UNTIL_LEARNED
from quorum.gateway.fair_share import RateLimit
from rich.console import Console
from rich.markup import escape

from cli import tables, work
from cli.errors import ExitCode
from cli.output import AsJson, console, notes, print_json
from cli.service import Service, connect
from cli.tables import Column

_SHOWN = 40
"""Documents that the table lists; of more, the most expensive."""
_DOCUMENTS = (
    Column("document", left=True, least=24),
    Column("pages", rank=3),
    Column("calls", rank=2),
    Column("input tokens"),
    Column("output tokens", rank=1),
    Column("USD"),
    Column("KRW", rank=1),
)
_MODELS = (
    Column("model", left=True),
    Column("calls", rank=4),
    Column("input tokens"),
    Column("count within", rank=3),
    Column("output tokens", rank=2),
    Column("USD"),
    Column("KRW", rank=1),
    Column("time"),
)


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
    compare: Annotated[bool, typer.Option(help="also estimate every other model")] = False,
    where: Annotated[
        str | None,
        typer.Option(
            help="use the rate limits and answer lengths of this deployment (as in other commands)"
        ),
    ] = None,
    requests_per_minute: Annotated[int, typer.Option(min=1)] = 500,
    tokens_per_minute: Annotated[int, typer.Option(min=1)] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Estimate tokens, dollars, won and time of documents; without --where, offline."""
    options = work.Options(sentences, categories, target_language, schema, prompt)
    asked = work.request(operation, model, options)
    limit = RateLimit(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
    terms = offline(limit) if where is None else learned(connect(where), asked)
    read = work.read(files)
    found = of(read, asked, terms, compare=compare)
    if as_json:
        print_json(found.model_dump(mode="json") | {"unreadable": unreadable(read)})
    else:
        show(found, read, console())
    if any(file.unreadable is not None for file in read):
        raise typer.Exit(ExitCode.ERROR)


def unreadable(files: Sequence[work.File]) -> list[dict[str, str]]:
    """The files that cannot be read, each with the reason."""
    return [
        {"name": file.name, "code": file.unreadable.code, "message": file.unreadable.message}
        for file in files
        if file.unreadable is not None
    ]


def of(
    files: Sequence[work.File], asked: dict[str, object], terms: Terms, *, compare: bool = False
) -> Estimate:
    """The estimate of the files that can be read."""
    documents = [file.document for file in files if file.unreadable is None]
    return estimate(work.work_of(asked), documents, terms, compare=compare)


def offline(limit: RateLimit) -> Terms:
    """The terms of an estimate without a deployment."""
    won = WonSettings.from_environment()
    return Terms(lambda _model: SHARE_UNTIL_LEARNED, {}, limit, won.krw_per_usd, won.krw_as_of)


def learned(service: Service, asked: dict[str, object]) -> Terms:
    """The terms of a deployment, taken from its estimate of a one-letter document."""
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
    """Print the documents, the total, the comparison of models, and the unreadable files."""
    _show_documents(found, to)
    if found.compared:
        _show_models(found, to)
    for file in files:
        if file.unreadable is not None:
            notes.print(f"{escape(file.name)} is left out: {file.unreadable.message}")
    to.print(
        f"[bold]{dollars(found.cost_usd)}[/], ₩{found.cost_krw:,} (₩{found.krw_per_usd:f} per"
        f" dollar, {found.krw_as_of}), {_time(found.seconds)} (limited by {_words(found)});"
        f" expected output: {found.output_share:.0%} of the input",
        soft_wrap=True,
    )
    if found.token_error:
        notes.print(
            f"{found.model} has a tokenizer of its own: nine of ten texts are within"
            f" {found.token_error:.1%} of the count (English)"
        )


def _show_documents(found: Estimate, to: Console) -> None:
    shown = sorted(found.documents, key=lambda one: one.cost_usd, reverse=True)[:_SHOWN]
    kept = {one.index for one in shown}
    rows: list[tuple[str, ...]] = [
        (
            escape(one.name or str(one.index)),
            _pages([one]),
            f"{one.calls:,}",
            f"{one.input_tokens:,}",
            f"{one.output_tokens:,}",
            f"{one.cost_usd.normalize():f}",
            f"{round(one.cost_usd * found.krw_per_usd, 2):,}",
        )
        for one in found.documents
        if one.index in kept
    ]
    rest = len(found.documents) - len(shown)
    if rest:
        cheaper = [one for one in found.documents if one.index not in kept]
        cost_usd = sum((one.cost_usd for one in cheaper), Decimal(0))
        rows.append(
            (
                f"[dim]… and {rest:,} cheaper ones[/]",
                _pages(cheaper),
                f"{sum(one.calls for one in cheaper):,}",
                f"{sum(one.input_tokens for one in cheaper):,}",
                f"{sum(one.output_tokens for one in cheaper):,}",
                f"{cost_usd.normalize():f}",
                f"{round(cost_usd * found.krw_per_usd, 2):,}",
            )
        )
    total = (
        f"total of {len(found.documents):,}",
        _pages(found.documents),
        f"{found.calls:,}",
        f"{found.input_tokens:,}",
        f"{found.output_tokens:,}",
        f"{found.cost_usd.normalize():f}",
        f"{found.cost_krw:,}",
    )
    tables.show(to, _DOCUMENTS, [rows, [total] if len(found.documents) > 1 else []])


def _pages(documents: Sequence[DocumentEstimate]) -> str:
    """The pages of those documents that have pages."""
    counted = [one.pages for one in documents if one.pages is not None]
    return f"{sum(counted):,}" if counted else "–"


def _show_models(found: Estimate, to: Console) -> None:
    models: list[ModelEstimate] = [found, *found.compared]
    rows = [
        (
            f"[bold]{one.model}[/]" if one is found else one.model,
            f"{one.calls:,}",
            f"{one.input_tokens:,}",
            f"± {one.token_error:.1%}" if one.token_error else "exact",
            f"{one.output_tokens:,}",
            f"{one.cost_usd.normalize():f}",
            f"{one.cost_krw:,}",
            _time(one.seconds),
        )
        for one in sorted(models, key=lambda one: one.cost_usd)
    ]
    tables.show(to, _MODELS, [rows], title="every model")


def dollars(amount: Decimal) -> str:
    """Dollars with all their digits."""
    return f"${amount.normalize():f}"


def _time(seconds: int) -> str:
    return str(timedelta(seconds=seconds))


def _words(found: ModelEstimate) -> str:
    if found.bound_by == "answer":
        return "the longest answer"
    return f"{getattr(found, found.bound_by):,} {found.bound_by.replace('_per_', ' a ')}"
