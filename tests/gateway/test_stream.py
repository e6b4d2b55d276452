"""Streamed answers: typed pieces, and an error where the stream is incomplete."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import GatewayRejected, StreamCut
from quorum.gateway.call import Completion
from quorum.gateway.client import Delta, Gateway
from quorum.gateway.deadline import Deadline

from fakes.gateway import Fault, ModelScenario

MODEL = registry.model("gpt-4.1-nano")
QUESTION = [{"role": "user", "content": "Tell me something."}]
GatewayOf = Callable[..., Gateway]


def stream(gateway: Gateway, *, seconds: float = 20.0, tokens: int = 32) -> list[Any]:
    async def pieces() -> list[Any]:
        return [
            piece
            async for piece in gateway.stream(
                MODEL, QUESTION, max_output_tokens=tokens, deadline=Deadline.after(seconds)
            )
        ]

    return loop.run(pieces())


def test_a_stream_is_its_pieces_and_last_of_all_what_they_came_to(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(keep_alive_comments=True)
    *pieces, last = stream(gateway(there))
    assert all(isinstance(piece, Delta) for piece in pieces)
    assert isinstance(last, Completion)
    assert last.text == "".join(piece.text for piece in pieces)
    assert last.tokens.output == 32
    assert last.cost_usd == there.count.cost_usd
    assert not last.cost_estimated
    assert last.finish_reason == "stop"
    assert last.first_token_ms is not None


def test_streams_that_come_all_at_once_leave_their_connection_to_the_next(
    stand_in: Any, gateway: GatewayOf
) -> None:
    client = gateway(stand_in())
    ended = [stream(client, tokens=400)[-1] for _ in range(5)]
    assert [last.attempts for last in ended] == [1] * 5
    assert all(last.latency_ms < 2_000 for last in ended)


def test_a_stream_that_does_not_begin_is_tried_elsewhere(stand_in: Any, gateway: GatewayOf) -> None:
    first, second = stand_in(Fault.UNAVAILABLE), stand_in()
    assert stream(gateway(first, second))[-1].served_by == second.base_url


def test_a_stream_that_is_refused_says_so(stand_in: Any, gateway: GatewayOf) -> None:
    with pytest.raises(GatewayRejected):
        stream(gateway(stand_in(keys={"another": "tenant"})))


def test_a_stream_cut_before_done_carries_what_arrived_and_what_it_cost(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(Fault.CUT)
    with pytest.raises(StreamCut) as caught:
        stream(gateway(there))
    cut = caught.value
    arrived = re.findall(r"\w+|[^\w\s]", cut.received)  # the stand-in's tokens
    assert 0 < len(arrived) <= 16
    assert cut.tokens.output == len(arrived)
    assert cut.cost_estimated
    assert 0 < cut.cost_usd <= there.count.cost_usd
    assert there.count.requests == 1


def test_a_stream_that_is_not_over_by_the_deadline_is_cut(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(every_model=ModelScenario(tokens_per_second=20))
    with pytest.raises(StreamCut, match="Timeout") as caught:
        stream(gateway(there), seconds=0.4)
    assert 0 < len(caught.value.received.split()) < 32


def test_without_a_usage_chunk_the_pieces_are_counted(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(Fault.NO_USAGE)
    last = stream(gateway(there))[-1]
    assert last.cost_estimated
    assert last.tokens.output == pytest.approx(32, abs=1)


def _event(**chunk: Any) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


PIECE = _event(choices=[{"delta": {"content": "half"}}])
USAGE = _event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 1})


@pytest.mark.parametrize(
    "body",
    [
        PIECE,
        PIECE + 'data: {"choices": [{"delta": {"content": " more"}}',
        PIECE + 'data: {"choices": [{"del\n\n' + "data: [DONE]\n\n",
        PIECE + _event(error={"message": "overloaded"}) + "data: [DONE]\n\n",
        PIECE + USAGE,
        PIECE + 'event: error\ndata: {"message": "overloaded", "code": 503}\n\n',
    ],
    ids=[
        "closed",
        "half an event",
        "a broken chunk",
        "an error inside",
        "no finish reason and no DONE",
        "an event that is an error",
    ],
)
def test_no_stream_looks_complete_that_is_not(
    refusing: Callable[..., str], gateway: GatewayOf, body: str
) -> None:
    with pytest.raises(StreamCut) as caught:
        stream(gateway(refusing(200, body)))
    assert caught.value.received == "half"
    assert caught.value.cost_estimated is ("usage" not in body)


STOP = _event(choices=[{"delta": {}, "finish_reason": "stop"}])


@pytest.mark.parametrize(
    "body",
    [
        PIECE + STOP + USAGE,
        PIECE + STOP + USAGE + "data: [DONE]",
        PIECE + STOP + USAGE + "data: [DONE]\n",
        PIECE + STOP + USAGE.rstrip(),
        (PIECE + STOP + USAGE).replace("\n", "\r\n") + "data: [DONE]\r\n\r\n",
        ": hello\n\n" + PIECE + "data:\n\n" + STOP + "\n\n: ping\n\n" + USAGE + "data:\n\n",
        PIECE.replace("data: ", "event: message\ndata:") + STOP + USAGE,
        PIECE + USAGE + STOP + 'data: {"choi',
    ],
    ids=[
        "no DONE",
        "DONE without its line end",
        "DONE without its blank line",
        "the last chunk without its blank line",
        "CR LF",
        "comments and empty data",
        "a named event, no blank after the colon",
        "half an event after the finish reason",
    ],
)
def test_a_stream_with_a_finish_reason_is_whole_however_its_end_is_written(
    refusing: Callable[..., str], gateway: GatewayOf, body: str
) -> None:
    last = stream(gateway(refusing(200, body)))[-1]
    assert (last.text, last.finish_reason) == ("half", "stop")
    assert (last.tokens.input, last.tokens.output, last.cost_estimated) == (7, 1, False)


@pytest.mark.parametrize(
    ("chunk", "finish"),
    [
        ({"choices": [{"delta": {}, "finish_reason": "SAFETY"}]}, "content_filter"),
        ({"choices": [{"delta": {}, "finish_reason": "MAX_TOKENS"}]}, "length"),
        ({"choices": [{"finish_reason": "insufficient_system_resource"}]}, "error"),
        ({"error": {"code": "content_filter", "message": "blocked"}}, "content_filter"),
        ({"prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]},
         "content_filter"),
    ],
)  # fmt: skip
def test_how_a_stream_ended_is_said_in_one_vocabulary(
    refusing: Callable[..., str], gateway: GatewayOf, chunk: Any, finish: str
) -> None:
    last = stream(gateway(refusing(200, PIECE + USAGE + _event(**chunk))))[-1]
    assert (last.text, last.finish_reason) == ("half", finish)


def test_a_stream_without_a_choice_is_a_prompt_that_was_blocked(
    refusing: Callable[..., str], gateway: GatewayOf
) -> None:
    last = stream(gateway(refusing(200, _event(choices=[]) + USAGE + "data: [DONE]\n\n")))[-1]
    assert (last.text, last.finish_reason) == ("", "content_filter")


def test_nothing_after_done_counts(refusing: Callable[..., str], gateway: GatewayOf) -> None:
    last = stream(gateway(refusing(200, PIECE + USAGE + "data: [DONE]\n\n" + PIECE)))[-1]
    assert last.text == "half"
    assert (last.tokens.input, last.tokens.output) == (7, 1)
