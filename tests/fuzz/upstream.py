"""Parsers of what models and gateways send."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import httpx
from quorum.core.errors import (
    ModelRefused,
    ReplyUnreadable,
)
from quorum.core.registry import VoteFormat
from quorum.document import schemas
from quorum.document.operations import Work
from quorum.gateway import body, problems, wire
from quorum.gateway.sse import EventReader
from quorum.gateway.stream import Stream
from quorum.vote import guards, packing, reply
from quorum.vote.policy import DEFAULT

from tests.fuzz.checks import Refusals, require
from tests.unit.test_guards import guard
from tests.unit.test_reply import READABLE, UNREADABLE

# ---- what models say ----


REPLIES: list[str] = [str(text) for _, text, *_ in (*READABLE, *UNREADABLE) if text]
MARKERS = ["4f1c2a9b0d3e", "a0b1c2d3e4f5", "00112233aabb"]
PACK = {
    "votes": [
        {
            "text": marker,
            "decision": "unsafe",
            "confidence": 0.9,
            "categories": {"hate": 0.8},
            "reason": "insults",
        }
        for marker in MARKERS
    ]
}
REFUSED: Refusals = (ReplyUnreadable, ModelRefused)
FINISH = ("stop", "length", "content_filter", None, "tool_calls", "")


def read_reply(given: tuple[str, str | None, str | None]) -> None:
    text, finish, refusal = given
    found = reply.read(text, finish_reason=finish, refusal=refusal)
    require(0 <= found.confidence <= 1, "a confidence outside 0 to 1")
    require(len(found.reason) <= 1_000, "a reason without an end")


def read_pack(given: tuple[str, str | None]) -> None:
    found = packing.read(given[0], MARKERS, finish_reason=given[1])
    require(len(found) == len(MARKERS), "not one result for each marker")


def read_guard(given: tuple[VoteFormat, str]) -> None:
    guards.read(guard(given[0]), given[1], DEFAULT)


WORKS = [
    Work.model_validate({"operation": operation, "model": "gpt-4.1-nano"} | more)
    for operation, more in (
        ("summarize", {}),
        ("classify", {}),
        ("translate", {}),
        ("extract", {"schema": {"type": "object", "properties": {"sum": {"type": "integer"}}}}),
        ("custom", {"prompt": "Count."}),
    )
]
ANSWERS = ('{"sum": 3}', '```json\n{"sum": 3,}\n```', "<think>so</think>A summary.", "other")


def read_schema(given: tuple[Any, Any]) -> None:
    wanted, value = given
    if isinstance(wanted, dict) and schemas.refused(wanted) is None:
        schemas.problems(wanted, value)
        schemas.strict(wanted)


SCHEMAS = (
    {
        "type": "object",
        "required": ["sum"],
        "properties": {
            "sum": {"type": "integer", "minimum": 0},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        },
        "$defs": {"line": {"type": "object", "properties": {"of": {"pattern": "^a+$"}}}},
    },
    {"anyOf": [{"type": "string", "format": "date"}, {"enum": [1, None]}]},
)


# ---- what gateways send ----


COMPLETION = {
    "id": "x",
    "model": "gpt-4.1-nano",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": '{"decision": "safe"}', "refusal": None},
            "logprobs": {"content": [{"token": "a", "logprob": -0.1, "bytes": [97]}]},
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
FAILURE = {"error": {"message": "blocked", "type": "invalid_request_error", "code": "429"}}
CHUNKS = tuple(
    f"data: {json.dumps(chunk)}\n\n".encode()
    for chunk in (
        {"model": "m", "choices": [{"index": 0, "delta": {"content": "Hel"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": COMPLETION["usage"]},
        FAILURE,
    )
)
STREAMS = (b"".join(CHUNKS), b"".join(CHUNKS[:3]) + b"data: [DONE]\n\n", b": hi\n\n" + CHUNKS[0])


def split(given: tuple[bytes, list[int]]) -> list[bytes]:
    received, cuts = given
    ends = [0, *sorted(cut % (len(received) + 1) for cut in cuts), len(received)]
    return [received[start:end] for start, end in pairwise(ends)]


def read_events(given: tuple[bytes, list[int]]) -> None:
    whole, parts = EventReader(), EventReader()
    at_once = [*whole.feed(given[0]), *whole.close()]
    piecewise = [event for part in split(given) for event in parts.feed(part)]
    require(at_once == [*piecewise, *parts.close()], "events depend on where packets end")


def read_stream(given: tuple[bytes, list[int]]) -> None:
    stream = Stream()
    for part in split(given):
        stream.feed(part)
    stream.close()
    if stream.complete:
        answer = stream.answer
        usage = answer.usage
        require(usage is None or min(usage.tokens.model_dump().values()) >= 0, "tokens below 0")


def read_body(given: bytes) -> None:
    wire.received(given)
    wire.usage_in_part(given)
    try:
        problems.inside(problems.parsed(given))
        wire.served_models(given)
    except ValueError:
        return


def unpack(given: tuple[bytes, str]) -> None:
    answer = httpx.Response(
        200,
        headers={"content-encoding": given[1]},
        stream=Packed(given[0]),
        request=httpx.Request("POST", "http://gateway"),
    )

    async def read() -> None:
        async for _ in body.pieces(answer, 1_000_000):
            pass

    asyncio.run(read())


class Packed(httpx.AsyncByteStream):
    """A body that arrives in packets of 64 bytes."""

    def __init__(self, whole: bytes) -> None:
        self._whole = whole

    async def __aiter__(self) -> Any:
        for start in range(0, len(self._whole), 64):
            yield self._whole[start : start + 64]
