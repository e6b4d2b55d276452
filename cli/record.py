"""`quorum record`: run a panel's voters over labelled texts and write their votes to a file.

Embedded voters vote in this process. Gateway voters are called with the production client and the
key in GATEWAY_API_KEY. Nothing is cached or booked: the votes are for measuring.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import VoteUnavailable
from quorum.core.model_entry import NamedEntry
from quorum.core.models import CONTENT_LIMIT, Abstention, CastVote, Content
from quorum.core.normalise import normalise
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.vote import voter
from quorum.vote.language import with_language
from quorum.vote.panel import Panel
from quorum.vote.tally import tally
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis import gold
from analysis.gold import LabelUnknown
from analysis.rows import FileUnreadable, Row, harmless, meant, opened
from cli import entries, loading, output
from cli.gateway import GATEWAY_URL, KEY_NEEDED, KEY_VARIABLE, parsed
from cli.languages import DefaultLanguage

Ask = Callable[[Content], CastVote | Abstention]

VOTE_SECONDS = 60.0
"""Seconds for one vote: nobody waits for it, so it may take longer than in production."""
EMBEDDED = frozenset(model.name for model in registry.voters() if model.kind == "embedded")
TEXT_COLUMNS = ("text", "content")


def record(
    texts: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="a table with text and gold (or label, toxic)"
        ),
    ],
    out: Annotated[Path, typer.Option(help="the CSV file of recorded votes; - for stdout")],
    panel: Annotated[str, typer.Option(help="a packaged panel, or a panel file")] = "embedded",
    default_language: DefaultLanguage = "en",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="texts voted on at once")] = 8,
    models: entries.Entries = None,
) -> None:
    """Record language, text, gold, every voter's vote and confidence, and the panel's verdict."""
    known = entries.read(models)
    chosen = loading.read_panel(panel, [model.name for model in registry.voters()], known.keys)
    if chosen.default_language is None and default_language:
        chosen = chosen.model_copy(update={"default_language": default_language})
    rows = _rows(texts)
    if not rows:
        raise typer.BadParameter(f"{texts}: no row has a text")
    with _asking(chosen, known) as voters:
        _write(rows, chosen, voters, out, concurrency)


def _write(
    rows: list[dict[str, str]], chosen: Panel, voters: dict[str, Ask], out: Path, concurrency: int
) -> None:
    columns = ["language", "text", "gold"]
    columns += [column for name in voters for column in (name, f"{name}.confidence")]
    columns += ["panel", "panel.score"]
    everyone_is_here = set(voters) <= EMBEDDED
    # Embedded voters hold the interpreter's lock: more threads would only wait for each other.
    threads = 1 if everyone_is_here else concurrency
    with (
        output.opened(out) as file,
        ThreadPoolExecutor(threads) as pool,
        Progress(
            TextColumn("recording"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=output.notes,
        ) as progress,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        task = progress.add_task("recording", total=len(rows))
        for written in pool.map(lambda row: _judged(row, chosen, voters), rows):
            writer.writerow(written)
            progress.advance(task)


def _rows(texts: Path) -> list[dict[str, str]]:
    """The rows of `texts` as language, text, gold, all labels read; raises `typer.BadParameter`.

    Rows without a text are left out: they are labels whose content is no longer kept.
    """
    try:
        with opened(texts, TEXT_COLUMNS) as table:
            found = [_labelled(row, table.columns) for row in table]
    except FileUnreadable as problem:
        raise typer.BadParameter(f"{texts}: {problem}") from None
    return [row for row in found if row["text"]]


def _labelled(row: Row, columns: Sequence[str] | None) -> dict[str, str]:
    """A row's cells; raises `FileUnreadable` if it cannot be read or its label is neither."""
    if row.problem is not None:
        raise FileUnreadable(f"line {row.line:,}: {row.problem}")
    named = columns or tuple(row.fields)
    column = gold.column_in(named)
    if column is None:
        raise FileUnreadable(f"the file needs a column {' or '.join(gold.COLUMNS)} with the labels")
    try:
        decision = gold.decision_of(row.fields.get(column))
    except LabelUnknown as unknown:
        raise FileUnreadable(f"line {row.line:,}, column {column}: {unknown}") from None
    folded = {name.casefold(): str(value) for name, value in row.fields.items()}
    text = next((folded[name] for name in TEXT_COLUMNS if name in folded), "")
    return {
        "language": folded.get("language", ""),
        "text": meant(text),
        "gold": "" if decision is None else str(decision),
    }


def _judged(row: dict[str, str], panel: Panel, voters: dict[str, Ask]) -> dict[str, str]:
    # As in the API: the given language, else the recognised one.
    written = Content(text=row["text"][:CONTENT_LIMIT], language=row["language"] or None)
    content = with_language(written, panel.default_language)
    language = content.language
    votes = [ask(content) for ask in voters.values()]
    outcome = tally(panel, votes, language, final=True)
    cells = {name: cell for vote in votes for name, cell in _cells(vote).items()}
    verdict = {"panel": str(outcome.decision), "panel.score": f"{outcome.score:.6f}"}
    named = {"language": language or "", "text": harmless(row["text"])}
    return row | named | cells | verdict


def _cells(vote: CastVote | Abstention) -> dict[str, str]:
    """A vote's two cells; an abstention leaves both empty."""
    if isinstance(vote, Abstention):
        return {vote.voter: "", f"{vote.voter}.confidence": ""}
    return {
        vote.voter: str(vote.decision),
        f"{vote.voter}.confidence": f"{vote.confidence:.6f}",
    }


@contextmanager
def _asking(panel: Panel, known: Mapping[str, NamedEntry]) -> Iterator[dict[str, Ask]]:
    """A function that asks each of the panel's voters, usable within the block.

    `known` are the models that are not packaged.
    """
    shared = cache(_gateway)
    own = entries.gateways(known, shared)

    def asking(name: str) -> Ask:
        if name in EMBEDDED:
            return _embedded_voter(registry.model(name))
        if name in known:
            return _gateway_voter(known[name].model, entries.client_of(known[name], own))
        return _gateway_voter(registry.model(name), shared())

    try:
        yield {name: asking(name) for name in panel.voters}
    finally:
        loop.run(own.close())
        if shared.cache_info().currsize:
            loop.run(shared().close())


def _embedded_voter(model: registry.Model) -> Ask:
    # Each is slow to load, so only the panel's are loaded.
    from embedded import characters, meaning, rules  # noqa: PLC0415 - when needed

    asks: dict[str, Ask] = {
        "rules": rules.vote,
        "characters": characters.vote,
        "meaning": meaning.vote,
    }
    return asks[model.name]


def _gateway() -> Gateway:
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise typer.BadParameter(f"the panel has gateway voters. {KEY_NEEDED}")
    urls = os.environ.get("GATEWAY_BASE_URL", GATEWAY_URL)
    return Gateway(GatewaySettings(base_urls=parsed(urls, key)))


def _gateway_voter(model: registry.Model, gateway: Gateway) -> Ask:
    def ask(content: Content) -> CastVote | Abstention:
        deadline = Deadline.after(VOTE_SECONDS)
        try:
            shown = normalise(content.text)
            return loop.run(voter.ask(gateway, model, shown, deadline)).vote
        except VoteUnavailable as error:
            return voter.abstention_of(model.name, error, 0)

    return ask
