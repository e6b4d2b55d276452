"""A running Quorum, as its callers see it: over HTTP, with a key."""

from collections.abc import Iterator
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
"""A little more than API Gateway's own limit of 29 s."""
UPLOAD_SECONDS = 600.0
UPLOAD_CHUNK = 1024 * 1024
READS = 3
"""How often a GET is sent while the deployment is unavailable: what only reads may be repeated."""
PAUSE_SECONDS = 0.5
"""The pause before a GET is sent again; it doubles each time."""


class Service:
    """The HTTP API of a deployment; `where` is its base URL.

    Every request raises `DeploymentRefused` for a 4xx, in the deployment's own words, and
    `DeploymentUnreachable` for a 5xx, a connection that fails and an answer that does not come.
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
            raise _Usage(f"That is no address or no key of a deployment: {error}.") from None
        self._where = where
        self._pause_seconds = pause_seconds

    def moderate(self, content: str, **options: Any) -> Verdict:
        """The verdict on `content`; `options` are other fields of the request."""
        given = {name: value for name, value in options.items() if value is not None}
        return self._verdict(self.post("verdicts", {"content": content} | given))

    def find(self, verdict_id: str) -> Verdict | None:
        """The stored verdict, or None while there is none."""
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

    def put(self, url: str, body: IO[bytes], length: int) -> None:
        """Upload `length` bytes to a presigned URL."""
        chunks = iter(lambda: body.read(UPLOAD_CHUNK), b"")
        headers = {"content-length": str(length)}
        # No key goes along: the URL is its own permission, and leads elsewhere.
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
    """Turn what a connection fails with into `DeploymentUnreachable`."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _Usage(f"{url} is no URL of a deployment: {error}.") from None
    except httpx.TimeoutException:
        raise DeploymentUnreachable(
            f"The deployment at {_host(url)} does not answer in time. Try again later."
        ) from None
    except httpx.TransportError as error:
        raise DeploymentUnreachable(
            f"The deployment at {_host(url)} cannot be reached ({error})."
            " Check its URL and the network."
        ) from None


def _refuse(answer: httpx.Response, url: str) -> httpx.Response:
    """The answer, unless it is a 4xx or a 5xx."""
    status = answer.status_code
    if answer.is_server_error:
        said = _said(answer) or "no reason given"
        raise DeploymentUnreachable(f"The deployment at {_host(url)} says {status}: {said}.")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        said = _said(answer) or "the key is not accepted"
        raise DeploymentRefused(
            f"The deployment at {_host(url)} says {status}: {said}."
            " Is it this deployment's key, and may it do this?",
            status,
        )
    if not answer.is_success:
        said = _said(answer) or f"the deployment says {status}"
        raise DeploymentRefused(f"{said[:1].upper()}{said[1:]}.", status, _error(answer))
    return answer


def _json(answer: httpx.Response, url: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise _stranger(url) from None


def _stranger(url: str) -> CommandFailed:
    return CommandFailed(f"What answers at {_host(url)} is not Quorum. Check the URL.")


def _said(answer: httpx.Response) -> str:
    """The error's message, without its full stop; empty if there is none."""
    return str(_error(answer).get("message") or "").rstrip(".")


def _error(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer; of API Gateway's own refusals there is only a message."""
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
    """The service of the deployment that `where` means; raises as `cli.deployment.api_of`."""
    url, key = api_of(where, operator=operator)
    return Service(url, key)
