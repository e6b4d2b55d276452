"""`quorum record`: run a panel's voters over labelled texts and write their votes to a file.

`quorum_moderator` asks them all, those at the gateway with the key in GATEWAY_API_KEY. Nothing is
cached or booked: the votes are for measuring.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import PanelInvalid
from quorum.core.model_entry import NamedEntry
from quorum.core.models import CONTENT_LIMIT, Abstention, CastVote, Content, Verdict
from quorum.core.spreadsheets import harmless, meant
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.vote.language import detect
from quorum.vote.packing import CHARACTERS
from quorum.vote.panel import PACKED_MOST, Panel
from quorum.vote.policy import DEFAULT, Policy
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis import gold
from analysis.gold import LabelUnknown
from analysis.recorded import PAID
from analysis.rows import FileUnreadable, Row, opened
from cli import entries, loading, output
from cli import policy as policies
from cli.deployment import Where
from cli.gateway import GATEWAY_URL, KEY_NEEDED, KEY_VARIABLE, parsed
from cli.languages import DefaultLanguage
from quorum_moderator import AskedAt, Moderator

VOTING_SECONDS = 60.0
"""Seconds for the votes on a text: nobody waits for them, so they may take longer than usual."""
EMBEDDED = frozenset(model.name for model in registry.voters() if model.kind == "embedded")
TEXT_COLUMNS = ("text", "content")


def record(  # noqa: PLR0913 - each is an option, by name
    texts: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="a table with text and gold (or label, toxic)"
        ),
    ],
    out: Annotated[Path, typer.Option(help="the CSV file of recorded votes; - for stdout")],
    *,
    panel: Annotated[str, typer.Option(help="a packaged panel, or a panel file")] = "embedded",
    default_language: DefaultLanguage = "en",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="texts voted on at once")] = 8,
    packed: Annotated[
        int,
        typer.Option(
            min=1, max=PACKED_MOST, help="texts of a language in one call, as a panel packs them"
        ),
    ] = 1,
    models: entries.Entries = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="the policy that voters are told: a JSON file, or the name (or name@version) of"
            " one at --where (default: the packaged one)"
        ),
    ] = None,
    where: Where = "local",
) -> None:
    """Record language, text, gold, every voter's vote and its cost, and the panel's verdict.

    Votes are recorded as they count under the policy, whose name and version are in the column
    `policy`, which `quorum calibrate` reads. With `--packed` the rows are sorted by language;
    `quorum evaluate --packed` compares them with votes that were asked alone.
    """
    under = DEFAULT if policy is None else policies.chosen(policy, where)
    known = entries.read(models)
    chosen = loading.read_panel(panel, [model.name for model in registry.voters()], known.keys)
    if chosen.default_language is None and default_language:
        chosen = chosen.model_copy(update={"default_language": default_language})
    rows = rows_in(texts)
    with moderator_of(chosen, known, under) as moderator:
        write(rows, moderator, out, concurrency, packed)


def write(
    rows: list[dict[str, str]], moderator: Moderator, out: Path, concurrency: int, packed: int
) -> None:
    """Have the rows (language, text, gold) judged, `packed` in a call, and write them to `out`."""
    voters = moderator.panel.voters
    columns = ["language", "text", "gold"]
    for name in voters:
        paid = () if name in EMBEDDED else PAID
        columns += [name, f"{name}.confidence", *(f"{name}.{one}" for one in paid)]
    columns += ["panel", "panel.score", "policy"]
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
        for some in pool.map(lambda part: _judged(part, moderator), _parts(rows, packed)):
            writer.writerows(some)
            progress.advance(task, len(some))


def rows_in(texts: Path) -> list[dict[str, str]]:
    """The rows of `texts` as language, text, gold, all labels read; raises `typer.BadParameter`.

    Rows without a text are left out: they are labels whose content is no longer kept.
    """
    try:
        with opened(texts, TEXT_COLUMNS) as table:
            found = [_labelled(row, table.columns) for row in table]
    except FileUnreadable as problem:
        raise typer.BadParameter(f"{texts}: {problem}") from None
    rows = [row for row in found if row["text"]]
    if not rows:
        raise typer.BadParameter(f"{texts}: no row has a text")
    return rows


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


def _parts(rows: list[dict[str, str]], packed: int) -> list[list[dict[str, str]]]:
    """The rows of each call: one, or several of one language that fit into it."""
    if packed == 1:
        return [[row] for row in rows]
    parts: list[list[dict[str, str]]] = []
    spoken = [row["language"] or detect(row["text"]) or "" for row in rows]
    last, length = None, 0
    for index in sorted(range(len(rows)), key=lambda index: spoken[index]):
        row, own = rows[index], len(rows[index]["text"])
        full = not parts or len(parts[-1]) == packed or length + own > CHARACTERS
        if full or spoken[index] != last:
            parts.append([])
            length = 0
        parts[-1].append(row)
        last, length = spoken[index], length + own
    return parts


def _content(row: dict[str, str]) -> Content:
    # As in the API: the given language, else the recognised one.
    return Content(text=row["text"][:CONTENT_LIMIT], language=row["language"] or None)


def _judged(rows: list[dict[str, str]], moderator: Moderator) -> list[dict[str, str]]:
    if len(rows) == 1:
        verdicts = [moderator.judge(_content(rows[0]))]
    else:
        verdicts = moderator.judge_pack([_content(row) for row in rows])
    return [_written(row, verdict) for row, verdict in zip(rows, verdicts, strict=True)]


def _written(row: dict[str, str], verdict: Verdict) -> dict[str, str]:
    cells = {name: cell for vote in verdict.votes for name, cell in _cells(vote).items()}
    decided = {"panel": str(verdict.decision), "panel.score": f"{verdict.score:.6f}"}
    decided["policy"] = f"{verdict.policy}@{verdict.policy_version}"
    named = {"language": verdict.language or "", "text": harmless(row["text"])}
    return row | named | cells | decided


def _cells(vote: CastVote | Abstention) -> dict[str, str]:
    """A vote's cells; an abstention has no decision and no confidence, but may have a cost."""
    said = ("", "")
    if isinstance(vote, CastVote):
        said = (str(vote.decision), f"{vote.confidence:.6f}")
    cells = {vote.voter: said[0], f"{vote.voter}.confidence": said[1]}
    if vote.voter in EMBEDDED:
        return cells
    paid = (str(vote.tokens.total), f"{vote.cost_usd:f}")
    return cells | {f"{vote.voter}.{name}": cell for name, cell in zip(PAID, paid, strict=True)}


@contextmanager
def moderator_of(
    panel: Panel, known: Mapping[str, NamedEntry], policy: Policy, *, everyone: bool = True
) -> Iterator[Moderator]:
    """A moderator that asks all of the panel's voters under `policy`, usable within the block.

    `known` are the models that are not packaged. Without `everyone` the panel stops as it does in
    a deployment.
    """
    shared = cache(_gateway)
    own = entries.gateways(known, shared)
    try:
        models = {
            name: AskedAt(known[name].model, entries.client_of(known[name], own))
            for name in panel.voters
            if name in known
        }
        gateway = None if set(panel.voters) <= EMBEDDED | models.keys() else shared()
        try:
            moderator = Moderator(
                panel,
                policy,
                gateway,
                models=models,
                voting_seconds=VOTING_SECONDS,
                everyone=everyone,
            )
        except PanelInvalid as refusal:
            raise typer.BadParameter(str(refusal)) from None
        yield moderator
    finally:
        loop.run(own.close())
        if shared.cache_info().currsize:
            loop.run(shared().close())


def _gateway() -> Gateway:
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise typer.BadParameter(f"the panel has gateway voters. {KEY_NEEDED}")
    urls = os.environ.get("GATEWAY_BASE_URL", GATEWAY_URL)
    return Gateway(GatewaySettings(base_urls=parsed(urls, key)))
