"""`make bench-batch`: the throughput of batches under a rate limit, and their conflicts.

The worker's own code (judging, leases, settling, limiter, gateway client) judges distinct items
against the stand-in, whose sliding minute is exact, with moto in place of DynamoDB. So the figure
is the share of the limit that the limiter uses without exceeding it; AWS is not measured.

Before that, 16 workers settle items of one upload on the local stack's DynamoDB, once with counters
in sixteen shards and once in one. Transactions that meet on an item conflict, as they do in AWS.
It writes `docs/benchmarks/batch.json`; a run with ``--only`` replaces its part of the file.
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from quorum.aws.telemetry import logger
from quorum.batch import counters
from quorum.batch.counters import NEIGHBOURS, UNSPREAD_ITEMS
from quorum.batch.progress import Kind
from quorum.core import registry
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.fair_share import RateLimit
from quorum.ledger import shards
from quorum.vote import panel, voting
from quorum.vote.policy import DEFAULT

from bench import results
from bench.aws import CREDENTIALS, create_tables
from fakes.gateway import ModelScenario, Scenario, running
from local import servers
from local.state import StateDirectory
from tests import template
from tests.transactions import cancelled
from tests.world import BATCH, TENANT, Serial, World, items
from tests.world import Gateway as Paper

MODEL = "gemini-2.5-flash"


NAME = "batch"
PACKAGES = ("boto3", "httpx", "moto")
SECONDS = 75.0
"""Seconds in which items are judged under the limit: more than a minute, over which it holds."""
CONFLICT_SECONDS = 15.0
"""Seconds of each of the two runs that count conflicts."""
QUICK_SECONDS = 2.0


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.batch", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds; keeps nothing")
    parser.add_argument("--requests-per-minute", type=int, default=480)
    parser.add_argument("--only", choices=["rate", "conflicts"])
    given = parser.parse_args()
    parts: dict[str, Any] = {}
    if given.only in (None, "conflicts"):
        run = results.run_of("bench.batch")
        seconds = QUICK_SECONDS if given.quick else CONFLICT_SECONDS
        parts["conflicts"] = {"run": run, **conflicts(seconds)}
    if given.only in (None, "rate"):
        run = results.run_of("bench.batch")
        seconds = QUICK_SECONDS if given.quick else SECONDS
        parts["rate"] = {"run": run, **rate(given.requests_per_minute, seconds)}
    figures = parts if given.quick else results.merged(NAME, parts, PACKAGES)
    results.keep(NAME, figures, PACKAGES, quick=given.quick)


def _prepare_environment() -> None:
    """Made-up credentials, and neither logs nor metrics."""
    os.environ |= CREDENTIALS
    logger.setLevel("CRITICAL")


def rate(per_minute: int, seconds: float) -> dict[str, Any]:
    """The items settled, as a share of those that the limit allows in the same time."""
    _prepare_environment()

    limit = ModelScenario(latency_ms=300, spread=0.3, requests_per_minute=per_minute)
    with running(Scenario(every_model=limit)) as stand_in, mock_aws():
        # moto intercepts boto's requests; those to the stand-in must pass
        settled, elapsed = _judged(stand_in.base_url, per_minute, seconds)
        refused = stand_in.count.faults["limit"]
        asked = stand_in.count.requests
    return {
        "requests_per_minute": per_minute,
        "seconds": round(elapsed, 1),
        "settled": settled,
        "share_of_limit": round(settled / (per_minute / 60 * elapsed), 3),
        "refused": refused,
        "asked": asked,
    }


def _judged(base_url: str, per_minute: int, seconds: float) -> tuple[int, float]:

    dynamodb: Any = boto3.resource("dynamodb")
    create_tables(dynamodb)
    model = registry.model(MODEL)
    alone = panel.load(
        {
            "name": "alone",
            "rounds": [[MODEL]],
            "stop": "all",
            "quorum": 1,
            "rule": {"kind": "majority"},
        }
    )

    def ask(evaluation: Any, voter: str) -> Any:
        asked = voting.ask_gateway(evaluation, DEFAULT, model, lambda: gateway, 30_000)
        return voting.vote(evaluation, DEFAULT, voter, world.vote_store, asked)

    world = World(dynamodb, Paper(), at_once=16, ask=ask, panel_of=lambda _tenant, _name: alone)
    world.limiter.limits = {
        MODEL: RateLimit(requests_per_minute=per_minute, tokens_per_minute=10**9)
    }
    gateway = Gateway(
        GatewaySettings(base_urls=parse_base_urls(base_url, "key")), limiter=world.limiter
    )
    began = time.monotonic()
    number = 0
    world.new_batch(10**6)
    lock = threading.Lock()
    settled = 0

    def work() -> None:
        nonlocal number, settled
        while time.monotonic() - began < seconds:
            with lock:
                start, number = number, number + 8
            outcomes = world.judge(
                items(*(f"item {n}" for n in range(start, start + 8)), start=start)
            )
            with lock:
                settled += sum(failure is None for failure in outcomes.values())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.monotonic() - began
    counted = world.view().settled
    if counted != settled:
        raise SystemExit(f"{settled} items settled, {counted} counted")
    return settled, elapsed


# ---- conflicts of transactions -------------------------------------------------------------------

CONFLICT_WORKERS = 16
"""Workers that settle items at the same time."""


def conflicts(seconds: float) -> dict[str, Any]:
    """The conflicts of transactions with sixteen shards of each counter, and with one item."""
    _prepare_environment()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = StateDirectory(Path(folder))
        running_stack = servers.start(home, {"AUTH": "false", "PERSIST_STATE": "0"})
        try:
            dynamodb = running_stack.resource()
            spread = _settled_by_many(dynamodb, seconds)
            in_record = classmethod(lambda kind, position: kind(position.batch, 0))
            with (
                patch.object(shards, "chosen", lambda: 0),
                patch.object(RateLimit, "shards", property(lambda _limit: 1)),
                patch.object(counters.Counter, "of", in_record),
            ):
                single = _settled_by_many(dynamodb, seconds)
        finally:
            servers.stop(home, running_stack)
    return {
        "workers": CONFLICT_WORKERS,
        "by": {"sixteen shards": spread, "one item of each counter": single},
    }


def _settled_by_many(dynamodb: Any, seconds: float) -> dict[str, float]:
    """Items settled a second, transactions written, and conflicts."""
    for name in template.resources("AWS::DynamoDB::Table"):
        for table in dynamodb.tables.filter(ExclusiveStartTableName=name[:-1], Limit=1):
            if table.name == name:
                table.delete()
    create_tables(dynamodb)
    met = _Meetings()
    batches = World(met.client(dynamodb), Paper()).batches
    batches.create(
        TENANT, BATCH, kind=Kind.UPLOAD, panel="default", items=10**6, upload="uploads/x"
    )
    batches.spread_counters(TENANT, BATCH)
    until = time.monotonic() + seconds
    settled = [0] * CONFLICT_WORKERS

    def work(worker: int) -> None:
        world = World(met.client(dynamodb), Paper())
        number = 0
        while time.monotonic() < until:
            # Each worker has pages of its own, as a bulk run's children have.
            page = number // NEIGHBOURS * CONFLICT_WORKERS + worker
            index = UNSPREAD_ITEMS + page * NEIGHBOURS + number % NEIGHBOURS
            text = items(f"item {index}", start=index)
            settled[worker] += sum(failure is None for failure in world.judge(text).values())
            number += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(CONFLICT_WORKERS)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    return {
        "items_per_second": round(sum(settled) / seconds, 1),
        "transactions": met.written,
        "conflicts": met.conflicts,
        "share": round(met.conflicts / max(1, met.written + met.conflicts), 3),
    }


class _Meetings:
    """The transactions under way: one that meets another on an item is cancelled, as in AWS.

    The local stack cancels none: it writes one after the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writing: set[tuple[str, str]] = set()
        self.written = self.conflicts = 0

    def client(self, dynamodb: Any) -> Any:
        """A worker's DynamoDB."""
        meetings = self

        class Meeting(Serial):
            """Calls of all workers at once, with conflicts."""

            def __getattr__(self, name: str) -> Any:
                real = getattr(self._client, name)
                if name != "transact_write_items":
                    return real
                return lambda **request: meetings.write(real, request)

        return Meeting(dynamodb)

    def write(self, real: Any, request: dict[str, Any]) -> Any:
        """Write a transaction, unless one on the same item is under way."""
        keys = {_key_of(entry) for entry in request["TransactItems"]}
        with self._lock:
            if keys & self._writing:
                self.conflicts += 1
                raise cancelled({"Code": "TransactionConflict"})
            self._writing |= keys
        try:
            answer = real(**request)
        finally:
            with self._lock:
                self._writing -= keys
        with self._lock:
            self.written += 1
        return answer


def _key_of(entry: dict[str, Any]) -> tuple[str, str]:
    """Table and key of one entry of a transaction."""
    ((_, written),) = entry.items()
    named = written.get("Key") or written["Item"]
    key = next(named[name] for name in ("id", "key", "vote_key") if name in named)
    return written["TableName"], str(key)


if __name__ == "__main__":
    main()
