"""Long documents: the steps of the document machine.

::

    split ─► ask each piece ─► merge ─► settled
                  ▲              └ the answers are too long themselves: they are split
                  └──────────────┘
                                 └ failed for good: dead-lettered

Summaries and answers to a prompt are merged by the model, categories by the pieces' votes,
extracted objects by uniting them, translations by joining them. A state holds keys and numbers,
never content. Every step may be repeated: the answer to a piece is stored in the bucket.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from quorum.aws.bucket import Bucket
from quorum.batch.records import Batches
from quorum.core.errors import (
    BudgetSpent,
    DocumentUnreadable,
    NotFound,
    Postponed,
    QuorumError,
    Undeliverable,
)
from quorum.core.models import Frozen, Identifier
from quorum.core.position import BatchPosition
from quorum.document import keys, operations, schemas, splitting
from quorum.document.answering import (
    TAKEN,
    Conclusion,
    DocumentAnswers,
    Failed,
    Failure,
    Taken,
    Task,
    transient,
)
from quorum.document.operations import AnswerInvalid, Operation, Part, Work
from quorum.document.requests import QueuedDocument
from quorum.document.splitting import Piece

if TYPE_CHECKING:
    from quorum.batch.alerts import BatchBudget
    from quorum.gateway.deadline import Deadline

STEP_SECONDS = 270.0
"""Seconds of a step for asking: the machine waits 290 s for it."""
PIECES_LIMIT = 800
"""Pieces of one document: an execution's history holds 25,000 events, so 31 for each piece."""
LEVELS_LIMIT = 4
"""Rounds in which answers to pieces are split into pieces themselves."""
_WORKERS = 8
_SPEAK_FOR_THEMSELVES = ("Undeliverable", "Postponed", "Runtime.HandlerError")
"""Errors whose message quotes nothing. The last is the local stack's name for every error; in AWS
no Python exception has that name."""
_INDEX = -1
"""Number in place of a piece's: the key of the facts about all pieces."""


class Split(Frozen):
    """The machine's first step: split a long document into pieces."""

    step: Literal["split"]
    tenant: Identifier
    position: BatchPosition


class AskPiece(Frozen):
    """The second step: ask about one of `pieces`, numbered from 0."""

    step: Literal["ask"]
    tenant: Identifier
    position: BatchPosition
    level: int
    piece: int
    pieces: int


class Merge(Frozen):
    """The third step: merge the answers."""

    step: Literal["merge"]
    tenant: Identifier
    position: BatchPosition
    level: int
    pieces: int


class DeadLetter(Frozen):
    """The step after one of them failed for good; `error` comes from the machine's Catch."""

    step: Literal["dead_letter"]
    tenant: Identifier
    position: BatchPosition
    error: dict[str, Any]


class Receive(Frozen):
    """The step for an upload: queue its documents."""

    step: Literal["receive"]
    tenant: Identifier
    batch: str
    upload: str


class Abandon(Frozen):
    """The step after `Receive` failed for good."""

    step: Literal["abandon"]
    tenant: Identifier
    batch: str
    error: dict[str, Any]


Step = Split | AskPiece | Merge | DeadLetter | Receive | Abandon
STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


class _Answers(NamedTuple):
    """The answers to the pieces of one level, in order; None for a blank piece."""

    answers: list[Any]
    failures: list[tuple[int, Failure]]


class LongDocuments:
    """Works on one long document, step by step."""

    def __init__(
        self, answers: DocumentAnswers, batches: Batches, bucket: Bucket, budget: "BatchBudget"
    ) -> None:
        self._answers = answers
        self._batches = batches
        self._bucket = bucket
        self._budget = budget
        self._workers = ThreadPoolExecutor(_WORKERS)

    # ---- the steps ---------------------------------------------------------------------------

    def split(self, step: Split) -> dict[str, Any]:
        """Split the document; returns the number of pieces, and their indexes for the map.

        A document with too many pieces is rejected. Raises `Undeliverable` and `StoreUnavailable`.
        """
        item, work = self._document(step)
        if work is None:
            return _pieces(0, 0)
        most, _ = operations.piece_tokens(work)
        text = self._bucket.get(item.key).decode(errors="replace")
        cut = operations.pieces(work, text)
        if len(cut) > PIECES_LIMIT:
            why = f"the document has more than {PIECES_LIMIT} pieces of {most} tokens"
            self._answers.reject(item, DocumentUnreadable(why, code="document_too_long"))
            return _pieces(0, 0)
        return self._put(item, 0, cut)

    def ask(self, step: AskPiece, deadline: "Deadline") -> None:
        """Ask about one piece and store the answer, which is not asked for twice.

        Raises `Postponed` and `BudgetSpent` if it may succeed later, else `Undeliverable`.
        """
        item, work = self._document(step)
        position = item.tenant, item.position, step.level
        key = keys.answer_key(*position, step.piece)
        if work is None or self._bucket.find_json(key) is not None:
            return
        piece = self._piece(item, step.level, step.piece)
        task = Task(item, work, deadline)
        kept: dict[str, Any] = {}
        if piece.text.strip():
            asked = operations.question(
                work, piece.text, Part(number=step.piece + 1, of=step.pieces)
            )
            name = f"{task.name}/{step.level}/{step.piece}"
            try:
                kept["answer"] = self._handled(
                    item, lambda: self._answers.answer(task, asked, name, part=True)
                )
            except Failed as failed:
                kept["failure"] = failed.failure.model_dump()
        self._bucket.put_json(key, kept | {"taken": TAKEN.dump_python(task.taken, mode="json")})
        self._budget.watch(item.tenant, {item.position.batch})

    def merge(self, step: Merge, deadline: "Deadline") -> dict[str, Any]:
        """Merge the answers to the pieces and settle the document, or split the answers again.

        Raises as `ask`.
        """
        item, work = self._document(step)
        if work is None or not step.pieces:
            return _pieces(0, 0)
        task = Task(item, work, deadline, self._taken_below(item, step.level))
        found = self._found(item, step, task.taken)
        pieces = step.pieces if step.level == 0 else self._index(item, 0)["pieces"]
        if found.failures:
            number, failure = found.failures[0]
            why = f"piece {number + 1} of {step.pieces}: {failure.message}"
            failure = Failure(code=failure.code, message=why)
            self._answers.settle(task, Conclusion(failure=failure, pieces=pieces))
            return _pieces(0, 0)
        if work.operation in (Operation.SUMMARIZE, Operation.CUSTOM):
            more = self._pieces_of_answers(task, step.level, found.answers)
            if more is not None:
                return more
        try:
            concluded = self._handled(item, lambda: self._merged(task, step, found.answers))
        except Failed as failed:
            concluded = Conclusion(failure=failed.failure)
        self._answers.settle(task, concluded.model_copy(update={"pieces": pieces}))
        return _pieces(0, 0)

    def document_of(self, tenant: str, position: BatchPosition) -> QueuedDocument:
        """The message of a long document."""
        found = self._bucket.get_json(keys.message_key(tenant, position))
        return QueuedDocument.model_validate(found, extra="ignore")

    # ---- merging -----------------------------------------------------------------------------

    def _merged(self, task: Task, step: Merge, answers: list[Any]) -> Conclusion:
        match task.work.operation:
            case Operation.CLASSIFY:
                return self._voted(task, step, answers)
            case Operation.TRANSLATE:
                cut = list(
                    self._workers.map(
                        lambda number: self._piece(task.item, step.level, number),
                        range(step.pieces),
                    )
                )
                return Conclusion(answer=splitting.joined([one or "" for one in answers], cut))
            case Operation.EXTRACT:
                return self._united(task, [one for one in answers if one is not None])
            case _:
                asked = operations.joining(task.work, [one for one in answers if one])
                return Conclusion(answer=self._answers.answer(task, asked, f"{task.name}/merge"))

    def _voted(self, task: Task, step: Merge, answers: Sequence[str | None]) -> Conclusion:
        """The category of most of the document, by tokens; at a tie the one named first."""
        votes: Counter[str] = Counter()
        tokens = self._index(task.item, step.level)["tokens"]
        for category, weight in zip(answers, tokens, strict=True):
            if category is not None:
                votes[category] += weight
        return Conclusion(answer=votes.most_common(1)[0][0], votes=dict(votes))

    def _united(self, task: Task, answers: Sequence[dict[str, Any]]) -> Conclusion:
        united, conflicts = schemas.united(answers)
        wrong = schemas.problems(task.work.reply_schema or {}, united)
        if wrong:
            asked = operations.repairing_united(task.work, united, wrong)
            text = self._answers.ask(task, asked, f"{task.name}/merge")
            try:
                united = operations.read(task.work, text)
            except AnswerInvalid as invalid:
                raise Failed(invalid.code, f"{invalid.reason}, also at the second try") from invalid
        return Conclusion(answer=united, conflicts=tuple(conflicts))

    def _pieces_of_answers(
        self, task: Task, level: int, answers: Sequence[str | None]
    ) -> dict[str, Any] | None:
        """Split the answers into pieces if together they are too long; else None."""
        most, _ = operations.piece_tokens(task.work)
        text = "\n\n".join(answer for answer in answers if answer)
        if operations.tokens_as_sent(text) <= most:
            return None
        if level + 1 == LEVELS_LIMIT:
            raise Undeliverable("the answers to the document's pieces do not become shorter")
        below = keys.answer_key(task.item.tenant, task.item.position, level, _INDEX)
        self._bucket.put_json(below, TAKEN.dump_python(task.taken, mode="json"))
        return self._put(task.item, level + 1, operations.pieces(task.work, text))

    # ---- the bucket --------------------------------------------------------------------------

    def _document(self, step: Split | AskPiece | Merge) -> tuple[QueuedDocument, Work | None]:
        """The document of a step, and the work on it; None if there is none any more."""
        try:
            record = self._batches.record(step.tenant, step.position.batch)
            item = self.document_of(step.tenant, step.position)
        except NotFound as error:
            raise Undeliverable(error.message) from error
        over = record.is_cancelled or self._batches.settled([(step.tenant, step.position)])
        return item, None if over else operations.work_of(record.work)

    def _put(self, item: QueuedDocument, level: int, cut: Sequence[Piece]) -> dict[str, Any]:
        position = item.tenant, item.position, level

        def put(piece: Piece) -> None:
            self._bucket.put_json(keys.piece_key(*position, piece.index), piece.model_dump())

        list(self._workers.map(put, cut))
        index = {"pieces": len(cut), "tokens": [piece.tokens for piece in cut]}
        self._bucket.put_json(keys.piece_key(*position, _INDEX), index)
        return _pieces(level, len(cut))

    def _index(self, item: QueuedDocument, level: int) -> dict[str, Any]:
        found = self._bucket.get_json(keys.piece_key(item.tenant, item.position, level, _INDEX))
        return dict(found)

    def _piece(self, item: QueuedDocument, level: int, number: int) -> Piece:
        found = self._bucket.get_json(keys.piece_key(item.tenant, item.position, level, number))
        return Piece.model_validate(found, extra="ignore")

    def _found(self, item: QueuedDocument, step: Merge, taken: Taken) -> _Answers:
        """The answers of a level; their cost is added to `taken`."""
        wanted = [
            keys.answer_key(item.tenant, item.position, step.level, number)
            for number in range(step.pieces)
        ]
        found = list(self._workers.map(self._bucket.get_json, wanted))
        for one in found:
            taken.join(TAKEN.validate_python(one["taken"], extra="ignore"))
        return _Answers(
            [one.get("answer") for one in found],
            [
                (number, Failure.model_validate(one["failure"], extra="ignore"))
                for number, one in enumerate(found)
                if "failure" in one
            ],
        )

    def _taken_below(self, item: QueuedDocument, level: int) -> Taken:
        """The cost of the levels before this one."""
        if level == 0:
            return Taken()
        key = keys.answer_key(item.tenant, item.position, level - 1, _INDEX)
        return TAKEN.validate_python(self._bucket.get_json(key), extra="ignore")

    def _handled(self, item: QueuedDocument, do: Callable[[], Any]) -> Any:
        """The result of `do()`; its errors become `Failed` or one that the machine can handle."""
        try:
            return do()
        except Failed:
            raise
        except BudgetSpent as spent:
            self._batches.note(item.tenant, item.position.batch, paused_until=str(spent.limit))
            raise
        except QuorumError as error:
            healed = transient(error)
            if isinstance(healed, Postponed):
                self._batches.note(item.tenant, item.position.batch, last_problem=healed.reason)
            raise healed from error


def reason_of(error: dict[str, Any]) -> str:
    """The reason in the machine's Catch; unknown errors are reduced to their name."""
    kind, message = str(error.get("Error") or "unknown"), ""
    try:
        cause = json.loads(error.get("Cause", ""))
        kind = str(cause.get("errorType") or kind)
        message = str(cause.get("errorMessage") or "")
    except (ValueError, AttributeError):
        pass
    return message if message and kind in _SPEAK_FOR_THEMSELVES else kind


def _pieces(level: int, count: int) -> dict[str, Any]:
    return {"level": level, "pieces": count, "numbers": list(range(count))}
