"""The options of commands that call the gateway themselves, without a deployment."""

from typing import Annotated

import typer
from quorum.gateway.base_urls import BaseUrl, parse_base_urls

GATEWAY_URL = "https://api.holysheep.ai/v1"
"""The base URL if no other is set; the template's default too."""
KEY_VARIABLE = "GATEWAY_API_KEY"

BaseUrls = Annotated[
    str,
    typer.Option(
        "--base-url",
        envvar="GATEWAY_BASE_URL",
        help="one OpenAI-compatible base URL or several, in order, separated by commas",
    ),
]
ApiKeys = Annotated[
    str,
    typer.Option(
        "--api-key",
        envvar=KEY_VARIABLE,
        show_default=False,
        help="one key for all, or one for each base URL, separated by commas",
    ),
]


def parsed(base_urls: str, keys: str) -> tuple[BaseUrl, ...]:
    """The base URLs with their keys; raises `typer.BadParameter`."""
    try:
        return parse_base_urls(base_urls or GATEWAY_URL, keys)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
