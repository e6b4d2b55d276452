"""The container's gateway client, with its keys out of Secrets Manager."""

import json
from functools import cached_property
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities import parameters

from quorum.app.clients import client_config
from quorum.app.container import Container
from quorum.gateway import breaker
from quorum.gateway.base_urls import RotatingBaseUrls
from quorum.gateway.client import BaseUrl, Gateway, GatewaySettings, parse_base_urls

if TYPE_CHECKING:
    from quorum.app.settings import AskSettings


class GatewayContainer(Container):
    """What functions use that ask a gateway."""

    settings: "AskSettings"

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway client; its connections stay open between calls.

        Raises `StoreUnavailable` if no key can be read.
        """
        return Gateway(
            GatewaySettings(base_urls=self.base_urls.current()),
            breaker=breaker.in_table(self.dynamodb, self.settings.usage_table),
            limiter=self.limiter,
            base_urls=self.base_urls,
        )

    @cached_property
    def base_urls(self) -> RotatingBaseUrls:
        """The gateway's addresses with their keys, read again when a key may have been rotated."""
        return RotatingBaseUrls(self.read_base_urls)

    @cached_property
    def secrets(self) -> parameters.SecretsProvider:
        """Secrets Manager. Nothing is cached here: `RotatingBaseUrls` knows when to look again."""
        return parameters.SecretsProvider(boto_config=client_config())

    def read_base_urls(self) -> tuple[BaseUrl, ...]:
        """The gateway's addresses, each with the key that the secret has for it now.

        The secret is one key for every base URL, or a JSON object from base URL or host to key.
        Raises what Secrets Manager raises, and `ValueError` for a secret that fits no base URL.
        """
        secret = str(self.secrets.get(self.settings.gateway_secret, force_fetch=True))
        keys: str | dict[str, object] = json.loads(secret) if secret.startswith("{") else secret
        return parse_base_urls(
            self.settings.gateway_base_url, keys, key_source="the secret GatewaySecret"
        )
