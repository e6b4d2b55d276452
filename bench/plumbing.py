"""The time that Quorum itself adds: to a call, a vote, a verdict, a cached verdict.

``python -m bench.plumbing`` measures, and writes `docs/benchmarks/plumbing.json`:

* the gateway client beside bare httpx and the `openai` SDK (`bench.gateway_client`);
* a vote in the handler of a voter, and a verdict from cached votes in the API function, on AWS in
  memory, without the time in which moto answers, and the vote without a bare call of the stand-in;
* verdicts a second from votes that are there: tally, policy and category scores, on one core;
* a text by each embedded voter, by language and length.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar

import boto3
from quorum.aws import loop
from quorum.core import registry
from quorum.core.models import CastVote, Content, Decision, Tokens
from quorum.vote import panel as panels
from quorum.vote import policy_reading
from quorum.vote.cache import VoteCache
from quorum.vote.evaluation import Evaluation
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT
from quorum.vote.tally import tally

from bench import gateway_client, results, voters
from bench.aws import Context, InMemory, in_memory
from bench.results import percentile
from bench.stand_in import apart
from functions.api import app as api
from functions.vote import app as vote
from local.state import ROOT

NAME = "plumbing"
PACKAGES = ("httpx", "openai", "pydantic")
Answer = TypeVar("Answer")
FAR = 4_102_444_800.0
"""Epoch seconds of a deadline that no run meets."""
TENANT = "bench"
SIZES = (3, 5, 7)
"""Votes of a verdict."""
PANEL = "default"
NONE: Mapping[str, float] = {}
UNLIMITED = {"REQUESTS_PER_MINUTE": "10000000", "TOKENS_PER_MINUTE": "10000000000"}


class Size(NamedTuple):
    """How often each is measured."""

    calls: int
    votes: int
    verdicts: int
    texts: int
    lengths: Sequence[int]


FULL = Size(calls=2_000, votes=200, verdicts=4_000, texts=9, lengths=(20, 200, 1_000))
QUICK = Size(calls=3, votes=3, verdicts=20, texts=1, lengths=(20,))


def evaluation(number: int, panel: Panel) -> Evaluation:
    """An evaluation of a text that nobody has voted on."""
    return Evaluation(
        verdict_id=f"verdict-{number}",
        tenant=TENANT,
        content=Content(text=f"Thanks for the recipe, my kids loved it. {number}", language="en"),
        panel=panel,
        started_at=time.time(),
        deadline=FAR,
    )


def timed(do: Callable[[], Answer], aws: InMemory) -> tuple[Answer, float]:
    """What `do` answers, and its milliseconds without those of AWS in memory."""
    began, before = time.perf_counter(), aws.seconds
    answer = do()
    own = time.perf_counter() - began - (aws.seconds - before)
    return answer, own * 1000


def vote_in_handler(base_url: str, bare_ms: float, number: int) -> dict[str, Any]:
    """A vote by the handler of a voter, without a bare call and without moto's time."""
    panel = panels.packaged(PANEL)
    own: list[float] = []
    with in_memory("Gpt41Function", GATEWAY_BASE_URL=base_url, **UNLIMITED) as aws:
        boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="key")
        vote.app.cache_clear()
        for one in range(-10, number):
            event = {"evaluation": evaluation(one, panel).model_dump(mode="json")}
            answer, milliseconds = timed(partial(vote.handler, event, Context()), aws)
            if answer["kind"] != "vote":
                raise RuntimeError(f"an abstention: {answer['reason']}")
            if one >= 0:
                own.append(milliseconds - bare_ms)
        loop.run(vote.app().gateway.close())
        vote.app.cache_clear()
    return {"votes": number, "p50_ms": statistics.median(own), "p99_ms": percentile(own, 99)}


def cached_verdict(number: int) -> dict[str, Any]:
    """A verdict from cached votes by the API function, without moto's time."""
    panel = panels.packaged(PANEL)
    own: list[float] = []
    event = json.loads((ROOT / "events" / "post_verdict.json").read_text(encoding="utf-8"))
    event["requestContext"]["authorizer"] |= {"tenant": TENANT, "role": "operator"}
    with in_memory("ApiFunction") as aws:
        api.app.cache_clear()
        cache = _cache(aws.dynamodb)
        for one in range(-10, number):
            asked = evaluation(one, panel)
            entries = [
                cache.put(cache.key(TENANT, name, asked.content, DEFAULT), cast(name, "safe", 0.95))
                for name in panel.voters
            ]
            aws.dynamodb.meta.client.transact_write_items(TransactItems=entries)
            body = {"content": asked.content.text, "language": "en", "panel": PANEL}
            request = event | {"body": json.dumps(body)}
            answer, milliseconds = timed(partial(api.handler, request, Context()), aws)
            told = json.loads(answer["body"])
            if told.get("answered_from") != "cache":
                raise RuntimeError(f"not from the cache: {told}")
            if one >= 0:
                own.append(milliseconds)
        api.app.cache_clear()
    return {"verdicts": number, "p50_ms": statistics.median(own), "p99_ms": percentile(own, 99)}


def _cache(dynamodb: Any) -> VoteCache:
    return VoteCache(dynamodb, "VotesTable", shared=False, days=30)


def cast(
    name: str, decision: str, confidence: float, scores: Mapping[str, float] = NONE
) -> CastVote:
    """A vote."""
    return CastVote(
        voter=name,
        model=name,
        decision=Decision(decision),
        confidence=confidence,
        scores=dict(scores),
        reason="made up",
        tokens=Tokens(input=400, output=50),
        cost_usd=Decimal("0.001"),
        latency_ms=5,
    )


def panel_of(names: Sequence[str], kind: str, chance: random.Random, *, quorum: int = 2) -> Panel:
    """A panel that asks all of them at once."""
    rule: dict[str, Any] = {"kind": kind}
    document: dict[str, Any] = {"name": "made-up", "rounds": [list(names)], "quorum": quorum}
    if kind == "weighted":
        rule["weights"] = {name: round(chance.uniform(0.1, 0.9), 2) for name in names}
        document["thresholds"] = {"unsafe": 0.5, "safe": 0.6}
    return panels.load(document | {"stop": "settled", "rule": rule})


def tallies(number: int) -> dict[str, Any]:
    """Verdicts a second on one core, by rule and number of votes: the tally alone, and all."""
    chance = random.Random(1)
    names = [model.name for model in registry.voters() if model.kind == "gateway"]
    names += [model.name for model in registry.voters() if model.kind == "embedded"]
    found: dict[str, Any] = {}
    for kind in ("weighted", "majority"):
        for size in SIZES:
            panel = panel_of(names[:size], kind, chance)
            asked = [[_random(name, chance) for name in panel.voters] for _ in range(number)]

            def alone(panel: Panel = panel, asked: Sequence[Sequence[CastVote]] = asked) -> None:
                for votes in asked:
                    tally(panel, votes, "en")

            def whole(panel: Panel = panel, asked: Sequence[Sequence[CastVote]] = asked) -> None:
                for votes in asked:
                    read = policy_reading.read_through(DEFAULT, votes)
                    outcome = tally(panel, read, "en")
                    scores = policy_reading.pooled(DEFAULT, panel, read)
                    policy_reading.grounds(DEFAULT, outcome.decision, scores)

            found[f"{kind}, {size} votes"] = {
                "tally_per_second": round(number / _processor_seconds(alone)),
                "with_policy_and_categories_per_second": round(number / _processor_seconds(whole)),
            }
    return found


def _random(name: str, chance: random.Random) -> CastVote:
    decision = chance.choice(("safe", "safe", "unsafe", "needs_review"))
    named = ("harassment", "hate") if decision == "unsafe" else ()
    scores = {category: round(chance.random(), 2) for category in named}
    return cast(name, decision, round(chance.uniform(0.5, 0.99), 2), scores)


def _processor_seconds(do: Callable[[], object]) -> float:
    """The best of three runs."""
    runs = []
    for _ in range(3):
        began = time.process_time()
        do()
        runs.append(time.process_time() - began)
    return min(runs)


def embedded(size: Size) -> dict[str, Any]:
    """Milliseconds of a core for a text of each voter, by language and length."""
    return {
        voter: {
            language: {
                str(length): round(voters.warm(voter, length, language, size.texts), 2)
                for length in size.lengths
            }
            for language in voters.SENTENCES
        }
        for voter in voters.VOTERS
    }


def measure(size: Size) -> dict[str, Any]:
    """The figures."""
    run = results.run_of("bench.plumbing")
    with apart() as base_url:
        called = gateway_client.summed(asyncio.run(gateway_client.measure(base_url, size.calls)))
        voted = vote_in_handler(base_url, called["bare httpx"]["p50_ms"], size.votes)
    figures = {
        "run": run,
        "client": called,
        "vote_in_handler": voted,
        "cached_verdict": cached_verdict(size.votes),
        "tally_run": run,
        "tally": tallies(size.verdicts),
        "embedded": embedded(size),
    }
    for part in ("vote_in_handler", "cached_verdict"):
        figures[part] |= {name: round(figures[part][name], 2) for name in ("p50_ms", "p99_ms")}
    return figures


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.plumbing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second or two; keeps nothing")
    parser.add_argument("--tally", action="store_true", help="only this part of the file")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    if given.tally:
        run = results.run_of("bench.plumbing")
        part = {"tally_run": run, "tally": tallies(size.verdicts)}
        figures = part if given.quick else results.merged(NAME, part, PACKAGES)
    else:
        figures = measure(size)
    results.keep(NAME, figures, PACKAGES, quick=given.quick)


if __name__ == "__main__":
    main()
