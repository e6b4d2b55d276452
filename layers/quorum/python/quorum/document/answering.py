"""The answer about a document: asked for, repaired once if invalid, and settled once.

A refusal or an invalid answer is a failure, which is settled too, with its cost.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter

from quorum.aws import loop, telemetry
from quorum.aws.bucket import Bucket
from quorum.batch.records import Batches, FailedItem
from quorum.core.errors import (
    AnswerCut,
    AnswerUnusable,
    DocumentUnreadable,
    ModelRefused,
    Postponed,
    QuorumError,
    Undeliverable,
    VoteUnavailable,
)
from quorum.core.identifiers import item_id_of
from quorum.core.models import Dollars, Frozen, Identifier, Tokens
from quorum.core.registry import model
from quorum.document import keys, operations
from quorum.document.learning import Learned
from quorum.document.operations import AnswerInvalid, Operation, Work
from quorum.document.requests import QueuedDocument
from quorum.ledger import ledger

if TYPE_CHECKING:
    from quorum.answer.asking import Asking
    from quorum.answer.questions import Answered, Question
    from quorum.gateway.deadline import Deadline

TABLE_BYTES = 100 * 1024
"""Bytes of an answer above which it goes to the bucket: an item of the table holds 400 KiB."""
RETRY_SECONDS = 10.0
"""Seconds until a model that is down is asked again."""
_MENDABLE = (Operation.CLASSIFY, Operation.EXTRACT)


class Failure(Frozen):
    """The reason why a document has no answer although its model was asked; quotes nothing."""

    code: str
    message: str


class Conclusion(Frozen):
    """The answer about a document, or the failure.

    `answer` is a text, a category or the extracted object; None if there is a `failure`. `pieces`
    is the number of pieces the document was cut into, 1 for most. `conflicts` are the paths on
    which the pieces of a document disagree, `votes` the tokens in favour of each category.
    """

    answer: Any = None
    failure: Failure | None = None
    pieces: int = 1
    conflicts: tuple[str, ...] = ()
    votes: dict[str, int] = Field(default_factory=dict)


class DocumentOutcome(Conclusion):
    """The outcome of a document, and its cost.

    `cached` says that all of it came from cached answers. `estimate_usd` is the cost expected
    before the model was asked.
    """

    id: Identifier | None = None
    operation: Operation
    model: str
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


class DocumentResult(DocumentOutcome):
    """The outcome as stored: an answer too long for the table is in the bucket at `answer_key`."""

    answer_key: str | None = None


@dataclass(slots=True)
class Taken:
    """The expected and the actual cost of the calls for a document, or for a piece of one."""

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
        """Add an answer, paid or cached."""
        self.calls += not answered.cached
        self.cached += answered.cached
        self.saved_tokens += answered.tokens.total if answered.cached else 0
        self.saved_usd += answered.saved_usd
        self._pay(answered.tokens, answered.cost_usd, estimated=answered.cost_estimated)

    def add_refused(self, refused: ModelRefused) -> None:
        """Add a call that was paid although there is no answer."""
        self.calls += 1
        self._pay(refused.tokens or Tokens(), refused.cost_usd, estimated=refused.cost_estimated)

    def _pay(self, tokens: Tokens, cost_usd: Decimal, *, estimated: bool) -> None:
        self.tokens += tokens
        self.cost_usd += cost_usd
        self.cost_estimated = self.cost_estimated or estimated

    def join(self, other: "Taken") -> None:
        """Add the cost of another piece."""
        for name in ("calls", "cached", "cost_usd", "saved_usd", "saved_tokens", "estimated_usd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.tokens += other.tokens
        self.estimated += other.estimated
        self.cost_estimated = self.cost_estimated or other.cost_estimated


TAKEN = TypeAdapter(Taken)


@dataclass(frozen=True, slots=True)
class Task:
    """One document, the work on it with its deadline, and the cost so far."""

    item: QueuedDocument
    work: Work
    deadline: "Deadline"
    taken: Taken = field(default_factory=Taken)

    @property
    def name(self) -> str:
        """The item's id, under which its answers are paid and found again."""
        return item_id_of(self.item.tenant, self.item.position)


class Failed(Exception):
    """Signals that the model was asked and there is no answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=message)


class DocumentAnswers:
    """Asks models about documents and settles the results."""

    def __init__(
        self,
        asking: "Asking",
        batches: Batches,
        bucket: Bucket,
        learned: Learned,
        *,
        usage_table: str,
        clock: Callable[[], float] = time,
    ) -> None:
        self._asking = asking
        self._batches = batches
        self._bucket = bucket
        self._learned = learned
        self._usage_table = usage_table
        self._clock = clock

    def answer(self, task: Task, asked: "Question", name: str, *, part: bool = False) -> Any:
        """The model's answer, asked for again once if it is invalid.

        `name` identifies the paid answer: repeated work finds it with its cost. Raises `Failed`,
        and all that `Asking.answer` raises but `ModelRefused`.
        """
        text = self.ask(task, asked, name)
        try:
            return operations.read(task.work, text, part=part)
        except AnswerInvalid as invalid:
            if task.work.operation not in _MENDABLE:
                raise Failed(invalid.code, invalid.reason) from invalid
            again = operations.repairing(asked, text, invalid)
        text = self.ask(task, again, f"{name}/repaired")
        try:
            return operations.read(task.work, text, part=part)
        except AnswerInvalid as invalid:
            raise Failed(invalid.code, f"{invalid.reason}, also at the second try") from invalid

    def ask(self, task: Task, asked: "Question", name: str) -> str:
        """The model's answer, unchecked; raises as `answer`."""
        item, work, taken = task.item, task.work, task.taken
        given = operations.prompt_tokens(asked)
        learned = self._learned.output_tokens(item.tenant, work.operation, work.model, given)
        expected = max(1, min(asked.max_output_tokens, learned))
        estimated = Tokens(input=given, output=expected)
        taken.estimated += estimated
        taken.estimated_usd += model(work.model).price.cost(estimated)
        try:
            answered = loop.run(
                self._asking.answer(
                    item.tenant,
                    asked,
                    deadline=task.deadline,
                    use_cache=True,
                    batch=item.position.batch,
                    bought_for=name,
                    expected_output_tokens=expected,
                )
            )
        except ModelRefused as refused:
            taken.add_refused(refused)
            raise Failed("model_refused", refused.message) from refused
        taken.add(answered)
        failure = answered.failure()
        if isinstance(failure, AnswerCut):
            raise Failed(
                failure.code, f"the answer exceeds its limit of {asked.max_output_tokens} tokens"
            )
        if isinstance(failure, ModelRefused):
            raise Failed("model_refused", failure.message)
        if isinstance(failure, AnswerUnusable):
            raise Failed(failure.code, failure.message)
        if failure is not None:
            raise failure
        return answered.text

    def settle(self, task: Task, concluded: Conclusion) -> None:
        """Store the result, the batch's counters and the ledger's statistics, together and once.

        Raises `StoreUnavailable`.
        """
        item, work, taken = task.item, task.work, task.taken
        result = DocumentResult(
            **dict(concluded),
            id=item.id,
            operation=work.operation,
            model=work.model,
            calls=taken.calls,
            tokens=taken.tokens,
            cost_usd=taken.cost_usd,
            cost_estimated=taken.cost_estimated,
            cached=bool(taken.cached) and not taken.calls,
            saved_usd=taken.saved_usd,
            estimate_usd=taken.estimated_usd,
            media_type=item.media_type,
            name=item.name,
            metadata=item.metadata,
            created_at=datetime.fromtimestamp(self._clock(), UTC),
        )
        written = json.dumps(concluded.answer, ensure_ascii=False).encode(errors="replace")
        if len(written) > TABLE_BYTES:
            key = keys.result_key(item.tenant, item.position)
            self._bucket.put(key, written)
            result = result.model_copy(update={"answer": None, "answer_key": key})
        failed = concluded.failure is not None
        learned = ledger.worked(
            self._usage_table, item.tenant, work.operation, work.model, taken.tokens
        )
        # An estimated cost must not influence later estimates.
        teaches = concluded.failure is None and not taken.cost_estimated
        self._batches.settle(
            item.tenant,
            item.position,
            result.model_dump_json(),
            {
                "failed": int(failed),
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
            },
            [learned] if teaches else [],
        )
        why = concluded.failure and concluded.failure.code
        facts = {"operation": str(work.operation), "pieces": concluded.pieces, "failure": why}
        telemetry.logger.info("document settled", extra=facts)

    def reject(self, item: QueuedDocument, why: DocumentUnreadable) -> None:
        """Mark an unreadable document as rejected: only its caller can change that."""
        told = {"code": why.code, "message": str(why)} | ({"id": item.id} if item.id else {})
        self._batches.mark_failed(item.tenant, "rejected", [FailedItem(item.position, told)])


def transient(error: Exception) -> Exception:
    """An error that the queue and the machine can handle, in place of a model's error.

    An error that may pass becomes `Postponed`, one that never will becomes `Undeliverable`. A spent
    budget, a store that is down and unknown errors stay as they are.
    """
    match error:
        case VoteUnavailable() if error.transient:
            wait = error.retry_after_seconds
            seconds = RETRY_SECONDS if wait is None else wait
            reason = f"model {error.abstention.replace('_', ' ')}"
            return Postponed(reason, retry_after_seconds=seconds)
        case Undeliverable():
            return error
        case QuorumError() if not error.transient:
            return Undeliverable(f"{type(error).__name__}: {error.told}")
        case _:
            return error
