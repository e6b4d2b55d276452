"""The circuit breaker: one circuit per base URL and model, shared by all Lambdas.

Powertools' circuit breaker keeps the state (DynamoDB, one prober elected by a conditional write,
reads that fail open). Its decorator does not fit, because it counts a coroutine as a success, so
the transitions are here: `failure_threshold` failures in a row open the circuit; after
`recovery_timeout` seconds one caller probes; its success closes the circuit. A healthy call costs
no write, and one read every `REMEMBERED_SECONDS`.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import boto3
from aws_lambda_powertools.utilities.circuit_breaker import CircuitBreakerConfig
from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
    CircuitBreakerDynamoDBPersistence,
)

from quorum.aws.faults import AWS_ERRORS

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import (
        CircuitBreakerPersistenceLayer,
    )
    from aws_lambda_powertools.utilities.circuit_breaker.persistence.record import (
        CircuitStateRecord,
    )
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

REMEMBERED_SECONDS = 5.0

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Seen(NamedTuple):
    record: "CircuitStateRecord"
    until: float


@dataclass(slots=True)
class Breaker:
    """The circuits in one store; see `in_table`. `clock` returns seconds since the epoch."""

    store: "CircuitBreakerPersistenceLayer"
    config: "CircuitBreakerConfig"
    clock: Callable[[], float] = time.time
    _failed: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _probing: set[str] = field(default_factory=set)
    _owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def look(self, base_url: str, model: str) -> None:
        """Read the circuit if that is due, so that `allows` need not: it may be done ahead."""
        await self._record(_name(base_url, model))

    async def allows(self, base_url: str, model: str) -> bool:
        """Whether to call `model` at `base_url` now. Only one caller may probe an open circuit."""
        name = _name(base_url, model)
        record = await self._record(name)
        if record.state == "CLOSED":
            return True
        now = self.clock()
        lease = record.probe_lease_expiry
        if record.state == "OPEN":
            free = now >= (record.opened_at or 0) + self.config.recovery_timeout
        else:
            free = lease is not None and now >= lease
        if not free or name in self._probing:
            return False
        self._probing.add(name)
        elected = await self._tell(
            self.store.try_acquire_half_open, name, self._owner, record.opened_at or 0
        )
        if not elected:
            self._probing.discard(name)
            self._seen.pop(name, None)
        return bool(elected)

    def circuit(self, base_url: str, model: str) -> "CircuitStateRecord":
        """The circuit as it is stored; closed where there is none. Never raises AWS's errors."""
        name = _name(base_url, model)
        self.store.configure(self.config, name)
        return self.store.get_state(name)

    async def report(self, base_url: str, model: str, *, well: bool, again: bool = False) -> None:
        """Report the result of an attempt that was allowed.

        `again` says that the same call failed there before. Its failures count once: one caller's
        request must not open a circuit for all.
        """
        name = _name(base_url, model)
        probing = name in self._probing
        self._probing.discard(name)
        if well:
            self._failed.pop(name, None)
            if probing:
                await self._tell(self.store.save_closed, name)
            return
        if again and not probing:
            return
        failed = self._failed.get(name, 0) + 1
        self._failed[name] = failed
        if probing:
            await self._tell(self.store.save_reopen, name, int(self.clock()))
        elif failed >= self.config.failure_threshold:
            self._failed.pop(name, None)
            await self._tell(self.store.save_open, name, failed, int(self.clock()))

    async def _record(self, name: str) -> "CircuitStateRecord":
        seen = self._seen.get(name)
        if seen is None or self.clock() >= seen.until:
            self.store.configure(self.config, name)
            record = await asyncio.to_thread(self.store.get_state, name)
            seen = _Seen(record, self.clock() + REMEMBERED_SECONDS)
            self._seen[name] = seen
        return seen.record

    async def _tell(self, transition: Callable[..., _T], name: str, *what: object) -> _T | None:
        """Write a transition. If it cannot be written, that is logged and no vote fails for it."""
        self._seen.pop(name, None)
        try:
            return await asyncio.to_thread(transition, name, *what)
        except AWS_ERRORS:
            _LOGGER.warning("the state of %s could not be written", name, exc_info=True)
            return None


def in_table(
    dynamodb: "DynamoDBServiceResource",
    table: str,
    *,
    failures: int = 5,
    cool_down_seconds: int = 30,
) -> Breaker:
    """Circuits in the Usage table, as the items `breaker#<model>#<base URL>`.

    `failures` in a row, seen by one Lambda environment, open a circuit for all of them.
    """
    # Powertools uses DynamoDB's own types, which a resource's client would translate once more.
    known = dynamodb.meta.client.meta
    client = boto3.client("dynamodb", config=known.config, endpoint_url=known.endpoint_url)
    store = CircuitBreakerDynamoDBPersistence(
        table_name=table, key_attr="key", expiry_attr="expires_at", boto3_client=client
    )
    config = CircuitBreakerConfig(
        failure_threshold=failures,
        recovery_timeout=cool_down_seconds,
        local_cache_max_age=0,  # cached here instead, so that only a read needs a thread
    )
    return Breaker(store, config)


def _name(base_url: str, model: str) -> str:
    return f"breaker#{model}#{base_url}"
