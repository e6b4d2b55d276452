"""The client of a deployment's HTTP API whose errors are sentences for the command line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError
from quorum.core.models import Verdict

from cli.deployment import api_of
from cli.errors import CommandFailed, DeploymentRefused, DeploymentUnreachable, ExitCode
from quorum_client import (
    ConnectionFailed,
    Forbidden,
    NotFound,
    Quorum,
    QuorumError,
    RequestRefused,
    Retries,
    ServiceUnavailable,
    TimedOut,
    Unauthorized,
    requests,
)
from quorum_client.requests import Send, answered, encoded, new_key, posted, read
from quorum_client.routes import uploaded

READS = 3
"""Tries of a request that may be repeated, while the deployment is unavailable."""
PAUSE_SECONDS = 0.5
"""Seconds before a request is sent again; the pause doubles each time."""
ONCE = frozenset({"verdicts", "moderations", "batches", "documents"})
"""The routes that honour an idempotency key, so that a POST may be repeated."""


class Service:
    """The HTTP API of a deployment; `where` is its base URL.

    Every request raises `DeploymentRefused` for a 4xx, with the deployment's own message, and
    `DeploymentUnreachable` for a 5xx, a connection that fails, and an answer that does not come.
    """

    def __init__(
        self,
        where: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        retries = Retries(attempts=READS, pause_seconds=pause_seconds)
        try:
            self._quorum = Quorum(where, key=key, retries=retries, transport=transport)
        except ValueError as error:
            raise _Usage(f"The deployment cannot be asked: {error}.") from None
        self._where = where

    @property
    def client(self) -> Quorum:
        """The client itself, whose errors are those of `quorum_client`."""
        return self._quorum

    def moderate(self, content: str, **options: Any) -> Verdict:
        """The verdict on `content`; `options` are other fields of the request."""
        given = {name: value for name, value in options.items() if value is not None}
        return self._verdict(self.post("verdicts", {"content": content} | given))

    def find(self, verdict_id: str) -> Verdict | None:
        """The stored verdict; None while there is none."""
        try:
            return self._verdict(self.get(below("verdicts", verdict_id)))
        except DeploymentRefused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST; repeated only where it cannot be paid twice."""
        key = new_key() if path in ONCE else None
        return self._json(posted(path, body, key=key, repeatable=key is not None))

    def get(self, path: str, **query: str | list[str]) -> Any:
        """The answer to a GET."""
        return self._json(Send("GET", path, params=query))

    def pages(self, path: str, **query: str | list[str]) -> Iterator[Any]:
        """The entries of a list, page by page; the list has the path's name."""
        while True:
            page = self.get(path, **query)
            yield from page[path]
            if page["next"] is None:
                return
            query["next"] = page["next"]

    def replace(self, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """The answer to a PUT."""
        return self._json(Send("PUT", path, body=encoded(body), headers=headers, repeatable=False))

    def delete(self, path: str) -> Any:
        """The answer to a DELETE."""
        return self._json(Send("DELETE", path, repeatable=False))

    def upload(self, file: IO[bytes]) -> str:
        """Upload a file; what to name it by in a request."""
        with _told(self._where):
            return self._quorum.run(uploaded(file, self._quorum.retries))

    def fetch(self, url: str) -> Any:
        """The JSON at a presigned URL."""
        return self._json(Send("GET", url))

    def _json(self, request: Send) -> Any:
        with _told(self._where):
            return read(self._answer(request))

    def _answer(self, request: Send) -> httpx.Response:
        with _told(request.path if request.presigned else self._where):
            return self._quorum.run(answered(request, self._quorum.retries))

    def _verdict(self, answer: Any) -> Verdict:
        try:
            return Verdict.model_validate(answer)
        except ValidationError:
            raise _stranger(self._where) from None


class _Usage(CommandFailed):
    code = ExitCode.USAGE


def below(path: str, name: str, *rest: str) -> str:
    """The path of what is called `name` below `path`; fails if nothing can be called that."""
    try:
        return requests.below(path, name, *rest)
    except NotFound as error:
        raise _Usage(f"{error.message}.") from None


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn the client's errors into those of commands."""
    try:
        yield
    except QuorumError as error:
        if isinstance(error.__cause__, httpx.UnsupportedProtocol | httpx.InvalidURL):
            raise _no_url(url, error.__cause__) from None
        raise _failure(error, url) from None


def _failure(error: QuorumError, url: str) -> CommandFailed:
    there = f"The deployment at {_host(url)}"
    said = str(error.told.get("message") or "").rstrip(".")
    match error:
        case TimedOut():
            return DeploymentUnreachable(f"{there} did not answer in time. Try again later.")
        case ConnectionFailed():
            return DeploymentUnreachable(
                f"{there} cannot be reached ({error.__cause__}). Check its URL and the network."
            )
        case ServiceUnavailable():
            return DeploymentUnreachable(
                f"{there} answered {error.status}: {said or 'no reason given'}."
            )
        case Unauthorized() | Forbidden():
            return DeploymentRefused(
                f"{there} answered {error.status}: {said or 'the key is not accepted'}."
                " Check that the key belongs to this deployment and has the role for this.",
                error.status or 0,
            )
        case RequestRefused():
            said = said or error.message
            return DeploymentRefused(
                f"{said[:1].upper()}{said[1:]}.", error.status or 0, error.told
            )
        case _:
            return _stranger(url)


def _no_url(url: str, error: Exception) -> CommandFailed:
    return _Usage(f"{url} is not the URL of a deployment: {error}.")


def _stranger(url: str) -> CommandFailed:
    return CommandFailed(f"The server at {_host(url)} is not Quorum. Check the URL.")


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def connect(where: str, *, operator: bool = False) -> Service:
    """The API of the deployment that `where` names; raises as `cli.deployment.api_of`."""
    url, key = api_of(where, operator=operator)
    return Service(url, key)
