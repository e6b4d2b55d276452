"""The shared rate limit: exact under concurrency, and never wasteful."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from quorum.core.errors import ModelThrottled, StoreUnavailable
from quorum.core.models import Tokens
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.limiter import Limiter
from quorum.ledger.intents import PICODOLLARS

from tests.clock import Clock
from tests.transactions import condition_failed, conflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

MODEL = "gpt-4.1"
MINUTE = 60.0


@pytest.fixture
def limiter(usage: "DynamoDBServiceResource", clock: Clock) -> Callable[..., Limiter]:
    def build(requests: int = 600, tokens: int = 1_000_000) -> Limiter:
        limit = RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)
        return Limiter(usage, "Usage", {MODEL: limit}, clock=clock, sleep=lambda _: None)

    return build


class Bucket:
    """DynamoDB as far as `reserve` uses it: atomic, quick, and asked by many at once.

    That the expressions mean this to DynamoDB is what the tests over moto are for.
    """

    def __init__(self) -> None:
        self.item: dict[str, Any] = {}
        self.writes = 0
        self._lock = threading.Lock()
        self.meta = SimpleNamespace(client=self)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:
        values = dict(TransactItems[0]["Update"]["ExpressionAttributeValues"])
        known = {
            "requests_paid_off_at": values.pop(":known_requests", None),
            "tokens_paid_off_at": values.pop(":known_tokens", None),
        }
        with self._lock:
            self.writes += 1
            if any(value != self.item.get(name) for name, value in known.items()):
                raise condition_failed(self.item)
            self.item = {name.removeprefix(":"): value for name, value in values.items()}

    def get_item(self, **_: Any) -> dict[str, Any]:
        with self._lock:
            return {"Item": dict(self.item)}


def _over(bucket: Any, clock: Clock, requests: int, tokens: int = 1_000_000) -> Limiter:
    """One Lambda environment's limiter over the shared bucket."""
    limit = RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)
    return Limiter(bucket, "Usage", {MODEL: limit}, clock=clock)


def _items(usage: "DynamoDBServiceResource", kind: str) -> list[dict[str, Any]]:
    found = usage.Table("Usage").scan()["Items"]
    return [dict(item) for item in found if str(item["key"]).startswith(f"{kind}#")]


def _admitted_in(limiter: Limiter, clock: Clock, seconds: float, tokens: int) -> list[float]:
    """When one impatient client after the other is admitted, under saturation."""
    admitted: list[float] = []
    ends = clock.now + seconds
    while clock.now < ends:
        try:
            limiter.reserve(MODEL, tokens)
            admitted.append(clock.now)
        except ModelThrottled as told:
            clock.now += told.retry_after_seconds + 1e-6
    return admitted


def _most_in_a_minute(times: list[float]) -> int:
    return max(sum(start <= time < start + MINUTE for time in times) for start in times)


@pytest.mark.parametrize(
    ("requests", "tokens_per_minute", "tokens", "limit"),
    [(300, 1_000_000, 10, 300), (10_000, 100_000, 500, 200)],
    ids=["requests", "tokens"],
)
def test_no_minute_sees_more_than_the_limit_and_saturation_reaches_95_percent_of_it(
    clock: Clock, requests: int, tokens_per_minute: int, tokens: int, limit: int
) -> None:
    shared = _over(Bucket(), clock, requests, tokens_per_minute)
    times = _admitted_in(shared, clock, 3 * MINUTE, tokens)
    assert _most_in_a_minute(times) <= limit
    assert len(times) >= 0.95 * 3 * limit


def test_an_idle_minute_earns_no_more_than_the_burst(clock: Clock) -> None:
    shared = _over(Bucket(), clock, 300)
    shared.reserve(MODEL, 1)
    clock.now += 10 * MINUTE
    assert _most_in_a_minute(_admitted_in(shared, clock, MINUTE, 1)) <= 300


def test_a_caller_told_to_wait_is_admitted_after_that_and_not_at_once(
    limiter: Callable[..., Limiter], clock: Clock
) -> None:
    shared = limiter(60, 1_000_000)
    for _ in range(20):  # more than its share: from here on it stands in line
        shared.reserve(MODEL, 1, patience_seconds=60)
    with pytest.raises(ModelThrottled) as told:
        shared.reserve(MODEL, 1)
    with pytest.raises(ModelThrottled):
        shared.reserve(MODEL, 1)
    clock.now += told.value.retry_after_seconds + 0.001
    assert shared.reserve(MODEL, 1).wait_seconds == 0


def test_a_patient_caller_books_the_next_free_place(
    limiter: Callable[..., Limiter], clock: Clock
) -> None:
    shared = limiter(60, 1_000_000)
    waits = [shared.reserve(MODEL, 1, patience_seconds=60).wait_seconds for _ in range(20)]
    spacing = [later - sooner for sooner, later in pairwise(waits[10:])]
    assert waits[0] == 0
    assert spacing == pytest.approx([60 / (60 * 0.96)] * len(spacing), abs=1e-5)


def test_being_refused_leaves_nothing_behind(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    shared = limiter(1, 1_000_000)
    shared.reserve(MODEL, 1)
    before = _items(usage, "bucket"), _items(usage, "intent")
    with pytest.raises(ModelThrottled):
        shared.reserve(MODEL, 1)
    assert (_items(usage, "bucket"), _items(usage, "intent")) == before


def test_a_call_larger_than_the_burst_is_admitted_and_charged_in_full(
    limiter: Callable[..., Limiter],
) -> None:
    shared = limiter(600, 60_000)
    assert shared.reserve(MODEL, 30_000).wait_seconds == 0
    with pytest.raises(ModelThrottled) as told:
        shared.reserve(MODEL, 500)
    assert told.value.retry_after_seconds > 25


def test_another_tenants_call_overtakes_a_line_that_moves_back_by_as_much(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource", clock: Clock
) -> None:
    flooding, quiet = limiter(600, 60_000), limiter(600, 60_000)
    waits = [flooding.reserve(MODEL, 500, tenant="acme", patience_seconds=60) for _ in range(60)]
    last = waits[-1]
    assert last.wait_seconds > 25
    clock.now += 2  # its own first calls have taken what is reserved
    place = quiet.reserve(MODEL, 500, tenant="bolt", patience_seconds=5)
    assert place.wait_seconds == 0
    assert place.overtakes
    clock.now += last.wait_seconds - 2
    moved = flooding.moved_back(last)
    assert moved.wait_seconds == pytest.approx(500 * MINUTE / (60_000 * 0.96), abs=1e-3)
    clock.now += moved.wait_seconds
    assert flooding.moved_back(moved).wait_seconds == 0
    assert quiet.moved_back(place).wait_seconds == 0
    (item,) = _items(usage, "bucket")
    assert set(item["used"]) == {"acme", "bolt"}


def test_settling_an_overtaking_call_corrects_what_is_reserved_too(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource", clock: Clock
) -> None:
    shared = limiter(600, 60_000)
    for _ in range(60):
        shared.reserve(MODEL, 500, tenant="acme", patience_seconds=60)
    clock.now += 2
    place = shared.reserve(MODEL, 500, tenant="bolt")
    before = _items(usage, "bucket")[0]
    client: Any = usage.meta.client
    client.transact_write_items(TransactItems=shared.settlement(place, Tokens(input=100)))
    after = _items(usage, "bucket")[0]
    expected = 400 * MINUTE * 1_000_000 / (60_000 * 0.96)
    for name in ("tokens_paid_off_at", "reserved_tokens_paid_off_at"):
        assert int(before[name]) - int(after[name]) == pytest.approx(expected, abs=1)


def test_models_and_limits_are_kept_apart(limiter: Callable[..., Limiter]) -> None:
    shared = limiter(1, 1_000_000)
    shared.reserve(MODEL, 1)
    assert shared.reserve("deepseek-v3.2", 1).wait_seconds == 0


def test_fifty_concurrent_clients_never_get_more_than_the_limit_and_95_percent_of_it(
    clock: Clock,
) -> None:
    bucket, barrier = Bucket(), threading.Barrier(50)

    def environment(_: int) -> list[float]:
        """One Lambda environment, with its own memory of the bucket, that waits for 20 calls."""
        own = _over(bucket, clock, 300)
        barrier.wait()
        return [own.reserve(MODEL, 100, patience_seconds=300).wait_seconds for _ in range(20)]

    with ThreadPoolExecutor(50) as environments:
        sent_at = sorted(at for found in environments.map(environment, range(50)) for at in found)
    assert len(sent_at) == 1000
    assert _most_in_a_minute(sent_at) <= 300
    assert sum(at < MINUTE for at in sent_at) >= 0.95 * 300
    # what was booked is what the bucket holds: no two of them got one place
    owed = bucket.item["requests_paid_off_at"] - round(clock.now * 1_000_000)
    assert owed == pytest.approx(1000 * MINUTE * 1_000_000 / (300 * 0.96), rel=1e-5)


def test_calls_of_mixed_sizes_use_at_least_95_percent_of_the_tokens(clock: Clock) -> None:
    shared, sizes = _over(Bucket(), clock, 100_000, 100_000), random.Random(4)
    sent: list[tuple[float, int]] = []
    while not sent or sent[-1][0] < 3 * MINUTE:
        tokens = sizes.choice((50, 300, 700, 900))
        reserved = shared.reserve(MODEL, tokens, patience_seconds=300)
        sent.append((reserved.wait_seconds, tokens))
    in_a_minute = [
        sum(tokens for at, tokens in sent if start <= at < start + MINUTE) for start, _ in sent
    ]
    assert max(in_a_minute) <= 100_000
    assert sum(tokens for at, tokens in sent if at < 3 * MINUTE) >= 0.95 * 300_000


@pytest.mark.parametrize(
    "booked",
    [[(1, 150), (200, 120)], [(200, 60), (1, 150)]],
    ids=["many tokens behind a queue of requests", "many requests behind a queue of tokens"],
)
def test_waiting_for_one_limit_does_not_save_up_for_the_other(
    clock: Clock, booked: list[tuple[int, int]]
) -> None:
    shared = _over(Bucket(), clock, 120, 12_000)
    sent = [
        (shared.reserve(MODEL, tokens, patience_seconds=600).wait_seconds, tokens)
        for tokens, calls in booked
        for _ in range(calls)
    ]
    for start, _ in sent:
        minute = [tokens for at, tokens in sent if start <= at < start + MINUTE]
        assert len(minute) <= 120
        assert sum(minute) <= 12_000 + 200  # 200 is more than 1 % of the limit


def test_an_intent_says_what_a_call_may_cost_before_it_is_sent(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource", clock: Clock
) -> None:
    reserved = limiter().reserve(MODEL, 700, tenant="acme", cost_usd=Decimal("0.00123456"))
    intent = _items(usage, "intent")[0]
    assert intent == {
        "key": f"intent#{reserved.id}",
        "tenant": "acme",
        "model": MODEL,
        "tokens": 700,
        "cost_picodollars": int(Decimal("0.00123456") * PICODOLLARS),
        "created_at": int(clock.now),
        "entry": f"intents#{reserved.id[0]}",
    }


def test_settling_ends_the_intent_and_corrects_the_bucket_by_what_the_estimate_was_off(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    shared = limiter(10_000, 60_000)
    reserved = shared.reserve(MODEL, 1_000)
    before = int(_items(usage, "bucket")[0]["tokens_paid_off_at"])
    real = Tokens(input=300, output=100)
    client: Any = usage.meta.client
    client.transact_write_items(TransactItems=shared.settlement(reserved, real))
    after = int(_items(usage, "bucket")[0]["tokens_paid_off_at"])
    assert _items(usage, "intent") == []
    assert before - after == pytest.approx(600 * MINUTE * 1_000_000 / (60_000 * 0.96), abs=1)


def test_a_call_is_settled_once(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    shared = limiter()
    items = shared.settlement(shared.reserve(MODEL, 100), Tokens(input=80))
    client: Any = usage.meta.client
    client.transact_write_items(TransactItems=items)
    bucket = _items(usage, "bucket")
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=items)
    assert _items(usage, "bucket") == bucket


def test_a_correction_that_outlives_its_bucket_does_no_harm(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    reserved = limiter().reserve(MODEL, 100)
    usage.Table("Usage").delete_item(Key={"key": f"bucket#{MODEL}"})
    limiter().release(reserved)
    assert limiter().reserve(MODEL, 100).wait_seconds == 0


def test_a_call_that_was_not_paid_gives_its_tokens_back_once(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    shared = limiter(10_000, 60_000)
    shared.reserve(MODEL, 100)
    before = _items(usage, "bucket")[0]["tokens_paid_off_at"]
    reserved = shared.reserve(MODEL, 2_000)
    shared.release(reserved)
    shared.release(reserved)
    assert _items(usage, "bucket")[0]["tokens_paid_off_at"] == before
    assert len(_items(usage, "intent")) == 1


def test_another_lambdas_reservations_are_seen(
    limiter: Callable[..., Limiter], clock: Clock
) -> None:
    one, other = limiter(1, 1_000_000), limiter(1, 1_000_000)
    one.reserve(MODEL, 1)
    with pytest.raises(ModelThrottled):
        other.reserve(MODEL, 1)
    clock.now += 2 * MINUTE
    other.reserve(MODEL, 1)
    with pytest.raises(ModelThrottled):
        one.reserve(MODEL, 1)


def test_without_the_table_no_call_is_sent(usage: "DynamoDBServiceResource") -> None:
    with pytest.raises(StoreUnavailable):
        Limiter(usage, "NoSuchTable").reserve(MODEL, 1)


def test_a_conflict_with_another_transaction_is_tried_again(
    limiter: Callable[..., Limiter], usage: "DynamoDBServiceResource"
) -> None:
    real: Any = usage.meta.client
    conflicts = [True, True, False]

    def transact(**request: Any) -> Any:
        if conflicts.pop(0):
            raise conflict()
        return real.transact_write_items(**request)

    client = SimpleNamespace(transact_write_items=transact, get_item=real.get_item)
    stand_in: Any = SimpleNamespace(meta=SimpleNamespace(client=client))
    shared = limiter()
    shared.dynamodb = stand_in
    assert shared.reserve(MODEL, 1).wait_seconds == 0
    assert conflicts == []


class Contended(Bucket):
    """A bucket that somebody else writes first, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise condition_failed(self.item)
        super().transact_write_items(TransactItems)

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": self.item}


def test_who_has_time_waits_for_a_turn_among_many_who_begin_at_once() -> None:
    def limiter(times: int) -> Limiter:
        bucket: Any = Contended(times)
        return Limiter(bucket, "Usage", {MODEL: RateLimit()}, sleep=lambda _: None)

    assert limiter(100).reserve(MODEL, 1, patience_seconds=60).wait_seconds == 0
    with pytest.raises(StoreUnavailable):
        limiter(100).reserve(MODEL, 1)


def test_a_lost_connection_to_the_table_is_named() -> None:
    def lost(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    client = SimpleNamespace(transact_write_items=lost, get_item=lost)
    dynamodb: Any = SimpleNamespace(meta=SimpleNamespace(client=client))
    with pytest.raises(StoreUnavailable):
        Limiter(dynamodb, "Usage").reserve(MODEL, 1)
