"""A running Quorum, as its callers see it: over HTTP, with a key."""

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx
import typer
from quorum.core.models import Verdict

if TYPE_CHECKING:
    from local.stack import Stack

REQUEST_SECONDS = 30.0
"""A little more than API Gateway's own limit of 29 s."""
UPLOAD_SECONDS = 600.0
UPLOAD_CHUNK = 1024 * 1024


class Service:
    """The HTTP API of a deployment; `where` is its base URL."""

    def __init__(
        self, where: str, key: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=where.rstrip("/") + "/",
            headers={"x-api-key": key},
            timeout=REQUEST_SECONDS,
            transport=transport,
        )

    def moderate(self, content: str, **options: Any) -> Verdict:
        """The verdict on `content`; `options` are other fields of the request.

        Raises `typer.BadParameter` with the service's own words for a 4xx, and
        `httpx.HTTPStatusError` for a 5xx.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return Verdict.model_validate(self.post("verdicts", {"content": content} | given))

    def find(self, verdict_id: str) -> Verdict | None:
        """The stored verdict, or None while there is none."""
        answer = self._http.get(f"verdicts/{verdict_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return Verdict.model_validate(_body(answer))

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST; raises as `moderate`."""
        return _body(self._http.post(path, json=body))

    def get(self, path: str, **query: str) -> Any:
        """The answer to a GET; raises as `moderate`."""
        return _body(self._http.get(path, params=query))

    def put(self, url: str, body: IO[bytes], length: int) -> None:
        """Upload `length` bytes to a presigned URL; raises `httpx.HTTPStatusError`."""
        chunks = iter(lambda: body.read(UPLOAD_CHUNK), b"")
        headers = {"content-length": str(length)}
        # No key goes along: the URL is its own permission, and leads elsewhere.
        httpx.put(url, content=chunks, headers=headers, timeout=UPLOAD_SECONDS).raise_for_status()

    def fetch(self, url: str) -> Any:
        """The JSON at a presigned URL; raises `httpx.HTTPStatusError`."""
        return httpx.get(url, timeout=UPLOAD_SECONDS).raise_for_status().json()


def _body(answer: httpx.Response) -> Any:
    if answer.is_client_error:
        error = answer.json().get("error", {}) if _is_json(answer) else {}
        raise typer.BadParameter(error.get("message") or f"the service says {answer.status_code}")
    answer.raise_for_status()
    return answer.json()


def _is_json(answer: httpx.Response) -> bool:
    return "json" in answer.headers.get("content-type", "")


def connect(where: str, *, operator: bool = False) -> Service:
    """`where` is `local` (the stack `make up` started) or a deployment's base URL.

    A deployment's key is taken from QUORUM_API_KEY. Raises `typer.BadParameter`.
    """
    if where == "local":
        stack = local_stack()
        return Service(stack.api, stack.operator_key if operator else stack.key)
    key = os.environ.get("QUORUM_API_KEY")
    if not key:
        raise typer.BadParameter("put the deployment's key into QUORUM_API_KEY")
    return Service(where, key)


def local_stack() -> "Stack":
    """The stack `make up` started; raises `typer.BadParameter` if none runs."""
    # Only development machines have a local stack, and the module that runs one.
    from local.stack import FOLDER, StateDirectory  # noqa: PLC0415 - when needed

    stack = StateDirectory(Path(os.environ.get("QUORUM_LOCAL", FOLDER))).running()
    if stack is None:
        raise typer.BadParameter("no local stack runs here; start one with `make up`")
    return stack
