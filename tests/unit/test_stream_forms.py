"""Streams in the forms that gateways send them: whole, cut, failed or blocked."""

import json
from typing import Any

import pytest
from quorum.gateway.finish import Finish
from quorum.gateway.stream import Stream

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
DONE = "data: [DONE]\n\n"


def chunk(piece: str | None = None, end: str | None = None, **more: Any) -> str:
    """An event of a chunk; fields in `more` with `choice_` are the choice's."""
    choice: dict[str, Any] = {"index": 0, "delta": {"content": piece}, "finish_reason": end}
    choice |= {name[7:]: value for name, value in more.items() if name.startswith("choice_")}
    body = {name: value for name, value in more.items() if not name.startswith("choice_")}
    return f"data: {json.dumps({'choices': [choice]} | body)}\n\n"


def read(*events: str) -> tuple[Stream, str]:
    stream = Stream()
    pieces = [piece for event in events for piece in stream.feed(event.encode())]
    pieces += stream.close()
    return stream, "".join(pieces)


@pytest.mark.parametrize(
    "events",
    [
        (chunk("yes"), chunk(end="stop"), DONE),
        (chunk("yes"), chunk(end="stop")),
        (chunk("yes"), chunk(end="stop").rstrip("\n")),
        (chunk("yes"), "data: [DONE]"),
        (": ping\n\n", chunk("yes"), "data:\n\n", ":\n\n", chunk(end="stop"), DONE),
        ("\ufeff" + chunk("yes").replace("\n", "\r\n"), chunk(end="stop").replace("\n", "\r")),
        ('data: {"choices": [{"delta": {"content": "yes"},\ndata: "finish_reason": "stop"}]}\n\n',),
        ('data:{"choices":[{"index":0,"message":{"content":"yes"},"finish_reason":"stop"}]}\n\n',),
        ('event: ping\ndata: {"type": "ping"}\n\n', chunk("yes", "STOP"), DONE),
        ('data: {"choices": null}\n\n', chunk("yes", choice_index=None), chunk(end="stop"), DONE),
    ],
)  # fmt: skip
def test_a_whole_stream_is_whole_in_every_form(events: tuple[str, ...]) -> None:
    stream, text = read(*events)
    assert stream.complete
    assert (text, stream.answer.finish) == ("yes", Finish.WHOLE)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (chunk("yes"),),
        (chunk("yes"), chunk(end="stop")[:-12]),
        (chunk("yes"), 'event: error\ndata: {"error": {"type": "overloaded_error"}}\n\n'),
        (chunk("yes"), "event: error\ndata: it broke\n\n", DONE),
        (chunk("yes"), chunk("", "error", error={"code": 502}), DONE),
        (chunk("yes"), chunk("", "error", choice_error={"code": 429, "message": "busy"}), DONE),
        ("<html>bad gateway</html>",),
        ('{"error": {"message": "no stream"}}',),
    ],
)
def test_a_stream_that_broke_off_is_never_complete(events: tuple[str, ...]) -> None:
    assert not read(*events)[0].complete


@pytest.mark.parametrize(
    "events",
    [
        (chunk("ye"), chunk(end="content_filter"), DONE),
        (chunk("ye"), chunk(end="stop", choice_native_finish_reason="SAFETY"), DONE),
        (chunk("ye"), chunk(end="refusal"), DONE),
        ('data: {"choices": [], "usage": ' + json.dumps(USAGE) + "}\n\n", DONE),
        ('data: {"choices": [], "usage": ' + json.dumps(USAGE) + "}\n\n",),
        (chunk("ye"), 'data: {"choices": [], "output_sensitive": true}\n\n', DONE),
        ('data: {"error": {"code": "content_filter"}}\n\n',),
    ],
)
def test_a_blocked_stream_is_complete_and_filtered(events: tuple[str, ...]) -> None:
    stream, _ = read(*events)
    assert stream.complete
    assert stream.answer.finish is Finish.FILTERED


@pytest.mark.parametrize(
    "events",
    [
        (chunk("yes"), chunk(end="stop"), 'data: {"choices": [], "usage": ' + json.dumps(USAGE)
         + "}\n\n"),
        (chunk("yes", usage=NO_USAGE), chunk(end="stop", usage=USAGE)),
        (chunk("yes", usage=USAGE), chunk(end="stop", usage=NO_USAGE)),
        (chunk("yes", usage={**USAGE, "total_tokens": 6, "completion_tokens": 1}),
         chunk(end="stop", usage=USAGE)),
        (chunk("yes", usage=USAGE), chunk(end="stop", usage=None)),
        (chunk("yes"), chunk(end="stop", choice_usage=USAGE)),
        (chunk("yes"), chunk(end="stop", x_groq={"id": "r", "usage": USAGE})),
    ],
)  # fmt: skip
def test_the_last_usage_with_tokens_is_billed_wherever_it_stands(events: tuple[str, ...]) -> None:
    stream, _ = read(*events, DONE)
    assert stream.answer.usage is not None
    assert stream.answer.usage.tokens.total == 7
