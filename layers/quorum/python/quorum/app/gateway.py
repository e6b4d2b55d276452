"""The container of functions that call a gateway, whose keys come from Secrets Manager."""

import json
from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.container import Container
from quorum.aws import loop
from quorum.gateway import breaker
from quorum.gateway.base_urls import BaseUrl, RotatingBaseUrls, parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.model_gateways import SECRET, ModelGateways
from quorum.gateway.model_hosts import ModelHosts

if TYPE_CHECKING:
    from quorum.app.settings import AskSettings


class GatewayContainer(Container):
    """The members of functions that call a gateway."""

    settings: "AskSettings"

    def close(self) -> None:
        """Close also the connections to gateways."""
        super().close()
        for name in ("gateway", "model_gateways"):
            if name in vars(self):
                loop.run(getattr(self, name).close())

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway client; its connections stay open between calls and changes of keys.

        Raises `StoreUnavailable` if no key can be read; the next use tries again.
        """
        return Gateway(
            GatewaySettings(base_urls=self.base_urls.current()),
            breaker=breaker.in_table(self.dynamodb, self.settings.usage_table),
            limiter=self.limiter,
            base_urls=self.base_urls,
        )

    @cached_property
    def model_gateways(self) -> ModelGateways:
        """The clients of models that were put as data."""
        return ModelGateways(
            ModelHosts(self.settings.allowed_model_hosts),
            lambda: self.gateway,
            self.read_keys,
            gateway_urls=self.settings.gateway_base_url,
            breaker=lambda: breaker.in_table(self.dynamodb, self.settings.usage_table),
            limiter=lambda: self.limiter,
        )

    @cached_property
    def base_urls(self) -> RotatingBaseUrls:
        """The gateway's addresses with their current keys."""
        return RotatingBaseUrls(self.read_base_urls)

    def read_base_urls(self) -> tuple[BaseUrl, ...]:
        """The gateway's addresses, each with its key in the current secret.

        The secret is one key for every base URL, several separated by commas, or a JSON object from
        base URL or host to key. Raises what Secrets Manager raises, and `ValueError` for a secret
        that fits no base URL; its message does not quote the secret.
        """
        return parse_base_urls(self.settings.gateway_base_url, self.read_keys(), key_source=SECRET)

    def read_keys(self) -> str | dict[str, object]:
        """The current secret: a text, or what its JSON object holds."""
        found = self.secrets.get_secret_value(SecretId=self.settings.gateway_secret)
        secret = found["SecretString"].strip()
        keys: str | dict[str, object] = json.loads(secret) if secret.startswith("{") else secret
        return keys
