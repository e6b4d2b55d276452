"""The one HTTP client: every vote, chat and document calls its model through it.

It calls an OpenAI-compatible gateway at one of several base URLs, in order. Retries are divided as
decision 0004 says: this client retries a gateway's errors, within the caller's one deadline; the
state machine retries failures around the Lambda, never a gateway's errors.

::

    complete / stream
      └─ refuse a prompt that does not fit                         PromptTooLong
      └─ reserve requests and tokens in the shared limit           ModelThrottled
      └─ attempts, until answered or out of time:
           the next base URL whose circuit is closed               ModelUnavailable
           200 → read          429 → wait as asked         408, 409 → wait a little
           5xx, connection, timeout → next base URL                ModelTimedOut, …
           blocked by a safety filter → no further attempt          ModelRefused
           400, 422 → no further attempt                           GatewayRejected
           any other status → no further attempt                   GatewayDenied

An error inside an answer of status 200 is handled as the same status (`quorum.gateway.problems`).
Any possible cost of an attempt is kept, in the answer or in the error that ends the call.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

import httpx
from pydantic import Field

from quorum.core.errors import (
    GatewayDenied,
    GatewayRejected,
    ModelRefused,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    PromptTooLong,
    StoreUnavailable,
    StreamCut,
    VoteUnavailable,
)
from quorum.core.models import Frozen, Tokens
from quorum.core.registry import Model
from quorum.gateway import body, problems, wire
from quorum.gateway.base_urls import BaseUrl, RotatingBaseUrls
from quorum.gateway.body import BodyInvalid
from quorum.gateway.call import Call, Completion, Message, prepared
from quorum.gateway.connections import Connections
from quorum.gateway.problems import Kind, Problem
from quorum.gateway.sampling import Sampling
from quorum.gateway.stream import Stream

if TYPE_CHECKING:
    from quorum.core.models import Reservation
    from quorum.gateway.breaker import Breaker
    from quorum.gateway.deadline import Deadline
    from quorum.gateway.limiter import Limiter

TIMEOUT_MARGIN = 1.5
"""Factor of the timeout: a call may take half as long again as the model's speed predicts."""
NETWORK_SECONDS = 2.0
"""Seconds of the timeout for the network."""
MOST_LIKELY = Sampling(temperature=0.0)
"""Sampling by which the same question gets the same answer, as far as the model allows."""
KEY_SECONDS = 2.0
"""Seconds a call waits for keys to be read again; after that it uses those it has."""
_SPEED_SMOOTHING = 0.2
_SPEED_RANGE = 4
"""Factor by which a measured speed may differ from the registry's at most."""
_LONGEST_BODY_BYTES = 16 * 1024 * 1024
_ENVELOPE_BYTES = 1024 * 1024
_BYTES_PER_TOKEN = 2 * 1024
"""Bytes of an answer per token at most, with a log-probability or a chunk of its own for each."""
_MODELS_BYTES = 8 * 1024 * 1024
_ANSWERED = frozenset({200, 201, 203})
"""Statuses of an answer: some frameworks answer every POST with 201, and proxies with 203."""
_UNAUTHORIZED = 401
_T = TypeVar("_T")
_ResultT_co = TypeVar("_ResultT_co", covariant=True)


class GatewaySettings(Frozen):
    """The gateways' addresses and the limits of waiting, in seconds.

    `base_urls` are in order of preference, at least one.
    """

    base_urls: tuple[BaseUrl, ...] = Field(min_length=1)
    connect_seconds: float = Field(default=5.0, gt=0)
    keep_alive_seconds: float = Field(default=30.0, gt=0)
    max_connections: int = Field(default=500, ge=1)
    max_keep_alive_connections: int = Field(default=500, ge=1)
    max_attempts: int = Field(default=5, ge=1)
    backoff_seconds: float = Field(default=0.25, ge=0)
    backoff_cap_seconds: float = Field(default=8.0, ge=0)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer."""

    text: str


class _Again(Exception):
    """This attempt failed and another may not; `wait_seconds` is the pause the gateway asked for.

    `elsewhere` says that the next base URL should be tried.
    """

    def __init__(
        self, error: VoteUnavailable, *, elsewhere: bool, wait_seconds: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.elsewhere = elsewhere
        self.wait_seconds = wait_seconds


class _Attempt(Protocol[_ResultT_co]):
    """A function that makes one attempt at one base URL, within `seconds`."""

    async def __call__(self, call: Call, base: BaseUrl, seconds: float, /) -> _ResultT_co: ...


class Gateway:
    """The client. Each Lambda environment has one, which keeps its connections between calls.

    It belongs to the event loop it is first used in. Synchronous code calls it with `run`, whose
    loop lives as long as the environment, so that a warm invocation finds its connections open.
    `breaker` and `limiter` are shared by the Lambdas; without them there is neither. `base_urls`
    gives the base URLs with their current keys; without it the keys of `settings` are always used.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        breaker: "Breaker | None" = None,
        limiter: "Limiter | None" = None,
        transport: httpx.AsyncBaseTransport | None = None,
        base_urls: RotatingBaseUrls | None = None,
    ) -> None:
        self.settings = settings
        self.base_urls = settings.base_urls
        self._rotating = base_urls
        self._breaker = breaker
        self._limiter = limiter
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._speeds: dict[str, float] = {}

    async def complete(  # noqa: PLR0913 - each is the caller's choice, by name
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        deadline: "Deadline",
        sampling: Sampling = MOST_LIKELY,
        schema: Mapping[str, object] | None = None,
        json_object: bool = False,
        log_probabilities: bool = False,
        extra_fields: Mapping[str, object] = MappingProxyType({}),
        expected_output_tokens: int | None = None,
        tenant: str = "-",
    ) -> Completion:
        """The model's whole answer to `messages`, before `deadline`.

        With `schema` or `json_object` the model is asked for JSON, as strictly as it supports.
        Raises the matching `VoteUnavailable`, with the cost of the attempts.
        """
        options = wire.options(
            model,
            sampling=sampling,
            schema=schema,
            json_object=json_object,
            log_probabilities=log_probabilities,
        )
        options |= extra_fields
        call = prepared(
            model,
            messages,
            options,
            max_output_tokens=max_output_tokens,
            expected_output_tokens=expected_output_tokens,
            deadline=deadline,
        )
        async with self._reserved(call, tenant):
            return await self._attempts(call, self._answer)

    async def stream(  # noqa: PLR0913 - as complete
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        deadline: "Deadline",
        sampling: Sampling = MOST_LIKELY,
        schema: Mapping[str, object] | None = None,
        json_object: bool = False,
        expected_output_tokens: int | None = None,
        tenant: str = "-",
        permitted: Callable[[], Awaitable[None]] | None = None,
        stopped: Callable[[Completion], None] | None = None,
    ) -> AsyncGenerator[Delta | Completion]:
        """The answer piece by piece, and at the end the `Completion` that sums it up.

        `permitted` is waited for before the first attempt, while the reservation is held; whatever
        it raises ends the call.
        Retried only until the gateway begins to answer. Raises as `complete`, and `StreamCut` if an
        answer that had begun did not end, with the text that arrived and its cost. A caller that
        stops listening (by `aclose` or being cancelled) ends the call; `stopped` then gets the text
        until that point, whose cost is counted here, because the gateway will not report it.
        """
        options = wire.options(model, sampling=sampling, schema=schema, json_object=json_object)
        options |= {"stream": True, "stream_options": {"include_usage": True}}
        call = prepared(
            model,
            messages,
            options,
            max_output_tokens=max_output_tokens,
            expected_output_tokens=expected_output_tokens,
            deadline=deadline,
        )
        async with self._reserved(call, tenant):
            if permitted is not None:
                await permitted()
            base, response = await self._attempts(call, self._open)
            try:
                async with aclosing(self._pieces(call, base, response, stopped)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                await response.aclose()

    async def models(self, base: BaseUrl, *, deadline: "Deadline") -> tuple[wire.ServedModel, ...]:
        """The models at `base`, in one attempt. Raises as `complete`."""
        client = self._http()
        try:
            async with asyncio.timeout(deadline.remaining()):
                request = client.build_request("GET", f"{base.url}/models", headers=_headers(base))
                response = await client.send(request, stream=True)
                try:
                    await _require_ok(response, base)
                    listed = bytes(await body.whole(response, _MODELS_BYTES))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ModelTimedOut(
                "the gateway did not list its models in time", served_by=base.url
            ) from error
        except httpx.HTTPError as error:
            raise ModelUnavailable(type(error).__name__, served_by=base.url) from error
        except BodyInvalid as invalid:
            raise ModelUnavailable(str(invalid), served_by=base.url) from invalid
        except _Again as failed:
            raise failed.error from None
        try:
            return wire.served_models(listed)
        except ValueError as error:
            raise ModelUnavailable(
                "the gateway's answer to /models is not a list of models", served_by=base.url
            ) from error

    @property
    def is_open(self) -> bool:
        """Whether connections may be open."""
        return self._client is not None

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    # ---- one call ----------------------------------------------------------------------------

    @asynccontextmanager
    async def _reserved(self, call: Call, tenant: str) -> AsyncIterator[None]:
        """Hold a reservation in the shared limit; an error that ends the call gets its cost."""
        if self._limiter is not None:
            circuit = asyncio.create_task(self._look_ahead(call))
            try:
                call.reservation = await self._reserve(self._limiter, call, tenant)
            except BaseException:
                circuit.cancel()
                raise
        try:
            if self._limiter is not None and call.reservation is not None:
                await circuit
                await self._stand_in_line(self._limiter, call, call.reservation)
            yield
        except (VoteUnavailable, StreamCut) as error:
            error.tokens = call.tokens
            error.cost_usd = call.cost_usd
            error.cost_estimated = call.cost_estimated
            if call.tokens.total:
                error.reservation = call.reservation
            else:
                await self._release(call)
            raise
        except BaseException:
            # The caller is gone, or was not permitted to ask. A call that was sent may be billed,
            # which its intent records.
            if not call.sent and not call.tokens.total:
                await self._release(call)
            raise

    async def _stand_in_line(self, limiter: "Limiter", call: Call, place: "Reservation") -> None:
        """Wait for the turn of `place`, which other calls may overtake in the meantime.

        Raises `ModelThrottled` if it moves back further than the deadline allows.
        """
        await asyncio.sleep(place.wait_seconds)
        while (place := await asyncio.to_thread(limiter.moved_back, place)).wait_seconds > 0:
            if place.wait_seconds > self._patience_seconds(call):
                raise ModelThrottled(
                    f"the rate limit of {place.model} is reached",
                    retry_after_seconds=place.wait_seconds,
                )
            await asyncio.sleep(place.wait_seconds)

    def _patience_seconds(self, call: Call) -> float:
        """Seconds a call may wait before it is sent, so that its answer is still in time."""
        return max(0.0, call.deadline.remaining() - self._expected_seconds(call))

    async def _reserve(self, limiter: "Limiter", call: Call, tenant: str) -> "Reservation":
        estimated = Tokens(input=call.prompt_tokens, output=call.expected_output_tokens)
        return await asyncio.to_thread(
            limiter.reserve,
            call.model.name,
            estimated.total,
            tenant=tenant,
            # The most one answer costs: owed if this function crashes before it reports the cost.
            cost_usd=call.model.price.cost(
                Tokens(input=call.prompt_tokens, output=call.max_output_tokens)
            ),
            patience_seconds=self._patience_seconds(call),
        )

    async def _release(self, call: Call) -> None:
        """Release the reservation. A failure is only logged: the error of the call matters more."""
        if self._limiter is not None and call.reservation is not None:
            with suppress(StoreUnavailable):
                await asyncio.to_thread(self._limiter.release, call.reservation)

    # ---- attempts ----------------------------------------------------------------------------

    async def _attempts(self, call: Call, attempt: "_Attempt[_T]") -> _T:
        """Try `attempt` at one base URL after the other, until it succeeds or must end."""
        await self.take_up_keys(call.deadline.remaining())
        for tried in count(1):
            try:
                return await self._attempt(call, attempt)
            except _Again as failed:
                seconds = self._wait(call, failed, tried)
                if tried >= self.settings.max_attempts or seconds >= call.deadline.remaining():
                    raise failed.error from failed.__cause__
            await asyncio.sleep(seconds)
        raise AssertionError("attempts end with an answer or an error")

    async def _attempt(self, call: Call, attempt: "_Attempt[_T]") -> _T:
        seconds = self._timeout(call)
        if not seconds:
            raise ModelTimedOut("no time was left to call the model")
        base = await self._base_url(call)
        call.attempts += 1
        call.sent = False
        try:
            result = await self._within(call, base, attempt, seconds)
        except _Again as failed:
            again = base.url in call.failures_counted
            if failed.elsewhere and base.url not in call.failed_at:
                call.failed_at.append(base.url)
            # A timeout says nothing about the gateway if the caller left it next to no time.
            if seconds >= NETWORK_SECONDS or not isinstance(failed.error, ModelTimedOut):
                if failed.elsewhere:
                    call.failures_counted.add(base.url)
                await self._report(call, base, well=not failed.elsewhere, again=again)
            raise
        except VoteUnavailable as failed:  # the gateway works, although the answer is an error
            await self._report(call, base, well=True)
            if await self._has_new_key(failed, base, call.deadline.remaining()):
                raise _Again(failed, elsewhere=False, wait_seconds=0.0) from failed
            raise
        await self._report(call, base, well=True)
        return result

    async def take_up_keys(self, seconds: float = KEY_SECONDS) -> None:
        """Read the current keys in a thread if they are due, waiting for `seconds` at most.

        A read that takes longer continues, and a later call uses its result.
        """
        if self._rotating is not None and not self._rotating.is_fresh:
            await self._use_keys(self._rotating.current, seconds)

    async def _has_new_key(self, failed: VoteUnavailable, base: BaseUrl, seconds: float) -> bool:
        """Whether the key of `base` was refused and there is another one by now."""
        refused = isinstance(failed, GatewayRejected) and failed.status == _UNAUTHORIZED
        if not refused or self._rotating is None:
            return False
        await self._use_keys(partial(self._rotating.after_refusal, base), seconds)
        return base not in self.base_urls

    async def _use_keys(self, read: Callable[[], tuple[BaseUrl, ...]], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, KEY_SECONDS)):
                self.base_urls = await asyncio.to_thread(read)

    async def _within(
        self, call: Call, base: BaseUrl, attempt: "_Attempt[_T]", seconds: float
    ) -> _T:
        try:
            async with asyncio.timeout(seconds):
                return await attempt(call, base, seconds)
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            unreachable = ModelUnavailable(
                "the gateway could not be reached in time", served_by=base.url
            )
            raise _Again(unreachable, elsewhere=True) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            if call.sent:
                call.pay_at_most()
            late = ModelTimedOut(
                f"the model did not answer within {seconds:.1f} s", served_by=base.url
            )
            raise _Again(late, elsewhere=True) from error
        except httpx.HTTPError as error:
            said = f"the connection to the gateway was lost: {type(error).__name__}"
            if isinstance(error, httpx.ConnectError):
                said = "the gateway could not be reached"
            lost = ModelUnavailable(said, served_by=base.url)
            raise _Again(lost, elsewhere=True) from error

    async def _base_url(self, call: Call) -> BaseUrl:
        """The first base URL that has not failed this call; if all have, the first again.

        Checks no more circuits than it must: a circuit that lets one call probe waits for that
        call.
        """
        every = self.base_urls
        if len(call.failed_at) >= len(every):
            call.failed_at.clear()
        for base in sorted(every, key=lambda base: base.url in call.failed_at):
            if await self._allows(call, base):
                return base
        raise ModelUnavailable("every base URL of the gateway failed recently; none is tried yet")

    async def _look_ahead(self, call: Call) -> None:
        """Read the first circuit that the call will need, while its place is reserved."""
        if self._breaker is not None:
            await self._breaker.look(self.base_urls[0].url, call.model.name)

    async def _allows(self, call: Call, base: BaseUrl) -> bool:
        return self._breaker is None or await self._breaker.allows(base.url, call.model.name)

    async def _report(self, call: Call, base: BaseUrl, *, well: bool, again: bool = False) -> None:
        if self._breaker is not None:
            await self._breaker.report(base.url, call.model.name, well=well, again=again)

    def _wait(self, call: Call, failed: _Again, tried: int) -> float:
        """Seconds to wait: none before a new base URL, as the gateway asked, else full jitter."""
        if failed.elsewhere and len(call.failed_at) < len(self.base_urls):
            return 0.0
        if failed.wait_seconds is not None:
            return failed.wait_seconds
        longest = min(
            self.settings.backoff_seconds * 2 ** min(tried - 1, 30),
            self.settings.backoff_cap_seconds,
        )
        return random.uniform(0, longest)  # noqa: S311 - jitter, no secret

    def _timeout(self, call: Call) -> float:
        """Seconds for one attempt: (prompt + expected output) / speed × 1.5 + 2, or the time left.

        While there is another base URL to try, half of the time left is kept for it.
        """
        allowed = self._expected_seconds(call) * TIMEOUT_MARGIN + NETWORK_SECONDS
        untried = len(self.base_urls) - len(call.failed_at)
        return min(allowed, call.deadline.remaining() / (2 if untried > 1 else 1))

    def _expected_seconds(self, call: Call) -> float:
        speed = self._speeds.get(call.model.name, call.model.tokens_per_second)
        return (call.prompt_tokens + call.expected_output_tokens) / speed

    def _measure(self, model: Model, tokens: Tokens | None, seconds: float) -> None:
        """Remember the measured speed: all tokens of a call over its time, as the timeout uses it.

        Estimated tokens (None) are no measurement.
        """
        if seconds <= 0 or tokens is None or not tokens.total:
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
                transport=self._transport or Connections(limits),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def _open(
        self, call: Call, base: BaseUrl, seconds: float
    ) -> tuple[BaseUrl, httpx.Response]:
        """The response, once its status is known to be an answer's; its body is not read yet."""
        client = self._http()
        request = client.build_request(
            "POST",
            f"{base.url}/chat/completions",
            content=call.body,
            headers=_headers(base),
            extensions={"trace": call.trace},
            timeout=httpx.Timeout(seconds, connect=min(self.settings.connect_seconds, seconds)),
        )
        response = await client.send(request, stream=True)
        try:
            call.sent = response.status_code in _ANSWERED  # an error is billed nothing
            await _require_ok(response, base)
        except BaseException:
            await response.aclose()
            raise
        return base, response

    async def _answer(self, call: Call, base: BaseUrl, seconds: float) -> Completion:
        begun = time.monotonic()
        _, response = await self._open(call, base, seconds)
        received = bytearray()
        try:
            async for piece in body.pieces(response, _most_bytes(call)):
                received += piece
        except (httpx.HTTPError, BodyInvalid) as error:
            if isinstance(error, httpx.TimeoutException):
                raise
            call.pay_for_part(bytes(received), answered=True)
            why = str(error) if isinstance(error, BodyInvalid) else type(error).__name__
            cut = ModelUnavailable(f"the answer was cut off: {why}", served_by=base.url)
            raise _Again(cut, elsewhere=True) from error
        finally:
            await response.aclose()
        came = wire.received(bytes(received))
        if came.answer is None:
            call.pay_unread(came.usage, answered=came.answered)
            raise _failed(came.problem, base)
        exact = call.pay_for(came.answer.text, came.answer.usage)
        self._measure(call.model, exact, time.monotonic() - begun)
        return call.completion(base.url, came.answer)

    async def _pieces(
        self,
        call: Call,
        base: BaseUrl,
        response: httpx.Response,
        stopped: Callable[[Completion], None] | None,
    ) -> AsyncGenerator[Delta | Completion]:
        stream = Stream()
        begun = time.monotonic()
        try:
            arriving = body.joined(response, _most_bytes(call), call.deadline.remaining())
            async with aclosing(arriving):
                async for received in arriving:
                    if text := "".join(stream.feed(received)):
                        yield Delta(text)
                    if stream.over:
                        break
            if text := "".join(stream.close()):
                yield Delta(text)
        except (GeneratorExit, asyncio.CancelledError):
            call.pay_for(stream.answer.text, stream.answer.usage)
            if stopped is not None:
                stopped(call.completion(base.url, stream.answer, stream.first_token_at))
            raise
        except (httpx.HTTPError, TimeoutError, BodyInvalid) as error:
            why = str(error) if isinstance(error, BodyInvalid) else type(error).__name__
            # The whole answer may have arrived, and only the end of the body be missing.
            if not stream.complete:
                stream.problem = stream.problem or why
        answer = stream.answer
        exact = call.pay_for(answer.text, answer.usage)
        if not stream.complete:
            raise StreamCut(
                f"the stream ended before it was complete: {stream.problem or 'closed'}",
                received=answer.text,
                tokens=call.tokens,
                cost_usd=call.cost_usd,
                served_by=base.url,
            )
        self._measure(call.model, exact, time.monotonic() - begun)
        yield call.completion(base.url, answer, stream.first_token_at)


# ---- answers ------------------------------------------------------------------------------------


def _headers(base: BaseUrl) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
    }
    if key := base.key.get_secret_value():
        headers["authorization"] = f"Bearer {key}"
    return headers


async def _require_ok(response: httpx.Response, base: BaseUrl) -> None:
    """Raise the error of a status that is no answer's; its body is read as far as needed."""
    if response.status_code in _ANSWERED:
        return
    said = await body.beginning(response)
    raise _failed(problems.of_status(response.status_code, said, response.headers), base)


def _failed(problem: Problem | None, base: BaseUrl) -> "_Again | VoteUnavailable":
    """The error for a gateway's problem, without its own message, which may quote content."""
    if problem is None:
        other = ModelUnavailable("the gateway's answer is not a completion", served_by=base.url)
        return _Again(other, elsewhere=True)
    said, seconds = f"the gateway answered {problem.said}", problem.retry_after_seconds
    match problem.kind:
        case Kind.THROTTLED:
            wait = 1.0 if seconds is None else seconds
            throttled = ModelThrottled(said, retry_after_seconds=wait, served_by=base.url)
            return _Again(throttled, elsewhere=False, wait_seconds=seconds)
        case Kind.DOWN | Kind.PASSING as kind:
            failed = ModelUnavailable(said, served_by=base.url)
            return _Again(failed, elsewhere=kind is Kind.DOWN, wait_seconds=seconds)
        case _:
            return _final(problem, said, base)


def _final(problem: Problem, said: str, base: BaseUrl) -> VoteUnavailable:
    """The error for a problem that no other attempt can change."""
    match problem.kind:
        case Kind.TOO_LONG:
            return PromptTooLong(said, served_by=base.url)
        case Kind.BLOCKED:
            return ModelRefused(said, served_by=base.url)
        case Kind.REJECTED:
            return GatewayRejected(said, status=problem.status, served_by=base.url)
        case _:
            return GatewayDenied(said, status=problem.status, served_by=base.url)


def _most_bytes(call: Call) -> int:
    """Bytes that an answer to this call has at most."""
    return min(_LONGEST_BODY_BYTES, _ENVELOPE_BYTES + call.max_output_tokens * _BYTES_PER_TOKEN)
