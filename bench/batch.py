"""`make bench-batch`: the throughput of batches under a rate limit, and the CLI's memory.

The worker's own code (judging, leases, settling, limiter, gateway client) judges distinct items
against the stand-in, whose sliding minute is exact, with moto in place of DynamoDB. So the figure
is the share of the limit that the limiter uses without exceeding it; AWS is not measured. The
command line then reads and uploads 1,000 and 100,000 items to a fake server.
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
    parser.add_argument("--only", choices=["rate", "memory"])
    given = parser.parse_args()
    # In this order: Linux counts into a child's peak what its parent held when it was forked.
    if given.only != "rate":
        memory()
    if given.only != "memory":
        rate(given.requests_per_minute, given.seconds)


def rate(per_minute: int, seconds: float) -> None:
    """Print the items settled, as a share of those that the limit allows in the same time."""
    import os  # noqa: PLC0415 - before boto3 looks for credentials

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
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
        with tempfile.TemporaryDirectory() as folder, _pretending(total) as where:
            file = Path(folder) / "items.jsonl"
            with file.open("w") as lines:
                lines.writelines(
                    json.dumps({"content": f"text {n} " + "word " * 40}) + "\n"
                    for n in range(total)
                )
            measured = subprocess.run(  # noqa: S603 our own code
                [sys.executable, "-c", _MEASURED, str(file), where, f"{folder}/out.jsonl"],
                capture_output=True,
                text=True,
                check=True,
                env={"QUORUM_API_KEY": "key", "PATH": ""},
            )
            with Path(f"{folder}/out.jsonl").open() as written:
                if sum(1 for _ in written) != total:
                    raise SystemExit("results are missing")
        peaks[total] = int(measured.stdout.splitlines()[-1]) / 1024
        print(f"quorum batch {total:>7,} items: {peaks[total]:.0f} MiB at most")
    print(f"ratio        {peaks[100_000] / peaks[1_001]:.3f} (target: flat)")


_MEASURED = """
import resource, sys
from cli.app import app
try:
    app(["batch", sys.argv[1], "--where", sys.argv[2], "--out", sys.argv[3]])
except SystemExit as ended:
    assert not ended.code, ended.code
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

if __name__ == "__main__":
    main()
