"""The client, synchronous and asynchronous; both only drive the flows of `quorum_client.routes`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Self, TypeVar

import httpx

from quorum_client import chat, routes
from quorum_client.batches import AsyncBatch, Batch
from quorum_client.chat import AsyncTokens, Message, Tokens
from quorum_client.errors import BudgetSpent, Forbidden, QuorumError, Unauthorized
from quorum_client.many import CONCURRENCY, Many, Run
from quorum_client.report import Progress
from quorum_client.requests import (
    UNANSWERED,
    UPLOAD_CHUNK,
    UPLOAD_SECONDS,
    Flow,
    Pause,
    Retries,
    Send,
    answered,
)
from quorum_client.results import Verdict

T = TypeVar("T")

REQUEST_SECONDS = 30.0
"""Seconds for a request: a little more than API Gateway's own limit of 29 s."""
CONNECT_SECONDS = 5.0
_LABEL_LIMIT = 63
"""Characters of a part of a host's name."""
_LAST_PORT = 65_535


class _Client:
    """What both clients know: where the deployment is, its key, and how requests are repeated."""

    def __init__(self, url: str, *, key: str, retries: Retries | None) -> None:
        _require_address(url)
        _require_key(key)
        self.url = url.rstrip("/") + "/"
        self.retries = retries or Retries()
        self._key = key

    def _headers(self, request: Send) -> dict[str, str]:
        headers = dict(request.headers)
        if request.file is not None:
            headers["content-length"] = str(request.size)
        elif request.body is not None:
            headers["content-type"] = "application/json"
        return headers if request.presigned else headers | {"x-api-key": self._key}

    def _request(self, http: "httpx.Client | httpx.AsyncClient", request: Send) -> httpx.Request:
        content: Any = request.body
        headers = self._headers(request)
        if request.file is not None:
            request.file.seek(0)
            pieces = iter(partial(request.file.read, UPLOAD_CHUNK), b"")
            content = pieces if isinstance(http, httpx.Client) else _asynchronous(pieces)
        seconds = UPLOAD_SECONDS if request.presigned else REQUEST_SECONDS
        return http.build_request(
            request.method,
            request.path,
            content=content,
            params=dict(request.params) or None,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        )


class Quorum(_Client):
    """A deployment's HTTP API; `url` is its base URL. Threads may share one client.

    A request that fails for the moment is repeated (`retries`), with the same idempotency key, so
    that nothing is paid twice. Every method raises `QuorumError`; a `url` or a `key` that cannot be
    one is a `ValueError`.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key=key, retries=retries)
        self._http = httpx.Client(base_url=self.url, transport=transport)

    def __enter__(self) -> Self:
        """The client, which is closed after the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def moderate(
        self,
        text: str,
        *,
        language: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        context: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        **others: Any,
    ) -> Verdict:
        """The verdict on `text`; `others` are further fields of the request (`id`, …).

        With an `idempotency_key` of your own, the same request is answered alike for a day.
        """
        options = _options(language, panel, policy, context, metadata) | others
        return self.run(routes.moderate(text, options, idempotency_key, self.retries))

    def moderate_many(
        self,
        texts: Iterable[str],
        *,
        language: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        alert_usd: Decimal | None = None,
    ) -> Many[Verdict]:
        """The results of `texts` in their order, `concurrency` at once, and the report.

        A text without a verdict has its error in its place. After an error that would meet all
        (the key, the budget), no more is asked. `progress` is called after each text, by one thread
        at a time. A warning is logged once the cost has reached `alert_usd`.
        """
        many = _many(texts, progress, alert_usd)
        return many.in_threads(
            lambda text: self.moderate(text, language=language, panel=panel, policy=policy),
            concurrency,
        )

    def verdict(self, verdict_id: str) -> Verdict:
        """A stored verdict; raises `NotFound`."""
        return self.run(routes.verdict(verdict_id, self.retries))

    def verdicts(
        self,
        *,
        start: routes.Moment | None = None,
        end: routes.Moment | None = None,
        decision: str | None = None,
        category: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        language: str | None = None,
        metadata: routes.Metadata | None = None,
    ) -> Iterator[Verdict]:
        """The stored verdicts, newest first, read page by page; by default those of this month.

        A day belongs whole to what is asked for. A time has its zone; that of `end` does not
        belong to it. `category` is one that is flagged. `metadata` are entries that verdicts have,
        all of them: `{"thread": 7}`, or names alone, `["thread"]`.
        """
        filters = {
            "decision": decision,
            "category": category,
            "panel": panel,
            "policy": policy,
            "language": language,
        }
        query = routes.verdict_query(start, end, metadata, filters)
        return self._listed(query)

    def _listed(self, query: dict[str, Any]) -> Iterator[Verdict]:
        page = self.run(routes.verdict_page(query, None, self.retries))
        yield from page.verdicts
        while page.next is not None:
            page = self.run(routes.verdict_page(query, page.next, self.retries))
            yield from page.verdicts

    def batch(
        self,
        items: Iterable[routes.Item],
        *,
        panel: str | None = None,
        policy: str | None = None,
        alert_usd: Decimal | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Submit texts, or items as `POST /batches` takes them, of any number, as one batch."""
        options = {"panel": panel, "policy": policy, "alert_usd": _number(alert_usd)}
        flow = routes.submit(items, options, idempotency_key, self.retries)
        return Batch(self, self.run(flow))

    def documents(
        self,
        documents: Sequence[routes.File],
        operation: str,
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Batch:
        """Submit up to 1,000 documents for one operation, as one batch.

        A document is a text, the `Path` of a file, or what `POST /documents` takes. `options` are
        the other fields of that request: `model`, `sentences`, `categories`, …
        """
        options |= {"operation": operation}
        flow = routes.submit_documents(documents, options, idempotency_key, self.retries)
        return Batch(self, self.run(flow))

    def chat(
        self, prompt: str | Sequence[Message], *, system: str | None = None, **options: Any
    ) -> Tokens:
        """The answer to `prompt`, or to the turns of a conversation, to iterate over.

        `options` are the other fields of `POST /chat/completions`: `model`, `temperature`, …
        """
        request = chat.request(prompt, system, options)
        return Tokens(self.run(answered(request, self.retries)))

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; its result."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    answer = self._sent(step)
                except UNANSWERED as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _sent(self, request: Send) -> httpx.Response:
        answer = self._http.send(self._request(self._http, request), stream=request.stream)
        if request.stream and not answer.is_success:
            answer.read()
        return answer


class AsyncQuorum(_Client):
    """As `Quorum`, with coroutines."""

    def __init__(
        self,
        url: str,
        *,
        key: str,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key=key, retries=retries)
        self._http = httpx.AsyncClient(base_url=self.url, transport=transport)

    async def __aenter__(self) -> Self:
        """The client, which is closed after the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def moderate(
        self,
        text: str,
        *,
        language: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        context: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        **others: Any,
    ) -> Verdict:
        """As `Quorum.moderate`."""
        options = _options(language, panel, policy, context, metadata) | others
        return await self.run(routes.moderate(text, options, idempotency_key, self.retries))

    async def moderate_many(
        self,
        texts: Iterable[str],
        *,
        language: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        alert_usd: Decimal | None = None,
    ) -> Many[Verdict]:
        """As `Quorum.moderate_many`, in tasks."""
        many = _many(texts, progress, alert_usd)
        return await many.in_tasks(
            lambda text: self.moderate(text, language=language, panel=panel, policy=policy),
            concurrency,
        )

    async def verdict(self, verdict_id: str) -> Verdict:
        """As `Quorum.verdict`."""
        return await self.run(routes.verdict(verdict_id, self.retries))

    def verdicts(
        self,
        *,
        start: routes.Moment | None = None,
        end: routes.Moment | None = None,
        decision: str | None = None,
        category: str | None = None,
        panel: str | None = None,
        policy: str | None = None,
        language: str | None = None,
        metadata: routes.Metadata | None = None,
    ) -> AsyncIterator[Verdict]:
        """As `Quorum.verdicts`, for `async for`."""
        filters = {
            "decision": decision,
            "category": category,
            "panel": panel,
            "policy": policy,
            "language": language,
        }
        query = routes.verdict_query(start, end, metadata, filters)
        return self._listed(query)

    async def _listed(self, query: dict[str, Any]) -> AsyncIterator[Verdict]:
        page = await self.run(routes.verdict_page(query, None, self.retries))
        for verdict in page.verdicts:
            yield verdict
        while page.next is not None:
            page = await self.run(routes.verdict_page(query, page.next, self.retries))
            for verdict in page.verdicts:
                yield verdict

    async def batch(
        self,
        items: Iterable[routes.Item],
        *,
        panel: str | None = None,
        policy: str | None = None,
        alert_usd: Decimal | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncBatch:
        """As `Quorum.batch`."""
        options = {"panel": panel, "policy": policy, "alert_usd": _number(alert_usd)}
        flow = routes.submit(items, options, idempotency_key, self.retries)
        return AsyncBatch(self, await self.run(flow))

    async def documents(
        self,
        documents: Sequence[routes.File],
        operation: str,
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> AsyncBatch:
        """As `Quorum.documents`."""
        options |= {"operation": operation}
        flow = routes.submit_documents(documents, options, idempotency_key, self.retries)
        return AsyncBatch(self, await self.run(flow))

    async def chat(
        self, prompt: str | Sequence[Message], *, system: str | None = None, **options: Any
    ) -> AsyncTokens:
        """As `Quorum.chat`."""
        request = chat.request(prompt, system, options)
        return AsyncTokens(await self.run(answered(request, self.retries)))

    async def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; its result."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    answer = await self._sent(step)
                except UNANSWERED as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _sent(self, request: Send) -> httpx.Response:
        answer = await self._http.send(self._request(self._http, request), stream=request.stream)
        if request.stream and not answer.is_success:
            await answer.aread()
        return answer


def _require_address(url: str) -> None:
    """Raise `ValueError` if `url` is not an address of HTTP."""
    try:
        given = httpx.URL(url or "")
        host = given.host
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"the URL is malformed: {error}") from None
    if given.scheme not in {"http", "https"} or not host:
        raise ValueError("the URL must begin with https:// (or http://) and name a host")
    if "?" in url or "#" in url:
        raise ValueError("the URL must end with its path: leave out what begins with ? or #")
    labels = given.raw_host.removesuffix(b".").split(b".")
    if not all(0 < len(label) <= _LABEL_LIMIT for label in labels):
        raise ValueError(f"the URL names a host with a part of 0 or over {_LABEL_LIMIT} characters")
    if given.port is not None and not 0 < given.port <= _LAST_PORT:
        raise ValueError(f"the URL names a port that is not one of 1 to {_LAST_PORT}")


def _require_key(key: str) -> None:
    """Raise `ValueError` if `key` cannot be a key; it is not quoted."""
    if not key or not isinstance(key, str):
        raise ValueError("the key is missing: is the environment variable set?")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("the key has characters that no key has: was it copied whole?")


def _options(
    language: str | None,
    panel: str | None,
    policy: str | None,
    context: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "language": language,
        "panel": panel,
        "policy": policy,
        "context": None if context is None else dict(context),
        "metadata": None if metadata is None else dict(metadata),
    }


def _many(
    texts: Iterable[str], progress: Callable[[Progress], None] | None, alert_usd: Decimal | None
) -> Run[Verdict]:
    return Run(texts, failure=QuorumError, final=_meets_all, progress=progress, alert_usd=alert_usd)


def _meets_all(error: Exception) -> bool:
    """Whether an error would meet any other text too."""
    return isinstance(error, Unauthorized | Forbidden | BudgetSpent)


def _number(dollars: Decimal | None) -> str | None:
    """Dollars as the API takes them: exact, as a string."""
    return None if dollars is None else f"{dollars:f}"


async def _asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
