"""The place of the next call in a model's rate limit, fair to every tenant. Pure.

A model has one line. Each of its two limits (requests and tokens a minute) is a GCRA bucket
(generic cell rate algorithm, ITU-T I.371): one integer, the time in microseconds at which all calls
admitted so far are paid off at the sustained rate. A call is placed at the first moment at which
both buckets admit it.

A quarter of the burst belongs to the line. The rest is reserved for tenants that have used less
than their fair share recently: their calls overtake the line and are sent at once, although
others have filled it. An overtaking call is charged to the line too, which moves back by as much
(`State.overtaken`). Nothing is left unused: a tenant alone has the whole rate.

The fair share is max-min fair: the rate that light tenants leave is divided equally among the heavy
ones. A tenant's use is the model's time that its calls took, by the limit that each uses more of
(dominant resource fairness, Ghodsi et al. 2011), and fades with `FADING_SECONDS`. The nearer a
tenant is to its share, the more of the reserved burst it must leave to the others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pydantic import Field

from quorum.core.models import Frozen
from quorum.ledger.shards import SHARDS

SHARD_REQUESTS = 6_000
"""Requests a minute of one part of a large limit, at least: 100 a second, of the 250 that an item
can be written for."""
SHARD_TOKENS = 2_000_000
"""Tokens a minute of one part, at least: no call is large beside it."""
_MINUTE = 60_000_000
_SECOND = 1_000_000
_SUSTAINED = 0.96
_BURST = 0.04
_LINE_BURST = 0.25
"""Share of the burst that belongs to the line."""
_LEAST_SHARED = 3
"""Requests or tokens a minute below which nothing is reserved."""
FADING_SECONDS = 10.0
"""Seconds in which a tenant's use fades to 1/e."""
_FADING = FADING_SECONDS * _SECOND
_FORGOTTEN = _FADING / 500
"""Microseconds of use below which a tenant is forgotten, so that a few hundred are remembered."""
_TOLERANCE = 2 * _SECOND
"""Microseconds by which clocks may differ; a booking further ahead was made by a fast clock."""
_MOST_AHEAD = 10.0
"""Multiples of the fading time, at most, for which future use is kept from fading."""
_OVERTAKING_SOON = _SECOND
"""Microseconds within which a call must be able to overtake; a longer wait is for the line."""


class RateLimit(Frozen):
    """The requests and tokens a minute that a model's vendor admits."""

    requests_per_minute: int = Field(default=500, ge=1)
    tokens_per_minute: int = Field(default=100_000, ge=1)

    @property
    def shards(self) -> int:
        """The number of parts that the limit is kept in: one, unless one item could not keep it."""
        large = min(
            self.requests_per_minute // SHARD_REQUESTS, self.tokens_per_minute // SHARD_TOKENS
        )
        return max(1, min(SHARDS, large))

    def of_shard(self) -> "RateLimit":
        """The limit of one part: all parts together are never more than the whole."""
        return RateLimit(
            requests_per_minute=self.requests_per_minute // self.shards,
            tokens_per_minute=self.tokens_per_minute // self.shards,
        )

    def seconds(self, *, requests: int = 0, tokens: int = 0) -> float:
        """Seconds until this much is admitted: a burst at once, the rest at the sustained rate."""
        return max(
            0.0,
            *(
                60 * (amount / limit - _BURST) / _SUSTAINED
                for amount, limit in (
                    (requests, self.requests_per_minute),
                    (tokens, self.tokens_per_minute),
                )
            ),
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """The two GCRAs of one limit: each request or token takes `unit` microseconds in both.

    The line admits `burst` requests or tokens at once; `reserved` of them may overtake it at once.
    """

    unit: float
    burst: float
    reserved: float

    @classmethod
    def of(cls, per_minute: int) -> "Bucket":
        """The bucket for a limit of `per_minute` requests or tokens.

        Its rate and its bursts together admit no more than the limit in any minute.
        """
        burst = max(1.0, per_minute * _BURST * _LINE_BURST)
        reserved = max(1.0, per_minute * _BURST * (1 - _LINE_BURST))
        if per_minute < _LEAST_SHARED:
            reserved = 0.0
        # If a burst of one is more than 4 %, the rate is lowered by the rest.
        rate = min(per_minute * _SUSTAINED, per_minute + 0.99 - burst - reserved)
        return cls(_MINUTE / rate, burst, reserved)

    def charge(self, amount: int) -> int:
        """Microseconds until `amount` is paid off."""
        return round(amount * self.unit)

    def opens_at(self, paid_off_at: int, amount: int) -> int:
        """The time at which the line admits `amount`. Amounts over the burst wait as for a burst.

        Otherwise they would never pass while small ones keep arriving. They are charged in full.
        """
        return round(paid_off_at - (self.burst - min(amount, self.burst)) * self.unit)

    def overtakes_at(self, paid_off_at: int, amount: int, left: float) -> int:
        """The time at which `amount` may overtake, if the share `left` of the reserve must remain.

        Amounts over half of the reserved burst wait as for half of it.
        """
        needed = min(amount, max(1.0, self.reserved / 2))
        return round(paid_off_at - (self.reserved * (1 - left) - needed) * self.unit)

    def overtaking_charge(self, amount: int) -> int:
        """Microseconds until an overtaking `amount` is paid off; large ones take no longer."""
        return self.charge(round(min(amount, self.reserved)))


@dataclass(frozen=True, slots=True)
class State:
    """A model's limit as last read, all times in microseconds; 0 if nothing was admitted yet.

    `overtaken` is the total time by which the line has moved back: a waiting call checks whether it
    has grown. `used` is each tenant's use at `used_at`.
    """

    requests_paid_off_at: int = 0
    tokens_paid_off_at: int = 0
    reserved_requests_paid_off_at: int = 0
    reserved_tokens_paid_off_at: int = 0
    long_paid_off_at: int = 0
    overtaken: int = 0
    used_at: int = 0
    used: Mapping[str, int] = field(default_factory=dict)

    def read_at(self, now: int) -> "State":
        """The state as seen by the clock that shows `now`.

        If a fast clock made the last booking, all times are moved back by the difference: the debt
        stays, but no call waits for a time that is too far ahead.
        """
        fast = self.used_at - now
        if fast <= _TOLERANCE:
            return self
        moved = {name: getattr(self, name) - fast for name in _TIMES if getattr(self, name)}
        return replace(self, **moved)

    def use_at(self, now: int) -> dict[str, float]:
        """Each tenant's use, faded until `now`."""
        faded = math.exp(-max(0, now - self.used_at) / _FADING)
        return {tenant: use * faded for tenant, use in self.used.items()}


_TIMES = (
    "requests_paid_off_at",
    "tokens_paid_off_at",
    "reserved_requests_paid_off_at",
    "reserved_tokens_paid_off_at",
    "long_paid_off_at",
    "used_at",
)
"""The fields of `State` that are points in time."""


class Place(NamedTuple):
    """The place of a call: it is sent at `starts_at`; `state` is the limit with it booked."""

    starts_at: int
    overtakes: bool
    state: State


class Line:
    """The line of a model with the given limits."""

    def __init__(self, limit: RateLimit) -> None:
        self.requests = Bucket.of(limit.requests_per_minute)
        self.tokens = Bucket.of(limit.tokens_per_minute)

    def next_place(self, state: State, tenant: str, tokens: int, now: int) -> Place:
        """The first place for a call of `tenant` with `tokens`, in the line or overtaking it."""
        state = state.read_at(now)
        use = state.use_at(now)
        in_line = max(
            now,
            self.requests.opens_at(state.requests_paid_off_at, 1),
            self.tokens.opens_at(state.tokens_paid_off_at, tokens),
        )
        overtaking = self._overtakes_at(state, tokens, now, _part_used(use, tenant))
        overtakes = overtaking is not None and overtaking < in_line
        starts_at = overtaking if overtaking is not None and overtakes else in_line
        booked = self._booked(state, starts_at, tokens)
        if overtakes:
            booked = self._overtaken(booked, starts_at, tokens)
        use[tenant] = use.get(tenant, 0.0) + self._use_of(tokens, starts_at - now)
        known = {name: round(used) for name, used in use.items() if used > _FORGOTTEN}
        return Place(starts_at, overtakes, replace(booked, used_at=now, used=known))

    def _overtakes_at(self, state: State, tokens: int, now: int, part_used: float) -> int | None:
        """The time at which the call may overtake; None if it may not, or not soon.

        A tenant that has used its fair share may not, and nobody may if nothing is reserved.
        """
        if part_used >= 1 or not self.requests.reserved:
            return None
        is_long = tokens > self.tokens.reserved
        at = max(
            now,
            self.requests.overtakes_at(state.reserved_requests_paid_off_at, 1, part_used),
            self.tokens.overtakes_at(state.reserved_tokens_paid_off_at, tokens, part_used),
            state.long_paid_off_at if is_long else now,
        )
        return at if at <= (now if is_long else now + _OVERTAKING_SOON) else None

    def _booked(self, state: State, starts_at: int, tokens: int) -> State:
        return replace(
            state,
            requests_paid_off_at=max(state.requests_paid_off_at, starts_at)
            + self.requests.charge(1),
            tokens_paid_off_at=max(state.tokens_paid_off_at, starts_at)
            + self.tokens.charge(tokens),
        )

    def _overtaken(self, state: State, starts_at: int, tokens: int) -> State:
        """`state` after a call that overtakes, which is also charged to the reserve."""
        is_long = tokens > self.tokens.reserved
        return replace(
            state,
            reserved_requests_paid_off_at=max(state.reserved_requests_paid_off_at, starts_at)
            + self.requests.overtaking_charge(1),
            reserved_tokens_paid_off_at=max(state.reserved_tokens_paid_off_at, starts_at)
            + self.tokens.overtaking_charge(tokens),
            long_paid_off_at=starts_at + self.tokens.charge(tokens)
            if is_long
            else state.long_paid_off_at,
            overtaken=state.overtaken + self._time_of(tokens),
        )

    def _time_of(self, tokens: int) -> int:
        """Microseconds of the model's time that a call takes, by the limit that it uses more of."""
        return max(self.requests.charge(1), self.tokens.charge(tokens))

    def _use_of(self, tokens: int, wait: int) -> float:
        """The use of a call, which begins to fade when the call has been sent and paid off."""
        time = self._time_of(tokens)
        return time * math.exp(min((wait + time) / _FADING, _MOST_AHEAD))


def fair_share(use: Mapping[str, float], tenant: str) -> float:
    """The share of a model's rate that `tenant` may use, by max-min fair division.

    `use` is each tenant's use, as a share of the rate. Tenants below an equal share leave a rest,
    which is divided equally among the others, `tenant` included.
    """
    others = sorted(part for name, part in use.items() if name != tenant)
    left, claimants = 1.0, len(others) + 1
    for part in others:
        if part >= left / claimants:
            break
        left -= part
        claimants -= 1
    return left / claimants


def _part_used(use: Mapping[str, float], tenant: str) -> float:
    """The part of its fair share that `tenant` has used recently; 1 or more means all of it."""
    parts = {name: used / _FADING for name, used in use.items()}
    return parts.get(tenant, 0.0) / fair_share(parts, tenant)
