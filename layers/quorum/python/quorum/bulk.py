"""Batches from S3: an upload becomes pages, pages are judged by a distributed map, results go back.

::

    uploads/<tenant>/<upload>.jsonl     what the tenant put there: one item a line
    pages/<tenant>/<batch>.jsonl        the same, validated: one page of items a line
    results/<tenant>/<batch>/<index>.jsonl   the results of a page, named by its first index

Every step may be repeated: pages and results are written whole under the same names, and items
that are settled are skipped.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, TypeAdapter

from quorum.batches import Aside, Batches, item_id_of
from quorum.case import Place
from quorum.contents import Contents
from quorum.errors import BudgetSpent, Postponed, StoreUnavailable, Undeliverable
from quorum.judging import Item, Judging, Outcomes
from quorum.models import CONTENT_LIMIT, Frozen, Identifier
from quorum.panel import Panel
from quorum.progress import INDEX_DIGITS
from quorum.requests import Rejection, VerdictRequest, read_item
from quorum.verdicts import Verdicts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

PAGE_ITEMS = 50
"""Items of a page: two pages of five rounds of ten at once, each at most 27 s, end within 280 s."""
PAGE_BYTES = 96 * 1024
"""… and its bytes, unless one item alone has more: a state carries 256 KiB."""
UPLOAD_SECONDS = 3_600
"""How long an upload's URL holds."""
LINE_BYTES = 8 * CONTENT_LIMIT
"""A line longer than this holds no valid item, whatever is in it."""
_PART_BYTES = 8 * 1024 * 1024


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
    """The first step of the bulk machine: from an upload to pages."""

    step: Literal["prepare"]
    tenant: Identifier
    batch: str
    upload: str
    panel: str


class JudgePages(Frozen):
    """Its middle step: the items of some pages, as the map hands them on."""

    step: Literal["judge"]
    pages: tuple[Page, ...]


class Finish(Frozen):
    """Its last step: what was not settled is left for a redrive."""

    step: Literal["finish"]
    tenant: Identifier
    batch: str


STEP: TypeAdapter[Prepare | JudgePages | Finish] = TypeAdapter(
    Annotated[Prepare | JudgePages | Finish, Field(discriminator="step")]
)


def step_of(event: dict[str, Any]) -> Prepare | JudgePages | Finish:
    """The step an event asks for. The map hands on a batch of pages, or one where none batches."""
    if "step" in event:
        return STEP.validate_python(event)
    return JudgePages(step="judge", pages=event.get("Items", [event]))


class Bulk:
    """The bucket, and the machine over it."""

    def __init__(
        self, s3: "S3Client", bucket: str, machine: "SFNClient", machine_arn: str, batches: Batches
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._machine = machine
        self._machine_arn = machine_arn
        self._batches = batches
        self._contents = Contents(s3, bucket)

    # ---- begun by the API --------------------------------------------------------------------

    def new_upload(self, tenant: str) -> dict[str, Any]:
        """Where to PUT a JSONL of items, and the key to name in `POST /batches`."""
        key = f"uploads/{tenant}/{uuid4().hex}.jsonl"
        url = self._s3.generate_presigned_url(
            "put_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=UPLOAD_SECONDS
        )
        return {"upload": key, "url": url, "method": "PUT", "expires_in_seconds": UPLOAD_SECONDS}

    def require_upload(self, tenant: str, upload: str) -> None:
        """Raises `NotFound` unless `tenant` has put that upload there."""
        self._contents.require_upload(tenant, upload)

    def start(self, tenant: str, batch: str, upload: str, seated: str, run: str = "") -> None:
        """Run the bulk machine; a run that was started already is the same one."""
        given = {"tenant": tenant, "batch": batch, "upload": upload, "panel": seated}
        given |= {"bucket": self._bucket, "pages": _pages_key(tenant, batch)}
        try:
            started = self._machine.start_execution(
                stateMachineArn=self._machine_arn, name=batch + run, input=json.dumps(given)
            )
        except self._machine.exceptions.ExecutionAlreadyExists:
            return
        except (ClientError, BotoCoreError) as error:
            raise StoreUnavailable("the bulk run could not be started") from error
        self._batches.note(tenant, batch, execution=started["executionArn"])

    def stop(self, record: dict[str, Any]) -> None:
        """Stop the run of a batch's record, if it has one that still runs."""
        if "execution" in record:
            self._machine.stop_execution(executionArn=record["execution"], cause="cancelled")

    def redrive(self, tenant: str, batch: str, record: dict[str, Any]) -> None:
        """Run again what failed; what is settled is skipped, what was paid for is cached.

        A failed run goes on where it failed. One that ended well, or cannot be redriven any more,
        is run anew.
        """
        self._batches.note(tenant, batch, ended=False)
        try:
            self._machine.redrive_execution(executionArn=record["execution"])
        except ClientError:
            run = f"-{uuid4().hex[:8]}"
            self.start(tenant, batch, record["upload"], record["panel"], run)

    # ---- the steps ---------------------------------------------------------------------------

    def prepare(self, step: Prepare, panel_called: Callable[[str], Panel]) -> dict[str, Any]:
        """Validate the upload line by line, set bad lines aside, write the rest as pages.

        Memory does not grow with the upload. Raises `NotFound`, `StoreUnavailable`.
        """
        counted = _Counted()
        lines = self._contents.lines(step.upload)
        stream = _Stream(self._paged(step, lines, counted, panel_called))
        pages = _pages_key(step.tenant, step.batch)
        self._s3.upload_fileobj(stream, self._bucket, pages)  # type: ignore[arg-type] # reads only
        self._batches.note(
            step.tenant,
            step.batch,
            items=counted.lines,
            received=True,
            results=f"s3://{self._bucket}/{_results_prefix(step.tenant, step.batch)}",
        )
        return {"items": counted.lines, "rejected": counted.rejected}

    def _paged(
        self,
        step: Prepare,
        lines: Iterator[bytes],
        counted: "_Counted",
        panel_called: Callable[[str], Panel],
    ) -> Iterator[bytes]:
        page: list[PagedItem] = []
        bad: list[Aside] = []
        size = 0
        for index, line in enumerate(lines):
            counted.lines += 1
            read = _read_line(line, step.panel, panel_called)
            if isinstance(read, Rejection):
                counted.rejected += 1
                why = read.model_dump(exclude_none=True)
                bad.append(Aside(Place(batch=step.batch, index=index), why))
                if len(bad) == PAGE_ITEMS:
                    self._batches.set_aside(step.tenant, "rejected", bad)
                    bad = []
                continue
            if page and (len(page) == PAGE_ITEMS or size + len(line) > PAGE_BYTES):
                yield _page_line(step, page)
                page, size = [], 0
            page.append(PagedItem(index=index, item=read))
            size += len(line)
        if page:
            yield _page_line(step, page)
        self._batches.set_aside(step.tenant, "rejected", bad)

    def judge(self, step: JudgePages, judging: Judging, verdicts: Verdicts) -> dict[str, Any]:
        """Judge the items of the pages at once, and put their results into the bucket.

        Raises `Postponed` or what else was wrong if any is not settled; the others are.
        """
        items = [
            Item(_id_of(page, paged), page.tenant, paged.item, _place_of(page, paged))
            for page in step.pages
            for paged in page.items
        ]
        outcomes = judging.judge(items)
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
            page = step.pages[0]
            self._batches.note(page.tenant, page.batch, **_told(worst))
            raise worst
        for page in step.pages:
            self._write_results(page, verdicts)
        return {"judged": len(items)}

    def _reject(self, items: Sequence[Item], outcomes: Outcomes) -> None:
        """Set aside what can never be judged, as a panel that is gone: it would fail its page."""
        for item in items:
            failure = outcomes[item.verdict_id]
            if isinstance(failure, Undeliverable) and item.place is not None:
                why = {"code": "undeliverable", "message": failure.reason}
                self._batches.set_aside(item.tenant, "rejected", [Aside(item.place, why)])

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
        first = page.items[0].index
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{_results_prefix(page.tenant, page.batch)}{first:0{INDEX_DIGITS}d}.jsonl",
            Body="".join(f"{line}\n" for line in lines).encode(),
            ContentType="application/jsonl",
        )

    def finish(self, step: Finish) -> dict[str, Any]:
        """Say how the run ended; what it left unsettled is for a redrive."""
        self._batches.note(step.tenant, step.batch, ended=True)
        view = self._batches.view(step.tenant, step.batch)
        return {"settled": view.settled, "rejected": view.rejected, "unsettled": view.pending}


class _Counted:
    """What `prepare` met."""

    lines = 0
    rejected = 0


class _Stream(io.RawIOBase):
    """What an iterator yields, as a file to be read once: of any length in little memory."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _read_line(
    line: bytes, seated: str, panel_called: Callable[[str], Panel]
) -> VerdictRequest | Rejection:
    if len(line) > LINE_BYTES:
        return Rejection(code="too_long", message="the line is too long", limit=LINE_BYTES)
    return read_item(line, seated, panel_called)


def _page_line(step: Prepare, page: Sequence[PagedItem]) -> bytes:
    whole = Page(tenant=step.tenant, batch=step.batch, items=tuple(page))
    return whole.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _told(failure: Exception) -> dict[str, str]:
    """What the batch says of a failure."""
    if isinstance(failure, BudgetSpent):
        return {"paused_until": str(failure.limit)}
    reason = failure.reason if isinstance(failure, Postponed) else type(failure).__name__
    return {"last_problem": reason}


def _place_of(page: Page, paged: PagedItem) -> Place:
    return Place(batch=page.batch, index=paged.index)


def _id_of(page: Page, paged: PagedItem) -> str:
    return item_id_of(page.tenant, _place_of(page, paged))


def _pages_key(tenant: str, batch: str) -> str:
    return f"pages/{tenant}/{batch}.jsonl"


def _results_prefix(tenant: str, batch: str) -> str:
    return f"results/{tenant}/{batch}/"
