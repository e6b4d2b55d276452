"""The gateway's connections: used again, bounded, closed when they were idle for long."""

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from quorum.gateway.connections import Connections

from fakes.gateway import Fault, ModelScenario, Scenario, StandIn, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ASKED = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture
def there() -> "Iterator[StandIn]":
    with running(Scenario(every_model=ModelScenario(latency_ms=20))) as stand_in:
        yield stand_in


def client(keepalive_expiry: float = 5.0, **limits: int) -> httpx.AsyncClient:
    bounds = {"max_connections": 10, "max_keepalive_connections": 10} | limits
    return httpx.AsyncClient(
        transport=Connections(httpx.Limits(**bounds, keepalive_expiry=keepalive_expiry))
    )


async def ask(http: httpx.AsyncClient, there: StandIn, pool_seconds: float = 5.0) -> int:
    url, timeout = f"{there.base_url}/chat/completions", httpx.Timeout(5, pool=pool_seconds)
    return (await http.post(url, json=ASKED, timeout=timeout)).status_code


def test_calls_at_once_have_a_connection_each_which_later_calls_use_again(there: StandIn) -> None:
    async def rounds() -> None:
        async with client() as http:
            for _ in range(3):
                answers = await asyncio.gather(*(ask(http, there) for _ in range(4)))
                assert answers == [200] * 4

    asyncio.run(rounds())
    assert len(there.count.connections) == 4


def test_there_are_never_more_connections_than_allowed(there: StandIn) -> None:
    async def crowd() -> list[int]:
        async with client(max_connections=2) as http:
            return await asyncio.gather(*(ask(http, there) for _ in range(8)))

    assert asyncio.run(crowd()) == [200] * 8
    assert len(there.count.connections) == 2


def test_a_call_that_gets_no_connection_in_time_fails_and_takes_nobodys_place(
    there: StandIn,
) -> None:
    async def crowd() -> None:
        async with client(max_connections=1) as http:
            first = asyncio.create_task(ask(http, there))
            await asyncio.sleep(0.005)
            with pytest.raises(httpx.PoolTimeout):
                await ask(http, there, pool_seconds=0.001)
            assert await first == 200
            assert await ask(http, there) == 200

    asyncio.run(crowd())


def test_no_more_idle_connections_are_kept_than_allowed(there: StandIn) -> None:
    async def crowds() -> None:
        async with client(max_keepalive_connections=1) as http:
            for _ in range(2):
                await asyncio.gather(*(ask(http, there) for _ in range(3)))

    asyncio.run(crowds())
    assert len(there.count.connections) == 5  # three, and two more beside the one that was kept


def test_a_connection_that_was_idle_too_long_is_not_used_again(there: StandIn) -> None:
    async def twice() -> None:
        async with client(keepalive_expiry=0.01) as http:
            await ask(http, there)
            await asyncio.sleep(0.02)
            await ask(http, there)

    asyncio.run(twice())
    assert len(there.count.connections) == 2


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CUT])
def test_a_call_that_fails_or_is_cancelled_gives_its_place_back(
    there: StandIn, fault: Fault
) -> None:
    there.scenario = there.scenario.model_copy(update={"script": (fault,) * 3})

    async def one_after_the_other() -> None:
        async with client(max_connections=1) as http:
            for _ in range(3):
                with pytest.raises(httpx.HTTPError):
                    await ask(http, there)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await ask(http, there)
            assert await ask(http, there, pool_seconds=0.5) == 200

    asyncio.run(one_after_the_other())


def test_a_body_that_is_not_read_to_its_end_frees_the_place(there: StandIn) -> None:
    async def begun() -> None:
        url = f"{there.base_url}/chat/completions"
        async with client(max_connections=1) as http:
            for _ in range(2):
                async with http.stream("POST", url, json=ASKED | {"stream": True}) as response:
                    pieces: AsyncIterator[bytes] = response.aiter_raw()
                    await anext(pieces)
            assert await ask(http, there, pool_seconds=0.5) == 200

    asyncio.run(begun())


def test_a_connection_in_use_is_closed_as_soon_as_it_is_free(there: StandIn) -> None:
    async def closing() -> int:
        http = client()
        asking = asyncio.create_task(ask(http, there))
        await asyncio.sleep(0.005)
        await http.aclose()
        return await asking

    assert asyncio.run(closing()) == 200
