"""A moderation with three votes: Quorum beside the published agent's way, and other libraries.

``python -m bench.moderation`` asks one stand-in, in a process of its own, for the same three votes
on the same texts by each contestant (`bench.contestants`) in turns of a few texts, so that all meet
the same machine. For every delay of the stand-in and every number of texts at once it notes the
time of each moderation, the texts a second and the most memory. Then each contestant meets its own
stand-in, with the same seed, of which every tenth answer is a 429, every twentieth a 5xx and every
fiftieth breaks off: it notes which answers were had, which calls were made, and the money that was
counted beside the money that the stand-in charged. It writes `docs/benchmarks/moderation.json`.

A run over one delay of the stand-in replaces its part of the file only: ``--upstream 300``.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from quorum.core import registry
from quorum.core.normalise import normalise
from quorum.vote import policy, voter
from quorum.vote.policy import DEFAULT

from bench import results
from bench.contestants import CONTESTANTS, WEIGHTS, Setup
from bench.results import percentile
from bench.stand_in import apart
from fakes.gateway import Fault, ModelScenario, Scenario
from local.state import ROOT

NAME = "moderation"
UPSTREAM_MS = (0, 50, 300)
"""Milliseconds that an answer of the stand-in takes."""
AT_ONCE = (1, 10, 50)
TEXTS = {1: 100, 10: 300, 50: 400}
"""Texts for each contestant, by how many are judged at once."""
SHARE = {0: 1.0, 50: 1.0, 300: 0.5}
"""Share of those texts, by the stand-in's delay: a run takes three minutes at most."""
TURNS = 5
WARMING = 8
FAULTS = {Fault.THROTTLED: 0.10, Fault.SERVER_ERROR: 0.05, Fault.CUT: 0.02}
FAULTY_TEXTS, FAULTY_AT_ONCE = 400, 10
ENVIRONMENTS = {"litellm": ".local/litellm", "any-llm": ".local/any-llm"}
PACKAGES = {"litellm": "litellm", "any-llm": "any-llm-sdk"}
SENTENCES = (
    "Thanks for the recipe, my kids loved it.",
    "Does anybody know when the train to the coast leaves?",
    "You are an idiot and everybody here knows it.",
    "The new patch made the last boss far too easy, in my opinion.",
)


class Size(NamedTuple):
    """How much is measured."""

    upstream_ms: Sequence[int]
    at_once: Sequence[int]
    share: float
    faulty_texts: int


FULL = Size(UPSTREAM_MS, AT_ONCE, 1.0, FAULTY_TEXTS)
QUICK = Size((0,), (1, 4), 0.04, 6)


class Worker:
    """A contestant in its own process."""

    def __init__(self, name: str, running: "subprocess.Popen[str]") -> None:
        self.name = name
        self._running = running

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one command."""
        if self._running.stdin is None or self._running.stdout is None:
            raise AssertionError("it was started with pipes")
        self._running.stdin.write(json.dumps(command) + "\n")
        self._running.stdin.flush()
        answer: dict[str, Any] = json.loads(self._running.stdout.readline())
        return answer


def python_of(name: str) -> Path:
    """The interpreter of a contestant."""
    return (
        ROOT / ENVIRONMENTS[name] / "bin/python" if name in ENVIRONMENTS else Path(sys.executable)
    )


def installed() -> list[str]:
    """The contestants whose environment is there."""
    return [name for name in CONTESTANTS if python_of(name).exists()]


@contextmanager
def started(name: str, base_url: str) -> Iterator[Worker]:
    """A contestant that asks the stand-in at `base_url`."""
    program = Path(__file__).with_name("contestants.py")
    environment = {"PATH": "", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    with subprocess.Popen(
        [str(python_of(name)), "-P", str(program), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as running:
        try:
            worker = Worker(name, running)
            worker.ask({"setup": setup(base_url)._asdict()})
            yield worker
        finally:
            running.kill()


def setup(base_url: str) -> Setup:
    """The same for all: Quorum's own request, and the stand-in's own prices."""
    schema = {"name": "reply", "strict": True, "schema": DEFAULT.reply_schema}
    models = {name: registry.model(name) for name in WEIGHTS}
    return Setup(
        base_url=base_url,
        voters={name: model.gateway_name for name, model in models.items()},
        options={
            "max_tokens": policy.MAX_OUTPUT_TOKENS,
            "temperature": 0.0,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "logprobs": True,
        },
        prices={
            name: (str(model.price.input), str(model.price.output))
            for name, model in models.items()
        },
    )


def texts(number: int, first: int) -> list[tuple[str, list[dict[str, str]]]]:
    """Texts that differ, each with the prompt that all contestants but Quorum itself send."""
    written = (f"{SENTENCES[one % len(SENTENCES)]} {one}" for one in range(first, first + number))
    return [(text, voter.messages(normalise(text))) for text in written]


def cell(workers: Sequence[Worker], at_once: int, number: int, first: int) -> dict[str, Any]:
    """One delay and one number at once: each contestant in turns, which rotate."""
    each = max(1, number // TURNS)
    taken: dict[str, list[dict[str, Any]]] = {worker.name: [] for worker in workers}
    for turn in range(TURNS):
        shift = turn % len(workers)
        asked = {"texts": texts(each, first + turn * each), "at_once": at_once}
        for worker in (*workers[shift:], *workers[:shift]):
            taken[worker.name].append(worker.ask(asked))
    return {name: summed(turns) for name, turns in taken.items()}


def summed(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The turns of one contestant together."""
    times = [one for turn in turns for one in turn["milliseconds"]]
    votes = [one for turn in turns for one in turn["votes"]]
    if min(votes) < len(WEIGHTS):
        raise RuntimeError("a vote was missing, although nothing was made to fail")
    return {
        "texts": len(times),
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(percentile(times, 95), 2),
        "p99_ms": round(percentile(times, 99), 2),
        "texts_per_second": round(
            statistics.median(len(turn["milliseconds"]) / turn["seconds"] for turn in turns), 1
        ),
        "processor_ms": round(statistics.median(turn["processor_ms"] for turn in turns), 2),
        "milliseconds": times,
    }


def speeds(names: Sequence[str], upstream_ms: int, size: Size) -> dict[str, Any]:
    """All numbers at once for one delay of the stand-in, and the most memory of each contestant."""
    scenario = Scenario(every_model=ModelScenario(latency_ms=upstream_ms))
    share = SHARE.get(upstream_ms, 1.0) * size.share
    with ExitStack() as open_:
        base_url = open_.enter_context(apart(scenario))
        workers = [open_.enter_context(started(name, base_url)) for name in names]
        for worker in workers:
            worker.ask({"texts": texts(WARMING, 0), "at_once": 1})
        cells, first = {}, WARMING
        for at_once in size.at_once:
            number = round(TEXTS.get(at_once, TEXTS[10]) * share)
            cells[str(at_once)] = cell(workers, at_once, number, first)
            first += number
        memory = {worker.name: round(worker.ask({})["peak_mib"], 1) for worker in workers}
    return {"at_once": cells, "peak_mib": memory}


def books(name: str, size: Size) -> dict[str, Any]:
    """What one contestant has and has counted, where answers are made to fail."""
    asked = {"texts": texts(size.faulty_texts, 0), "at_once": FAULTY_AT_ONCE}
    with apart(Scenario(seed=7, rates=FAULTS)) as base_url, started(name, base_url) as worker:
        came = worker.ask(asked)
        counted = httpx.get(base_url.replace("/v1", "/_count"), trust_env=False).json()
    charged, usd = Decimal(counted["cost_usd"]), Decimal(came["usd"])
    return {
        "texts": size.faulty_texts,
        "three_votes": sum(votes == len(WEIGHTS) for votes in came["votes"]),
        "no_vote": sum(votes == 0 for votes in came["votes"]),
        "votes": sum(came["votes"]),
        "calls": counted["requests"],
        "faults": {
            fault: number for fault, number in counted["faults"].items() if fault != Fault.NONE
        },
        "counted_usd": str(usd),
        "charged_usd": str(charged),
        "counted_of_charged": round(float(usd / charged), 6),
        "seconds": round(came["seconds"], 2),
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """The versions of the contestants' packages."""
    asked = {"published": "httpx", "openai": "openai", **PACKAGES}
    found = {}
    for name in names:
        if package := asked.get(name):
            code = f"from importlib.metadata import version; print(version('{package}'))"
            done = subprocess.run(
                [str(python_of(name)), "-c", code], capture_output=True, text=True, check=True
            )
            found[package] = done.stdout.strip()
    return found


def measure(size: Size, names: Sequence[str], *, with_books: bool = True) -> dict[str, Any]:
    """The figures, each part with its run."""
    figures: dict[str, Any] = {"upstream_ms": {}}
    for upstream in size.upstream_ms:
        run = results.run_of("bench.moderation")
        figures["upstream_ms"][str(upstream)] = {"run": run, **speeds(names, upstream, size)}
    if with_books:
        run = results.run_of("bench.moderation")
        figures["faults"] = {"run": run, "each": {name: books(name, size) for name in names}}
    return figures


def merged(figures: dict[str, Any], now: dict[str, str]) -> dict[str, Any]:
    """The figures, with those of earlier runs for what was not measured now."""
    known = results.earlier(NAME, now)
    upstream = {**known.get("upstream_ms", {}), **figures["upstream_ms"]}
    ordered = dict(sorted(upstream.items(), key=lambda one: int(one[0])))
    return {**known, **figures, "upstream_ms": ordered}


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.moderation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second or two; keeps nothing")
    parser.add_argument(
        "--upstream", type=int, nargs="*", help="milliseconds of the stand-in; without: only faults"
    )
    parser.add_argument("--no-faults", action="store_true")
    given = parser.parse_args()
    names = installed()
    size = QUICK if given.quick else FULL
    if given.upstream is not None:
        size = size._replace(upstream_ms=given.upstream)
    figures = measure(size, names, with_books=not given.no_faults)
    now = versions(names)
    kept = figures if given.quick else merged(figures, now)
    results.keep(NAME, kept, now, quick=given.quick)


if __name__ == "__main__":
    main()
