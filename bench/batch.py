"""`make bench-batch`: the throughput of batches under a rate limit, and the CLI's memory.

The worker's own code (judging, leases, settling, limiter, gateway client) judges distinct items
against the stand-in, whose sliding minute is exact, with moto in place of DynamoDB. So the figure
is the share of the limit that the limiter uses without exceeding it; AWS is not measured. The
command line then reads and uploads 1,000 and 100,000 items to a fake server.

Before that, 16 workers settle items of one upload on the local stack's DynamoDB, once with counters
in sixteen shards and once in one. Transactions that meet on an item conflict, as they do in AWS.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fakes.gateway import ModelScenario, Scenario, running

MODEL = "gemini-2.5-flash"


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(prog="bench.batch", description=__doc__)
    parser.add_argument("--requests-per-minute", type=int, default=480)
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--only", choices=["rate", "memory", "conflicts"])
    given = parser.parse_args()
    if given.only in (None, "memory"):
        memory()
    if given.only in (None, "conflicts"):
        conflicts()
    if given.only in (None, "rate"):
        rate(given.requests_per_minute, given.seconds)


def _prepare_environment() -> None:
    """Made-up credentials, and neither logs nor metrics."""
    import os  # noqa: PLC0415 - before boto3 looks for credentials

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }


def rate(per_minute: int, seconds: float) -> None:
    """Print the items settled, as a share of those that the limit allows in the same time."""
    _prepare_environment()
    from moto import mock_aws  # noqa: PLC0415 - when needed

    limit = ModelScenario(latency_ms=300, spread=0.3, requests_per_minute=per_minute)
    with running(Scenario(every_model=limit)) as stand_in, mock_aws():
        # moto intercepts boto's requests; those to the stand-in must pass
        settled, elapsed = _judged(stand_in.base_url, per_minute, seconds)
        refused = stand_in.count.faults["limit"]
        asked = stand_in.count.requests
    allowed = per_minute / 60 * elapsed
    print(f"limit        {per_minute}/min, {elapsed:.0f} s: {allowed:.0f} requests allowed")
    print(f"items        {settled} settled, {settled / elapsed:.2f}/s")
    print(f"of the limit {settled / allowed:.1%} (target: at least 95 %)")
    print(f"429          {refused} of {asked} requests")


def _judged(base_url: str, per_minute: int, seconds: float) -> tuple[int, float]:
    import boto3  # noqa: PLC0415 - when needed
    from quorum.core import registry  # noqa: PLC0415 - when needed
    from quorum.gateway.base_urls import parse_base_urls  # noqa: PLC0415 - when needed
    from quorum.gateway.client import Gateway, GatewaySettings  # noqa: PLC0415 - when needed
    from quorum.gateway.fair_share import RateLimit  # noqa: PLC0415 - when needed
    from quorum.vote import panel, voting  # noqa: PLC0415 - when needed
    from quorum.vote.policy import DEFAULT  # noqa: PLC0415 - when needed

    from tests import template  # noqa: PLC0415 - when needed
    from tests.world import Gateway as Paper  # noqa: PLC0415 - when needed
    from tests.world import World, items  # noqa: PLC0415 - when needed

    dynamodb: Any = boto3.resource("dynamodb")
    fields = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    for name, properties in template.resources("AWS::DynamoDB::Table").items():
        dynamodb.create_table(
            TableName=name, **{f: properties[f] for f in fields if f in properties}
        )
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
CONFLICT_SECONDS = 15.0
"""Seconds of each of the two runs."""


def conflicts() -> None:
    """Print the conflicts of transactions with sixteen shards of each counter, and with one."""
    _prepare_environment()
    from unittest.mock import patch  # noqa: PLC0415 - when needed

    from quorum.batch import counters  # noqa: PLC0415 - when needed
    from quorum.gateway.fair_share import RateLimit  # noqa: PLC0415 - when needed
    from quorum.ledger import shards  # noqa: PLC0415 - when needed

    from local import stack  # noqa: PLC0415 - when needed

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = stack.StateDirectory(Path(folder))
        running_stack = stack.start(home, {"AUTH": "false", "PERSIST_STATE": "0"})
        try:
            dynamodb = running_stack.resource()
            spread = _settled_by_many(dynamodb)
            in_record = classmethod(lambda kind, position: kind(position.batch, 0))
            with (
                patch.object(shards, "chosen", lambda: 0),
                patch.object(RateLimit, "shards", property(lambda _limit: 1)),
                patch.object(counters.Counter, "of", in_record),
            ):
                single = _settled_by_many(dynamodb)
        finally:
            stack.stop_stack(home.folder)
    for name, (settled, written, met) in (("sixteen shards", spread), ("one item", single)):
        print(
            f"{name:<15}{settled / CONFLICT_SECONDS:.1f} items/s, {written} transactions, "
            f"{met} conflicts ({met / (written + met):.1%})"
        )


def _settled_by_many(dynamodb: Any) -> tuple[int, int, int]:
    """Items settled, transactions written, and conflicts."""
    from quorum.batch.counters import NEIGHBOURS, UNSPREAD_ITEMS  # noqa: PLC0415 - when needed
    from quorum.batch.progress import Kind  # noqa: PLC0415 - when needed

    from tests import template  # noqa: PLC0415 - when needed
    from tests.world import BATCH, TENANT, World, items  # noqa: PLC0415 - when needed
    from tests.world import Gateway as Paper  # noqa: PLC0415 - when needed

    fields = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    for name, properties in template.resources("AWS::DynamoDB::Table").items():
        for table in dynamodb.tables.filter(ExclusiveStartTableName=name[:-1], Limit=1):
            if table.name == name:
                table.delete()
        dynamodb.create_table(
            TableName=name, **{f: properties[f] for f in fields if f in properties}
        )
    met = _Meetings()
    batches = World(met.client(dynamodb), Paper()).batches
    batches.create(
        TENANT, BATCH, kind=Kind.UPLOAD, panel="default", items=10**6, upload="uploads/x"
    )
    batches.spread_counters(TENANT, BATCH)
    until = time.monotonic() + CONFLICT_SECONDS
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
    return sum(settled), met.written, met.conflicts


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
        from tests.world import Serial  # noqa: PLC0415 - when needed

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
        from tests.transactions import cancelled  # noqa: PLC0415 - when needed

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


# ---- the command line's memory ---------------------------------------------------------------


class _Pretender(BaseHTTPRequestHandler):
    """A fake server that takes uploads, answers with pages of results, and stores neither."""

    total = 0

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self) -> None:
        left = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self._answer({})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        host = f"http://{self.headers['host']}"
        self._answer({"id": "b", "upload": "u", "url": f"{host}/put"})

    def do_GET(self) -> None:
        if "results" not in self.path:
            zero = dict.fromkeys(("rejected", "dead", "cancelled", "saved_usd", "cost_usd"), 0)
            view = {"state": "complete", "items": self.total, "settled": self.total} | zero
            rates = dict.fromkeys(("items_per_second", "remaining_seconds", "paused_until"))
            self._answer(view | rates)
            return
        query = dict(part.split("=") for part in self.path.split("?")[1].split("&"))
        start, limit = int(query["start"]), int(query["limit"])
        end = min(self.total, start + limit)
        verdict = {"decision": "safe", "reason": "x" * 1_500}
        page = [{"index": n, "verdict": verdict} for n in range(start, end)]
        self._answer({"items": page, "next": end if end < self.total else None})

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def _pretending(total: int) -> Iterator[str]:
    handler = type("Pretender", (_Pretender,), {"total": total})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def memory() -> None:
    """Print the peak memory of `quorum batch` for 1,001 and 100,000 items (both uploaded)."""
    peaks = {}
    for total in (1_001, 100_000):
        _, peaks[total] = uploaded(total)
        print(f"quorum batch {total:>7,} items: {peaks[total]:.0f} MiB at most")
    print(f"ratio        {peaks[100_000] / peaks[1_001]:.3f} (target: flat)")


def uploaded(total: int) -> tuple[float, float]:
    """Seconds and MiB at most of `quorum batch` with a file of so many items."""
    with tempfile.TemporaryDirectory() as folder, _pretending(total) as where:
        file = Path(folder) / "items.jsonl"
        with file.open("w") as lines:
            lines.writelines(
                json.dumps({"content": f"text {n} " + "word " * 40}) + "\n" for n in range(total)
            )
        began = time.monotonic()
        measured = subprocess.run(  # noqa: S603 our own code
            [sys.executable, "-c", _MEASURED, str(file), where, f"{folder}/out.jsonl"],
            capture_output=True,
            text=True,
            check=True,
            env={"QUORUM_API_KEY": "key", "PATH": ""},
        )
        seconds = time.monotonic() - began
        with Path(f"{folder}/out.jsonl").open() as written:
            if sum(1 for _ in written) != total:
                raise SystemExit("results are missing")
    return seconds, int(measured.stdout.splitlines()[-1]) / 1024


_MEASURED = """
import re, sys
from cli.app import app
try:
    app(["batch", sys.argv[1], "--where", sys.argv[2], "--out", sys.argv[3]])
except SystemExit as ended:
    assert not ended.code, ended.code
print(re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[0])
"""

if __name__ == "__main__":
    main()
