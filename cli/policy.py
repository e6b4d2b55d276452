"""`quorum policy`: read, compare and put the policies of a tenant."""

import difflib
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from quorum.core.json_names import NameRepeated, unrepeated
from quorum.vote.policies import PolicyList, PolicyView
from quorum.vote.policy import DEFAULT, Policy
from quorum.vote.policy_shadows import ShadowView, ShownPolicy
from quorum.vote.trials import Trial

from cli import tables
from cli.deployment import Where
from cli.errors import CommandFailed, DeploymentRefused, ExitCode, first_problem
from cli.files import there
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, print_json, write_json
from cli.service import Service, below, connect
from cli.tables import Column

app = typer.Typer(
    help="What counts as unsafe: read, compare and put a tenant's policies.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="the policy's name")]
DOCUMENT = typer.Argument(
    callback=there,
    help="the policy as JSON; - reads it from stdin",
)
Version = Annotated[
    str | None,
    typer.Option(help="an earlier version; last: the one put last, also of a deleted policy"),
]

COLUMNS = (
    Column("name", left=True, least=8),
    Column("version", left=True),
    Column("source", left=True, rank=2),
    Column("put", left=True, rank=1),
    Column("by", left=True, rank=1),
    Column("description", left=True, rank=3, least=12),
)
TRIED = (
    Column("text", left=True, least=12),
    Column("before", left=True),
    Column("after", left=True),
    Column("why", left=True, rank=1, least=12),
)


class _PolicyBad(CommandFailed):
    code = ExitCode.USAGE


@app.callback()
def _policy() -> None:
    """What counts as unsafe: read, compare and put a tenant's policies."""


@app.command("list")
def list_policies(where: Where = "local", *, as_json: AsJson = False) -> None:
    """List the policies in force, the packaged one among them."""
    found = PolicyList.model_validate(connect(where).get("policies"))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    rows = [
        [
            one.name,
            one.version,
            one.source,
            "" if one.at is None else f"{one.at:%Y-%m-%d %H:%M}",
            one.by or "",
            one.description,
        ]
        for one in found.policies
    ]
    tables.show(console(), COLUMNS, [rows])


@app.command()
def get(
    name: Name,
    where: Where = "local",
    version: Version = None,
    out: Annotated[Path, typer.Option(help="the JSON file; - for stdout")] = STANDARD_OUTPUT,
) -> None:
    """Write a policy's document, which `put` reads.

    Its version, and who put which version when, are printed beside it.
    """
    found = read(connect(where), name, version)
    write_json(out, found.policy)
    state = "in force" if found.in_force else "not in force"
    notes.print(f"{name} {found.version} ({found.source}), {state}")
    for put_ in found.history:
        notes.print(f"{put_.at:%Y-%m-%d %H:%M} {put_.by}: {put_.version or 'deleted'}")


@app.command()
def put(
    name: Name,
    document: Annotated[Path | None, DOCUMENT] = None,
    where: Where = "local",
    version: Annotated[
        str | None,
        typer.Option(
            help="put this earlier version in force again, without a file; last: the one put last"
        ),
    ] = None,
    if_match: Annotated[
        str | None, typer.Option(help="only if this version is in force; * for any")
    ] = None,
) -> None:
    """Put a policy in force for the key's tenant. Needs an operator's key.

    Every version is kept: `--version` rolls back to one of them.
    """
    if (document is None) == (version is None):
        raise typer.BadParameter("give either a file or --version")
    service = connect(where, operator=True)
    body = load(name, document) if document is not None else read(service, name, version).policy
    headers = {} if if_match is None else {"If-Match": if_match}
    found = PolicyView.model_validate(service.replace(below("policies", name), body, headers))
    typer.echo(f"{name} {found.version} is in force.")


@app.command()
def delete(name: Name, where: Where = "local") -> None:
    """Put a policy out of force; its versions are kept. Needs an operator's key."""
    found = PolicyView.model_validate(connect(where, operator=True).delete(below("policies", name)))
    typer.echo(f"{name} {found.version} is no longer in force.")
    notes.print(f"To undo it: quorum policy put {name} --version {found.version}", soft_wrap=True)


@app.command()
def diff(
    name: Name,
    document: Annotated[Path, DOCUMENT],
    where: Where = "local",
    version: Version = None,
) -> None:
    """Show what a file would change in a policy, line by line; exits 1 if it would change it.

    A policy that is not in force yet is compared with `default`, which judges in its place.
    """
    service = connect(where)
    try:
        found = read(service, name, version)
    except DeploymentRefused as refused:
        if version is not None or refused.status != HTTPStatus.NOT_FOUND:
            raise
        found = read(service, DEFAULT.name)
        notes.print(f"{name} is not in force; compared with {found.name}")
    ours = Policy.model_validate({"name": name} | load(name, document))
    theirs = Policy.model_validate({"name": name} | found.policy)
    for line in difflib.unified_diff(
        _lines(theirs), _lines(ours), f"{found.name} {theirs.version}", str(document), lineterm=""
    ):
        console().print(line, highlight=False, markup=False)
    notes.print(f"version {theirs.version} → {ours.version}")
    if theirs.version != ours.version:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def shadow(
    name: Name,
    beside: Annotated[
        str | None, typer.Argument(help="the policy to judge beside it, or name@version")
    ] = None,
    where: Where = "local",
    *,
    off: Annotated[bool, typer.Option("--off", help="let no policy judge beside it")] = False,
    as_json: AsJson = False,
) -> None:
    """Let another policy judge beside one, or show how both compare so far.

    The other one decides nothing. Its votes are paid where it asks other things. Setting it needs
    an operator's key.
    """
    if off and beside is not None:
        raise typer.BadParameter("give either a policy or --off")
    service = connect(where, operator=off or beside is not None)
    path = below("policies", name, "shadow")
    if off:
        found = service.delete(path)
    elif beside is not None:
        found = service.replace(path, {"policy": beside}, {})
    else:
        found = service.get(below("policies", name))
    shown = ShownPolicy.model_validate(found).shadow
    if as_json:
        print_json(None if shown is None else shown.model_dump(mode="json"))
    else:
        _compare(name, shown)


def _compare(name: str, shown: ShadowView | None) -> None:
    """Print how a policy and its shadow compare."""
    if shown is None:
        typer.echo(f"{name} has no shadow.")
        return
    typer.echo(f"{shown.policy} judges beside {name} ({shown.by}, {shown.at:%Y-%m-%d %H:%M}).")
    found = shown.comparison
    if found is None:
        typer.echo(f"{shown.policy} is not in force any more.")
        return
    typer.echo(
        f"{found.changed:,} of {found.judged:,} verdicts change from {found.policy} to"
        f" {found.shadow}; its own votes cost ${found.cost_usd:f}"
    )
    for change, count in found.changes.items():
        typer.echo(f"{change}: {count:,}")


@app.command("try")
def try_(
    name: Name,
    document: Annotated[Path, DOCUMENT],
    texts: Annotated[
        Path | None,
        typer.Argument(
            callback=there,
            help="one text a line; - reads them from stdin",
        ),
    ] = None,
    where: Where = "local",
    verdict: Annotated[list[str] | None, typer.Option(help="the id of a verdict to try on")] = None,
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would change on up to 50 texts or verdicts, and what it would cost.

    The votes are paid. Nothing is put in force. Needs an operator's key.
    """
    lines = [] if texts is None else [line for line in _text(texts).splitlines() if line.strip()]
    body = {
        "policy": load(name, document),
        "texts": lines,
        "verdict_ids": verdict or [],
        "panel": panel,
    }
    given = {field: value for field, value in body.items() if value}
    found = Trial.model_validate(
        connect(where, operator=True).post(below("policies", name, "try"), given)
    )
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    rows = [
        [
            one.verdict_id or lines[one.index or 0],
            one.before or "",
            one.after or "",
            one.skipped or (one.reason if one.changed else ""),
        ]
        for one in found.tried
    ]
    tables.show(console(), TRIED, [rows])
    notes.print(f"{found.changed} of {len(rows)} would change from {found.before} to {found.after}")
    costs = (found.per_thousand_usd_before, found.per_thousand_usd_after)
    if None not in costs:
        notes.print(f"1,000 such texts: ${costs[0]:f} before, ${costs[1]:f} after")
    notes.print(f"the trial cost ${found.cost_usd:f}")


def read(service: Service, name: str, version: str | None = None) -> ShownPolicy:
    """The policy in force, or that version of it."""
    query = {} if version is None else {"version": version}
    return ShownPolicy.model_validate(service.get(below("policies", name), **query))


def chosen(named: str, where: str) -> Policy:
    """The policy in a JSON file, or the one in force of that name, or `name@version`, at `where`.

    Raises `CommandFailed`.
    """
    file = Path(named)
    if file.is_file():
        return Policy.model_validate({"name": file.stem} | load(file.stem, file))
    name, _, version = named.partition("@")
    try:
        found = read(connect(where), name, version or None)
    except DeploymentRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        raise _PolicyBad(
            f"There is no policy {named}: it is neither a file nor in force."
        ) from None
    if found.source == "packaged":
        return DEFAULT
    return Policy.kept(found.name, found.version, found.policy)


def load(name: str, document: Path) -> dict[str, Any]:
    """The document in a file, or on stdin for `-`; raises `CommandFailed` if it is no policy."""
    try:
        read_ = json.loads(_text(document), object_pairs_hook=unrepeated)
        if not isinstance(read_, dict):
            raise _PolicyBad(f"{document} is not a policy: it must be a JSON object.")
        return Policy.model_validate(read_ | {"name": name}).document()
    except ValidationError as error:
        raise _PolicyBad(f"{document} is not a policy: {first_problem(error)}.") from None
    except NameRepeated as problem:
        raise _PolicyBad(f"{document} is not a policy: {problem}.") from None
    except (ValueError, RecursionError):
        raise _PolicyBad(f"{document} is not JSON.") from None


def _text(file: Path) -> str:
    return sys.stdin.read() if file == STANDARD_OUTPUT else file.read_text(encoding="utf-8")


def _lines(policy: Policy) -> list[str]:
    return json.dumps(policy.document(), indent=2, ensure_ascii=False, sort_keys=True).split("\n")
