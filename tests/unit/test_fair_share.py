"""A model's limit is shared fairly: nobody's flood or long text keeps the others waiting."""

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway.fair_share import Line, RateLimit, State, fair_share

LIMIT = RateLimit(requests_per_minute=500, tokens_per_minute=100_000)
SERVICE_SECONDS = 0.8
REFUSED_SECONDS = 4.0
"""Seconds until a refused caller tries again."""
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


@dataclass
class Tenant:
    """A tenant's callers: each sends a call, waits for its answer, pauses, and sends another."""

    callers: int
    tokens: Sequence[int]
    pause_seconds: float
    patience_seconds: float = 8.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0


class Simulation:
    """One model's limit and its callers, on a clock of its own.

    A caller that waits in the line looks at the end of its wait whether it was overtaken.
    """

    def __init__(self, limit: RateLimit, tenants: Mapping[str, Tenant], seed: int = 7) -> None:
        self.line = Line(limit)
        self.tenants = tenants
        self.state = State()
        self.random = random.Random(seed)
        self.sent: list[tuple[int, str, int]] = []
        self._events: list[tuple[int, int, Iterator[float]]] = []
        self._count = 0
        self.now = NOW
        for name, tenant in tenants.items():
            for _ in range(tenant.callers):
                self._plan(self._caller(name, tenant), tenant.pause_seconds * self.random.random())

    def run(self, seconds: float) -> "Simulation":
        while self._events and self._events[0][0] < NOW + seconds * SECOND:
            self.now, _, caller = heapq.heappop(self._events)
            self._plan(caller, next(caller))
        return self

    def most_in_a_minute(self, *, tokens: bool) -> int:
        most, first, total = 0, 0, 0
        sent = sorted(self.sent)
        for at, _, amount in sent:
            total += amount if tokens else 1
            while sent[first][0] <= at - 60 * SECOND:
                total -= sent[first][2] if tokens else 1
                first += 1
            most = max(most, total)
        return most

    def tokens_of(self, name: str) -> int:
        return sum(tokens for _, tenant, tokens in self.sent if tenant == name)

    def _plan(self, caller: Iterator[float], seconds: float) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + round(seconds * SECOND), self._count, caller))

    def _caller(self, name: str, tenant: Tenant) -> Iterator[float]:
        while True:
            asked_at, tokens = self.now, self.random.choice(tenant.tokens)
            place = self.line.next_place(self.state, name, tokens, self.now)
            if place.starts_at - self.now > tenant.patience_seconds * SECOND:
                tenant.refused += 1
                yield REFUSED_SECONDS
                continue
            self.state = place.state
            overtaken = self.state.overtaken
            yield (place.starts_at - self.now) / SECOND
            while not place.overtakes and self.state.overtaken > overtaken:
                moved, overtaken = self.state.overtaken - overtaken, self.state.overtaken
                yield moved / SECOND
            self.sent.append((self.now, name, tokens))
            yield SERVICE_SECONDS
            tenant.latencies.append((self.now - asked_at) / SECOND)
            yield tenant.pause_seconds * self.random.uniform(0.5, 1.5)


def quiet_tenant() -> Tenant:
    """A tenant that sends about one ordinary text a second."""
    return Tenant(callers=4, tokens=(250, 400, 700), pause_seconds=3.0)


def p95(latencies: Sequence[float]) -> float:
    return quantiles(latencies, n=20)[-1]


FLOODS = {
    "short texts": Tenant(callers=200, tokens=(300, 600), pause_seconds=0.0),
    "long texts": Tenant(callers=50, tokens=(30_000,), pause_seconds=0.0),
    "short and long texts": Tenant(callers=200, tokens=(300, 9_000), pause_seconds=0.0),
    "one long text now and then": Tenant(callers=1, tokens=(30_000,), pause_seconds=20.0),
    "documents with time": Tenant(
        callers=300, tokens=(3_000, 12_000), pause_seconds=0.0, patience_seconds=300.0
    ),
    "tiny texts": Tenant(callers=200, tokens=(20,), pause_seconds=0.0),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_quiet_tenants_p95_beside_a_flood_is_within_twice_its_own_alone(kind: str) -> None:
    alone = quiet_tenant()
    Simulation(LIMIT, {"quiet": alone}).run(600)
    beside = quiet_tenant()
    Simulation(LIMIT, {"quiet": beside, "flooding": FLOODS[kind]}).run(600)
    assert beside.refused == 0
    assert p95(beside.latencies) <= 2 * p95(alone.latencies)


def test_a_quiet_tenants_long_text_is_not_kept_waiting_by_a_flood() -> None:
    quiet = Tenant(callers=1, tokens=(8_000,), pause_seconds=60.0)
    flood = Tenant(callers=200, tokens=(300, 9_000), pause_seconds=0.0)
    Simulation(LIMIT, {"quiet": quiet, "flooding": flood}).run(900)
    assert quiet.refused == 0
    assert p95(quiet.latencies) <= 2 * SERVICE_SECONDS


@pytest.mark.parametrize("callers", [1, 5, 20])
def test_many_quiet_tenants_are_served_beside_a_flood(callers: int) -> None:
    tenants = {
        f"quiet {number}": Tenant(callers=1, tokens=(250, 400), pause_seconds=callers * 2.0)
        for number in range(callers)
    }
    tenants["flooding"] = Tenant(callers=200, tokens=(300, 600), pause_seconds=0.0)
    Simulation(LIMIT, tenants).run(600)
    quiet = [tenants[name] for name in tenants if name != "flooding"]
    assert sum(tenant.refused for tenant in quiet) == 0
    latencies = [seconds for tenant in quiet for seconds in tenant.latencies]
    assert p95(latencies) <= 2 * SERVICE_SECONDS


def test_a_flood_of_ordinary_texts_stays_below_the_limit_and_leaves_nothing_unused() -> None:
    tenants = {
        "quiet": quiet_tenant(),
        "flooding": Tenant(callers=200, tokens=(300, 600), pause_seconds=0.0),
    }
    ran = Simulation(LIMIT, tenants).run(600)
    assert ran.most_in_a_minute(tokens=True) <= LIMIT.tokens_per_minute
    assert ran.most_in_a_minute(tokens=False) <= LIMIT.requests_per_minute
    used = ran.tokens_of("quiet") + ran.tokens_of("flooding")
    assert used >= 0.95 * 10 * LIMIT.tokens_per_minute


def test_a_tenant_alone_has_the_whole_rate() -> None:
    tenants = {"only": Tenant(callers=200, tokens=(300, 600), pause_seconds=0.0)}
    ran = Simulation(LIMIT, tenants).run(600)
    assert ran.most_in_a_minute(tokens=True) <= LIMIT.tokens_per_minute
    assert ran.tokens_of("only") >= 0.95 * 10 * LIMIT.tokens_per_minute


def test_two_floods_of_different_size_get_about_the_same() -> None:
    tenants = {
        "few": Tenant(callers=20, tokens=(400,), pause_seconds=0.0),
        "many": Tenant(callers=400, tokens=(400,), pause_seconds=0.0),
    }
    ran = Simulation(LIMIT, tenants).run(600)
    few, many = ran.tokens_of("few"), ran.tokens_of("many")
    assert few >= 0.6 * many
    assert few + many >= 0.95 * 10 * LIMIT.tokens_per_minute


def test_what_light_tenants_leave_is_divided_among_the_heavy() -> None:
    use = {"light": 0.1, "heavy": 0.8, "new": 0.0}
    assert fair_share(use, "new") == pytest.approx(0.45)
    assert fair_share(use, "heavy") == pytest.approx(0.9)
    assert fair_share({}, "only") == 1.0


@given(
    st.dictionaries(st.text(max_size=3), st.floats(min_value=0, max_value=50), max_size=40),
    st.text(max_size=3),
)
def test_nobodys_share_is_less_than_an_equal_part(use: dict[str, float], tenant: str) -> None:
    count = len(use.keys() | {tenant})
    assert 1 / count - 1e-9 <= fair_share(use, tenant) <= 1.0


@given(
    st.integers(1, 2_000),
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 4_000_000)),
        min_size=1,
        max_size=400,
    ),
)
def test_no_minute_sees_more_requests_than_the_limit_whoever_calls(
    requests: int, calls: list[tuple[str, int]]
) -> None:
    line = Line(RateLimit(requests_per_minute=requests, tokens_per_minute=10_000_000))
    state, now = State(), NOW
    sent: list[int] = []
    for tenant, after in calls:
        now += after
        place = line.next_place(state, tenant, 1, now)
        if place.starts_at == now:
            state = place.state
            sent.append(now)
    in_a_minute = max(
        (sum(start <= at < start + 60 * SECOND for at in sent) for start in sent), default=0
    )
    assert in_a_minute <= max(requests, 1)


def test_a_clock_that_is_fast_keeps_nobody_waiting() -> None:
    line = Line(LIMIT)
    fast = line.next_place(State(), "acme", 400, NOW + 600 * SECOND).state
    place = line.next_place(fast, "acme", 400, NOW)
    assert place.starts_at == NOW


def test_what_is_owed_stays_owed_when_a_clock_was_fast() -> None:
    line, state = Line(LIMIT), State()
    for _ in range(200):
        state = line.next_place(state, "acme", 400, NOW + 600 * SECOND).state
    waits = line.next_place(state, "acme", 400, NOW).starts_at - NOW
    assert 40 * SECOND < waits < 60 * SECOND
