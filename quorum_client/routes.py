"""The routes of the API as flows."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from quorum_client.many import require_several
from quorum_client.requests import (
    Flow,
    Pause,
    Retries,
    Send,
    answered,
    below,
    encoded,
    given,
    new_key,
    posted,
    read_as,
)
from quorum_client.results import BatchProgress, BatchResult, Verdict

ITEMS_LIMIT = 1_000
"""Items of one request; more contents are uploaded."""
REQUEST_BYTES = 3 * 1024 * 1024
"""Bytes of items in one request, which holds at most 4 MiB; more are uploaded."""
PAGE_ITEMS = 200
POLL_SECONDS = 1.0
LISTING_TRIES = 10
"""Times that a page of results is asked for: a settled item may be listed a little later."""

Item = str | Mapping[str, Any]
"""A text, or the body of `POST /verdicts`: `content`, and `id`, `language`, `context`, …"""
Moment = date | datetime | str
"""A day (UTC), or a time with its zone; as text, a day or RFC 3339."""
Metadata = str | Mapping[str, Any] | Iterable[str]
"""Entries of metadata: name → value, or texts, each `name=value` or a name alone."""
File = str | Path | Mapping[str, Any]
"""A document: its text, the path of a file, or a document as `POST /documents` takes it."""


class _Made(BaseModel):
    """What was made."""

    id: str


class _Place(BaseModel):
    """Where a file is uploaded to, and what it is then called."""

    url: str
    upload: str


class _Redriven(BaseModel):
    """Whether every dead letter is tried again."""

    complete: bool


class _Page(BaseModel):
    """Results, and the index to continue at."""

    items: list[BatchResult]
    next: int | None = None


class VerdictPage(BaseModel):
    """Stored verdicts, and where the next page begins; None at the end."""

    verdicts: list[Verdict]
    next: str | None = None


def moderate(
    text: str, options: dict[str, Any], key: str | None, retries: Retries
) -> Flow[Verdict]:
    """The verdict on a text."""
    body = {"content": text} | given(**options)
    request = posted("verdicts", body, key=key or new_key())
    return read_as(Verdict, (yield from answered(request, retries)))


def verdict(verdict_id: str, retries: Retries) -> Flow[Verdict]:
    """A stored verdict."""
    return read_as(
        Verdict, (yield from answered(Send("GET", below("verdicts", verdict_id)), retries))
    )


def verdict_query(
    start: Moment | None, end: Moment | None, metadata: Metadata | None, others: dict[str, Any]
) -> dict[str, Any]:
    """The parameters of a list of verdicts; raises `ValueError` for a time without a zone."""
    query = given(**others)
    query |= {
        name: _written(name, moment)
        for name, moment in (("from", start), ("to", end))
        if moment is not None
    }
    query = {name: _sendable(value) for name, value in query.items()}
    entries: Iterable[str] = ()
    if isinstance(metadata, str):
        entries = [metadata]
    elif isinstance(metadata, Mapping):
        entries = [f"{name}={_text(value)}" for name, value in metadata.items()]
    elif metadata is not None:
        entries = metadata
    query["metadata"] = [_sendable(entry) for entry in entries]
    return query


def _sendable(value: Any) -> str:
    """`value` as an address may hold it, which has no form for half an emoji."""
    return str(value).encode(errors="replace").decode()


def _written(name: str, moment: Moment) -> str:
    if isinstance(moment, datetime) and moment.utcoffset() is None:
        word = {"from": "start", "to": "end"}[name]
        raise ValueError(f"{word}: a time needs its zone: datetime.now(UTC), for example")
    return moment if isinstance(moment, str) else moment.isoformat()


def _text(value: Any) -> str:
    """A value of metadata as it is filtered by: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def verdict_page(query: dict[str, Any], after: str | None, retries: Retries) -> Flow[VerdictPage]:
    """A page of the stored verdicts that `query` asks for, the one behind `after`."""
    params = query | given(next=after)
    return read_as(
        VerdictPage, (yield from answered(Send("GET", "verdicts", params=params), retries))
    )


def submit(
    items: Iterable[Item], options: dict[str, Any], key: str | None, retries: Retries
) -> Flow[str]:
    """Submit contents, in the request if they are few, else by an upload; the batch's id."""
    require_several(items)
    bodies = [{"content": item} if isinstance(item, str) else dict(item) for item in items]
    lines = [encoded(body) for body in bodies]
    body = given(**options)
    if len(lines) <= ITEMS_LIMIT and sum(map(len, lines)) <= REQUEST_BYTES:
        body["items"] = bodies
    else:
        body["upload"] = yield from uploaded(BytesIO(b"\n".join(lines) + b"\n"), retries)
    request = posted("batches", body, key=key or new_key())
    return read_as(_Made, (yield from answered(request, retries))).id


def submit_documents(
    files: Sequence[File], options: dict[str, Any], key: str | None, retries: Retries
) -> Flow[str]:
    """Submit documents; those that the request has no room for are uploaded. The batch's id."""
    require_several(files)
    documents, size = [], 0
    for file in files:
        document = _document(file)
        content = document.get("content") or document.get("text") or ""
        size += len(content.encode(errors="replace"))
        if size > REQUEST_BYTES and content:
            size -= len(content.encode(errors="replace"))
            document = yield from _apart(document, retries)
        documents.append(document)
    body = given(**options) | {"documents": documents}
    request = posted("documents", body, key=key or new_key())
    return read_as(_Made, (yield from answered(request, retries))).id


def _document(file: File) -> dict[str, Any]:
    match file:
        case str():
            return {"text": file}
        case Path():
            content = base64.b64encode(file.read_bytes()).decode()
            return {"name": file.name, "content": content}
        case _:
            return dict(file)


def _apart(document: dict[str, Any], retries: Retries) -> Flow[dict[str, Any]]:
    """The document with its content in an upload of its own."""
    others = {name: value for name, value in document.items() if name not in {"text", "content"}}
    if "text" in document:
        content = document["text"].encode(errors="replace")
        others.setdefault("media_type", "text/plain; charset=utf-8")
    else:
        content = base64.b64decode(document["content"])
    return others | {"upload": (yield from uploaded(BytesIO(content), retries))}


def uploaded(file: IO[bytes], retries: Retries) -> Flow[str]:
    """Upload a file to a new place; what to name it by in a request."""
    size = file.seek(0, SEEK_END)
    asked = Send("POST", "batches/uploads", body=encoded({}), params={"bytes": str(size)})
    place = read_as(_Place, (yield from answered(asked, retries)))
    yield from answered(Send("PUT", place.url, file=file), retries)
    return place.upload


def progress_of(batch_id: str, retries: Retries, method: str = "GET") -> Flow[BatchProgress]:
    """How far a batch has come; with DELETE, after cancelling it."""
    request = Send(method, below("batches", batch_id))
    return read_as(BatchProgress, (yield from answered(request, retries)))


def wait(
    batch_id: str,
    progress: Callable[[BatchProgress], None] | None,
    poll_seconds: float,
    retries: Retries,
) -> Flow[BatchProgress]:
    """Wait until a batch has ended, calling `progress` each time it was asked for."""
    while True:
        so_far = yield from progress_of(batch_id, retries)
        if progress is not None:
            progress(so_far)
        if so_far.ended:
            return so_far
        yield Pause(poll_seconds)


def redrive(batch_id: str, retries: Retries) -> Flow[None]:
    """Have the dead letters of a batch tried again."""
    while True:
        # Sent twice, the second finds nothing left to do.
        answer = yield from answered(posted(below("batches", batch_id, "redrive"), {}), retries)
        if read_as(_Redriven, answer).complete:
            return


def page(
    batch_id: str, start: int, retries: Retries, *, gaps: bool
) -> Flow[tuple[list[BatchResult], int | None]]:
    """A page of results from index `start` on, and the index to continue at, None at the end.

    With `gaps`, unsettled items are passed over; without, each is waited for a little.
    """
    for _ in range(LISTING_TRIES):
        query = {"start": str(start), "limit": str(PAGE_ITEMS), "gaps": str(gaps).lower()}
        request = Send("GET", below("batches", batch_id, "results"), params=query)
        found = read_as(_Page, (yield from answered(request, retries)))
        if found.items or found.next is None:
            return found.items, found.next
        if gaps:
            break
        yield Pause(POLL_SECONDS)
    return [], None
