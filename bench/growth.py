"""How time, memory, writes and money grow: with items, votes, characters, entries, what waits.

``python -m bench.growth`` measures each at several sizes, fits the exponent of growth (the slope of
the measure over the size, both as logarithms: 1 is linear), and writes
`docs/benchmarks/growth.json`. Batches and the reviewers' queue run on AWS in memory, whose own time
is left out; writes are counted as DynamoDB counts them (a unit for each KB begun, two within a
transaction). The command line uploads to a fake server. Times are those of the processor where
nothing else runs, else those of the clock.
"""

import argparse
import json
import math
import random
import statistics
import string
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from botocore.client import BaseClient
from quorum.core import registry
from quorum.core.models import CONTENT_LIMIT, Content, Decision, Tokens
from quorum.core.normalise import normalise
from quorum.gateway import tokenizer
from quorum.review.requests import QueueFilter
from quorum.vote import policy_reading, voter
from quorum.vote.language import with_language
from quorum.vote.lists import Lists
from quorum.vote.policy import DEFAULT, MAX_OUTPUT_TOKENS
from quorum.vote.tally import tally

from bench import command_line, results
from bench.aws import in_memory
from bench.plumbing import cast, panel_of
from fakes.gateway.votes import prose
from tests.world import TENANT, Gateway, World, items

NAME = "growth"
Point = Mapping[str, float]
LINEAR = 1.15
"""The exponent up to which a growth counts as linear; the rest is what measuring cannot tell."""
_LAST = 4
"""Sizes, the largest, over which an exponent is fitted: below them fixed costs hide the growth."""
_KB = 1024
_WRITES = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "TransactWriteItems": 2}
"""Units of a write of up to a KB, by operation."""


class Size(NamedTuple):
    """The sizes of each."""

    commands: Sequence[int]
    items: Sequence[int]
    votes: Sequence[int]
    characters: Sequence[int]
    entries: Sequence[int]
    waiting: Sequence[int]


FULL = Size(
    commands=(1_000, 10_000, 100_000),
    items=(10, 25, 50, 100),
    votes=(1, 3, 5, 7, 9),
    characters=(10, 100, 1_000, 4_000, 16_000, CONTENT_LIMIT),
    entries=(10, 100, 1_000, 10_000),
    waiting=(10, 30, 100),
)
QUICK = Size(
    commands=(),
    items=(2, 4),
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
    panel = panel_of(names, "weighted", chance, quorum=1)
    votes = [cast(name, "unsafe", 0.91, {"hate": 0.8, "harassment": 0.61}) for name in names]

    def verdict() -> None:
        read = policy_reading.read_through(DEFAULT, votes)
        tally(panel, read, "en")
        policy_reading.pooled(DEFAULT, panel, read)

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


def by_items(number: int) -> Point:
    """A batch of so many items: judged, booked, settled and counted."""
    with in_memory("BatchFunction") as aws, counted() as written:
        world = World(aws.dynamodb, Gateway())
        world.new_batch(number)
        judged = items(*(f"text {one}" for one in range(number)))
        begun, before = time.process_time(), aws.processor_seconds
        for start in range(0, number, 10):
            world.judge(judged[start : start + 10])
        own = time.process_time() - begun - (aws.processor_seconds - before)
        view = world.view()
    if view.settled != number:
        raise RuntimeError(f"{view.settled} of {number} items are settled")
    return {
        "processor ms": own * 1000,
        "write units": written.units,
        "requests": written.requests,
        "dollars": float(view.cost_usd),
    }


def by_waiting(number: int) -> Point:
    """A reviewers' queue in which so many contents wait: its first page, and its counts."""
    with in_memory("BatchFunction") as aws:
        gateway = Gateway()
        world = World(aws.dynamodb, gateway)
        texts = [f"text {one}" for one in range(number)]
        gateway.says = dict.fromkeys(texts, Decision.NEEDS_REVIEW)
        for start in range(0, number, 50):
            world.judge(items(*texts[start : start + 50], batch=None, start=start))
        queue = world.queue_of_reviews
        found = {}
        asked: dict[str, Callable[[], object]] = {
            "ms of a page": lambda: queue.page(TENANT, QueueFilter(), "oldest", limit=20),
            "ms of the counts": lambda: queue.counts(TENANT),
        }
        for name, do in asked.items():
            do()
            begun, before = time.process_time(), aws.processor_seconds
            with counted() as read:
                do()
            own = time.process_time() - begun - (aws.processor_seconds - before)
            found[name] = own * 1000
            found[name.replace("ms", "requests", 1)] = read.requests
    return found


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
    if given.quick:
        print(json.dumps(figures))
        return
    print(results.write(NAME, results.described(figures, ("boto3", "moto", "pydantic"))))
    print("faster than linear:", ", ".join(too_fast(figures)) or "nothing")


if __name__ == "__main__":
    main()
