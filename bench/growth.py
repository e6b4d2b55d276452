"""How time, memory, writes and money grow: with items, votes, characters, entries, what waits.

``python -m bench.growth`` measures each at several sizes, fits the exponent of growth (the slope of
the measure over the size, both as logarithms: 1 is linear), and writes
`docs/benchmarks/growth.json`. Batches, uploads and the reviewers' queue run on AWS in memory, whose
own time is left out; of large ones some items are judged and the rest is multiplied. Writes are
counted as DynamoDB counts them (a unit for each KB begun, two within a
transaction). The command line uploads to a fake server. Times are those of the processor where
nothing else runs, else those of the clock.
"""

import argparse
import json
import math
import random
import statistics
import string
import sys
import time
import tracemalloc
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from quorum.aws import dynamo
from quorum.batch.progress import Kind
from quorum.bulk.machine import Bulk, Finish, JudgePage, Prepare
from quorum.core import registry
from quorum.core.models import CONTENT_LIMIT, Content, Decision, Tokens
from quorum.core.normalise import normalise
from quorum.gateway import tokenizer
from quorum.review.requests import QueueFilter
from quorum.vote import panel, policy_reading, voter
from quorum.vote.language import with_language
from quorum.vote.lists import Lists
from quorum.vote.policy import DEFAULT, MAX_OUTPUT_TOKENS
from quorum.vote.review_entries import INDEX
from quorum.vote.tally import tally

from bench import command_line, results
from bench.aws import InMemory, in_memory
from bench.plumbing import cast, panel_of
from fakes.gateway.votes import prose
from tests.world import BATCH, TENANT, Gateway, World, items

NAME = "growth"
Point = Mapping[str, float]
LINEAR = 1.15
"""The exponent up to which a growth counts as linear; the rest is what measuring cannot tell."""
_LAST = 4
"""Sizes, the largest, over which an exponent is fitted: below them fixed costs hide the growth."""
JUDGED = 20
"""Items of a batch that are judged, and contents that come to wait, at most: each takes AWS in
memory a fifth of a second."""
PAGES, OF_PAGE = 2, 10
"""Pages of an upload that are judged, and lines of each, at most."""
_BUCKET = "uploads"
_KB = 1024
_WRITES = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "TransactWriteItems": 2}
"""Units of a write of up to a KB, by operation."""


class Size(NamedTuple):
    """The sizes of each."""

    commands: Sequence[int]
    items: Sequence[int]
    lines: Sequence[int]
    votes: Sequence[int]
    characters: Sequence[int]
    entries: Sequence[int]
    waiting: Sequence[int]


FULL = Size(
    commands=(100, 1_000, 10_000, 100_000),
    items=(10, 100, 1_000),
    lines=(100, 1_000, 10_000, 100_000),
    votes=(1, 3, 5, 7, 9),
    characters=(10, 100, 1_000, 4_000, 16_000, CONTENT_LIMIT),
    entries=(10, 100, 1_000, 10_000),
    waiting=(10, 100, 1_000, 10_000, 100_000),
)
QUICK = Size(
    commands=(),
    items=(2, 4),
    lines=(2, 4),
    votes=(1, 3),
    characters=(10, 100),
    entries=(10, 100),
    waiting=(1, 2),
)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of the values over the sizes, both as logarithms; None if a value is 0."""
    points = list(zip(sizes, values, strict=True))[-_LAST:]
    if len(points) <= 1 or any(value <= 0 for _, value in points):
        return None
    logs = [(math.log(size), math.log(value)) for size, value in points]
    return round(statistics.linear_regression(*zip(*logs, strict=True)).slope, 2)


def grown(unit: str, sizes: Sequence[int], measure: Callable[[int], Point]) -> dict[str, Any]:
    """What was measured at each size, and the exponent of each measure."""
    points = [measure(size) for size in sizes]
    names = list(points[0]) if points else []
    return {
        "unit": unit,
        "sizes": list(sizes),
        "measures": {
            name: {
                "values": [round(point[name], 6) for point in points],
                "exponent": exponent(sizes, [point[name] for point in points]),
            }
            for name in names
        },
    }


def processor_ms(do: Callable[[], object], times: int = 7) -> float:
    """The least processor time of several runs, each long enough to be measured."""
    began = time.process_time()
    do()
    once = time.process_time() - began
    loops = max(1, round(0.005 / max(once, 1e-6)))
    runs = []
    for _ in range(times):
        began = time.process_time()
        for _ in range(loops):
            do()
        runs.append((time.process_time() - began) / loops)
    return min(runs) * 1000


def peak_kib(do: Callable[[], object]) -> float:
    """KiB that `do` needs at most."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


# ---- pure --------------------------------------------------------------------------------------


def by_votes(number: int) -> Point:
    """A verdict from so many votes: tally, policy and category scores; and its price."""
    chance = random.Random(1)
    names = [model.name for model in registry.voters()][:number]
    weighted = panel_of(names, "weighted", chance, quorum=1)
    votes = [cast(name, "unsafe", 0.91, {"hate": 0.8, "harassment": 0.61}) for name in names]

    def verdict() -> None:
        read = policy_reading.read_through(DEFAULT, votes)
        tally(weighted, read, "en")
        policy_reading.pooled(DEFAULT, weighted, read)

    usd = float(sum(vote.cost_usd for vote in votes))
    return {"processor ms": processor_ms(verdict), "KiB": peak_kib(verdict), "dollars": usd}


def by_characters(characters: int) -> Point:
    """A text on its way to a language model: language, lists, prompt, tokens, price."""
    written = "".join(prose([{"content": "x"}], 1, characters // 4 + 2)).strip()[:characters]
    lists = Lists(block=("gambl*",))

    def asked() -> list[dict[str, str]]:
        content = with_language(Content(text=written), None, None)
        lists.hit(content)
        messages = voter.messages(normalise(content.text))
        tokenizer.estimate(messages)
        return messages

    tokens = Tokens(input=tokenizer.count(asked()), output=MAX_OUTPUT_TOKENS)
    return {
        "processor ms": processor_ms(asked),
        "KiB": peak_kib(asked),
        "dollars": float(registry.model("gpt-4.1").price.cost(tokens)),
    }


def by_entries(entries: int) -> Point:
    """A policy's list of so many entries: to read it, and to look for it in a text."""
    chance = random.Random(1)
    words: set[str] = set()
    while len(words) < entries:
        words.add("".join(chance.choices(string.ascii_lowercase, k=chance.randint(6, 12))))
    listed = tuple(sorted(words))
    text = Content(text=" ".join(["nothing of this is listed"] * 40), language="en")

    def built() -> Lists:
        lists = Lists(block=listed)
        lists.hit(text)
        return lists

    lists = built()
    return {
        "ms to read": processor_ms(built, 3),
        "ms to look": processor_ms(lambda: lists.hit(text)),
        "KiB": peak_kib(built),
    }


# ---- on AWS in memory --------------------------------------------------------------------------


class Written:
    """The write units of DynamoDB, and the requests, so far."""

    def __init__(self) -> None:
        self.units = 0
        self.requests = 0

    def note(self, operation: str, request: Mapping[str, Any]) -> None:
        """Count one request."""
        self.requests += 1
        each = request.get("TransactItems") or [request]
        if operation in _WRITES:
            sizes = (len(json.dumps(one, default=str)) for one in each)
            self.units += _WRITES[operation] * sum(math.ceil(size / _KB) for size in sizes)


@contextmanager
def counted() -> Iterator[Written]:
    """Count what is asked of DynamoDB while the block lasts."""
    found = Written()
    answer: Any = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, request: dict[str, Any]) -> Any:
        found.note(operation, request)
        return answer(client, operation, request)

    with patch.object(BaseClient, "_make_api_call", call):
        yield found


@contextmanager
def own_ms(aws: InMemory) -> Iterator[dict[str, float]]:
    """The processor's milliseconds while the block lasts, without those of AWS in memory."""
    found: dict[str, float] = {}
    begun, before = time.process_time(), aws.processor_seconds
    yield found
    found["ms"] = (time.process_time() - begun - (aws.processor_seconds - before)) * 1000


def spread(number: int, most: int) -> list[int]:
    """At most so many places, the first and the last among them, evenly over `number`."""
    chosen = min(number, most)
    return sorted({round(one * (number - 1) / max(1, chosen - 1)) for one in range(chosen)})


def by_items(number: int) -> Point:
    """A batch of so many items: judged, booked, settled and counted, by parts of ten.

    A request has a thousand at most; more are uploaded. At most `JUDGED` items are judged, at
    places spread over the batch, and what they took is multiplied.
    """
    with in_memory("BatchFunction") as aws, counted() as written:
        world = World(aws.dynamodb, Gateway())
        world.new_batch(number)
        firsts = [10 * one for one in spread(math.ceil(number / 10), JUDGED // 10)]
        parts = [
            items(*(f"text {one}" for one in range(first, min(first + 10, number))), start=first)
            for first in firsts
        ]
        units, requests = written.units, written.requests
        with own_ms(aws) as own:
            for part in parts:
                world.judge(part)
        judged = sum(map(len, parts))
        units, requests = written.units - units, written.requests - requests
        before = written.requests
        view = world.view()
        reading = written.requests - before
    if view.settled != judged:
        raise RuntimeError(f"{view.settled} of {judged} items are settled")
    times = number / judged
    return {
        "processor ms": own["ms"] * times,
        "write units": units * times,
        "requests": requests * times,
        "requests of its state": reading,
        "dollars": float(view.cost_usd) * times,
    }


def by_upload(number: int) -> Point:
    """An upload of so many lines: read, cut into pages, judged page by page, ended.

    Every line is read and every page written; `OF_PAGE` lines of at most `PAGES` pages are judged,
    spread over the upload, and what they took is multiplied.
    """
    with in_memory("BulkFunction") as aws, counted() as written:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        key = f"uploads/{TENANT}/one.jsonl"
        lines = (json.dumps({"content": f"text {one} {'word ' * 40}"}) for one in range(number))
        s3.put_object(Bucket=_BUCKET, Key=key, Body="\n".join(lines).encode())
        world = World(aws.dynamodb, Gateway())
        world.batches.create(TENANT, BATCH, kind=Kind.UPLOAD, panel="default", items=0, upload=key)
        machines: Any = None  # the steps of a run start no other
        bulk = Bulk(s3, _BUCKET, machines, "machine", world.batches)
        step = Prepare(step="prepare", tenant=TENANT, batch=BATCH, upload=key, panel="default")
        policy_of = partial(world.app.policies.chosen, TENANT)
        with own_ms(aws) as preparing:
            prepared = bulk.prepare(step, panel.packaged, policy_of)
        body = s3.get_object(Bucket=_BUCKET, Key=prepared["key"])["Body"].read().splitlines()
        chosen = []
        for one in spread(len(body), PAGES):
            page = json.loads(body[one])
            some = page | {"items": page["items"][:OF_PAGE]}
            chosen.append(JudgePage.model_validate({"step": "judge", "page": some}))
        units = written.units
        with own_ms(aws) as judging:
            for page in chosen:
                bulk.moderate_page(page, world.judging, world.verdicts)
        units = written.units - units
        with own_ms(aws) as ending:
            bulk.finish(Finish(step="finish", tenant=TENANT, batch=BATCH, run=1))
        view = world.view()
    judged = sum(len(page.page.items) for page in chosen)
    if (view.items, view.settled) != (number, judged):
        raise RuntimeError(f"{view.settled} of {judged} lines are settled")
    times = number / judged
    return {
        "ms to read and cut": preparing["ms"],
        "ms to judge": judging["ms"] * times,
        "ms to end": ending["ms"],
        "write units": units * times,
        "dollars": float(view.cost_usd) * times,
    }


def by_waiting(number: int) -> Point:
    """A reviewers' queue in which so many contents wait: its first page, and its counts.

    The first `JUDGED` come as contents come. Entries like theirs stand behind them in an index of
    its own: that of AWS in memory looks at all of a table for each query.
    """
    with in_memory("BatchFunction") as aws:
        gateway = Gateway()
        world = World(aws.dynamodb, gateway)
        real = min(number, JUDGED)
        texts = [f"text {one}" for one in range(real)]
        gateway.says = dict.fromkeys(texts, Decision.NEEDS_REVIEW)
        for start in range(0, real, 50):
            world.judge(items(*texts[start : start + 50], batch=None, start=start))
        index = Waiting(aws.dynamodb.Table("VerdictsTable").scan()["Items"], number)
        queue = world.queue_of_reviews
        found = {}
        asked: dict[str, Callable[[], object]] = {
            "a page": lambda: queue.page(TENANT, QueueFilter(), "oldest", limit=20),
            "the counts": lambda: queue.counts(TENANT),
        }
        with patch.object(dynamo, "query", index.query):
            for name, do in asked.items():
                do()  # the first call of all imports and connects
                index.queries = 0
                with counted() as read, own_ms(aws) as own:
                    do()
                found[f"ms of {name}"] = own["ms"]
                found[f"requests of {name}"] = read.requests + index.queries
    return found


class Waiting:
    """The reviewers' index with so many entries, made of those in a table."""

    def __init__(self, stored: Sequence[Mapping[str, Any]], number: int) -> None:
        waiting = [one for one in stored if INDEX.field in one]
        self._partitions: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self.queries = 0
        for one in range(number):
            entry = like = waiting[one % len(waiting)]
            if one >= len(waiting):
                later = datetime.fromisoformat(str(like["created_at"])) + timedelta(1, one)
                entry = {**like, "id": f"{like['id']}-{one}", "created_at": later.isoformat()}
            self._partitions[str(like[INDEX.field])].append(entry)
        for entries in self._partitions.values():
            entries.sort(key=self._place)
        self._page = 1024**2 // len(json.dumps(waiting[0], default=str))
        """Entries in the MB that DynamoDB reads for a query."""

    def query(self, _client: Any, **request: Any) -> dict[str, Any]:
        """What DynamoDB answers to a query of the index."""
        self.queries += 1
        entries = self._partitions.get(request["ExpressionAttributeValues"][":review"], [])
        after = request.get("ExclusiveStartKey")
        start = 0 if after is None else bisect_right(entries, self._place(after), key=self._place)
        end = start + min(request.get("Limit", self._page), self._page)
        answer: dict[str, Any] = {"Items": entries[start:end]}
        if end < len(entries):
            keys = ("id", INDEX.field, "created_at")
            answer["LastEvaluatedKey"] = {name: entries[end - 1][name] for name in keys}
        return answer

    @staticmethod
    def _place(entry: Mapping[str, Any]) -> tuple[str, str]:
        return str(entry["created_at"]), str(entry["id"])


def by_commands(number: int) -> Point:
    """`quorum batch` of a file of so many items, against a fake server."""
    seconds, mib = command_line.uploaded(number)
    return {"seconds": seconds, "MiB": mib}


def measure(size: Size) -> dict[str, Any]:
    """The figures."""
    return {
        "run": results.run_of("bench.growth"),
        "by": {
            "votes": grown("votes", size.votes, by_votes),
            "characters": grown("characters", size.characters, by_characters),
            "list entries": grown("entries", size.entries, by_entries),
            "batch": grown("items", size.items, by_items),
            "upload": grown("lines", size.lines, by_upload),
            "reviewers' queue": grown("contents", size.waiting, by_waiting),
            "command line": grown("items", size.commands, by_commands),
        },
    }


def too_fast(figures: Mapping[str, Any]) -> list[str]:
    """What grows faster than linearly."""
    return [
        f"{name}: {measure_}"
        for name, one in figures["by"].items()
        for measure_, found in one["measures"].items()
        if (found["exponent"] or 0) > LINEAR
    ]


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second or two; keeps nothing")
    given = parser.parse_args()
    figures = measure(QUICK if given.quick else FULL)
    fast = too_fast(figures)
    if given.quick:
        print(json.dumps(figures))
        return
    print(results.write(NAME, results.described(figures, ("boto3", "moto", "pydantic"))))
    print("faster than linear:", ", ".join(fast) or "nothing")
    sys.exit(bool(fast))


if __name__ == "__main__":
    main()
