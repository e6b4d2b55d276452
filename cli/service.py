"""A client of a deployment's HTTP API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError
from quorum.core.models import Verdict
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from cli.deployment import api_of
from cli.errors import CommandFailed, DeploymentRefused, DeploymentUnreachable, ExitCode

REQUEST_SECONDS = 30.0
"""Seconds for a request: a little more than API Gateway's own limit of 29 s."""
UPLOAD_SECONDS = 600.0
UPLOAD_CHUNK = 1024 * 1024
READS = 3
"""Tries of a GET while the deployment is unavailable; a request that only reads is repeatable."""
PAUSE_SECONDS = 0.5
"""Seconds before a GET is sent again; the pause doubles each time."""


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
        try:
            self._http = httpx.Client(
                base_url=where.rstrip("/") + "/",
                headers={"x-api-key": key},
                timeout=REQUEST_SECONDS,
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise _Usage(f"The URL or the key of the deployment is malformed: {error}.") from None
        self._where = where
        self._pause_seconds = pause_seconds

    def moderate(self, content: str, **options: Any) -> Verdict:
        """The verdict on `content`; `options` are other fields of the request."""
        given = {name: value for name, value in options.items() if value is not None}
        return self._verdict(self.post("verdicts", {"content": content} | given))

    def find(self, verdict_id: str) -> Verdict | None:
        """The stored verdict; None while there is none."""
        try:
            return self._verdict(self.get(f"verdicts/{verdict_id}"))
        except DeploymentRefused as refusal:
            if refusal.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST."""
        with _reached(self._where):
            return self._body(self._http.post(path, json=body))

    def get(self, path: str, **query: str) -> Any:
        """The answer to a GET, sent again while the deployment is unavailable."""
        for attempt in self._reads():
            with attempt, _reached(self._where):
                return self._body(self._http.get(path, params=query))
        raise AssertionError("tenacity returns or raises")

    def replace(self, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """The answer to a PUT."""
        with _reached(self._where):
            return self._body(self._http.put(path, json=body, headers=dict(headers)))

    def delete(self, path: str) -> Any:
        """The answer to a DELETE."""
        with _reached(self._where):
            return self._body(self._http.delete(path))

    def put(self, url: str, body: IO[bytes], length: int) -> None:
        """Upload `length` bytes to a presigned URL."""
        chunks = iter(lambda: body.read(UPLOAD_CHUNK), b"")
        headers = {"content-length": str(length)}
        # The key is not sent: the URL leads elsewhere and is permission enough.
        with _reached(url):
            answer = httpx.put(url, content=chunks, headers=headers, timeout=UPLOAD_SECONDS)
            _refuse(answer, url)

    def fetch(self, url: str) -> Any:
        """The JSON at a presigned URL."""
        for attempt in self._reads():
            with attempt, _reached(url):
                return _json(_refuse(httpx.get(url, timeout=UPLOAD_SECONDS), url), url)
        raise AssertionError("tenacity returns or raises")

    def _body(self, answer: httpx.Response) -> Any:
        return _json(_refuse(answer, self._where), self._where)

    def _verdict(self, answer: Any) -> Verdict:
        try:
            return Verdict.model_validate(answer)
        except ValidationError:
            raise _stranger(self._where) from None

    def _reads(self) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(READS),
            wait=wait_exponential(multiplier=self._pause_seconds),
            retry=retry_if_exception_type(DeploymentUnreachable),
            reraise=True,
        )


class _Usage(CommandFailed):
    code = ExitCode.USAGE


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turn errors of the connection into `DeploymentUnreachable`."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _Usage(f"{url} is not the URL of a deployment: {error}.") from None
    except httpx.TimeoutException:
        raise DeploymentUnreachable(
            f"The deployment at {_host(url)} did not answer in time. Try again later."
        ) from None
    except httpx.TransportError as error:
        raise DeploymentUnreachable(
            f"The deployment at {_host(url)} cannot be reached ({error})."
            " Check its URL and the network."
        ) from None


def _refuse(answer: httpx.Response, url: str) -> httpx.Response:
    """Return the answer; raise for a 4xx or a 5xx."""
    status = answer.status_code
    if answer.is_server_error:
        said = _said(answer) or "no reason given"
        raise DeploymentUnreachable(f"The deployment at {_host(url)} answered {status}: {said}.")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        said = _said(answer) or "the key is not accepted"
        raise DeploymentRefused(
            f"The deployment at {_host(url)} answered {status}: {said}."
            " Check that the key belongs to this deployment and has the role for this.",
            status,
        )
    if not answer.is_success:
        said = _said(answer) or f"the deployment answered {status}"
        raise DeploymentRefused(f"{said[:1].upper()}{said[1:]}.", status, _error(answer))
    return answer


def _json(answer: httpx.Response, url: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise _stranger(url) from None


def _stranger(url: str) -> CommandFailed:
    return CommandFailed(f"The server at {_host(url)} is not Quorum. Check the URL.")


def _said(answer: httpx.Response) -> str:
    """The error's message without its full stop; empty if there is none."""
    return str(_error(answer).get("message") or "").rstrip(".")


def _error(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer; a refusal by API Gateway itself has only a message."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return {"message": body.get("message") or body.get("Message")}


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def connect(where: str, *, operator: bool = False) -> Service:
    """The API of the deployment that `where` names; raises as `cli.deployment.api_of`."""
    url, key = api_of(where, operator=operator)
    return Service(url, key)
