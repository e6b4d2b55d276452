"""`quorum doctor`: whether the gateway can be reached, the key is good, and how fast it is."""

from typing import Annotated

import typer
from quorum.aws import loop
from quorum.core import registry
from quorum.gateway.client import Gateway, GatewaySettings, parse_base_urls
from quorum.health.doctor import BaseUrlReport, examine
from rich.console import Console
from rich.table import Table


def doctor(
    base_urls: Annotated[
        str,
        typer.Option(
            "--base-url",
            envvar="GATEWAY_BASE_URL",
            help="one OpenAI-compatible base URL or several, in order, separated by commas",
        ),
    ],
    keys: Annotated[
        str,
        typer.Option(
            "--api-key",
            envvar="GATEWAY_API_KEY",
            show_default=False,
            help="one key for all, or one for each base URL, separated by commas",
        ),
    ] = "",
    seconds: Annotated[float, typer.Option(help="to take for each base URL at most")] = 20.0,
) -> None:
    """Look at every base URL: its key, its models, its speed. Exits 1 if anything is wrong."""
    console = Console()
    try:
        found = parse_base_urls(base_urls, keys)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    gateway = Gateway(GatewaySettings(base_urls=found))
    models = [model for model in registry.MODELS if model.kind == "gateway"]
    with console.status("asking the gateway…"):
        report = loop.run(examine(gateway, models, seconds=seconds))
    for base in report.base_urls:
        console.print(_table(base))
        if base.advice:
            console.print(f"[bold red]→[/] {base.advice}\n", highlight=False)
    raise typer.Exit(0 if report.healthy else 1)


def _table(base: BaseUrlReport) -> Table:
    table = Table(title=base.url, title_justify="left", show_header=False, min_width=60)
    rows = (
        ("key", f"{base.key} (from {base.key_source})"),
        ("models", ", ".join(base.models_found)),
        ("missing", ", ".join(base.models_missing)),
        ("/models", "" if base.latency_ms is None else f"{base.latency_ms} ms"),
        ("measured with", base.measured_with or ""),
        ("first token", "" if base.first_token_ms is None else f"{base.first_token_ms} ms"),
        ("speed", "" if base.tokens_per_second is None else f"{base.tokens_per_second} tokens/s"),
    )
    for name, value in rows:
        if value:
            table.add_row(name, value)
    return table
