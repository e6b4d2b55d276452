"""`quorum keys`: issue, list and revoke the API keys of a deployment."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from quorum.aws.keys import PREFIX, Caller, Keys, Role, StoredKey, hash_of
from rich.markup import escape

from cli import deployment, tables
from cli.deployment import Where
from cli.errors import CommandFailed, first_problem
from cli.output import AsJson, console, notes, print_json
from cli.tables import Column

app = typer.Typer(
    help="Issue, list and revoke API keys. Needs AWS credentials for the table of keys.",
    no_args_is_help=True,
)

COLUMNS = (
    Column("id", left=True),
    Column("tenant", left=True, least=12),
    Column("role", left=True),
    Column("name", left=True, rank=2, least=12),
    Column("review", left=True, rank=3),
    Column("issued", left=True, rank=1),
)
ID_DIGITS = 12
"""Hexadecimal digits of a key's hash that are shown as its id."""
LEAST_DIGITS = 8
"""Digits of an id that must be typed to revoke a key."""


@app.callback()
def _keys() -> None:
    """Issue, list and revoke API keys."""


@app.command()
def issue(
    tenant: Annotated[
        str, typer.Option(help="the owner of the key; tenants see nothing of each other")
    ],
    where: Where = "local",
    role: Annotated[
        Role,
        typer.Option(
            help="member: moderates; operator: also reviews; deployment_operator: also sees the"
            " costs of all tenants"
        ),
    ] = "member",
    name: Annotated[str, typer.Option(help="a name for the key, which `list` shows")] = "",
    *,
    flag_review: Annotated[
        bool,
        typer.Option(
            "--flag-review", help="POST /moderations flags a text that needs a review, too"
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Issue a key, and print it: only its hash is stored, so it cannot be shown again."""
    try:
        caller = Caller(tenant=tenant, role=role, review_is_flagged=flag_review)
    except ValidationError as error:
        raise typer.BadParameter(first_problem(error)) from None
    key = _table(where).issue(caller, name=name)
    if as_json:
        print_json({"key": key, "id": hash_of(key)[:ID_DIGITS], **caller.model_dump()})
        return
    typer.echo(key)
    notes.print("Keep it now: it cannot be shown again.")


@app.command("list")
def list_keys(
    where: Where = "local",
    tenant: Annotated[str | None, typer.Option(help="list only this tenant's keys")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the keys by tenant, without the keys themselves."""
    found = sorted(
        (key for key in _table(where).stored() if tenant in (None, key.tenant)),
        key=lambda key: (key.tenant, key.issued_at or datetime.min.replace(tzinfo=UTC)),
    )
    if as_json:
        print_json([{"id": _id(key), **key.model_dump(mode="json")} for key in found])
    else:
        tables.show(console(), COLUMNS, [[_cells(key) for key in found]])


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="the id that `list` shows, or the key itself")],
    where: Where = "local",
) -> None:
    """Revoke a key: the next request with it is refused."""
    table = _table(where)
    wanted = hash_of(key) if key.startswith(PREFIX) else key.lower()
    if len(wanted) < LEAST_DIGITS:
        raise typer.BadParameter(f"give at least {LEAST_DIGITS} digits of the key's id")
    found = [stored for stored in table.stored() if stored.key_hash.startswith(wanted)]
    if not found:
        raise CommandFailed("There is no key with this id. `quorum keys list` shows all keys.")
    if len(found) > 1:
        raise CommandFailed(
            f"{len(found)} ids begin with these digits. Give more digits of the id."
        )
    table.revoke(found[0].key_hash)
    notes.print(f"revoked {_id(found[0])} of {escape(found[0].tenant)}")


def _table(where: str) -> Keys:
    return Keys(deployment.table(where, "KeysTable"))


def _id(key: StoredKey) -> str:
    return key.key_hash[:ID_DIGITS]


def _cells(key: StoredKey) -> tuple[str, ...]:
    review = "flagged" if key.review_is_flagged else ""
    issued = "" if key.issued_at is None else f"{key.issued_at:%Y-%m-%d %H:%M}"
    return (_id(key), escape(key.tenant), key.role, escape(key.name), review, issued)
