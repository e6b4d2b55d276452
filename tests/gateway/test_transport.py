"""Broken answers of gateways become named errors, within bounds of bytes and of time."""

import asyncio
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from itertools import cycle
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import ModelUnavailable, StreamCut, VoteUnavailable
from quorum.gateway import body
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.call import Completion
from quorum.gateway.client import Delta, Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline

GPT = registry.model("gpt-4.1")
QUESTION = [{"role": "user", "content": "Is the sky blue?"}]
ANSWER = json.dumps(
    {
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
).encode()
MEGABYTE = 1024 * 1024
GatewayOf = Callable[..., Gateway]


def complete(gateway: Gateway, seconds: float = 20.0) -> Completion:
    deadline = Deadline.after(seconds)
    return loop.run(gateway.complete(GPT, QUESTION, max_output_tokens=16, deadline=deadline))


def stream(gateway: Gateway, seconds: float = 20.0) -> list[Delta | Completion]:
    async def pieces() -> list[Delta | Completion]:
        deadline = Deadline.after(seconds)
        answering = gateway.stream(GPT, QUESTION, max_output_tokens=16, deadline=deadline)
        return [piece async for piece in answering]

    return loop.run(pieces())


def bare(data: bytes) -> bytes:
    """Deflate without zlib's frame, as many servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(ANSWER)),
        ("GZIP", gzip.compress(ANSWER)),
        ("gzip", gzip.compress(ANSWER[:20]) + gzip.compress(ANSWER[20:])),
        ("gzip", gzip.compress(b"") * 3 + gzip.compress(ANSWER)),
        ("gzip", gzip.compress(ANSWER) + b"and more"),
        ("deflate", zlib.compress(ANSWER)),
        ("deflate", bare(ANSWER)),
        ("deflate", gzip.compress(ANSWER)),
    ],
    ids=[
        "gzip",
        "in capitals",
        "two members",
        "empty members",
        "something behind",
        "deflate",
        "deflate without a frame",
        "gzip called deflate",
    ],
)
def test_an_answer_that_is_packed_unasked_is_unpacked(
    refusing: Any, gateway: GatewayOf, encoding: str, packed: bytes
) -> None:
    there = refusing(200, packed, {"content-encoding": encoding})
    assert complete(gateway(there)).text == "yes"


@pytest.mark.parametrize(
    ("status", "body", "encoding"),
    [
        (200, ANSWER, "gzip"),
        (200, ANSWER, "br"),
        (200, gzip.compress(gzip.compress(ANSWER)), "gzip, gzip"),
        (502, b"<html>", "gzip"),
        (502, b"<html>", "deflate"),
        (200, gzip.compress(b"x" * 64 * MEGABYTE), "gzip"),
        (200, b"x" * 2 * MEGABYTE, "identity"),
        (200, b"[" * MEGABYTE, "identity"),
        (503, gzip.compress(b"x" * 64 * MEGABYTE), "gzip"),
        (503, b"[" * 2 * MEGABYTE, "identity"),
    ],
    ids=[
        "not packed",
        "an encoding not asked for",
        "packed twice",
        "a page that is not packed",
        "a page that is not deflated",
        "a bomb",
        "too large",
        "nested",
        "an error that is a bomb",
        "an error that is nested",
    ],
)
def test_what_cannot_be_unpacked_or_is_too_large_is_tried_at_the_next_base_url(
    refusing: Any, gateway: GatewayOf, status: int, body: bytes, encoding: str
) -> None:
    broken = refusing(status, body, {"content-encoding": encoding})
    answer = complete(gateway(broken, refusing(200, ANSWER)))
    assert (answer.text, answer.attempts) == ("yes", 2)


@pytest.mark.parametrize("status", [200, 500])
def test_a_body_that_unpacks_to_a_gigabyte_takes_no_memory(
    refusing: Any, gateway: GatewayOf, status: int
) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * MEGABYTE) for _ in range(512)) + packer.flush()
    client = gateway(refusing(status, bomb, {"content-encoding": "gzip"}), max_attempts=1)
    tracemalloc.start()
    with pytest.raises(ModelUnavailable):
        complete(client)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * MEGABYTE


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"data: " + b"x" * 6 * MEGABYTE, "identity"),
        (b"data: x\n" * MEGABYTE, "identity"),
        (gzip.compress(b"data:" + b" " * 64 * MEGABYTE), "gzip"),
        (b"data: {}\n\n", "gzip"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "identity"),
    ],
    ids=["a long line", "a long event", "a bomb", "not packed as it says", "nested"],
)
def test_a_stream_without_end_or_form_is_cut_with_its_cost(
    refusing: Any, gateway: GatewayOf, body: bytes, encoding: str
) -> None:
    with pytest.raises(StreamCut) as caught:
        stream(gateway(refusing(200, body, {"content-encoding": encoding})))
    assert caught.value.cost_estimated


@pytest.mark.parametrize("status", [200, 500])
def test_bytes_that_drip_in_are_waited_for_no_longer_than_the_deadline(
    gateway: GatewayOf, status: int
) -> None:
    import asyncio  # noqa: PLC0415 - the server's own loop

    from fakes.gateway import serving  # noqa: PLC0415 - as above

    async def dripping(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)

    started = time.monotonic()
    with serving(dripping) as there, pytest.raises(VoteUnavailable) as caught:
        complete(gateway(there, max_attempts=1), seconds=0.6)
    assert time.monotonic() - started < 5
    assert (caught.value.cost_usd > 0) is (status == 200)


@given(st.binary(max_size=3_000), st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_however_a_packed_body_is_cut_into_pieces_it_is_the_same(
    data: bytes, sizes: list[int]
) -> None:
    async def sent(packed: bytes) -> AsyncIterator[bytes]:
        rest, size = packed, cycle(sizes)
        while rest:
            length = next(size)
            yield rest[:length]
            rest = rest[length:]

    async def unpacked(encoding: str, packed: bytes) -> bytes:
        headers = {"content-encoding": encoding}
        return bytes(
            await body.whole(httpx.Response(200, headers=headers, content=sent(packed)), 10_000)
        )

    for encoding, packed in (
        ("gzip", gzip.compress(data)),
        ("deflate", zlib.compress(data)),
        ("deflate", bare(data)),
    ):
        assert loop.run(unpacked(encoding, packed)) == data


class Arriving(httpx.AsyncByteStream):
    """A body whose chunks arrive at once, up to each None, where `more` is waited for."""

    def __init__(self, *chunks: bytes | None, failure: Exception | None = None) -> None:
        self._chunks = chunks
        self._failure = failure
        self.more = asyncio.Event()
        self.read = 0
        self.left = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self._chunks:
                if chunk is None:
                    await self.more.wait()
                else:
                    self.read += len(chunk)
                    yield chunk
            if self._failure is not None:
                raise self._failure
        finally:
            self.left = True

    def joined(self, seconds: float = 20.0) -> AsyncGenerator[bytes]:
        return body.joined(httpx.Response(200, stream=self), MEGABYTE, seconds)


def test_chunks_that_arrive_at_once_are_one_piece_and_later_ones_another() -> None:
    async def scenario() -> None:
        there = Arriving(b"a", b"", b"b", None, b"c")
        pieces = there.joined()
        assert await anext(pieces) == b"ab"
        there.more.set()
        assert [piece async for piece in pieces] == [b"c"]

    asyncio.run(scenario())


def test_no_more_is_read_ahead_than_may_be_held() -> None:
    async def scenario() -> None:
        there = Arriving(*[b"x" * 1_000] * 100)
        pieces = there.joined()
        sizes = [len(await anext(pieces))]
        await asyncio.sleep(0.01)  # it is read as far ahead as it may be
        assert there.read - sizes[0] < body.HELD_BYTES + 1_000
        sizes += [len(piece) async for piece in pieces]
        assert sum(sizes) == 100_000
        assert max(sizes) < body.HELD_BYTES + 1_000

    asyncio.run(scenario())


def test_what_arrived_before_an_error_is_taken_before_it_is_raised() -> None:
    async def scenario() -> None:
        pieces = Arriving(b"a", b"b", failure=httpx.ReadError("lost")).joined()
        assert await anext(pieces) == b"ab"
        with pytest.raises(httpx.ReadError):
            await anext(pieces)

    asyncio.run(scenario())


def test_a_body_that_nobody_takes_any_more_is_not_read_on() -> None:
    async def scenario() -> None:
        there = Arriving(b"a", None)
        async with aclosing(there.joined()) as pieces:
            assert await anext(pieces) == b"a"
        assert there.left

    asyncio.run(scenario())


def test_a_body_that_stops_is_waited_for_no_longer_than_told() -> None:
    async def scenario() -> None:
        pieces = Arriving(b"a", None).joined(seconds=0.05)
        assert await anext(pieces) == b"a"
        with pytest.raises(TimeoutError):
            await anext(pieces)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [201, 203])
def test_an_answer_of_another_status_is_one_and_is_paid(
    refusing: Any, gateway: GatewayOf, status: int
) -> None:
    answer = complete(gateway(refusing(status, ANSWER)))
    assert (answer.text, answer.tokens.total) == ("yes", 10)


def test_a_byte_that_is_no_text_spoils_no_answer(refusing: Any, gateway: GatewayOf) -> None:
    there = refusing(200, ANSWER.replace(b"yes", b"y\xffs"))
    assert complete(gateway(there)).text == "y\ufffds"


def test_a_redirect_is_not_followed(refusing: Any, gateway: GatewayOf) -> None:
    elsewhere = refusing(200, ANSWER)
    there = refusing(307, b"", {"location": f"{elsewhere}/chat/completions"})
    with pytest.raises(VoteUnavailable, match="307"):
        complete(gateway(there))
    assert refusing.asked == 1


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"7", b'{"data": [7]}', b'{"data": {"id": "x"}}', b"{}", b"x" * 9 * MEGABYTE],
    ids=["nested", "a number", "a list of numbers", "an object", "nothing", "too large"],
)
def test_a_list_of_models_that_is_none_is_named_so(
    refusing: Any, gateway: GatewayOf, body: bytes
) -> None:
    client = gateway(refusing(200, body))
    with pytest.raises(ModelUnavailable):
        loop.run(client.models(client.base_urls[0], deadline=Deadline.after(5)))


@given(
    status=st.sampled_from([200, 200, 200, 301, 400, 401, 429, 500]),
    body=st.binary(max_size=200)
    | st.sampled_from([ANSWER, b'{"choices": [{"message": {"content": "\\ud83d"}}]}', b"[" * 9_999])
    | st.text(max_size=50).map(lambda text: f"data: {text}\n\n".encode()),
    headers=st.dictionaries(
        st.sampled_from(["content-encoding", "retry-after", "content-type", "retry-after-ms"]),
        st.sampled_from(["gzip", "br", "x" * 99, "nan", "-1", "0", "1e999", "Mon, 99 Jan 0"]),
        max_size=3,
    ),
)
def test_nothing_but_the_named_errors_comes_of_whatever_a_gateway_says(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body, headers=headers))
    settings = GatewaySettings(
        base_urls=parse_base_urls("https://one.example/v1", "k"),
        max_attempts=2,
        backoff_seconds=0,
        backoff_cap_seconds=0,
    )
    for ask in (complete, stream):
        with suppress(VoteUnavailable, StreamCut):
            ask(Gateway(settings, transport=transport), 0.5)
