"""The limiter's requests to DynamoDB, to the letter, and how many there are."""

import random
import uuid
from collections.abc import Callable, Collection
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from quorum.core.errors import ModelThrottled, StoreUnavailable
from quorum.core.models import Reservation, Tokens
from quorum.gateway.fair_share import SHARD_REQUESTS, SHARD_TOKENS, RateLimit
from quorum.gateway.limiter import Limiter

from tests.clock import Clock
from tests.transactions import cancelled, condition_failed, conflict

MODEL = "gpt-4.1"
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
LIMIT = RateLimit(requests_per_minute=500, tokens_per_minute=100_000)
"""A request takes 125 ms of it, a token 625 µs."""
TRIES = 40
FIELDS = (
    "requests_paid_off_at",
    "tokens_paid_off_at",
    "reserved_requests_paid_off_at",
    "reserved_tokens_paid_off_at",
    "long_paid_off_at",
    "overtaken",
    "used_at",
    "used",
)


class Table:
    """DynamoDB that keeps what it is asked; its writes fail as told, then succeed."""

    def __init__(
        self,
        *failures: ClientError,
        item: dict[str, Any] | None = None,
        buckets: Collection[str] = ("bucket#gpt-4.1",),
    ) -> None:
        self.buckets = buckets
        self.failures = list(failures)
        self.item = item
        self.writes: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.meta = SimpleNamespace(client=self)

    def transact_write_items(self, **request: Any) -> None:
        self.asked.append("write")
        self.writes.append(request)
        if self.failures:
            raise self.failures.pop(0)

    def get_item(self, **request: Any) -> dict[str, Any]:
        self.asked.append("read")
        bucket = request["Key"]["key"]
        assert request == {"TableName": "Usage", "Key": {"key": bucket}, "ConsistentRead": True}
        assert bucket in self.buckets
        return {} if self.item is None else {"Item": self.item}

    def condition(self, number: int = -1) -> tuple[str, Any, Any]:
        """On what a booking depends: its expression, and the two values that are known."""
        update = self.writes[number]["TransactItems"][0]["Update"]
        values = update["ExpressionAttributeValues"]
        known = (values.get(":known_requests"), values.get(":known_tokens"))
        return (update["ConditionExpression"], *known)


NEW = ("attribute_not_exists(requests_paid_off_at)", None, None)


def as_known(requests: int, tokens: int) -> tuple[str, int, int]:
    known = "requests_paid_off_at = :known_requests AND tokens_paid_off_at = :known_tokens"
    return known, requests, tokens


Build = Callable[..., Limiter]


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def limiter(clock: Clock, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> Build:
    """A limiter over such a table, whose pauses are the longest they can be."""

    def longest(least: float, most: float) -> float:
        assert least == 0
        return most

    monkeypatch.setattr(random, "uniform", longest)
    others = RateLimit(requests_per_minute=1, tokens_per_minute=1)
    return lambda table: Limiter(
        table, "Usage", {MODEL: LIMIT}, others, clock=clock, sleep=slept.append
    )


def test_a_reservation_writes_the_limit_and_an_intent_in_one_transaction(
    limiter: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "e1" * 16
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(name))
    table = Table()
    reserved = limiter(table).reserve(MODEL, 400, tenant="acme", cost_usd=Decimal("0.00128"))
    assert reserved == Reservation(name, MODEL, "acme", 400, 0.0)
    (write,) = table.writes
    names = {f"#{field}": field for field in FIELDS}
    assert write == {
        "TransactItems": [
            {
                "Update": {
                    "TableName": "Usage",
                    "Key": {"key": "bucket#gpt-4.1"},
                    "UpdateExpression": "SET "
                    + ", ".join(f"#{field} = :{field}" for field in FIELDS),
                    "ConditionExpression": "attribute_not_exists(requests_paid_off_at)",
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": {f":{field}": 0 for field in FIELDS}
                    | {
                        ":requests_paid_off_at": NOW + 125_000,
                        ":tokens_paid_off_at": NOW + 250_000,
                        ":used_at": NOW,
                        ":used": {"acme": 256_329},
                    },
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {
                "Put": {
                    "TableName": "Usage",
                    "Item": {
                        "key": f"intent#{name}",
                        "tenant": "acme",
                        "model": MODEL,
                        "tokens": 400,
                        "cost_picodollars": 1_280_000_000,
                        "created_at": 1_800_000_000,
                        "entry": "intents#e",
                    },
                }
            },
        ]
    }
    assert table.asked == ["read", "write"]


def test_what_was_booked_last_is_what_the_next_booking_depends_on(limiter: Build) -> None:
    table = Table(buckets=["bucket#gpt-4.1", "bucket#another"])
    shared = limiter(table)
    shared.reserve(MODEL, 400)
    shared.reserve("another", 400)
    shared.reserve(MODEL, 400)
    assert [table.condition(number) for number in range(3)] == [
        NEW,
        NEW,
        as_known(NOW + 125_000, NOW + 250_000),
    ]
    assert table.asked == ["read", "write"] * 2 + ["write"]
    intent = table.writes[0]["TransactItems"][1]["Put"]["Item"]
    assert (intent["tenant"], intent["cost_picodollars"]) == ("-", 0)


def test_models_without_a_limit_of_their_own_have_the_default_one(clock: Clock) -> None:
    table: Any = Table(buckets=["bucket#another"])
    default = RateLimit(requests_per_minute=1, tokens_per_minute=100_000)
    shared = Limiter(table, "Usage", {MODEL: LIMIT}, default, clock=clock)
    shared.reserve("another", 1)
    values = table.writes[0]["TransactItems"][0]["Update"]["ExpressionAttributeValues"]
    assert values[":requests_paid_off_at"] == NOW + 62_500_000


FULL = {"requests_paid_off_at": Decimal(NOW + 600_000), "tokens_paid_off_at": Decimal(NOW)}
"""The requests of a line that admits the next one in 0.1 s; nothing says who has used it."""
SPENT = FULL | {"used": {"-": Decimal(99 * SECOND)}, "used_at": Decimal(NOW)}
"""The same, all of it used by the tenant that asks: it may not overtake."""


def test_a_caller_is_told_to_wait_by_the_limit_as_it_is_now(limiter: Build) -> None:
    table = Table(item=SPENT)
    with pytest.raises(ModelThrottled) as told:
        limiter(table).reserve(MODEL, 400)
    assert str(told.value) == "the rate limit of gpt-4.1 is reached"
    assert told.value.retry_after_seconds == pytest.approx(0.1)
    assert table.asked == ["read", "read"]


def test_a_caller_with_patience_waits_exactly_as_long_as_it_must(limiter: Build) -> None:
    table = Table(item=SPENT)
    assert limiter(table).reserve(MODEL, 400, patience_seconds=0.1).wait_seconds == 0.1
    assert table.asked == ["read", "write"]
    assert table.condition() == as_known(NOW + 600_000, NOW)
    with pytest.raises(ModelThrottled):
        limiter(Table(item=SPENT)).reserve(MODEL, 400, patience_seconds=0.099)


def test_a_limit_that_was_full_and_no_longer_is_admits_the_caller(limiter: Build) -> None:
    table = Table(condition_failed(SPENT), item=None)
    assert limiter(table).reserve(MODEL, 400).wait_seconds == 0
    assert table.asked == ["read", "write", "read", "write"]
    assert table.condition() == NEW


def test_an_item_written_before_its_attributes_were_known_has_none_of_them(limiter: Build) -> None:
    table = Table(item=FULL)
    reserved = limiter(table).reserve(MODEL, 400, tenant="acme")
    assert (reserved.wait_seconds, reserved.overtakes, reserved.overtaken) == (0, True, 250_000)
    values = table.writes[-1]["TransactItems"][0]["Update"]["ExpressionAttributeValues"]
    assert values[":used"] == {"acme": 256_329}
    assert values[":reserved_requests_paid_off_at"] == NOW + 125_000


def test_a_first_failure_shows_the_item_which_is_booked_at_once(
    limiter: Build, slept: list[float]
) -> None:
    table = Table(condition_failed({"requests_paid_off_at": 1, "tokens_paid_off_at": 2}))
    limiter(table).reserve(MODEL, 400)
    assert table.asked == ["read", "write", "write"]
    assert table.condition() == as_known(1, 2)
    assert slept == []


def test_after_a_second_failure_the_item_is_read_and_not_taken_from_the_failure(
    limiter: Build, slept: list[float]
) -> None:
    first = {"requests_paid_off_at": Decimal(1), "tokens_paid_off_at": Decimal(2)}
    second = {"requests_paid_off_at": Decimal(3), "tokens_paid_off_at": Decimal(4)}
    table = Table(condition_failed(first), condition_failed(first), item=second)
    limiter(table).reserve(MODEL, 400)
    assert table.asked == ["read", "write", "write", "read", "write"]
    assert [table.condition(number) for number in range(3)] == [
        as_known(3, 4),
        as_known(1, 2),
        as_known(3, 4),
    ]
    assert slept == [0.01]


def test_a_failure_that_does_not_show_the_item_has_it_read(limiter: Build) -> None:
    item = {"requests_paid_off_at": Decimal(3), "tokens_paid_off_at": Decimal(4)}
    table = Table(condition_failed(), item=item)
    limiter(table).reserve(MODEL, 400)
    assert table.asked == ["read", "write", "read", "write"]
    assert table.condition() == as_known(3, 4)


def test_after_a_conflict_the_item_is_read_again(limiter: Build, slept: list[float]) -> None:
    table = Table(conflict())
    limiter(table).reserve(MODEL, 400)
    assert table.asked == ["read", "write", "read", "write"]
    assert table.condition() == NEW
    assert slept == [0.005]


def test_who_writes_alone_reads_once_however_many_calls_are_settled(limiter: Build) -> None:
    table = Table()
    alone = limiter(table)
    reserved = alone.reserve(MODEL, 400)
    alone.settled(reserved, Tokens(input=400, output=60))
    alone.reserve(MODEL, 400)
    assert table.asked == ["read", "write", "write"]
    assert table.condition() == as_known(NOW + 125_000, NOW + 250_000 + 60 * 625)


def test_settling_a_call_that_overtook_is_known_in_both_of_its_attributes(limiter: Build) -> None:
    def written(number: int) -> dict[str, int]:
        update = table.writes[number]["TransactItems"][0]["Update"]
        return {
            name: update["ExpressionAttributeValues"][f":{name}"]
            for name in ("tokens_paid_off_at", "reserved_tokens_paid_off_at")
        }

    table = Table(item=FULL)
    alone = limiter(table)
    reserved = alone.reserve(MODEL, 400, tenant="acme")
    assert reserved.overtakes
    alone.settled(reserved, Tokens(input=300, output=0))
    alone.reserve(MODEL, 0, tenant="acme")
    taken = {name: each - 100 * 625 for name, each in written(0).items()}
    assert written(1) == taken


def test_a_release_is_known_as_well_and_one_of_another_environment_is_not(limiter: Build) -> None:
    table = Table()
    alone = limiter(table)
    alone.settled(place(), Tokens())
    alone.release(alone.reserve(MODEL, 400))
    alone.reserve(MODEL, 400)
    assert table.asked == ["read", "write", "write", "write"]
    assert table.condition() == as_known(NOW + 125_000, NOW)


def test_once_others_write_the_item_it_is_read_first_until_they_stop(limiter: Build) -> None:
    def item(requests: int) -> dict[str, Any]:
        return {"requests_paid_off_at": requests, "tokens_paid_off_at": requests, "used_at": 0}

    table = Table()
    shared = limiter(table)
    shared.reserve(MODEL, 400)
    table.asked.clear()
    table.failures = [condition_failed(item(NOW))]
    shared.reserve(MODEL, 400)
    assert table.asked == ["write", "write"]  # a guess that failed, and what it was told
    table.asked.clear()
    table.item = item(NOW + 1)
    shared.reserve(MODEL, 400)
    assert table.asked == ["read", "write"]
    table.asked.clear()
    values = table.writes[-1]["TransactItems"][0]["Update"]["ExpressionAttributeValues"]
    table.item = {name: values[f":{name}"] for name in FIELDS}
    shared.reserve(MODEL, 400)
    shared.reserve(MODEL, 400)
    assert table.asked == ["read", "write", "write"]  # nobody else had written


def test_any_other_failure_is_named_and_not_tried_again(limiter: Build) -> None:
    table = Table(cancelled(code="ValidationException"))
    with pytest.raises(StoreUnavailable) as unavailable:
        limiter(table).reserve(MODEL, 400)
    assert str(unavailable.value) == "the rate limit of gpt-4.1 could not be written"
    assert table.asked == ["read", "write"]


def test_without_patience_a_contended_limit_is_tried_forty_times_with_longer_pauses(
    limiter: Build, slept: list[float]
) -> None:
    table = Table(*[conflict()] * 99)
    with pytest.raises(StoreUnavailable) as contended:
        limiter(table).reserve(MODEL, 400)
    assert str(contended.value) == "the rate limit of gpt-4.1 is too contended to be written"
    assert len(table.writes) == TRIES
    assert slept == pytest.approx([min(0.2, 0.005 * 2**number) for number in range(TRIES - 1)])


def test_with_patience_it_is_tried_until_that_is_used_up(
    limiter: Build, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda *_: 0.25)
    table = Table(*[conflict()] * 99)
    with pytest.raises(StoreUnavailable):
        limiter(table).reserve(MODEL, 400, patience_seconds=12.0)
    assert (len(table.writes), sum(slept)) == (49, 12.0)
    with pytest.raises(StoreUnavailable):
        limiter(Table(*[conflict()] * 99)).reserve(MODEL, 400, patience_seconds=0.1)
    assert len(slept) == 48 + TRIES - 1


# --- the wait that there would be ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "seconds"),
    [(None, 0.0), (SPENT, 0.1), (SPENT | {"tokens_paid_off_at": Decimal(NOW + 3 * SECOND)}, 2.625)],
)
def test_the_wait_of_a_call_is_read_and_nothing_is_reserved(
    limiter: Build, item: dict[str, Any] | None, seconds: float
) -> None:
    table = Table(item=item)
    assert limiter(table).wait_seconds(MODEL, 400) == seconds
    assert table.asked == ["read"]


def test_a_wait_ends_as_time_passes(limiter: Build, clock: Clock) -> None:
    clock.now += 0.0625
    assert limiter(Table(item=SPENT)).wait_seconds(MODEL, 400) == 0.0375
    clock.now += 0.0625
    assert limiter(Table(item=SPENT)).wait_seconds(MODEL, 400) == 0.0


# --- after the wait ------------------------------------------------------------------------------


def place(**changes: Any) -> Reservation:
    facts = {"wait_seconds": 0.5, "overtaken": 3 * SECOND} | changes
    return Reservation("f" * 32, MODEL, "acme", 400, **facts)


@pytest.mark.parametrize(
    ("overtaken", "seconds"), [(5 * SECOND, 2.0), (3 * SECOND, 0.0), (SECOND, 0.0)]
)
def test_a_call_in_the_line_waits_as_much_longer_as_it_was_overtaken(
    limiter: Build, overtaken: int, seconds: float
) -> None:
    table = Table(item={"overtaken": Decimal(overtaken)})
    moved = limiter(table).moved_back(place())
    assert moved == place(wait_seconds=seconds, overtaken=overtaken)
    assert table.asked == ["read"]


@pytest.mark.parametrize("changes", [{"wait_seconds": 0.0}, {"overtakes": True}])
def test_a_call_that_did_not_wait_in_the_line_is_not_looked_up(
    limiter: Build, changes: dict[str, Any]
) -> None:
    table = Table(item={"overtaken": Decimal(9 * SECOND)})
    moved = limiter(table).moved_back(place(**changes))
    assert moved == place(**changes | {"wait_seconds": 0.0})
    assert table.asked == []


# --- a limit in parts ---------------------------------------------------------------------------


def test_a_large_limit_is_booked_and_corrected_in_one_of_its_parts(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    drawn = iter([3, 2])

    def draw(among: int) -> int:
        parts.append(among)
        return next(drawn)

    monkeypatch.setattr(random, "randrange", draw)
    large = RateLimit(requests_per_minute=4 * SHARD_REQUESTS, tokens_per_minute=4 * SHARD_TOKENS)
    table = Table(buckets=["bucket#gpt-4.1~2", "bucket#gpt-4.1~3"])
    build: Build = Limiter
    limiter = build(table, "Usage", {MODEL: large}, large, clock=clock)
    reserved = limiter.reserve(MODEL, 400)
    assert reserved.shard == 3
    _, correction = limiter.settlement(reserved, Tokens(input=460, output=0))
    assert correction["Update"]["Key"] == {"key": "bucket#gpt-4.1~3"}
    limiter.reserve(MODEL, 400)
    assert table.condition() == NEW  # what is known of one part says nothing of another
    booked = [write["TransactItems"][0]["Update"]["Key"]["key"] for write in table.writes]
    assert booked == ["bucket#gpt-4.1~3", "bucket#gpt-4.1~2"]
    assert parts == [4, 4]


# --- what is paid --------------------------------------------------------------------------------

ENDED = {
    "Delete": {
        "TableName": "Usage",
        "Key": {"key": f"intent#{'f' * 32}"},
        "ConditionExpression": "attribute_exists(#key)",
        "ExpressionAttributeNames": {"#key": "key"},
    }
}


def corrected(expression: str, difference: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "Usage",
            "Key": {"key": "bucket#gpt-4.1"},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": {":charge": difference},
        }
    }


@pytest.mark.parametrize(
    ("tokens", "overtakes", "correction"),
    [
        (400, False, []),
        (460, False, [corrected("ADD tokens_paid_off_at :charge", 60 * 625)]),
        (
            100,
            True,
            [
                corrected(
                    "ADD tokens_paid_off_at :charge, reserved_tokens_paid_off_at :charge",
                    -300 * 625,
                )
            ],
        ),
    ],
)
def test_a_settlement_ends_the_intent_and_charges_what_the_estimate_was_off(
    limiter: Build,
    tokens: int,
    overtakes: bool,
    correction: list[dict[str, Any]],
) -> None:
    paid = Tokens(input=tokens - 60, output=60)
    items = limiter(Table()).settlement(place(overtakes=overtakes), paid)
    assert items == [ENDED, *correction]


def test_a_call_that_was_not_paid_is_settled_with_no_tokens(limiter: Build) -> None:
    table = Table()
    limiter(table).release(place())
    (write,) = table.writes
    correction = corrected("ADD tokens_paid_off_at :charge", -400 * 625)
    assert write["TransactItems"] == [ENDED, correction]
