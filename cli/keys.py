"""`quorum keys`: issue, list, rotate and revoke the API keys of a deployment."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError
from quorum.audit.chain import Action
from quorum.audit.key_changes import recorded
from quorum.audit.trail import AuditTrail
from quorum.aws.keys import (
    ID_DIGITS,
    OVERLAP_HOURS,
    PREFIX,
    Caller,
    Keys,
    KeyUse,
    StoredKey,
    Writer,
    hash_of,
)
from quorum.core.errors import PanelInvalid
from quorum.core.scopes import SCOPES, Role, least_role
from rich.markup import escape

from cli import deployment, tables
from cli.deployment import Where
from cli.errors import CommandFailed, first_problem
from cli.output import AsJson, console, notes, print_json
from cli.panel_check import panels_of
from cli.tables import Column

app = typer.Typer(
    help="Issue, list, rotate and revoke API keys. Needs AWS credentials for the table of keys.",
    no_args_is_help=True,
)

COLUMNS = (
    Column("id", left=True),
    Column("tenant", left=True, least=12),
    Column("begins", left=True, rank=4),
    Column("may", left=True, least=20),
    Column("name", left=True, rank=2, least=12),
    Column("limits", left=True, rank=3),
    Column("last used", left=True, rank=1),
    Column("ends", left=True, rank=5),
)
LEAST_DIGITS = 8
"""Digits of an id that must be typed to revoke a key."""
BY = "quorum keys"
"""Who did it, in the audit trail: no key, but somebody with AWS credentials."""
KEEP = "Keep it now: it cannot be shown again."

WhichKey = Annotated[str, typer.Argument(help="the id that `list` shows, or the key itself")]


@app.callback()
def _keys() -> None:
    """Issue, list, rotate and revoke API keys."""


@app.command()
def issue(
    tenant: Annotated[
        str, typer.Option(help="the owner of the key; tenants see nothing of each other")
    ],
    where: Where = "local",
    role: Annotated[
        Role | None,
        typer.Option(
            help="member: moderates; operator: also reviews and manages policies and keys;"
            " deployment_operator: also puts models and sees the costs of all tenants. By default"
            " the least that has the scopes"
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="a name for the key, which `list` shows")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"what the key may do: {', '.join(SCOPES)}; repeat it for several. By default all"
            " of its role",
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="days after which the key expires")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(help="requests a minute")] = None,
    per_month: Annotated[int | None, typer.Option(help="requests a calendar month (UTC)")] = None,
    origin: Annotated[
        str | None,
        typer.Option(help="the website whose pages may send the key: https://www.example.com"),
    ] = None,
    panel: Annotated[
        str | None, typer.Option(help="the panel that judges where a request names none")
    ] = None,
    *,
    flag_review: Annotated[
        bool,
        typer.Option(
            "--flag-review", help="POST /moderations flags a text that needs a review, too"
        ),
    ] = False,
    drop_unsupported: Annotated[
        bool,
        typer.Option(
            "--drop-unsupported",
            help="comments:analyze leaves out attributes that no voter gives in the text's"
            " language, and refuses none",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Issue a key, and print it: only its hash is stored, so it cannot be shown again."""
    try:
        caller = Caller.model_validate(
            {
                "tenant": tenant,
                "role": role or least_role(scope or ()),
                "name": name,
                "review_is_flagged": flag_review,
                "drop_unsupported_attributes": drop_unsupported,
                "panel": panel,
                "scopes": scope or None,
                "requests_per_minute": per_minute,
                "requests_per_month": per_month,
                "allowed_origin": origin,
            }
        )
    except ValidationError as error:
        raise typer.BadParameter(first_problem(error)) from None
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    if panel is not None:
        _require_panel(where, tenant, panel)
    writer = _writer(where, tenant, Action.KEY_ISSUED)
    key = _table(where).issue(caller, expires_at=expires_at, writer=writer)
    _show_new(key, caller, expires_at, as_json=as_json)


@app.command("list")
def list_keys(
    where: Where = "local",
    tenant: Annotated[str | None, typer.Option(help="list only this tenant's keys")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the keys by tenant, without the keys themselves."""
    table = _table(where)
    found = sorted(
        table.stored() if tenant is None else table.of_tenant(tenant),
        key=lambda key: (key.tenant, key.issued_at or datetime.min.replace(tzinfo=UTC)),
    )
    use = table.use_of(found)
    if as_json:
        print_json(
            [
                {
                    "id": key.id,
                    **key.model_dump(mode="json"),
                    "scopes": key.effective_scopes,
                    **use[key.key_hash].model_dump(mode="json"),
                }
                for key in found
            ]
        )
    else:
        tables.show(console(), COLUMNS, [[_cells(key, use[key.key_hash]) for key in found]])


@app.command()
def revoke(key: WhichKey, where: Where = "local") -> None:
    """Revoke a key: the next request with it is refused."""
    table = _table(where)
    found = _found(table, key)
    writer = _writer(where, found.tenant, Action.KEY_REVOKED, found)
    table.revoke(found.key_hash, writer=writer)
    notes.print(f"revoked {found.id} of {escape(found.tenant)}")


@app.command()
def rotate(
    key: WhichKey,
    where: Where = "local",
    overlap_hours: Annotated[
        int,
        typer.Option(
            min=0, max=OVERLAP_HOURS, help="hours for which the old key works beside the new one"
        ),
    ] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one with the same rights and limits, and print the new one."""
    table = _table(where)
    old = _found(table, key)
    writer = _writer(where, old.tenant, Action.KEY_CHANGED, old)
    fresh, stored = table.rotate(old, overlap=timedelta(hours=overlap_hours), writer=writer)
    _show_new(fresh, stored.caller, stored.expires_at, as_json=as_json)
    ends = f"in {overlap_hours} hours" if overlap_hours else "now"
    notes.print(f"{old.id} of {escape(old.tenant)} ends {ends}")


def _show_new(key: str, caller: Caller, expires_at: datetime | None, *, as_json: bool) -> None:
    if as_json:
        rights = caller.model_dump(mode="json") | {"scopes": caller.effective_scopes}
        ends = None if expires_at is None else expires_at.isoformat()
        print_json({"key": key, "id": hash_of(key)[:ID_DIGITS], **rights, "expires_at": ends})
        return
    typer.echo(key)
    notes.print(KEEP)


def _found(table: Keys, key: str) -> StoredKey:
    """The one key that is meant by an id, its first digits, or the key itself."""
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
    return found[0]


def _require_panel(where: str, tenant: str, name: str) -> None:
    """Refuse a panel that the tenant does not have: the key could judge nothing."""
    try:
        panels_of(where).get(tenant, name)
    except PanelInvalid as invalid:
        raise typer.BadParameter(f"panel: {invalid.message}") from None


def _writer(where: str, tenant: str, action: Action, before: StoredKey | None = None) -> Writer:
    """What writes a change of a key, and its entry in the tenant's audit trail."""
    audit = AuditTrail(deployment.dynamodb(where), _outputs(where)["AuditTable"])
    return recorded(audit, tenant, BY, action, before)


def _table(where: str) -> Keys:
    outputs = _outputs(where)
    return Keys(deployment.dynamodb(where), outputs["KeysTable"], outputs["KeyUseTable"])


def _outputs(where: str) -> dict[str, str]:
    outputs = deployment.outputs_of(where)
    if not {"KeyUseTable", "AuditTable"} <= outputs.keys():
        raise CommandFailed("This deployment is of an older version. Deploy it anew first.")
    return outputs


def _cells(key: StoredKey, use: KeyUse) -> tuple[str, ...]:
    may = key.role if key.scopes is None else " ".join(key.scopes)
    review = " flags reviews" if key.review_is_flagged else ""
    dropping = " drops unsupported attributes" if key.drop_unsupported_attributes else ""
    origin = f" from {key.allowed_origin}" if key.allowed_origin else ""
    panel = f" before {key.panel}" if key.panel else ""
    limits = [
        f"{limit:,}/{unit}"
        for limit, unit in ((key.requests_per_minute, "min"), (key.requests_per_month, "month"))
        if limit is not None
    ]
    return (
        key.id,
        escape(key.tenant),
        key.prefix,
        escape(f"{may}{review}{dropping}{panel}{origin}"),
        escape(key.name),
        ", ".join(limits),
        _minute(use.last_used_at),
        _minute(key.expires_at),
    )


def _minute(when: datetime | None) -> str:
    return "" if when is None else f"{when:%Y-%m-%d %H:%M}"
