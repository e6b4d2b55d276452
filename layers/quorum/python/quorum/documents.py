"""Bulk documents: each is its own call or calls, settled once, with what was expected of it.

::

    message ─► read out of its file ─► fits the model: asked ─► settled
                                    └► too long: the document machine, one step a function call
                 split ─► ask each piece ─► merge ─► settled, or pieces of the answers once more

What nobody can read is rejected; what the model would not answer, or not as asked, is settled as
failed; what may be had later goes back to the queue; the rest is for the dead letters.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, TypeAdapter

from quorum import contents, ledger, loop, operations, schemas, telemetry, tokenizer
from quorum.batches import Aside, Batches, item_id_of, work_of
from quorum.case import Place
from quorum.contents import Contents
from quorum.deadline import Deadline
from quorum.errors import (
    BudgetSpent,
    DocumentUnreadable,
    GatewayRejected,
    ModelRefused,
    ModelThrottled,
    ModelUnknown,
    NotFound,
    Postponed,
    PromptTooLong,
    RequestRejected,
    StoreUnavailable,
    StreamCut,
    TooLarge,
    Undeliverable,
    VoteUnavailable,
)
from quorum.learning import Learned
from quorum.models import Dollars, Frozen, Identifier, Tokens
from quorum.operations import AnswerInvalid, Operation, Part, Work
from quorum.registry import model as registered
from quorum.requests import QueuedDocument

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from quorum.asking import Asking
    from quorum.budget import Budget
    from quorum.item_queue import Delivered
    from quorum.questions import Answered, Question

TABLE_BYTES = 100 * 1024
"""A longer answer goes to the bucket: an item of the table holds 400 KiB."""
PIECES_LIMIT = 1_000
"""Pieces of one document: the machine's history holds 25,000 events, a piece takes up to 20."""
LEVELS_LIMIT = 4
"""How often answers to pieces are put together in pieces again."""
RETRY_SECONDS = 10.0
"""When a model that is down is asked again."""


class Failure(Frozen):
    """Why a document has no answer although its model was asked; quotes nothing."""

    code: str
    message: str


class DocumentResult(Frozen):
    """What became of a document.

    `answer` is a text, a category or the object extracted; None where there is a `failure`, and
    where it is too long for this table: then it is found at `answer_key`. `cached` when all of it
    came from kept answers; `pieces` is how many the document was cut into, 1 for most. `conflicts`
    are paths on which the pieces of a document disagree, `votes` the tokens that spoke for each
    category.
    """

    id: Identifier | None = None
    operation: Operation
    model: str
    answer: Any = None
    answer_key: str | None = None
    failure: Failure | None = None
    conflicts: tuple[str, ...] = ()
    votes: dict[str, int] = Field(default_factory=dict)
    pieces: int = 1
    calls: int = 0
    tokens: Tokens = Tokens()
    cost_usd: Dollars = Decimal(0)
    cost_estimated: bool = False
    cached: bool = False
    saved_usd: Dollars = Decimal(0)
    estimate_usd: Dollars = Decimal(0)
    media_type: str | None = None
    name: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime


class Cut(Frozen):
    """The machine's first step: a long document in pieces."""

    step: Literal["split"]
    tenant: Identifier
    place: Place


class AskPiece(Frozen):
    """Its second: one piece, asked about."""

    step: Literal["ask"]
    tenant: Identifier
    place: Place
    level: int
    piece: int
    pieces: int


class Merge(Frozen):
    """Its third: the answers put together."""

    step: Literal["merge"]
    tenant: Identifier
    place: Place
    level: int
    pieces: int


class Bury(Frozen):
    """What it does where one of them failed for good."""

    step: Literal["bury"]
    tenant: Identifier
    place: Place
    error: dict[str, Any]


class Receive(Frozen):
    """What it does with an upload: its documents are put on the queue."""

    step: Literal["receive"]
    tenant: Identifier
    batch: str
    upload: str


class Abandon(Frozen):
    """What it does where that failed for good."""

    step: Literal["abandon"]
    tenant: Identifier
    batch: str
    error: dict[str, Any]


Step = Cut | AskPiece | Merge | Bury | Receive | Abandon
STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


class Parsed(NamedTuple):
    """A document read: its text, and what it was."""

    text: str
    media_type: str | None


@dataclass(slots=True)
class _Taken:
    """What the calls for a document, or for a piece of one, have come to."""

    calls: int = 0
    cached: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal = Decimal(0)
    cost_estimated: bool = False
    saved_usd: Decimal = Decimal(0)
    saved_tokens: int = 0
    estimated: Tokens = field(default_factory=Tokens)
    estimated_usd: Decimal = Decimal(0)

    def add(self, answered: "Answered") -> None:
        self.calls += not answered.cached
        self.cached += answered.cached
        self.saved_tokens += answered.tokens.total if answered.cached else 0
        self._pay(answered.tokens, answered.cost_usd, estimated=answered.cost_estimated)
        self.saved_usd += answered.saved_usd

    def add_failed(self, error: VoteUnavailable) -> None:
        self.calls += 1
        self._pay(error.tokens or Tokens(), error.cost_usd, estimated=error.cost_estimated)

    def _pay(self, tokens: Tokens, cost_usd: Decimal, *, estimated: bool) -> None:
        self.tokens = _sum(self.tokens, tokens)
        self.cost_usd += cost_usd
        self.cost_estimated = self.cost_estimated or estimated

    def join(self, other: "_Taken") -> None:
        """Add what another piece came to."""
        for name in ("calls", "cached", "cost_usd", "saved_usd", "saved_tokens", "estimated_usd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.tokens = _sum(self.tokens, other.tokens)
        self.estimated = _sum(self.estimated, other.estimated)
        self.cost_estimated = self.cost_estimated or other.cost_estimated


_TAKEN = TypeAdapter(_Taken)


class _Failed(Exception):
    """The model was asked, and there is no answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=message)


class Documents:
    """Works through documents with what the Lambda opened; `at_once` of them at a time.

    `read` a text out of a file: bytes, media type and name to `Parsed`, or `DocumentUnreadable`.
    """

    def __init__(  # noqa: PLR0913 - everything a document needs, opened once
        self,
        asking: "Asking",
        batches: Batches,
        bucket: Contents,
        budget: "Budget",
        machine: "SFNClient",
        learned: Learned,
        *,
        machine_arn: str,
        usage_table: str,
        at_once: int,
        most_bytes: int,
        read: Callable[[bytes, str | None, str | None], Parsed],
        clock: Callable[[], float] = time,
    ) -> None:
        self._asking = asking
        self._batches = batches
        self._bucket = bucket
        self._budget = budget
        self._machine = machine
        self._machine_arn = machine_arn
        self._learned = learned
        self._usage_table = usage_table
        self._most_bytes = most_bytes
        self._read = read
        self._clock = clock
        self._desks = ThreadPoolExecutor(at_once)

    # ---- from the queue ----------------------------------------------------------------------

    def work(
        self, delivered: Sequence["Delivered[QueuedDocument]"], deadline: Deadline
    ) -> list[Exception | None]:
        """Why each document is not settled; None where nothing is left to do about it here.

        `Undeliverable` never can be; `Postponed` and `BudgetSpent` say when to come again;
        anything else failed.
        """
        items = [one.item for one in delivered]
        settled = self._batches.settled((item.tenant, item.place) for item in items)
        records = self._batches.records({(item.tenant, item.place.batch) for item in items})
        works = {batch: None if "cancelled_at" in r else work_of(r) for batch, r in records.items()}

        def do(one: "Delivered[QueuedDocument]") -> Exception | None:
            item = one.item
            batch = item.tenant, item.place.batch
            if (item.tenant, item.place) in settled:
                return None
            if batch not in works:
                return Undeliverable("there is no such batch")
            work = works[batch]
            if work is None:  # cancelled
                return None
            return self._outcome(item, lambda: self._do(one, work, deadline))

        outcomes = list(self._desks.map(do, delivered))
        for tenant, batch in records:
            self._budget.watch(tenant, {batch})
        return outcomes

    def _outcome(self, item: QueuedDocument, do: Callable[[], None]) -> Exception | None:
        try:
            do()
        except DocumentUnreadable as unreadable:
            self._reject(item, unreadable)
        except Exception as error:  # noqa: BLE001 - reported to the queue, message by message
            return _heals(error)
        return None

    def _do(self, one: "Delivered[QueuedDocument]", work: Work, deadline: Deadline) -> None:
        item = one.item
        parsed = self._text_of(item)
        if operations.is_long(work, parsed.text):
            self._start(item, parsed, one.message_id)
            return
        taken = _Taken()
        asked = operations.question(work, parsed.text)
        name = item_id_of(item.tenant, item.place)
        try:
            answer = self._answer(item, work, asked, name, taken, deadline)
        except _Failed as failed:
            self._settle(item, work, taken, parsed.media_type, failure=failed.failure)
        else:
            self._settle(item, work, taken, parsed.media_type, answer=answer)

    def _text_of(self, item: QueuedDocument) -> Parsed:
        try:
            body = self._bucket.get(item.key, most_bytes=self._most_bytes)
        except TooLarge as error:
            raise DocumentUnreadable(error.message, code=error.code) from error
        except NotFound as error:
            raise DocumentUnreadable("its content is gone", code=error.code) from error
        if item.is_text:
            return Parsed(body.decode(errors="replace"), "text/plain")
        return self._read(body, item.media_type, item.name)

    def _reject(self, item: QueuedDocument, why: DocumentUnreadable) -> None:
        """What cannot be read never will be: it is the caller's to mend, not an operator's."""
        told = {"code": why.code, "message": str(why)} | ({"id": item.id} if item.id else {})
        self._batches.set_aside(item.tenant, "rejected", [Aside(item.place, told)])

    # ---- asking ------------------------------------------------------------------------------

    def _answer(
        self,
        item: QueuedDocument,
        work: Work,
        asked: "Question",
        name: str,
        taken: _Taken,
        deadline: Deadline,
        *,
        part: bool = False,
    ) -> Any:
        """What the model answers, mended once if it is not as asked; raises `_Failed`."""
        text = self._ask(item, work, asked, name, taken, deadline)
        try:
            return operations.read(work, text, part=part)
        except AnswerInvalid as invalid:
            if work.operation not in (Operation.CLASSIFY, Operation.EXTRACT):
                raise _Failed(invalid.code, invalid.reason) from invalid
            again = operations.mending(work, asked, text, invalid)
        text = self._ask(item, work, again, f"{name}/mended", taken, deadline)
        try:
            return operations.read(work, text, part=part)
        except AnswerInvalid as invalid:
            raise _Failed(invalid.code, f"{invalid.reason}, also when asked again") from invalid

    def _ask(
        self,
        item: QueuedDocument,
        work: Work,
        asked: "Question",
        name: str,
        taken: _Taken,
        deadline: Deadline,
    ) -> str:
        given = operations.prompt_tokens(asked)
        expected = min(
            asked.max_output_tokens,
            self._learned.output_tokens(item.tenant, work.operation, work.model, given),
        )
        estimated = Tokens(input=given, output=expected)
        taken.estimated = _sum(taken.estimated, estimated)
        taken.estimated_usd += registered(work.model).price.cost(estimated)
        try:
            answered = loop.run(
                self._asking.answer(
                    item.tenant,
                    asked,
                    deadline=deadline,
                    use_cache=True,
                    batch=item.place.batch,
                    bought_for=name,
                    expected_output_tokens=max(1, expected),
                )
            )
        except ModelRefused as refused:
            taken.add_failed(refused)
            raise _Failed("model_refused", refused.message) from refused
        taken.add(answered)
        if answered.refusal is not None or answered.finish_reason == "content_filter":
            raise _Failed("model_refused", "the model or its safety filter would not answer")
        if answered.finish_reason == "length":
            raise _Failed("answer_cut", f"longer than {asked.max_output_tokens} tokens")
        return answered.text

    # ---- settling ----------------------------------------------------------------------------

    def _settle(
        self,
        item: QueuedDocument,
        work: Work,
        taken: _Taken,
        media_type: str | None,
        *,
        answer: Any = None,
        failure: Failure | None = None,
        pieces: int = 1,
        conflicts: Sequence[str] = (),
        votes: dict[str, int] | None = None,
    ) -> None:
        """The result, the batch's counters and what the ledger learns, at once and once only."""
        result = DocumentResult(
            id=item.id,
            operation=work.operation,
            model=work.model,
            answer=answer,
            failure=failure,
            conflicts=tuple(conflicts),
            votes=votes or {},
            pieces=pieces,
            calls=taken.calls,
            tokens=taken.tokens,
            cost_usd=taken.cost_usd,
            cost_estimated=taken.cost_estimated,
            cached=bool(taken.cached) and not taken.calls,
            saved_usd=taken.saved_usd,
            estimate_usd=taken.estimated_usd,
            media_type=media_type,
            name=item.name,
            metadata=item.metadata,
            created_at=datetime.fromtimestamp(self._clock(), UTC),
        )
        if len(json.dumps(answer, ensure_ascii=False).encode(errors="replace")) > TABLE_BYTES:
            key = contents.result_key(item.tenant, item.place)
            self._bucket.put_json(key, answer)
            result = result.model_copy(update={"answer": None, "answer_key": key})
        amounts: dict[str, int | Decimal] = {
            "failed": int(failure is not None),
            "calls": taken.calls,
            "cached_answers": taken.cached,
            "saved_tokens": taken.saved_tokens,
            "saved_usd": taken.saved_usd,
            "actual_input_tokens": taken.tokens.input,
            "actual_output_tokens": taken.tokens.output,
            "actual_cost_usd": taken.cost_usd,
            "estimated_input_tokens": taken.estimated.input,
            "estimated_output_tokens": taken.estimated.output,
            "estimated_cost_usd": taken.estimated_usd,
        }
        worked = ledger.worked(
            self._usage_table, item.tenant, work.operation, work.model, taken.tokens
        )
        others = [] if failure is not None else [worked]
        self._batches.settle(item.tenant, item.place, result.model_dump_json(), amounts, others)
        telemetry.logger.info(
            "document settled",
            extra={"operation": work.operation, "failure": failure and failure.code},
        )

    # ---- long documents ----------------------------------------------------------------------

    def _start(self, item: QueuedDocument, parsed: Parsed, message_id: str) -> None:
        """Hand a long document to the machine; one that is there already is left to it.

        An execution's name is the item's. Where that one has ended and the item is not settled,
        it was given up and sent round again: the next is named by the message as well.
        """
        text_key = contents.document_key(item.tenant, item.place) + ".txt"
        if not item.is_text:
            self._bucket.put(text_key, parsed.text.encode(errors="replace"))
            item = item.model_copy(
                update={"key": text_key, "is_text": True, "media_type": parsed.media_type}
            )
        self._bucket.put_json(contents.message_key(item.tenant, item.place), _written(item))
        given = json.dumps({"tenant": item.tenant, "place": item.place.model_dump()})
        name = item_id_of(item.tenant, item.place)
        for attempt in (name, f"{name}-{message_id}"):
            try:
                self._machine.start_execution(
                    stateMachineArn=self._machine_arn, name=attempt, input=given
                )
            except self._machine.exceptions.ExecutionAlreadyExists:
                if self._runs(attempt):
                    return
            except (ClientError, BotoCoreError) as error:
                raise StoreUnavailable("the document machine could not be started") from error
            else:
                return

    def _runs(self, name: str) -> bool:
        arn = f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        found = self._machine.describe_execution(executionArn=arn)
        return found["status"] == "RUNNING"

    def split(self, step: Cut) -> dict[str, Any]:
        """The document in pieces: how many, and their numbers for the map.

        Raises `Undeliverable`; a document that has too many pieces is rejected.
        """
        from quorum import splitting  # noqa: PLC0415 - only a long document needs it

        item, work = self._long(step)
        if work is None:
            return _pieces(0, 0)
        try:
            text = self._text_of(item).text
            most, overlap = operations.piece_tokens(work)
            cut = splitting.pieces(
                text, most_tokens=most, overlap_tokens=overlap, count=_written_tokens
            )
            if len(cut) > PIECES_LIMIT:
                raise DocumentUnreadable(  # noqa: TRY301 - as one that cannot be read
                    f"has more than {PIECES_LIMIT} pieces of {most} tokens",
                    code="document_too_long",
                )
        except DocumentUnreadable as unreadable:
            self._reject(item, unreadable)
            return _pieces(0, 0)
        return self._put_pieces(item, 0, [piece.model_dump() for piece in cut])

    def ask(self, step: AskPiece, deadline: Deadline) -> None:
        """One piece asked about; its answer lies in the bucket, and is not asked for twice.

        Raises `Postponed` and `BudgetSpent` for what may be had later, `Undeliverable` else.
        """
        item, work = self._long(step)
        answer_key = contents.answer_key(item.tenant, item.place, step.level, step.piece)
        if work is None or self._bucket.find_json(answer_key) is not None:
            return
        piece = self._bucket.get_json(
            contents.piece_key(item.tenant, item.place, step.level, step.piece)
        )
        part = Part(number=step.piece + 1, of=step.pieces)
        name = f"{item_id_of(item.tenant, item.place)}/{step.level}/{step.piece}"
        taken = _Taken()
        kept: dict[str, Any] = {"answer": None}
        if piece["text"].strip():
            asked = operations.question(work, piece["text"], part)
            try:
                kept["answer"] = self._healing(
                    item,
                    lambda: self._answer(item, work, asked, name, taken, deadline, part=True),
                )
            except _Failed as failed:
                kept["failure"] = failed.failure.model_dump()
        self._bucket.put_json(answer_key, kept | {"taken": _TAKEN.dump_python(taken, mode="json")})

    def merge(self, step: Merge, deadline: Deadline) -> dict[str, Any]:
        """The answers to the pieces as one: settled, or cut into pieces themselves.

        Raises as `ask`.
        """
        item, work = self._long(step)
        if work is None or not step.pieces:
            return _pieces(0, 0)
        found = [
            self._bucket.get_json(contents.answer_key(item.tenant, item.place, step.level, number))
            for number in range(step.pieces)
        ]
        taken = self._taken_below(item, step.level)
        for one in found:
            taken.join(_TAKEN.validate_python(one["taken"]))
        total = step.pieces if step.level == 0 else self._pieces_at_first(item)
        failed = next(
            ((n, one["failure"]) for n, one in enumerate(found) if "failure" in one), None
        )
        if failed is not None:
            number, failure = failed
            why = Failure(
                code=failure["code"],
                message=f"piece {number + 1} of {step.pieces}: {failure['message']}",
            )
            self._settle(item, work, taken, item.media_type, failure=why, pieces=total)
            return _pieces(0, 0)
        answers = [one["answer"] for one in found]
        if work.operation in (Operation.SUMMARIZE, Operation.CUSTOM):
            more = self._again(item, work, step.level, answers, taken)
            if more is not None:
                return more
        try:
            result = self._healing(
                item, lambda: self._merged(item, work, answers, step, taken, deadline)
            )
        except _Failed as failed_merge:
            result = {"failure": failed_merge.failure}
        self._settle(item, work, taken, item.media_type, pieces=total, **result)
        return _pieces(0, 0)

    def _merged(
        self,
        item: QueuedDocument,
        work: Work,
        answers: list[Any],
        step: Merge,
        taken: _Taken,
        deadline: Deadline,
    ) -> dict[str, Any]:
        """The one answer of several, for `_settle`."""
        from quorum import splitting  # noqa: PLC0415 - only a long document needs it

        name = f"{item_id_of(item.tenant, item.place)}/merge"
        match work.operation:
            case Operation.CLASSIFY:
                spoken = [
                    (answer, tokens)
                    for answer, tokens in zip(answers, self._tokens(item, step), strict=True)
                    if answer is not None
                ]
                votes: dict[str, int] = {}
                for category, tokens in spoken:
                    votes[category] = votes.get(category, 0) + tokens
                return {"answer": operations.winner(spoken), "votes": votes}
            case Operation.TRANSLATE:
                cut = [splitting.Piece.model_validate(one) for one in self._cut(item, step)]
                return {"answer": splitting.joined([one or "" for one in answers], cut)}
            case Operation.EXTRACT:
                united, conflicts = schemas.united([one for one in answers if one is not None])
                wrong = schemas.problems(work.reply_schema or {}, united)
                if wrong:
                    asked = operations.mending_united(work, united, wrong)
                    text = self._ask(item, work, asked, name, taken, deadline)
                    try:
                        united = operations.read(work, text)
                    except AnswerInvalid as invalid:
                        raise _Failed(invalid.code, invalid.reason) from invalid
                return {"answer": united, "conflicts": conflicts}
            case _:
                asked = operations.joining(work, [one for one in answers if one])
                return {"answer": self._answer(item, work, asked, name, taken, deadline)}

    def _again(
        self, item: QueuedDocument, work: Work, level: int, answers: list[Any], taken: _Taken
    ) -> dict[str, Any] | None:
        """The answers in pieces themselves, where together they are too long; else None."""
        from quorum import splitting  # noqa: PLC0415 - only a long document needs it

        most, overlap = operations.piece_tokens(work)
        text = "\n\n".join(answer for answer in answers if answer)
        if _written_tokens(text) <= most:
            return None
        if level + 1 == LEVELS_LIMIT:
            raise Undeliverable("the answers to its pieces do not become fewer")
        cut = splitting.pieces(
            text, most_tokens=most, overlap_tokens=overlap, count=_written_tokens
        )
        below = contents.answer_key(item.tenant, item.place, level, -1)
        self._bucket.put_json(below, _TAKEN.dump_python(taken, mode="json"))
        return self._put_pieces(item, level + 1, [piece.model_dump() for piece in cut])

    def _taken_below(self, item: QueuedDocument, level: int) -> _Taken:
        """What the levels before this one have come to."""
        if level == 0:
            return _Taken()
        key = contents.answer_key(item.tenant, item.place, level - 1, -1)
        return _TAKEN.validate_python(self._bucket.get_json(key))

    def _put_pieces(
        self, item: QueuedDocument, level: int, cut: list[dict[str, Any]]
    ) -> dict[str, Any]:
        def put(piece: dict[str, Any]) -> None:
            key = contents.piece_key(item.tenant, item.place, level, piece["index"])
            self._bucket.put_json(key, piece)

        list(self._desks.map(put, cut))
        index = {"index": -1, "tokens": [piece["tokens"] for piece in cut]}
        self._bucket.put_json(contents.piece_key(item.tenant, item.place, level, -1), index)
        return _pieces(level, len(cut))

    def _tokens(self, item: QueuedDocument, step: Merge) -> list[int]:
        key = contents.piece_key(item.tenant, item.place, step.level, -1)
        found: list[int] = self._bucket.get_json(key)["tokens"]
        return found

    def _pieces_at_first(self, item: QueuedDocument) -> int:
        key = contents.piece_key(item.tenant, item.place, 0, -1)
        return len(self._bucket.get_json(key)["tokens"])

    def _cut(self, item: QueuedDocument, step: Merge) -> list[dict[str, Any]]:
        keys = [
            contents.piece_key(item.tenant, item.place, step.level, number)
            for number in range(step.pieces)
        ]
        return list(self._desks.map(self._bucket.get_json, keys))

    def _long(self, step: Cut | AskPiece | Merge) -> tuple[QueuedDocument, Work | None]:
        """The document of a step, and what is done with it; None if nothing is any more."""
        try:
            record = self._batches.record(step.tenant, step.place.batch)
            key = contents.message_key(step.tenant, step.place)
            item = QueuedDocument.model_validate(self._bucket.get_json(key))
        except NotFound as error:
            raise Undeliverable(error.message) from error
        done = self._batches.settled([(step.tenant, step.place)])
        return item, None if done or "cancelled_at" in record else work_of(record)

    def _healing(self, item: QueuedDocument, do: Callable[[], Any]) -> Any:
        """`do()`; what it raises is `_Failed`, or what the machine knows what to do about."""
        try:
            return do()
        except _Failed:
            raise
        except BudgetSpent as spent:
            self._batches.note(item.tenant, item.place.batch, paused_until=str(spent.limit))
            raise
        except Exception as error:
            healed = _heals(error)
            if isinstance(healed, Postponed):
                self._batches.note(item.tenant, item.place.batch, last_problem=healed.reason)
            raise healed from error

    def document_of(self, tenant: str, place: Place) -> QueuedDocument:
        """The message of a long document."""
        found = self._bucket.get_json(contents.message_key(tenant, place))
        return QueuedDocument.model_validate(found)


def reason_of(error: dict[str, Any]) -> str:
    """Why a machine's step failed, from what its Catch says; another's message may quote content."""
    kind = str(error.get("Error", ""))
    try:
        cause = json.loads(error.get("Cause", ""))
        kind = str(cause.get("errorType") or kind)
        message = str(cause.get("errorMessage", ""))
    except (ValueError, AttributeError):
        message = ""
    ours = kind in (Undeliverable.__name__, Postponed.__name__)
    return message if ours and message else kind or "unknown"


def _heals(error: Exception) -> Exception:
    """What the queue knows what to do about."""
    match error:
        case ModelThrottled():
            return Postponed("model throttled", retry_after_seconds=error.retry_after_seconds)
        case GatewayRejected() | PromptTooLong():
            return Undeliverable(f"{type(error).__name__}: {error.message}")
        case ModelUnknown():
            return Undeliverable("its model is not known any more")
        case VoteUnavailable():
            return Postponed(f"{type(error).__name__}", retry_after_seconds=RETRY_SECONDS)
        case StreamCut():
            return Postponed("answer cut", retry_after_seconds=RETRY_SECONDS)
        case BudgetSpent():
            return error
        case RequestRejected():
            return Undeliverable(error.message)
    return error


def _pieces(level: int, count: int) -> dict[str, Any]:
    return {"level": level, "pieces": count, "numbers": list(range(count))}


def _written(item: QueuedDocument) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def _written_tokens(text: str) -> int:
    """The tokens of a text as it is sent: as JSON."""
    return tokenizer.count_text(json.dumps(text, ensure_ascii=False)[1:-1])


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        cached_input=one.cached_input + other.cached_input,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
    )
