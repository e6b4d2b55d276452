"""Requests and how they are repeated, without input or output of their own.

A *flow* is a generator: it yields a `Send` and is given the answer, or is thrown httpx's error; it
yields a `Pause` and is continued after it; it returns its result. `Quorum` and `AsyncQuorum` only
drive flows, so that both behave alike.
"""

import json
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from quorum_client.errors import (
    AnswerUnreadable,
    ConnectionFailed,
    NotFound,
    QuorumError,
    RequestRefused,
    TooManyRequests,
    error_of,
    error_of_request,
)

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

IDEMPOTENCY_KEY = "Idempotency-Key"
UPLOAD_SECONDS = 600.0
"""Seconds for an upload or a download at a presigned URL."""
UPLOAD_CHUNK = 1024 * 1024
UNANSWERED = (httpx.RequestError, httpx.InvalidURL)
"""What httpx raises instead of an answer that can be read."""
_NAMELESS = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and after which pauses a request is repeated that failed for the moment.

    The pause is what the deployment asks for (`Retry-After`), else at random up to `pause_seconds`,
    doubled each time (full jitter). A longer one than `longest_seconds` is not waited for.
    """

    attempts: int = 5
    pause_seconds: float = 0.5
    longest_seconds: float = 60.0

    def pause(self, attempt: int, failure: QuorumError) -> float | None:
        """Seconds until the attempt after this one; None if there shall be none."""
        if attempt >= self.attempts or not failure.retryable:
            return None
        doubled = min(self.pause_seconds * 2 ** (attempt - 1), self.longest_seconds)
        jitter = random.uniform(0, doubled)  # noqa: S311 - jitter, not a secret
        asked = failure.retry_after_seconds
        if asked is None:
            return jitter
        # Not all who were refused together may come back together.
        return None if asked > self.longest_seconds else asked + jitter


@dataclass(frozen=True, slots=True)
class Send:
    """One request. `path` is below the base URL, or a presigned URL, which is sent no key.

    A request that is not `repeatable` is sent again only if it surely had no effect. With `stream`
    the body of its answer is left unread.
    """

    method: str
    path: str
    body: bytes | None = None
    file: "IO[bytes] | None" = None
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    stream: bool = False

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return 0 if self.file is None else self.file.seek(0, 2)

    @property
    def presigned(self) -> bool:
        """Whether it leads elsewhere: such a URL is permission enough."""
        return "://" in self.path


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause before the next step, in seconds."""

    seconds: float


Flow = Generator[Send | Pause, Any, T]


def below(path: str, name: str, *rest: str) -> str:
    """The path of what is called `name` below `path`, whatever characters its name has.

    Raises `NotFound` for a name that no path can have.
    """
    if not isinstance(name, str) or name in _NAMELESS:
        raise NotFound(f"nothing is called {name!r}", code="not_found")
    return "/".join((path, quote(name, safe="", errors="replace"), *rest))


def posted(path: str, body: Any, *, key: str | None = None, repeatable: bool = True) -> Send:
    """A POST of JSON; with an idempotency `key`, which its route must honour.

    Raises `RequestRefused` for a key that no header can hold.
    """
    if key is not None and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise RequestRefused(
            "idempotency_key: must have ASCII characters only, and no blanks at its ends",
            code="invalid_idempotency_key",
            field="idempotency_key",
        )
    headers = {} if key is None else {IDEMPOTENCY_KEY: key}
    return Send("POST", path, body=encoded(body), headers=headers, repeatable=repeatable)


def new_key() -> str:
    """An idempotency key for one request and its repetitions."""
    return uuid4().hex


def encoded(body: Any) -> bytes:
    """The body as JSON; half an emoji, which UTF-8 has no form for, is escaped."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def answered(request: Send, retries: Retries) -> Flow[httpx.Response]:
    """The answer to a request, sent again while it fails for the moment; raises `QuorumError`."""
    attempt = 0
    while True:
        attempt += 1
        failure: QuorumError | None
        try:
            answer: httpx.Response = yield request
        except UNANSWERED as error:
            failure = error_of_request(error)
            failure.__cause__ = error
        else:
            failure = error_of(answer)
            if failure is None:
                return answer
        pause = retries.pause(attempt, failure) if _may_repeat(request, failure) else None
        if pause is None:
            raise failure
        yield Pause(pause)


def _may_repeat(request: Send, failure: QuorumError) -> bool:
    never_begun = isinstance(failure, ConnectionFailed) and not failure.begun
    return request.repeatable or never_begun or isinstance(failure, TooManyRequests)


def read(answer: httpx.Response) -> Any:
    """The answer's JSON; raises `AnswerUnreadable`."""
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise AnswerUnreadable(
            "the answer is not JSON: is this the URL of a Quorum deployment?",
            code="not_quorum",
            status=answer.status_code,
        ) from None


def read_as(model: type[ModelT], answer: httpx.Response) -> ModelT:
    """The answer as a `model`; raises `AnswerUnreadable`."""
    return validated(model, read(answer), answer.status_code)


def validated(model: type[ModelT], body: Any, status: int | None = None) -> ModelT:
    """The JSON as a `model`; raises `AnswerUnreadable`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise AnswerUnreadable(
            f"the answer is not a {model.__name__}: {where}: {first['msg']}",
            code="not_quorum",
            status=status,
        ) from None
