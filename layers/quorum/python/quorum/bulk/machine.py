"""Bulk runs: an upload is cut into pages, and a distributed map judges them.

::

    uploads/<tenant>/<upload>.jsonl     the tenant's upload: one item a line
    pages/<tenant>/<batch>.jsonl        the same, validated: one page of items a line
    pages/<tenant>/<batch>.left.jsonl   the pages that have no results, for another run
    results/<tenant>/<batch>/<index>.jsonl   the results of a page, named by its first index

Every step may be repeated: pages and results are written whole under the same names, and settled
items are skipped. A run whose batch waits for a budget goes on when the budget resets, and one that
meets an outage after growing pauses (`batch.pauses`); a run that fails is ended, and a redrive is
another run, over the pages without results.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field, TypeAdapter

from quorum.aws.bucket import Bucket
from quorum.aws.faults import unavailable
from quorum.batch.pauses import TRIES, pause_after
from quorum.batch.progress import BatchRecord
from quorum.batch.records import Batches, Facts, FailedItem
from quorum.bulk.judging import PAGE_SECONDS, Item, Judging, Outcomes
from quorum.bulk.requests import Chosen, read_item
from quorum.core import registry
from quorum.core.errors import BudgetSpent, Postponed, QuorumError, TooLarge, Undeliverable
from quorum.core.identifiers import item_id_of
from quorum.core.models import CONTENT_LIMIT, Frozen, Identifier
from quorum.core.position import INDEX_DIGITS, BatchPosition
from quorum.core.registry import Model
from quorum.core.rejection import Rejection
from quorum.vote.panel import Panel
from quorum.vote.policy import PACKAGED, Policy
from quorum.vote.requests import VerdictRequest
from quorum.vote.verdicts import Verdicts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

PAGE_ITEMS = 100
"""Items of a page: ten rounds of ten at once, each at most 27 s. In the two tries that a child has
(`PAGE_SECONDS`), five rounds are begun each."""
PAGE_BYTES = 192 * 1024
"""Bytes of a page, unless a single item has more: a state carries 256 KiB."""
UPLOAD_SECONDS = 3_600
"""Seconds for which an upload's URL is valid."""
LINE_BYTES = 8 * CONTENT_LIMIT
"""Bytes of a line. A longer one cannot hold a valid item."""
_PAGE_LINE_BYTES = 4 * LINE_BYTES
"""Bytes of a page's line: every page is far shorter."""
TOO_MANY_PAGES = "States.ExceedToleratedFailureThreshold"
"""The error's name when more pages failed than the map tolerates."""


class NewUpload(Frozen):
    """A presigned URL to send a JSONL file to, and the key to name it by.

    It is sent by PUT with the number of bytes that were asked for, no more and no fewer; or by POST
    as the last part, `file`, of a form (multipart/form-data) that begins with `fields`.
    """

    upload: str
    url: str
    method: Literal["PUT", "POST"]
    fields: dict[str, str] = Field(description="of the form; none where the method is PUT")
    most_bytes: int = Field(description="the longest file that is taken")
    expires_in_seconds: int = UPLOAD_SECONDS


class PagedItem(Frozen):
    """One valid item of an upload, and its line's number, from 0."""

    index: int
    item: VerdictRequest


class Page(Frozen):
    """Some items of an upload, judged together."""

    tenant: Identifier
    batch: str
    items: tuple[PagedItem, ...]


class Prepare(Frozen):
    """The first step of the bulk machine: from an upload to the pages that are to be judged."""

    step: Literal["prepare"]
    tenant: Identifier
    batch: str
    upload: str
    panel: str


class JudgePage(Frozen):
    """The middle step: a page to be judged, as the map passes it on."""

    step: Literal["judge"]
    page: Page


class Finish(Frozen):
    """The last step: the end of a run. Unsettled items are left for a redrive.

    `failed_with` is the name of the error that ended the run.
    """

    step: Literal["finish"]
    tenant: Identifier
    batch: str
    run: int
    failed_with: str | None = None


STEP: TypeAdapter[Prepare | JudgePage | Finish] = TypeAdapter(
    Annotated[Prepare | JudgePage | Finish, Field(discriminator="step")]
)


def step_of(event: dict[str, Any]) -> Prepare | JudgePage | Finish:
    """The step that an event asks for. The map passes on a page as it is in its file."""
    return STEP.validate_python(
        event if "step" in event else {"step": "judge", "page": event}, extra="ignore"
    )


class Bulk:
    """The bucket of uploads, and the bulk machine."""

    def __init__(
        self,
        s3: "S3Client",
        bucket: str,
        machine: "SFNClient",
        machine_arn: str,
        batches: Batches,
        *,
        upload_bytes: int = 2**30,
        clock: Callable[[], float] = time,
    ) -> None:
        self._s3 = s3
        self._upload_bytes = upload_bytes
        self._bucket = bucket
        self._machine = machine
        self._machine_arn = machine_arn
        self._batches = batches
        self._clock = clock
        self._contents = Bucket(s3, bucket)

    # ---- begun by the API --------------------------------------------------------------------

    def new_upload(self, tenant: str, size: int | None = None) -> NewUpload:
        """Where to send a JSONL file of `size` bytes to, and the key to name in `POST /batches`.

        S3 holds the size: of a PUT it is part of what is signed, of a form a condition. Raises
        `TooLarge`.
        """
        most = self._upload_bytes
        key = f"uploads/{tenant}/{uuid4().hex}.jsonl"
        if size is None:
            form = self._s3.generate_presigned_post(
                self._bucket,
                key,
                Conditions=[["content-length-range", 1, most]],
                ExpiresIn=UPLOAD_SECONDS,
            )
            url, fields = form["url"], form["fields"]
            return NewUpload(upload=key, url=url, method="POST", fields=fields, most_bytes=most)
        if size > most:
            told = f"an upload has at most {most} bytes"
            raise TooLarge(told, code="upload_too_large", field="bytes", limit=most)
        place = {"Bucket": self._bucket, "Key": key, "ContentLength": size}
        url = self._s3.generate_presigned_url("put_object", Params=place, ExpiresIn=UPLOAD_SECONDS)
        return NewUpload(upload=key, url=url, method="PUT", fields={}, most_bytes=most)

    def require_upload(self, tenant: str, upload: str) -> None:
        """Raise `NotFound` unless `tenant` has uploaded `upload`."""
        self._contents.require_upload(tenant, upload)

    def start(self, tenant: str, batch: str, upload: str, panel_name: str, run: int = 1) -> None:
        """Begin the batch's run number `run`, unless it was begun already."""
        given = {
            "tenant": tenant,
            "batch": batch,
            "upload": upload,
            "panel": panel_name,
            "bucket": self._bucket,
            "run": run,
        }
        # Noted first, because an unrecorded run could be neither stopped nor redriven.
        self._batches.note(tenant, batch, run=run, execution=self._execution(batch, run), waits=0)
        begun_already = self._machine.exceptions.ExecutionAlreadyExists
        with unavailable("the bulk run could not be started"), suppress(begun_already):
            self._machine.start_execution(
                stateMachineArn=self._machine_arn, name=_name(batch, run), input=json.dumps(given)
            )

    def stop(self, record: BatchRecord) -> None:
        """Stop the run of a batch's record, if it has one that still runs."""
        if record.execution is not None:
            ended_long_ago = self._machine.exceptions.ExecutionDoesNotExist
            with unavailable("the bulk run could not be stopped"), suppress(ended_long_ago):
                self._machine.stop_execution(executionArn=record.execution, cause="cancelled")

    def redrive(self, record: BatchRecord) -> None:
        """Begin another run over the pages without results, unless one is running.

        Raises `StoreUnavailable`.
        """
        run = record.run
        while self._has_ended(record.batch, run):
            run += 1
        self.start(record.tenant, record.batch, str(record.upload), str(record.panel), run)

    def _has_ended(self, batch: str, run: int) -> bool:
        """Whether that run was begun and has ended."""
        with unavailable("the state of the bulk run could not be read"):
            try:
                found = self._machine.describe_execution(executionArn=self._execution(batch, run))
            except self._machine.exceptions.ExecutionDoesNotExist:
                return False
        return found["status"] != "RUNNING"

    def _execution(self, batch: str, run: int) -> str:
        machine = self._machine_arn.replace(":stateMachine:", ":execution:")
        return f"{machine}:{_name(batch, run)}"

    # ---- the steps ---------------------------------------------------------------------------

    def prepare(
        self,
        step: Prepare,
        panel_called: Callable[[str], Panel],
        policy_called: Callable[[str | None], Policy],
        model_called: Callable[[str], Model] = registry.model,
    ) -> dict[str, Any]:
        """Validate the upload line by line, reject bad lines, and write the others as pages.

        In a later run: write the pages that have no results yet. Memory grows only with the names
        of the results. Raises `NotFound`, `StoreUnavailable`, and the errors of S3.
        """
        record = self._batches.record(step.tenant, step.batch)
        self._batches.spread_counters(step.tenant, step.batch)
        if record.paused_until:
            self._batches.note(step.tenant, step.batch, paused_until="")  # for `finish` to see anew
        if record.received:
            return self._prepare_left(step)
        counted = _Counted()
        chosen = Chosen(
            step.panel, record.policy or PACKAGED, panel_called, policy_called, model_called
        )
        lines = self._paged(
            step, self._contents.lines(step.upload, most_bytes=LINE_BYTES), counted, chosen
        )
        written = self._write_pages(_pages_key(step.tenant, step.batch), lines)
        self._batches.note(
            step.tenant,
            step.batch,
            items=counted.lines,
            received=True,
            results=f"s3://{self._bucket}/{_results_prefix(step.tenant, step.batch)}",
        )
        return written

    def _prepare_left(self, step: Prepare) -> dict[str, Any]:
        """Write the unfinished pages: a page is finished when its results exist."""
        prefix = _results_prefix(step.tenant, step.batch)
        listed = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        done = {found["Key"] for listing in listed for found in listing.get("Contents", [])}
        left = (
            line + b"\n"
            for line in self._contents.lines(
                _pages_key(step.tenant, step.batch), most_bytes=_PAGE_LINE_BYTES
            )
            # It was validated when it was written; parsing alone takes a fraction of the time.
            if _results_key(prefix, json.loads(line)["items"][0]["index"]) not in done
        )
        return self._write_pages(_left_key(step.tenant, step.batch), left)

    def _write_pages(self, key: str, lines: Iterable[bytes]) -> dict[str, Any]:
        """Write the pages; returns their key and number. A map over no pages would fail."""
        stream = _Stream(lines)
        self._s3.upload_fileobj(stream, self._bucket, key)  # type: ignore[arg-type] # reads only
        return {"key": key, "pages": stream.count}

    def _paged(
        self,
        step: Prepare,
        lines: Iterator[bytes],
        counted: "_Counted",
        chosen: Chosen,
    ) -> Iterator[bytes]:
        page: list[PagedItem] = []
        bad: list[FailedItem] = []
        size = 0
        for index, line in enumerate(lines):
            counted.lines += 1
            read = _read_line(line, chosen)
            if isinstance(read, Rejection):
                why = read.model_dump(exclude_none=True)
                bad.append(FailedItem(BatchPosition(batch=step.batch, index=index), why))
                if len(bad) == PAGE_ITEMS:
                    self._batches.mark_failed(step.tenant, "rejected", bad)
                    bad = []
                continue
            paged = PagedItem(index=index, item=read)
            length = len(paged.model_dump_json(exclude_defaults=True).encode())
            if page and (len(page) == PAGE_ITEMS or size + length > PAGE_BYTES):
                yield _page_line(step, page)
                page, size = [], 0
            page.append(paged)
            size += length
        if page:
            yield _page_line(step, page)
        self._batches.mark_failed(step.tenant, "rejected", bad)

    def moderate_page(
        self, step: JudgePage, judging: Judging, verdicts: Verdicts
    ) -> dict[str, Any]:
        """Judge the items of a page at once, and put their results into the bucket.

        Raises `Postponed` or another error if any item is unsettled; the others are settled.
        """
        page = step.page
        items = [
            Item(_id_of(page, paged), page.tenant, paged.item, _position_of(page, paged))
            for paged in page.items
        ]
        outcomes = judging.moderate_all(items, seconds=PAGE_SECONDS)
        self._reject(items, outcomes)
        failures = [
            failure
            for failure in outcomes.values()
            if failure is not None and not isinstance(failure, Undeliverable)
        ]
        if failures:
            worst = next(
                (one for one in failures if not isinstance(one, Postponed | BudgetSpent)),
                failures[0],
            )
            self._batches.note(page.tenant, page.batch, **_told(worst))
            raise worst
        self._write_results(page, verdicts)
        return {"judged": len(items)}

    def _reject(self, items: Sequence[Item], outcomes: Outcomes) -> None:
        """Reject items that can never be judged (their panel is gone): they would fail the page."""
        for item in items:
            failure = outcomes[item.verdict_id]
            if isinstance(failure, Undeliverable) and item.position is not None:
                why = {"code": "undeliverable", "message": failure.reason}
                self._batches.mark_failed(item.tenant, "rejected", [FailedItem(item.position, why)])

    def _write_results(self, page: Page, verdicts: Verdicts) -> None:
        found = verdicts.find_all([(page.tenant, _id_of(page, paged)) for paged in page.items])
        lines = [
            json.dumps(
                {"index": paged.index, "verdict": found[name].model_dump(mode="json")},
                ensure_ascii=False,
            )
            for paged in page.items
            if (name := _id_of(page, paged)) in found  # not if the batch was cancelled
        ]
        prefix = _results_prefix(page.tenant, page.batch)
        self._s3.put_object(
            Bucket=self._bucket,
            Key=_results_key(prefix, page.items[0].index),
            Body="".join(f"{line}\n" for line in lines).encode(),
            ContentType="application/jsonl",
        )

    def finish(self, step: Finish) -> dict[str, Any]:
        """Record the end of the run; unsettled items are left for a redrive.

        A run whose batch waits for a budget, or for the end of an outage, has not ended: it goes on
        at `resume_at`.
        """
        record = self._batches.record(step.tenant, step.batch)
        resume_at = self._resume_at(step, record)
        if resume_at is None:
            self._batches.note(step.tenant, step.batch, **_ended(step, record))
        return {
            "settled": record.settled,
            "rejected": record.rejected,
            "unsettled": record.pending,
            "failed_with": step.failed_with,
            "resume_at": resume_at,
        }

    def _resume_at(self, step: Finish, record: BatchRecord) -> str | None:
        """When the run goes on with its pending items, None if it does not.

        The pauses begin anew whenever items were done since the last one.
        """
        if not record.pending:
            return None
        if record.paused_until:
            # The budget may have been reset by now, but the items it stopped are still pending.
            return record.paused_until
        if not record.problem_passes or step.failed_with not in (None, TOO_MANY_PAGES):
            return None
        done = record.settled + record.rejected
        waits = 1 if done > record.done_at_wait else record.waits + 1
        if waits >= TRIES:
            return None
        self._batches.note(step.tenant, step.batch, waits=waits, done_at_wait=done)
        return datetime.fromtimestamp(self._clock() + pause_after(waits), UTC).isoformat()


class _Counted:
    """The counts of `prepare`."""

    lines = 0


class _Stream(io.RawIOBase):
    """An iterator's bytes as a file to be read once, of any length in little memory."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
                self.count += 1
            except StopIteration:
                return 0
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _read_line(line: bytes, chosen: Chosen) -> VerdictRequest | Rejection:
    if len(line) > LINE_BYTES:
        return Rejection(
            code="too_long", message=f"the line is longer than {LINE_BYTES} bytes", limit=LINE_BYTES
        )
    return read_item(line, chosen)


def _page_line(step: Prepare, page: Sequence[PagedItem]) -> bytes:
    whole = Page(tenant=step.tenant, batch=step.batch, items=tuple(page))
    return whole.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _told(failure: Exception) -> Facts:
    """A failure, as the batch shows it."""
    if isinstance(failure, BudgetSpent):
        return {"paused_until": str(failure.limit)}
    reason = failure.reason if isinstance(failure, Postponed) else type(failure).__name__
    passes = isinstance(failure, QuorumError) and failure.transient
    return {"last_problem": reason, "problem_passes": passes}


def _ended(step: Finish, record: BatchRecord) -> Facts:
    """The end of a run, with its failure unless its pages have recorded theirs."""
    told = step.failed_with == TOO_MANY_PAGES and record.last_problem
    if step.failed_with is None or told:
        return {"ended": step.run}
    return {"ended": step.run, "last_problem": step.failed_with}


def _name(batch: str, run: int) -> str:
    """The name of a run's execution: the same run has the same name, so it begins once."""
    return f"{batch}-{run}"


def _position_of(page: Page, paged: PagedItem) -> BatchPosition:
    return BatchPosition(batch=page.batch, index=paged.index)


def _id_of(page: Page, paged: PagedItem) -> str:
    return item_id_of(page.tenant, _position_of(page, paged))


def _pages_key(tenant: str, batch: str) -> str:
    return f"pages/{tenant}/{batch}.jsonl"


def _left_key(tenant: str, batch: str) -> str:
    return f"pages/{tenant}/{batch}.left.jsonl"


def _results_prefix(tenant: str, batch: str) -> str:
    return f"results/{tenant}/{batch}/"


def _results_key(prefix: str, first: int) -> str:
    return f"{prefix}{first:0{INDEX_DIGITS}d}.jsonl"
