"""Batches in one process: the real stores, queue and judging on moto, with fake voters.

A voter reserves, "asks a gateway" that counts what it bills, and books, exactly as the Lambda does.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from quorum.app.bulk import BatchContainer
from quorum.app.settings import BatchSettings
from quorum.audit.trail import AuditTrail
from quorum.batch.progress import BatchView, Kind
from quorum.batch.queue import ItemQueue
from quorum.bulk.judging import Item, Outcomes
from quorum.core.abstentions import AbstentionReason
from quorum.core.identifiers import item_id_of
from quorum.core.models import Abstention, CastVote, Decision, Tokens
from quorum.core.position import BatchPosition
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.limiter import Limiter
from quorum.ledger import ledger
from quorum.ledger.budget import Thresholds
from quorum.ledger.intents import PICODOLLARS
from quorum.review.requests import QueueFilter
from quorum.review.waiting import WaitingContent, WaitingQueue
from quorum.vote import panel
from quorum.vote.evaluation import Evaluation
from quorum.vote.panel import Panel
from quorum.vote.requests import VerdictRequest
from quorum.vote.reviews import Reviews
from quorum.vote.voter import PaidVote
from quorum.vote.voting import vote

from fakes.machine import Ask, InProcessMachine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

SETTINGS = BatchSettings(
    votes_table="VotesTable",
    verdicts_table="VerdictsTable",
    usage_table="UsageTable",
    policies_table="PoliciesTable",
    models_table="ModelsTable",
    panels_path="/quorum",
    vote_machine="machine",
    default_panel="default",
    alerts_topic="arn:aws:sns:us-east-1:123456789012:alerts",
    items_queue="",
    dead_letters="",
    max_receives=3,
    verdict_days=9,
    review_days=9,
)
PRICE = Decimal("0.00128")
TENANT = "acme"
BATCH = "0123456789abcdef0123456789abcdef"
_FAST = RateLimit(requests_per_minute=10_000_000, tokens_per_minute=2_000_000_000)


class Gateway:
    """The votes of the fake voters, and an exact count of billed calls.

    Voters in `down` fail; a text in `deadly` crashes the Lambda that asks about it.
    """

    def __init__(self) -> None:
        self.says: dict[str, Decision] = {}
        self.down: set[str] = set()
        self.deadly: set[str] = set()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.seconds = 0.0

    @property
    def billed(self) -> Decimal:
        return PRICE * sum(self.calls.values())


class Death(BaseException):
    """Signals that the Lambda has crashed: nothing after this point happens."""


class Serial:
    """DynamoDB with one call at a time, because moto is not safe for threads."""

    _LOCK = threading.RLock()

    def __init__(self, dynamodb: Any) -> None:
        self._client = dynamodb.meta.client
        self.meta = self
        self.client = self

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if not callable(real) or name == "exceptions":
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            with self._LOCK:
                return self.called(name, lambda: real(*arguments, **named))

        return call

    def called(self, name: str, do: Callable[[], Any]) -> Any:
        """Make a call, or crash."""
        return do()


def serial(dynamodb: "DynamoDBServiceResource") -> "DynamoDBServiceResource":
    """The same, with one call at a time."""
    return cast("DynamoDBServiceResource", Serial(dynamodb))


class Life:
    """The life of a Lambda that ends with its `writes`-th write, before or after its effect."""

    _WRITES = frozenset(
        [
            *("put_item", "update_item", "delete_item", "transact_write_items"),
            *("send_message", "send_message_batch", "delete_message", "change_message_visibility"),
            *("put_object", "upload_fileobj", "start_execution", "stop_execution"),
        ]
    )

    def __init__(self, writes: int, *, after: bool) -> None:
        self._left = writes
        self._after = after
        self.dead = False

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        """Make a call, or crash."""
        if self.dead:
            raise Death
        if name in self._WRITES:
            self._left -= 1
            if self._left == 0:
                self.dead = True
                if self._after:
                    do()
                raise Death
        return do()


class Mortal(Serial):
    """DynamoDB as used by a Lambda with such a life."""

    def __init__(self, dynamodb: Any, life: Life) -> None:
        super().__init__(dynamodb)
        self._life = life

    def called(self, name: str, do: Callable[[], Any]) -> Any:
        return self._life.call(name, do)


class MortalClient:
    """Any other client as used by a Lambda with such a life; `received` are its messages."""

    def __init__(self, client: Any, life: Life) -> None:
        self._client = client
        self._life = life
        self.received: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if not callable(real) or name == "exceptions":
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            answer = self._life.call(name, lambda: real(*arguments, **named))
            if name == "receive_message":
                self.received += [one["ReceiptHandle"] for one in answer.get("Messages", [])]
            return answer

        return call


def packaged(_tenant: str, name: str) -> Panel:
    """The packaged panel with a name, the same for every tenant."""
    return panel.packaged(name)


class World:
    """One worker over the tables; several worlds over the same tables are several workers."""

    def __init__(  # noqa: PLR0913 - what tests put in place of AWS, each by name
        self,
        dynamodb: Any,
        gateway: Gateway,
        *,
        thresholds: Thresholds | None = None,
        sns: Any = None,
        clock: Callable[[], float] = time.time,
        at_once: int = 1,
        ask: Ask | None = None,
        panel_of: Callable[[str, str], Panel] = packaged,
        functions: Any = None,
        voter_functions: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        dynamodb = dynamodb if isinstance(dynamodb, Serial) else Serial(dynamodb)
        self.gateway = gateway
        self._clock = clock
        limits = (thresholds or Thresholds()).model_dump()
        settings = SETTINGS.model_copy(
            update=limits | {"items_at_once": at_once, "voter_functions": voter_functions}
        )
        self.app = app = BatchContainer(settings, clock=clock)
        app.dynamodb = dynamodb
        app.sns = sns
        app.voter_functions = functions
        self.limiter = app.limiter = Limiter(
            dynamodb,
            settings.usage_table,
            dict.fromkeys(("gpt-4.1", "gemini-2.5-flash", "deepseek-v3.2"), _FAST),
        )
        panels: Any = SimpleNamespace(get=panel_of)
        app.panels = panels
        machine: Any = InProcessMachine(ask or self._ask, app.verdicts, app.policy_versions)
        app.step_functions = machine
        self.vote_store, self.verdicts, self.batches = app.vote_store, app.verdicts, app.batches
        self.starts = app.starts
        audit = AuditTrail(dynamodb, "AuditTable", clock=clock)
        self.reviews = Reviews(
            dynamodb,
            settings.verdicts_table,
            settings.usage_table,
            app.review_entries,
            audit,
            label_days=90,
            clock=clock,
        )
        self.queue_of_reviews = WaitingQueue(
            dynamodb, settings.verdicts_table, self.reviews, clock=clock
        )
        self.judging = app.judging

    def queue(self, sqs: Any, queue: str, dead_letters: str, *, max_receives: int = 3) -> ItemQueue:
        return ItemQueue(
            sqs,
            queue,
            dead_letters,
            self.batches,
            starts=self.starts,
            max_receives=max_receives,
            clock=self._clock,
        )

    def new_batch(self, items: int, batch: str = BATCH, **facts: Any) -> None:
        facts |= {"kind": Kind.ITEMS, "panel": "default", "items": items}
        self.batches.create(TENANT, batch, **facts)
        self.batches.note(TENANT, batch, received=True)

    def waiting(self) -> tuple[WaitingContent, ...]:
        """What waits for a person, oldest first."""
        return self.queue_of_reviews.page(TENANT, QueueFilter(), "oldest").reviews

    def view(self, batch: str = BATCH) -> BatchView:
        return self.batches.view(self.batches.record(TENANT, batch))

    def judge(self, items: Sequence[Item]) -> Outcomes:
        return self.judging.moderate_all(items)

    def _ask(self, evaluation: Evaluation, voter: str) -> CastVote | Abstention:
        return vote(
            evaluation,
            self.app.policy_versions.of(evaluation.tenant, evaluation.policy),
            voter,
            self.vote_store,
            lambda: self._asked(evaluation, voter),
        )

    def _asked(self, evaluation: Evaluation, voter: str) -> PaidVote:
        if voter in self.gateway.down:
            return PaidVote(
                Abstention(voter=voter, reason=AbstentionReason.THROTTLED, retry_after_seconds=7)
            )
        reserved = self.limiter.reserve(voter, 460, tenant=evaluation.tenant, cost_usd=PRICE)
        if evaluation.content.text in self.gateway.deadly:
            raise Death
        time.sleep(self.gateway.seconds)
        self.gateway.calls[voter, evaluation.content.text] += 1
        decision = self.gateway.says.get(evaluation.content.text, Decision.SAFE)
        cast = CastVote(
            voter=voter,
            model=voter,
            decision=decision,
            confidence=0.9,
            tokens=Tokens(input=400, output=60),
            cost_usd=PRICE,
        )
        return PaidVote(cast, reserved)


def items(*texts: str, batch: str | None = BATCH, start: int = 0) -> list[Item]:
    """Items in order, of a batch or (None) of none."""
    made = []
    for index, text in enumerate(texts, start):
        position = None if batch is None else BatchPosition(batch=batch, index=index)
        name = f"single-{index}" if position is None else item_id_of(TENANT, position)
        made.append(Item(name, TENANT, VerdictRequest(content=text, language="en"), position))
    return made


def usage(dynamodb: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.Table("UsageTable").scan(ConsistentRead=True)["Items"]
    return found


def booked(dynamodb: Any) -> Decimal:
    return _sum(dynamodb, "usage#", "cost_usd")


def open_intents(dynamodb: Any) -> Decimal:
    return _sum(dynamodb, "intent#", "cost_picodollars") / PICODOLLARS


def decided(dynamodb: Any) -> dict[str, int]:
    """The ledger's counts by decision."""
    return {
        str(decision): int(_sum(dynamodb, "decisions#", str(decision))) for decision in Decision
    }


def batch_booked(dynamodb: Any, batch: str = BATCH) -> Decimal:
    key = ledger.batch_usage_key(TENANT, batch)
    return _sum(dynamodb, key, "cost_usd")


def stored(dynamodb: Any) -> dict[str, dict[str, Any]]:
    """The items of all batches, by key."""
    entries: Iterable[dict[str, Any]] = dynamodb.Table("VerdictsTable").scan(ConsistentRead=True)[
        "Items"
    ]
    return {entry["id"]: entry for entry in entries if entry["id"].startswith("verdict#")}


def _sum(dynamodb: Any, prefix: str, field: str) -> Decimal:
    return sum(
        (Decimal(item.get(field, 0)) for item in usage(dynamodb) if item["key"].startswith(prefix)),
        Decimal(0),
    )
