"""Stand-ins for the gateway over real sockets, and clients to them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Protocol

import pytest
from quorum.aws import loop
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings

from fakes.gateway import Fault, Scenario, StandIn, running, serving

KEY = "sk-made-up-and-secret"


class StandIns(Protocol):
    """A function that starts a stand-in with the given fields of a scenario."""

    def __call__(self, *script: Fault, **scenario: Any) -> StandIn: ...


@pytest.fixture
def stand_in() -> Iterator[StandIns]:
    """Start stand-ins that meet the faults of a script, and answer as they should after it."""
    with ExitStack() as started:

        def start(*script: Fault, **scenario: Any) -> StandIn:
            return started.enter_context(running(Scenario(script=script, **scenario)))

        yield start


@pytest.fixture
def gateway() -> Iterator[Callable[..., Gateway]]:
    """Build a client for one or more stand-ins; it backs off for milliseconds only."""
    built: list[Gateway] = []

    def build(*stand_ins: StandIn | str, **options: Any) -> Gateway:
        urls = [one if isinstance(one, str) else one.base_url for one in stand_ins]
        shared = {name: options.pop(name) for name in ("breaker", "limiter") if name in options}
        settings = GatewaySettings(
            base_urls=parse_base_urls(",".join(urls), KEY),
            **({"backoff_seconds": 0.005, "backoff_cap_seconds": 0.02} | options),
        )
        built.append(Gateway(settings, **shared))
        return built[-1]

    yield build
    for one in built:
        loop.run(one.close())


class Refusing:
    """A gateway with one answer to every request, and a count of the requests."""

    def __init__(self, started: ExitStack) -> None:
        self.asked = 0
        self._started = started

    def __call__(
        self,
        status: int,
        body: str | bytes = '{"error": {"code": "no"}}',
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        sending = body if isinstance(body, bytes) else body.encode()

        async def app(_scope: Any, receive: Any, send: Any) -> None:
            self.asked += 1
            while (await receive()).get("more_body"):
                pass
            sent = {"content-length": str(len(sending))} | dict(headers)
            encoded = [(name.encode(), value.encode()) for name, value in sent.items()]
            await send({"type": "http.response.start", "status": status, "headers": encoded})
            await send({"type": "http.response.body", "body": sending})

        return self._started.enter_context(serving(app))


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    """Start a server that answers everything with one status and body; gives its base URL."""
    with ExitStack() as started:
        yield Refusing(started)
