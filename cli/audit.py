"""`quorum audit`: list, export and check the audit trail of the key's tenant."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from quorum.audit.chain import Action, AuditEntry, faults
from rich.markup import escape

from analysis.counts import counted
from cli import days
from cli.deployment import Where
from cli.errors import CommandFailed
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, opened, print_json
from cli.service import Service, connect
from cli.tables import Column, show

app = typer.Typer(help="The audit trail: who changed what.", no_args_is_help=True)

Kind = Annotated[Action | None, typer.Option("--action", help="only this kind of change")]
By = Annotated[str | None, typer.Option(help="only changes by the key of this name")]
Person = Annotated[str | None, typer.Option(help="only changes on behalf of this person")]
Subject = Annotated[str | None, typer.Option(help="only changes of this, such as policy/gaming")]
Since = Annotated[str | None, typer.Option("--from", callback=days.day, help="the first day, UTC")]
Until = Annotated[str | None, typer.Option("--to", callback=days.day, help="the last day, UTC")]
COLUMNS = (
    Column("number", rank=3),
    Column("at", left=True),
    Column("by", left=True, rank=1, least=12),
    Column("person", left=True, rank=2, least=12),
    Column("action", left=True),
    Column("subject", left=True, least=20),
    Column("before", left=True, rank=4, least=20),
    Column("after", left=True, rank=3, least=20),
)
"""The columns of the list; those that are left out first have the highest rank."""


@app.callback()
def _audit() -> None:
    """The audit trail: who changed what."""


@app.command("list")
def list_entries(
    action: Kind = None,
    by: By = None,
    person: Person = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="entries that are shown")] = 50,
    as_json: AsJson = False,
    where: Where = "local",
) -> None:
    """Show the latest entries, newest first. Needs an operator's key."""
    query = _query(action, by, person, subject, since, until)
    found: list[AuditEntry] = []
    for entry in entries_of(connect(where, operator=True), query):
        found.append(entry)
        if len(found) == limit:
            break
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in found])
        return
    show(console(), COLUMNS, [[_cells(entry) for entry in found]])


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="the file, JSON Lines; - for stdout")] = STANDARD_OUTPUT,
    since: Since = None,
    until: Until = None,
    where: Where = "local",
) -> None:
    """Write the entries, oldest first, a line of JSON each. Needs an operator's key.

    Without days it is the whole chain, which `quorum audit check --file` checks.
    """
    written = 0
    query = _query(None, None, None, None, since, until) | {"order": "oldest"}
    service = connect(where, operator=True)
    with opened(out, private=True) as file:
        for entry in entries_of(service, query):
            file.write(entry.model_dump_json() + "\n")
            written += 1
    notes.print(f"entries: {written:,}")


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="a whole chain that was exported, instead of the deployment's",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="an entry noted earlier, NUMBER:HASH, which the chain must still have"),
    ] = None,
    where: Where = "local",
) -> None:
    """Check the chain: no entry is changed, missing or moved. Exit code 1 if one is.

    It prints the last entry as NUMBER:HASH. Note it somewhere else: with --head a later check finds
    that the end of the chain was cut off, or all of it written anew. Needs an operator's key.
    """
    read = (
        entries_of(connect(where, operator=True), {"order": "oldest"})
        if file is None
        else _lines(file)
    )
    chain = list(read)
    found = [fault.message for fault in faults(chain)]
    heads = [f"{entry.number}:{entry.hash}" for entry in chain]
    if head is not None and head not in heads:
        found.append(f"there is no entry {head}, which was noted earlier")
    for message in found:
        typer.echo(message)
    if found:
        raise CommandFailed(f"The audit trail has {counted(len(found), 'fault')}.")
    typer.echo(heads[-1] if heads else "0:")
    notes.print(f"entries: {len(chain):,}, unchanged and complete")


def entries_of(service: Service, query: dict[str, str]) -> Iterator[AuditEntry]:
    """The entries that `query` asks for, page by page."""
    query = dict(query)
    while True:
        page = service.get("audit", **query)
        yield from map(AuditEntry.model_validate, page["entries"])
        if page["next"] is None:
            return
        query["next"] = page["next"]


def _lines(file: Path) -> Iterator[AuditEntry]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield AuditEntry.model_validate_json(line)
            except ValidationError:
                raise CommandFailed(f"Line {number} of {file} is no audit entry.") from None


def _query(
    action: Action | None,
    by: str | None,
    person: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, str]:
    """The query of `GET /audit` with the filters that were given."""
    filters = {"action": action, "by": by, "person": person, "subject": subject}
    given = {name: str(value) for name, value in filters.items() if value is not None}
    return given | days.query(since, until)


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    who = (entry.by, entry.person or "")
    facts = (_shown(entry.before), _shown(entry.after))
    return tuple(map(escape, (str(entry.number), at, *who, entry.action, entry.subject, *facts)))


def _shown(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in facts.items())


def _text(value: Any) -> str:
    return (
        " ".join(value)
        if isinstance(value, Iterable) and not isinstance(value, str)
        else str(value)
    )
