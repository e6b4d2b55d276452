"""The options of commands that call the gateway themselves, without a deployment."""

from typing import Annotated

import typer
from quorum.gateway.base_urls import NO_KEY, BaseUrl, parse_base_urls

GATEWAY_URL = "https://api.holysheep.ai/v1"
"""The base URL if no other is set; the template's default too."""
KEY_VARIABLE = "GATEWAY_API_KEY"

KEY_NEEDED = (
    f"No gateway key is set. Set {KEY_VARIABLE}, in the environment or in .env; a deployment in AWS"
    " takes its key from the secret that its output GatewaySecret names."
    " `make up GATEWAY=stand-in` needs no key."
)

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
    """The base URLs, each with its key or `NO_KEY`; raises `typer.BadParameter`."""
    try:
        return parse_base_urls(base_urls or GATEWAY_URL, keys.strip() or NO_KEY)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
