"""The behaviour of a stand-in: its models, their speed and limits, and its faults."""

import math
import random
from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field
from quorum.core.models import Frozen

_MINUTE_SECONDS = 60.0


class Fault(StrEnum):
    """One fault of one request; `NONE` is a correct answer."""

    NONE = "none"
    THROTTLED = "429"
    TIMED_OUT = "408"
    CONFLICT = "409"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    RESET = "reset"  # the connection is reset before a byte of the answer
    CUT = "cut"  # … in the middle of the answer, which is billed
    PAGE = "page"  # 200, but a proxy's HTML page instead of a model's answer; not billed
    MALFORMED = "malformed"  # an answer, billed, in which there is no vote
    TWO_MINDS = "two_minds"  # an answer, billed, with two votes that differ
    SLOW = "slow"  # the first byte comes after `slow_seconds`
    NO_USAGE = "no_usage"  # an answer that does not say what it costs
    BLOCKED = "blocked"  # 400: the safety filter's refusal of the prompt; not billed
    NO_CREDIT = "402"  # any request is refused until somebody has paid
    FILTERED = "content_filter"  # the safety filter's refusal, billed


class ModelScenario(Frozen):
    """One model's speed and limits.

    `latency_ms` is the median time to a whole answer, or to its first token when streaming;
    `spread` the sigma of its log-normal distribution (0: always the same). Streamed tokens follow
    at `tokens_per_second`. The limits are those of a sliding minute; None is no limit.
    """

    latency_ms: float = Field(default=0.0, ge=0)
    spread: float = Field(default=0.0, ge=0)
    tokens_per_second: float = Field(default=2_000.0, gt=0)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    reply: str | None = None
    finish_reason: str = "stop"

    def latency_seconds(self, randomness: random.Random) -> float:
        """One drawn latency."""
        return self.latency_ms / 1000 * math.exp(randomness.gauss(0, 1) * self.spread)


class Scenario(Frozen):
    """The whole behaviour of a stand-in.

    `script` is consumed first, one fault for each request; then faults are drawn at their
    `rates`. `keys` maps accepted API keys to tenants; empty accepts any, and calls the tenant by
    its key. `models` are those served, by gateway name; empty: the registry's.
    `reasoning_tokens` come before every answer, unseen and billed as output.
    `retry_after` is the header of a scripted or drawn 429, as it is sent ("2" or an HTTP date).
    """

    seed: int = 1
    keys: Mapping[str, str] = Field(default_factory=dict)
    models: Mapping[str, ModelScenario] = Field(default_factory=dict)
    every_model: ModelScenario = ModelScenario()
    missing_models: tuple[str, ...] = ()
    script: tuple[Fault, ...] = ()
    rates: Mapping[Fault, float] = Field(default_factory=dict)
    retry_after: str | None = "0"
    slow_seconds: float = 5.0
    output_tokens: int = 64
    reasoning_tokens: int = 0
    caches_prompts: bool = False
    keep_alive_comments: bool = False


class TooFast:
    """The exact limits of one model in a sliding minute."""

    def __init__(self, model: ModelScenario) -> None:
        self._model = model
        self._admitted: deque[tuple[float, int]] = deque()

    def retry_after_seconds(self, now: float, tokens: int) -> float | None:
        """None if the request is admitted, else seconds until the oldest request expires."""
        while self._admitted and self._admitted[0][0] <= now - _MINUTE_SECONDS:
            self._admitted.popleft()
        requests = self._model.requests_per_minute
        by_token = self._model.tokens_per_minute
        used = sum(amount for _, amount in self._admitted) if by_token is not None else 0
        if (requests is not None and len(self._admitted) >= requests) or (
            by_token is not None and self._admitted and used + tokens > by_token
        ):
            return self._admitted[0][0] + _MINUTE_SECONDS - now
        self._admitted.append((now, tokens))
        return None
