"""The one HTTP client: every vote, chat and document reaches a model through here.

An OpenAI-compatible gateway is asked at one of several base URLs, in order. What is retried, and
by whom, is decision 0004: this client retries what a gateway says, within the caller's one
deadline; the state machine retries what happens around the Lambda, never what a gateway says.

::

    complete / stream
      └─ refuse a prompt that does not fit                         PromptTooLong
      └─ reserve requests and tokens in the shared limit           ModelThrottled
      └─ attempts, until answered or out of time:
           base URL whose breaker is closed                        ModelUnavailable
           200 → read     429 → wait as told     408, 409, 5xx, connection → next base URL
           400, 401, 403, 404, 422 → no further attempt            GatewayRejected

Whatever an attempt may have cost is kept, in the answer or in the error that ends the call.
"""

import asyncio
import atexit
import json
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import httpx
from pydantic import Field, SecretStr
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    wait_random_exponential,
)

from quorum import tokenizer
from quorum.errors import (
    GatewayRejected,
    ModelRefused,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    PromptTooLong,
    StreamCut,
    VoteUnavailable,
)
from quorum.events import EventReader
from quorum.models import Frozen, Tokens
from quorum.registry import Model, ReplyFormat
from quorum.reply import TokenLogProbability

if TYPE_CHECKING:
    from quorum.breaker import Breaker
    from quorum.deadline import Deadline
    from quorum.limiter import Limiter, Reservation

Message = Mapping[str, str]
"""`role` and `content`."""

TIMEOUT_MARGIN = 1.5
"""A call may take half as long again as the model's speed says (published method)."""
NETWORK_SECONDS = 2.0
"""What the timeout allows for the network (published method)."""
_SPEED_SMOOTHING = 0.2
_SPEED_RANGE = 4
"""A measured speed never strays further than this factor from the registry's."""
_WORTH_REPEATING = frozenset({408, 409})
_OK = 200
_THROTTLED = 429
_SERVER_ERRORS = 500
_CODE = re.compile(r"^[\w.:-]{1,64}$")
_USAGE = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
_T = TypeVar("_T")
_ResultT_co = TypeVar("_ResultT_co", covariant=True)


class BaseUrl(Frozen):
    """One way to a gateway, with the key it takes.

    `key_source` says where the key came from, for people: its value is shown nowhere.
    """

    url: str
    key: SecretStr = SecretStr("")
    key_source: str = "GATEWAY_API_KEY"


class GatewaySettings(Frozen):
    """Where the gateways are and how patient to be; seconds throughout.

    `base_urls` in order of preference, at least one.
    """

    base_urls: tuple[BaseUrl, ...] = Field(min_length=1)
    connect_seconds: float = Field(default=5.0, gt=0)
    keep_alive_seconds: float = Field(default=30.0, gt=0)
    max_connections: int = Field(default=100, ge=1)
    max_keep_alive_connections: int = Field(default=20, ge=1)
    max_attempts: int = Field(default=5, ge=1)
    backoff_seconds: float = Field(default=0.25, ge=0)
    backoff_cap_seconds: float = Field(default=8.0, ge=0)


def parse_base_urls(
    urls: str, keys: str | Mapping[str, str], *, key_source: str = "GATEWAY_API_KEY"
) -> tuple[BaseUrl, ...]:
    """The ordered base URLs in `GATEWAY_BASE_URL`, each with its key.

    `urls` is comma-separated. `keys` is either comma-separated too, one for each URL in the same
    order or one for all of them; or a mapping from base URL or host to key, with `*` for those it
    does not name. `key_source` is where they came from, for people. Raises `ValueError` for a URL
    that is not http(s) or is named twice, and for a URL without a key.
    """
    written = [url.strip().rstrip("/") for url in urls.split(",") if url.strip()]
    if not written:
        raise ValueError("no base URL given")
    for url in written:
        parsed = httpx.URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ValueError(f"not an http(s) base URL: {url!r}")
    if len(set(written)) < len(written):
        raise ValueError("a base URL is named twice")
    if isinstance(keys, str):
        listed = [key.strip() for key in keys.split(",")]
        if len(listed) not in {1, len(written)}:
            raise ValueError(f"{len(listed)} keys in {key_source} for {len(written)} base URLs")
        keys = dict(zip(written, listed if len(listed) > 1 else listed * len(written), strict=True))
    return tuple(_with_key(url, keys, key_source) for url in written)


def _with_key(url: str, keys: Mapping[str, str], key_source: str) -> BaseUrl:
    name = next((name for name in (url, httpx.URL(url).host, "*") if name in keys), None)
    if name is None:
        raise ValueError(f"no key for {url} in {key_source}")
    return BaseUrl(url=url, key=SecretStr(keys[name]), key_source=key_source)


@dataclass(frozen=True, slots=True)
class Completion:
    """A complete answer, with everything it took.

    `tokens` and `cost_usd` are those of all attempts together; `cost_estimated` when any part of
    them was not reported by the gateway. `latency_ms` is from the call to the whole answer,
    waiting and retries included. `model` is what the gateway says it was.
    """

    text: str
    finish_reason: str | None
    refusal: str | None
    logprobs: tuple[TokenLogProbability, ...]
    tokens: Tokens
    cost_usd: Decimal
    cost_estimated: bool
    model: str
    served_by: str
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    reservation: "Reservation | None" = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer."""

    text: str


class _Paid(NamedTuple):
    tokens: Tokens
    cost_usd: Decimal
    estimated: bool


_NOTHING_PAID = _Paid(Tokens(), Decimal(0), estimated=False)


@dataclass(slots=True)
class _Call:
    """What one call is and has come to so far."""

    model: Model
    body: bytes
    messages: Sequence[Message]
    prompt_tokens: int
    max_output_tokens: int
    deadline: "Deadline"
    reservation: "Reservation | None" = None
    started: float = field(default_factory=time.monotonic)
    attempts: int = 0
    failed_at: list[str] = field(default_factory=list)
    paid: _Paid = _NOTHING_PAID

    def pay(self, tokens: Tokens, *, estimated: bool) -> None:
        self.paid = _Paid(
            Tokens(
                input=self.paid.tokens.input + tokens.input,
                cached_input=self.paid.tokens.cached_input + tokens.cached_input,
                output=self.paid.tokens.output + tokens.output,
                reasoning=self.paid.tokens.reasoning + tokens.reasoning,
            ),
            self.paid.cost_usd + self.model.price.cost(tokens),
            self.paid.estimated or estimated,
        )

    def pay_at_most(self, received: str = "") -> None:
        """Nobody said what it cost: the whole prompt, and all it could answer or what arrived."""
        output = _exact(self.model, received) if received else self.max_output_tokens
        self.pay(
            Tokens(input=_exact_prompt(self.model, self.messages), output=output), estimated=True
        )

    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)


class _Again(Exception):
    """This attempt failed in a way another may not; `wait_seconds` is what the gateway asked for.

    `elsewhere` says the next base URL should be tried.
    """

    def __init__(
        self, error: VoteUnavailable, *, elsewhere: bool, wait_seconds: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.elsewhere = elsewhere
        self.wait_seconds = wait_seconds


class _Attempt(Protocol[_ResultT_co]):
    """One try at one base URL, within `seconds`."""

    async def __call__(self, call: _Call, base: BaseUrl, seconds: float, /) -> _ResultT_co: ...


class Gateway:
    """The client. One per Lambda environment: it keeps its connections between calls.

    It belongs to the event loop it is first used in; synchronous code calls it with `run`, whose
    loop lives as long as the environment, so that a warm invocation finds its connections open.
    `breaker` and `limiter` are what the Lambdas share; without them it has neither.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        breaker: "Breaker | None" = None,
        limiter: "Limiter | None" = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._breaker = breaker
        self._limiter = limiter
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._speeds: dict[str, float] = {}
        self._backoff = wait_random_exponential(
            multiplier=settings.backoff_seconds, max=settings.backoff_cap_seconds
        )

    async def complete(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        deadline: "Deadline",
        temperature: float = 0.0,
        schema: Mapping[str, object] | None = None,
        log_probabilities: bool = False,
        reasoning: bool = False,
        tenant: str = "-",
    ) -> Completion:
        """The model's whole answer to `messages`, before `deadline`.

        With `schema` the answer is asked for as JSON, as strictly as the model supports. Raises
        the `VoteUnavailable` of what happened, carrying what was paid all the same.
        """
        options = _options(
            model,
            temperature=temperature,
            schema=schema,
            log_probabilities=log_probabilities,
            reasoning=reasoning,
        )
        async with self._call(
            model, messages, options, max_output_tokens, deadline, tenant
        ) as call:
            return await self._attempts(call, self._answer)

    async def stream(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        deadline: "Deadline",
        temperature: float = 0.0,
        reasoning: bool = False,
        tenant: str = "-",
    ) -> AsyncIterator[Delta | Completion]:
        """The answer piece by piece, and last of all the `Completion` that sums it up.

        Retried only until the gateway begins to answer. Raises as `complete`, and `StreamCut`
        when an answer that had begun did not end: with what arrived and what it cost.
        """
        options = _options(
            model,
            temperature=temperature,
            schema=None,
            log_probabilities=False,
            reasoning=reasoning,
        )
        options |= {"stream": True, "stream_options": {"include_usage": True}}
        async with self._call(
            model, messages, options, max_output_tokens, deadline, tenant
        ) as call:
            base, response = await self._attempts(call, self._open)
            try:
                async for piece in self._pieces(call, base, response):
                    yield piece
            finally:
                await response.aclose()

    async def models(self, base: BaseUrl, *, deadline: "Deadline") -> tuple[str, ...]:
        """The names of the models at `base`; asked once. Raises as `complete`."""
        try:
            response = await self._http().get(
                f"{base.url}/models", headers=_headers(base), timeout=deadline.remaining()
            )
        except httpx.TimeoutException as error:
            raise ModelTimedOut("no answer from /models", served_by=base.url) from error
        except httpx.TransportError as error:
            raise ModelUnavailable(type(error).__name__, served_by=base.url) from error
        if response.status_code != _OK:
            problem = _problem(response.status_code, response.content, base, None)
            raise problem.error if isinstance(problem, _Again) else problem
        try:
            return tuple(str(entry["id"]) for entry in response.json()["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelUnavailable("/models is no list of models", served_by=base.url) from error

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    # ---- one call ----------------------------------------------------------------------------

    @asynccontextmanager
    async def _call(
        self,
        model: Model,
        messages: Sequence[Message],
        options: Mapping[str, object],
        max_output_tokens: int,
        deadline: "Deadline",
        tenant: str,
    ) -> AsyncIterator[_Call]:
        """A call that fits and has its share of the limit; what it cost goes with any error."""
        prompt_tokens = _fitting(model, messages, max_output_tokens)
        body = {
            "model": model.gateway_name,
            "messages": list(messages),
            "max_tokens": max_output_tokens,
            **options,
        }
        call = _Call(
            model=model,
            body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            messages=messages,
            prompt_tokens=prompt_tokens,
            max_output_tokens=max_output_tokens,
            deadline=deadline,
        )
        await self._reserve(call, tenant)
        try:
            yield call
        except (VoteUnavailable, StreamCut) as error:
            error.tokens, error.cost_usd, error.cost_estimated = call.paid
            error.reservation = call.reservation
            if call.reservation is not None and not call.paid.tokens.total:
                await self._release(call.reservation)
                error.reservation = None
            raise

    async def _reserve(self, call: _Call, tenant: str) -> None:
        if self._limiter is None:
            return
        tokens = call.prompt_tokens + call.max_output_tokens
        estimated = Tokens(input=call.prompt_tokens, output=call.max_output_tokens)
        call.reservation = await asyncio.to_thread(
            self._limiter.reserve,
            call.model.name,
            tokens,
            tenant=tenant,
            cost_usd=call.model.price.cost(estimated),
            patience_seconds=max(0.0, call.deadline.remaining() - NETWORK_SECONDS),
        )
        await asyncio.sleep(call.reservation.wait_seconds)

    async def _release(self, reservation: "Reservation") -> None:
        if self._limiter is not None:
            await asyncio.to_thread(self._limiter.release, reservation)

    # ---- attempts ----------------------------------------------------------------------------

    async def _attempts(self, call: _Call, attempt: "_Attempt[_T]") -> _T:
        """`attempt` at one base URL after the other, until it succeeds or may not be repeated."""
        retrying = AsyncRetrying(
            retry=lambda state: isinstance(_failure(state), _Again),
            wait=self._wait,
            stop=lambda state: self._may_not_wait(call, state),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, call, attempt)
        except _Again as failed:
            raise failed.error from failed.__cause__

    async def _attempt(self, call: _Call, attempt: "_Attempt[_T]") -> _T:
        base = await self._base_url(call)
        seconds = self._timeout(call)
        if not seconds:
            raise ModelTimedOut("no time was left to ask")
        call.attempts += 1
        try:
            result = await self._within(call, base, attempt, seconds)
        except _Again as failed:
            if failed.elsewhere:
                call.failed_at.append(base.url)
            await self._report(call, base, well=not failed.elsewhere)
            raise
        except VoteUnavailable:  # it answers, if not with what was asked for
            await self._report(call, base, well=True)
            raise
        await self._report(call, base, well=True)
        return result

    async def _within(
        self, call: _Call, base: BaseUrl, attempt: "_Attempt[_T]", seconds: float
    ) -> _T:
        try:
            async with asyncio.timeout(seconds):
                return await attempt(call, base, seconds)
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            unreachable = ModelUnavailable("could not connect in time", served_by=base.url)
            raise _Again(unreachable, elsewhere=True) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            call.pay_at_most()
            late = ModelTimedOut(f"no answer within {seconds:.1f} s", served_by=base.url)
            raise _Again(late, elsewhere=True) from error
        except httpx.TransportError as error:
            lost = ModelUnavailable(f"connection lost: {type(error).__name__}", served_by=base.url)
            raise _Again(lost, elsewhere=True) from error

    def _may_not_wait(self, call: _Call, state: RetryCallState) -> bool:
        """Whether the attempts, or the time, are used up."""
        return (
            state.attempt_number >= self.settings.max_attempts
            or state.upcoming_sleep >= call.deadline.remaining()
        )

    async def _base_url(self, call: _Call) -> BaseUrl:
        """The first base URL that has not failed this call; when all have, the first again."""
        allowed = [base for base in self.settings.base_urls if await self._allows(call, base)]
        if not allowed:
            raise ModelUnavailable("every base URL failed lately and is left to recover")
        fresh = [base for base in allowed if base.url not in call.failed_at]
        if not fresh:
            call.failed_at.clear()
        return (fresh or allowed)[0]

    async def _allows(self, call: _Call, base: BaseUrl) -> bool:
        return self._breaker is None or await self._breaker.allows(base.url, call.model.name)

    async def _report(self, call: _Call, base: BaseUrl, *, well: bool) -> None:
        if self._breaker is not None:
            await self._breaker.report(base.url, call.model.name, well=well)

    def _wait(self, state: RetryCallState) -> float:
        """What the gateway asked for; nothing before a base URL not tried yet; else full jitter."""
        failed, call = _failure(state), state.args[0]
        if isinstance(failed, _Again) and isinstance(call, _Call):
            if failed.wait_seconds is not None:
                return failed.wait_seconds
            if failed.elsewhere and len(call.failed_at) < len(self.settings.base_urls):
                return 0.0
        return self._backoff(state)

    def _timeout(self, call: _Call) -> float:
        """Seconds for one attempt: (prompt + expected output) / speed × 1.5 + 2, as far as left."""
        speed = self._speeds.get(call.model.name, call.model.tokens_per_second)
        expected = (call.prompt_tokens + call.max_output_tokens) / speed
        return min(expected * TIMEOUT_MARGIN + NETWORK_SECONDS, call.deadline.remaining())

    def _measure(self, model: Model, tokens: Tokens, seconds: float) -> None:
        """Remember the speed seen: all tokens of a call over its time, as the timeout uses it."""
        if seconds <= 0 or not tokens.total:
            return
        known = self._speeds.get(model.name, float(model.tokens_per_second))
        speed = known + _SPEED_SMOOTHING * (tokens.total / seconds - known)
        lowest = model.tokens_per_second / _SPEED_RANGE
        self._speeds[model.name] = min(max(speed, lowest), model.tokens_per_second * _SPEED_RANGE)

    # ---- one attempt -------------------------------------------------------------------------

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(
                max_connections=self.settings.max_connections,
                max_keepalive_connections=self.settings.max_keep_alive_connections,
                keepalive_expiry=self.settings.keep_alive_seconds,
            )
            self._client = httpx.AsyncClient(
                limits=limits, transport=self._transport, trust_env=False, follow_redirects=False
            )
        return self._client

    async def _open(
        self, call: _Call, base: BaseUrl, seconds: float
    ) -> tuple[BaseUrl, httpx.Response]:
        """The response, its status read and good; its body still to come."""
        client = self._http()
        request = client.build_request(
            "POST",
            f"{base.url}/chat/completions",
            content=call.body,
            headers=_headers(base),
            timeout=httpx.Timeout(seconds, connect=min(self.settings.connect_seconds, seconds)),
        )
        response = await client.send(request, stream=True)
        if response.status_code != _OK:
            try:
                body = await response.aread()
            finally:
                await response.aclose()
            raise _problem(response.status_code, body, base, response.headers.get("retry-after"))
        return base, response

    async def _answer(self, call: _Call, base: BaseUrl, seconds: float) -> Completion:
        begun = time.monotonic()
        _, response = await self._open(call, base, seconds)
        received = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                received += chunk
        except httpx.TransportError as error:
            if received:
                _pay_for_part(call, bytes(received))
            cut = ModelUnavailable(f"answer cut: {type(error).__name__}", served_by=base.url)
            raise _Again(cut, elsewhere=True) from error
        finally:
            await response.aclose()
        answer = _parsed(call, bytes(received), base)
        choice = answer["choices"][0]
        message = choice.get("message") or {}
        text = _text(message.get("content"))
        tokens = _usage(answer.get("usage"))
        if tokens is None:
            tokens = _counted(call, text)
            call.pay(tokens, estimated=True)
        else:
            call.pay(tokens, estimated=False)
        self._measure(call.model, tokens, time.monotonic() - begun)
        return _completion(
            call,
            base,
            text=text,
            finish_reason=choice.get("finish_reason"),
            refusal=message.get("refusal"),
            logprobs=_log_probabilities(choice.get("logprobs")),
            model=str(answer.get("model") or call.model.gateway_name),
        )

    async def _pieces(
        self, call: _Call, base: BaseUrl, response: httpx.Response
    ) -> AsyncIterator[Delta | Completion]:
        stream = _Stream()
        begun = time.monotonic()
        try:
            async for chunk in _chunks(response, call.deadline):
                for piece in stream.feed(chunk):
                    yield Delta(piece)
        except (httpx.TransportError, TimeoutError) as error:
            stream.problem = type(error).__name__
        if stream.tokens is not None:
            call.pay(stream.tokens, estimated=False)
        elif stream.text or stream.done:
            call.pay(_counted(call, stream.text), estimated=True)
        else:
            call.pay_at_most()
        if not stream.done:
            raise StreamCut(
                f"the stream ended before it was complete: {stream.problem or 'closed'}",
                received=stream.text,
                tokens=call.paid.tokens,
                cost_usd=call.paid.cost_usd,
                cost_estimated=call.paid.estimated,
                served_by=base.url,
            )
        self._measure(call.model, call.paid.tokens, time.monotonic() - begun)
        yield _completion(
            call,
            base,
            text=stream.text,
            finish_reason=stream.finish_reason,
            refusal=stream.refusal or None,
            logprobs=(),
            model=stream.model or call.model.gateway_name,
            first_token_at=stream.first_at,
        )


# ---- what comes back ----------------------------------------------------------------------------


def _headers(base: BaseUrl) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "application/json"}
    if key := base.key.get_secret_value():
        headers["authorization"] = f"Bearer {key}"
    return headers


def _options(
    model: Model,
    *,
    temperature: float,
    schema: Mapping[str, object] | None,
    log_probabilities: bool,
    reasoning: bool,
) -> dict[str, object]:
    """What this model is asked for beyond its messages, in the words it understands."""
    options: dict[str, object] = {"temperature": temperature}
    if schema is not None and model.reply_format is ReplyFormat.JSON_SCHEMA:
        named = {"name": "reply", "strict": True, "schema": schema}
        options["response_format"] = {"type": "json_schema", "json_schema": named}
    elif schema is not None and model.reply_format is ReplyFormat.JSON_OBJECT:
        options["response_format"] = {"type": "json_object"}
    if log_probabilities and model.gives_log_probabilities:
        options["logprobs"] = True
    if not reasoning:
        options |= model.reasoning_off
    return options


def _fitting(model: Model, messages: Sequence[Message], max_output_tokens: int) -> int:
    """The prompt's tokens, estimated; raises `PromptTooLong` when they cannot all be sent.

    Counted exactly only where the bound on any vocabulary does not settle it.
    """
    room = model.context_window - max_output_tokens
    if tokenizer.at_most(messages) > room:
        exact = _exact_prompt(model, messages)
        if exact > room:
            raise PromptTooLong(
                f"{exact} tokens and {max_output_tokens} for the answer do not fit the"
                f" {model.context_window} of {model.name}"
            )
    return math.ceil(tokenizer.estimate(messages) * model.token_factor)


def _exact_prompt(model: Model, messages: Sequence[Message]) -> int:
    return math.ceil(tokenizer.count(messages) * model.token_factor)


def _exact(model: Model, text: str) -> int:
    return math.ceil(tokenizer.count_text(text) * model.token_factor)


def _counted(call: _Call, text: str) -> Tokens:
    """The tokens of an answer that did not say: counted."""
    return Tokens(input=_exact_prompt(call.model, call.messages), output=_exact(call.model, text))


def _problem(
    status: int, body: bytes, base: BaseUrl, retry_after: str | None
) -> "_Again | VoteUnavailable":
    """What a status other than 200 means. The body's message is not shown: it may quote content."""
    code = _error_code(body)
    said = f"{status} {code}".strip()
    if status == _THROTTLED:
        seconds = _retry_after_seconds(retry_after)
        throttled = ModelThrottled(
            f"the gateway answered {said}",
            retry_after_seconds=1.0 if seconds is None else seconds,
            served_by=base.url,
        )
        return _Again(throttled, elsewhere=False, wait_seconds=seconds)
    if status >= _SERVER_ERRORS or status in _WORTH_REPEATING:
        failed = ModelUnavailable(f"the gateway answered {said}", served_by=base.url)
        return _Again(
            failed,
            elsewhere=status >= _SERVER_ERRORS,
            wait_seconds=_retry_after_seconds(retry_after),
        )
    if code in {"context_length_exceeded", "string_above_max_length"}:
        return PromptTooLong(f"the gateway answered {said}", served_by=base.url)
    if code in {"content_filter", "content_policy_violation"}:
        return ModelRefused(f"the gateway answered {said}", served_by=base.url)
    return GatewayRejected(
        f"the gateway answered {said} (key from {base.key_source})",
        status=status,
        served_by=base.url,
    )


def _error_code(body: bytes) -> str:
    """The gateway's own short name for its error, if it gives one."""
    try:
        error = json.loads(body)["error"]
        named = str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return named if _CODE.match(named) else ""


def _retry_after_seconds(value: str | None) -> float | None:
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


def _parsed(call: _Call, body: bytes, base: BaseUrl) -> dict[str, Any]:
    """The body as an answer; one that is none is worth another attempt, and may have cost."""
    try:
        answer = json.loads(body)
        if isinstance(answer["choices"][0], dict):
            return dict(answer)
    except (ValueError, KeyError, TypeError, IndexError):
        pass
    _pay_for_part(call, body)
    unreadable = ModelUnavailable("the answer is not what was asked for", served_by=base.url)
    raise _Again(unreadable, elsewhere=True)


def _pay_for_part(call: _Call, body: bytes) -> None:
    """What an answer cost that did not arrive whole: as it says itself, or at most.

    A body without `choices` (a proxy's page) is no model's answer and cost nothing.
    """
    usage = _USAGE.search(body)
    if usage is not None:
        try:
            tokens = _usage(json.loads(usage[1]))
        except ValueError:
            tokens = None
        if tokens is not None:
            call.pay(tokens, estimated=False)
            return
    if b'"choices"' in body:
        call.pay_at_most()


def _usage(usage: object) -> Tokens | None:
    """Tokens as billed, from the several ways gateways report them; None when they do not.

    Cached input: `prompt_tokens_details.cached_tokens` (OpenAI) or `prompt_cache_hit_tokens`
    (DeepSeek). Where the total exceeds its parts, the rest is reasoning billed as output.
    """
    if not isinstance(usage, dict):
        return None
    given = _whole(usage, "prompt_tokens")
    output = _whole(usage, "completion_tokens")
    if given is None or output is None:
        return None
    cached = _whole(usage.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = _whole(usage, "prompt_cache_hit_tokens") or 0
    reasoning = _whole(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
    uncounted = (_whole(usage, "total_tokens") or 0) - given - output
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


def _text(content: object) -> str:
    """A message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    parts: Iterable[object] = content if isinstance(content, list) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _log_probabilities(logprobs: object) -> tuple[TokenLogProbability, ...]:
    """The answer's tokens with their log-probabilities; none unless all can be read."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    try:
        return tuple(
            TokenLogProbability(
                bytes(entry["bytes"]) if entry.get("bytes") else entry["token"].encode(),
                float(entry["logprob"]),
            )
            for entry in tokens or ()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def _completion(
    call: _Call,
    base: BaseUrl,
    *,
    text: str,
    finish_reason: str | None,
    refusal: str | None,
    logprobs: tuple[TokenLogProbability, ...],
    model: str,
    first_token_at: float | None = None,
) -> Completion:
    return Completion(
        text=text,
        finish_reason=finish_reason,
        refusal=refusal,
        logprobs=logprobs,
        tokens=call.paid.tokens,
        cost_usd=call.paid.cost_usd,
        cost_estimated=call.paid.estimated,
        model=model,
        served_by=base.url,
        latency_ms=call.elapsed_ms(),
        first_token_ms=(
            None if first_token_at is None else round((first_token_at - call.started) * 1000)
        ),
        attempts=call.attempts,
        reservation=call.reservation,
    )


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


async def _chunks(response: httpx.Response, deadline: "Deadline") -> AsyncIterator[bytes]:
    """The body as it arrives; raises `TimeoutError` at the deadline."""
    body = response.aiter_bytes()
    while True:
        async with asyncio.timeout(deadline.remaining()):
            chunk = await anext(body, None)
        if chunk is None:
            return
        yield chunk


class _Stream:
    """What a stream of completion chunks has come to so far."""

    def __init__(self) -> None:
        self._events = EventReader()
        self._pieces: list[str] = []
        self.done = False
        self.problem: str | None = None
        self.tokens: Tokens | None = None
        self.finish_reason: str | None = None
        self.refusal = ""
        self.model: str | None = None
        self.first_at: float | None = None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def feed(self, received: bytes) -> list[str]:
        """The pieces of text in `received`; nothing after `[DONE]` or a broken event counts."""
        before = len(self._pieces)
        for event in self._events.feed(received):
            if self.done or self.problem is not None:
                break
            if event.strip() == "[DONE]":
                self.done = True
            else:
                self._read(event)
        if self.first_at is None and len(self._pieces) > before:
            self.first_at = time.monotonic()
        return self._pieces[before:]

    def _read(self, event: str) -> None:
        try:
            chunk = json.loads(event)
            if "error" in chunk:
                self.problem = "the gateway reported an error"
                return
            self.tokens = _usage(chunk.get("usage")) or self.tokens
            self.model = chunk.get("model") or self.model
            for choice in chunk.get("choices") or ():
                delta = choice.get("delta") or {}
                if piece := _text(delta.get("content")):
                    self._pieces.append(piece)
                self.refusal += delta.get("refusal") or ""
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        except (ValueError, TypeError, AttributeError):
            self.problem = "an event that cannot be read"


# ---- for synchronous callers --------------------------------------------------------------------


class _Loop:
    """An event loop in a thread of its own, for as long as the environment lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="gateway", daemon=True)
                thread.start()
                atexit.register(_end, loop, thread)
                self._loop = loop
            return self._loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


_LOOP = _Loop()


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The coroutine's result, waited for; every call shares one loop, so connections stay open.

    For handlers and commands. Not to be called from inside a coroutine.
    """
    return _LOOP.run(coroutine)
