"""What goes over the wire: the OpenAI-compatible format, with its dialects. Pure.

Nothing here raises for what a gateway sends: what cannot be read is None, and the caller decides.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from quorum.core.models import Tokens
from quorum.core.registry import Model, ReplyFormat
from quorum.core.unicode import without_surrogates
from quorum.gateway.sampling import Sampling
from quorum.gateway.sse import EventReader

_TEXT_PARTS = ("text", "output_text")
_BYTE = 255
_LOWEST_LOG_PROBABILITY = 1e6
"""OpenAI says -9999 of a token that is very unlikely; nothing says less than this."""
_LOG_PROBABILITY_ROUNDING = 1e-3
"""How far above 0, the logarithm of certainty, a rounded log-probability may be."""
_CODE = re.compile(r"^[\w.:-]{1,64}$")
_USAGE = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')


def options(
    model: Model,
    *,
    sampling: Sampling,
    schema: Mapping[str, object] | None = None,
    json_object: bool = False,
    log_probabilities: bool = False,
) -> dict[str, object]:
    """What this model is asked for beyond its messages, in the words it understands."""
    drawn = sampling.model_dump(include=set(Sampling.model_fields), exclude_none=True)
    asked: dict[str, object] = {name: value for name, value in drawn.items() if value != ()}
    if schema is not None and model.reply_format is ReplyFormat.JSON_SCHEMA:
        named = {"name": "reply", "strict": True, "schema": schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    elif (schema is not None or json_object) and model.reply_format is not ReplyFormat.INSTRUCTIONS:
        asked["response_format"] = {"type": "json_object"}
    if log_probabilities and model.gives_log_probabilities:
        asked["logprobs"] = True
    return asked | model.reasoning_off


def error_code(body: bytes) -> str:
    """The gateway's own short name for its error, if it gives one."""
    try:
        error = json.loads(body)["error"]
        named = str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return named if _CODE.match(named) else ""


def retry_after_seconds(value: str | None) -> float | None:
    """RFC 9110, 10.2.3: seconds, or an HTTP date. None when there is none that can be read."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


class TokenLogProbability(NamedTuple):
    """One token of the reply: its bytes in the reply's text, and the log of its probability."""

    token: bytes
    log_probability: float


class Answer(NamedTuple):
    """A completion as far as it can be read; `usage` is None when it does not say."""

    text: str
    finish_reason: str | None
    refusal: str | None
    logprobs: tuple[TokenLogProbability, ...]
    usage: Tokens | None
    model: str | None


def answer(body: bytes) -> Answer | None:
    """The completion in a body; None when it is none."""
    try:
        read = json.loads(body)
        choice = read["choices"][0]
        message = choice.get("message") or {}
        return Answer(
            text=text_of(message.get("content")),
            finish_reason=choice.get("finish_reason"),
            refusal=message.get("refusal"),
            logprobs=log_probabilities(choice.get("logprobs")),
            usage=usage(read.get("usage")),
            model=read.get("model"),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def usage_in_part(body: bytes) -> Tokens | None:
    """The usage in a body that did not arrive whole, if that much of it did."""
    found = _USAGE.search(body)
    try:
        return usage(json.loads(found[1])) if found else None
    except ValueError:
        return None


def usage(reported: object) -> Tokens | None:
    """Tokens as billed, from the several ways gateways report them; None when they do not.

    Cached input: `prompt_tokens_details.cached_tokens` (OpenAI) or `prompt_cache_hit_tokens`
    (DeepSeek). Where the total exceeds its parts, the rest is reasoning billed as output.
    """
    if not isinstance(reported, dict):
        return None
    given = _whole(reported, "prompt_tokens")
    output = _whole(reported, "completion_tokens")
    if given is None or output is None:
        return None
    cached = _whole(reported.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = _whole(reported, "prompt_cache_hit_tokens") or 0
    reasoning = _whole(reported.get("completion_tokens_details"), "reasoning_tokens") or 0
    uncounted = (_whole(reported, "total_tokens") or 0) - given - output
    if uncounted > 0:
        output, reasoning = output + uncounted, max(reasoning, uncounted)
    return Tokens(
        input=given,
        cached_input=min(cached, given),
        output=output,
        reasoning=min(reasoning, output),
    )


def _whole(numbers: object, name: str) -> int | None:
    number = numbers.get(name) if isinstance(numbers, dict) else None
    return number if isinstance(number, int) and number >= 0 else None


def text_of(content: object) -> str:
    """A message's content: a string, or parts of which some are text.

    Parts of another kind (a model's thoughts, a refusal) are none, whatever text they hold.
    """
    if isinstance(content, str):
        return without_surrogates(content)
    parts: Iterable[object] = content if isinstance(content, list) else ()
    texts = (
        part.get("text")
        for part in parts
        if isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS
    )
    return without_surrogates("".join(text for text in texts if isinstance(text, str)))


def log_probabilities(logprobs: object) -> tuple[TokenLogProbability, ...]:
    """The answer's tokens with their log-probabilities; none unless all can be read.

    A logarithm of a probability is a number that is at most 0; a byte is one of 0 to 255.
    """
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    read: list[TokenLogProbability] = []
    for entry in tokens if isinstance(tokens, list) else ():
        token = _token(entry)
        if token is None:
            return ()
        read.append(token)
    return tuple(read)


def _token(entry: object) -> TokenLogProbability | None:
    if not isinstance(entry, dict):
        return None
    token, log = _bytes(entry.get("bytes"), entry.get("token")), entry.get("logprob")
    if token is None or isinstance(log, bool) or not isinstance(log, int | float):
        return None
    known = -_LOWEST_LOG_PROBABILITY <= log <= _LOG_PROBABILITY_ROUNDING  # NaN is neither
    return TokenLogProbability(token, float(log)) if known else None


def _bytes(written: object, text: object) -> bytes | None:
    """A token's bytes as given, else those of its text."""
    if isinstance(written, list) and written:
        known = all(isinstance(one, int) and 0 <= one <= _BYTE for one in written)
        return bytes(written) if known else None
    return without_surrogates(text).encode() if isinstance(text, str) else None


class Stream:
    """What a stream of completion chunks has come to so far.

    Complete only when `done`: `[DONE]` came, and nothing before it was a `problem`.
    """

    def __init__(self) -> None:
        self._events = EventReader()
        self._pieces: list[str] = []
        self._finish_reason: str | None = None
        self._refusal = ""
        self._usage: Tokens | None = None
        self._model: str | None = None
        self.done = False
        self.problem: str | None = None
        self.first_token_at: float | None = None

    @property
    def answer(self) -> Answer:
        """All of it so far."""
        return Answer(
            text="".join(self._pieces),
            finish_reason=self._finish_reason,
            refusal=self._refusal or None,
            logprobs=(),
            usage=self._usage,
            model=self._model,
        )

    def feed(self, received: bytes) -> list[str]:
        """The pieces of text in `received`; nothing after `[DONE]` or a problem counts."""
        before = len(self._pieces)
        for event in self._events.feed(received):
            if self.done or self.problem is not None:
                break
            if event.strip() == "[DONE]":
                self.done = True
            else:
                self._read(event)
        if self.first_token_at is None and len(self._pieces) > before:
            self.first_token_at = time.monotonic()
        return self._pieces[before:]

    def _read(self, event: str) -> None:
        try:
            chunk = json.loads(event)
            if chunk.get("error"):
                self.problem = "the gateway reported an error"
                return
            self._usage = usage(chunk.get("usage")) or self._usage
            self._model = chunk.get("model") or self._model
            for choice in chunk.get("choices") or ():
                delta = choice.get("delta") or {}
                if piece := text_of(delta.get("content")):
                    self._pieces.append(piece)
                self._refusal += delta.get("refusal") or ""
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
        except (ValueError, TypeError, AttributeError):
            self.problem = "an event that cannot be read"
