"""`quorum doctor`: check that the gateway can be reached and takes the key; measure its speed."""

from typing import Annotated

import typer
from quorum.aws import loop
from quorum.core import registry
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.health.doctor import BaseUrlReport, KeyState, Report, examine
from rich.markup import escape
from rich.table import Table

from cli import deployment, entries, loading
from cli.errors import DeploymentUnreachable, ExitCode
from cli.gateway import GATEWAY_URL, KEY_NEEDED, ApiKeys, BaseUrls, parsed
from cli.output import AsJson, console, notes, print_json

SHOWN = 40
"""Names of served models in the table; --json lists more."""


def doctor(
    base_urls: BaseUrls = GATEWAY_URL,
    keys: ApiKeys = "",
    panel: Annotated[
        str, typer.Option(help="the panel whose models must be served: its name, or its JSON file")
    ] = "default",
    seconds: Annotated[
        float, typer.Option(min=1, help="the longest time for each base URL")
    ] = 20.0,
    models: entries.Entries = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check every base URL: its key, its models and its speed.

    Exits with 1 if a key or an answer is wrong, or if a model of the panel is not served. A panel
    without language models needs no key. If neither a key nor a base URL is set, and `make up
    GATEWAY=stand-in` runs, its stand-in is checked.
    """
    checked = parsed(base_urls, keys)
    if not keys and base_urls == GATEWAY_URL and (url := _stand_in()) is not None:
        notes.print(f"No gateway key is set: this is the stand-in at {url}.", highlight=False)
        checked = parse_base_urls(url, "stand-in", key_source="the stand-in")
    put = entries.read(models)
    names = [model.name for model in registry.voters()]
    voters = loading.read_panel(panel, names, put.keys).voters
    gateway = Gateway(GatewaySettings(base_urls=checked))
    known = [model for model in registry.MODELS if model.kind == "gateway"]
    known += [one.model for one in put.values() if one.entry.base_url is None]
    own = entries.gateways(put, lambda: gateway)
    with notes.status("asking the gateway…"):
        report = loop.run(examine(gateway, known, needed=voters, seconds=seconds))
        for one in put.values():
            if one.entry.base_url is not None:
                client = entries.client_of(one, own)
                found = loop.run(examine(client, [one.model], needed=voters, seconds=seconds))
                report = Report(base_urls=report.base_urls + found.base_urls)
                known.append(one.model)
    if as_json:
        print_json(report.model_dump(mode="json") | {"panel": panel, "healthy": report.healthy})
    else:
        for base in report.base_urls:
            _show(base, [model.name for model in known if model.name in voters], panel)
    if any(base.key is KeyState.MISSING for base in report.base_urls):
        notes.print(KEY_NEEDED, highlight=False)
    raise typer.Exit(ExitCode.COMPLETE if report.healthy else ExitCode.ERROR)


def _stand_in() -> str | None:
    """The base URL of the local stack's stand-in, if it has one."""
    try:
        stack = deployment.local_stack()
    except DeploymentUnreachable:
        return None
    return stack.stand_in_url


def _show(base: BaseUrlReport, needed: list[str], panel: str) -> None:
    to = console()
    to.print(_table(base, needed, panel))
    if base.advice:
        to.print(f"[bold red]→[/] {escape(base.advice)}\n", highlight=False)


def _table(base: BaseUrlReport, needed: list[str], panel: str) -> Table:
    table = Table(title=escape(base.url or ""), title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    missing = [f"{name} (not served)" if name in base.models_missing else name for name in needed]
    more = len(base.models_served) - SHOWN
    served = ", ".join(base.models_served[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    rows = (
        ("key", f"{base.key} (from {base.key_source})"),
        (f"panel {panel} asks", ", ".join(missing) or "no gateway model"),
        ("known models", ", ".join(base.models_found) or ("none" if base.models_served else "")),
        ("serves", served),
        ("owned by", ", ".join(base.owners)),
        ("/models", "" if base.latency_ms is None else f"{base.latency_ms} ms"),
        ("measured with", base.measured_with or ""),
        ("first token", "" if base.first_token_ms is None else f"{base.first_token_ms} ms"),
        ("speed", "" if base.tokens_per_second is None else f"{base.tokens_per_second} tokens/s"),
    )
    for name, value in rows:
        if value:
            table.add_row(escape(name), escape(value))
    return table
