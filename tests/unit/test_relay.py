"""The chat's relay: pieces are buffered, posted together, and bounded for a slow client."""

import asyncio
from collections.abc import Coroutine
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.chat import chat
from quorum.chat.relay import MESSAGE_CHARACTERS, Relay

FOREVER = 3_600.0


class Client:
    """Takes messages as fast as a test lets it; `shut` takes none."""

    def __init__(self, *, shut: bool = False) -> None:
        self.messages: list[str] = []
        self.open = asyncio.Event()
        if not shut:
            self.open.set()

    async def take(self, index: int, text: str) -> None:
        assert index == len(self.messages)
        self.messages.append(text)
        await self.open.wait()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


async def settled() -> None:
    """Let every task go on as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_the_first_piece_waits_for_nothing_and_the_next_ones_go_together() -> None:
    async def scenario() -> None:
        client = Client()
        relay = Relay(client.take, interval_seconds=FOREVER)
        sending = asyncio.create_task(relay.run())
        for piece in ("a", "b", "c"):
            await relay.add(piece)
            await settled()
        assert client.messages == ["a"]
        await relay.close()
        await sending
        assert client.messages == ["a", "bc"]
        assert relay.sent == 2

    run(scenario())


def test_what_comes_while_a_message_is_under_way_goes_out_together_after_it() -> None:
    async def scenario() -> None:
        client = Client(shut=True)
        relay = Relay(client.take, interval_seconds=0.0)
        sending = asyncio.create_task(relay.run())
        for piece in "abcdef":
            await relay.add(piece)
            await settled()
        assert client.messages == ["a"]
        client.open.set()
        await relay.close()
        await sending
        assert client.messages == ["a", "bcdef"]

    run(scenario())


def test_it_has_begun_when_the_first_message_is_sent_and_not_before() -> None:
    async def scenario() -> None:
        client = Client(shut=True)
        relay = Relay(client.take, interval_seconds=FOREVER)
        sending = asyncio.create_task(relay.run())
        begun = asyncio.create_task(relay.begun())
        await relay.add("a")
        await settled()
        assert not begun.done()
        client.open.set()
        await begun
        await relay.close()
        await sending

    run(scenario())


def test_a_full_pile_holds_up_whoever_adds_to_it() -> None:
    async def scenario() -> None:
        client = Client(shut=True)
        relay = Relay(client.take, interval_seconds=0.0, limit=4)
        added: list[str] = []

        async def read() -> None:
            for piece in ascii_lowercase:
                await relay.add(piece)
                added.append(piece)

        sending = asyncio.create_task(relay.run())
        reading = asyncio.create_task(read())
        await settled()
        # One message under way, and a full pile.
        assert len(added) <= 2 * 4
        client.open.set()
        await reading
        await relay.close()
        await sending
        assert "".join(client.messages) == ascii_lowercase

    run(scenario())


def test_a_message_that_is_full_does_not_wait_for_its_time() -> None:
    async def scenario() -> None:
        client = Client()
        relay = Relay(client.take, interval_seconds=FOREVER)
        sending = asyncio.create_task(relay.run())
        await relay.add("a")
        await settled()
        await relay.add("b" * (MESSAGE_CHARACTERS + 1))
        await settled()
        assert [len(text) for text in client.messages] == [1, MESSAGE_CHARACTERS]
        await relay.close()
        await sending
        assert client.messages[-1] == "b"

    run(scenario())


def test_who_cannot_be_sent_to_ends_the_sending() -> None:
    async def scenario() -> None:
        async def gone(_index: int, _text: str) -> None:
            raise ConnectionError

        relay = Relay(gone)
        await relay.add("a")
        with pytest.raises(ConnectionError):
            await relay.run()

    run(scenario())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=9_000), max_size=8))
def test_every_text_arrives_whole_in_frames_of_a_fair_size(pieces: list[str]) -> None:
    async def scenario() -> None:
        client = Client()
        relay = Relay(client.take, interval_seconds=0.0)
        sending = asyncio.create_task(relay.run())
        for piece in pieces:
            await relay.add(piece)
        await relay.close()
        await sending
        assert "".join(client.messages) == "".join(pieces)
        for index, text in enumerate(client.messages):
            assert len(chat.written(chat.token("r" * 128, index, text))) <= chat.FRAME_BYTES

    run(scenario())
