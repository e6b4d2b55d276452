"""Quorum's own time in an answer, for a panel of embedded voters.

``python -m bench.doors`` deploys a local stack of its own (a minute) and asks about texts that it
has not seen, in turns:

* the vote machine alone, called as the API function calls it: the voters and the machine's steps;
* a bare handler and the API function, each under AWS's runtime interface emulator, on this stack's
  tables and machine;
* over HTTP: a function that only answers with a file, and the routes with their authorizer.

Quorum's own time is what is left of an answer without the bare handler's time and the machine's.
The stack is one Python process on this machine, and its machine pauses 150 ms before every run:
read the differences and ratios, on a machine that does nothing else. It writes
`docs/benchmarks/doors.json`.
"""

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import samcli
from quorum.app.api import ApiContainer
from quorum.app.settings import ApiSettings
from quorum.core.models import Content
from rich.console import Console

from bench import results
from local.processes import LOOPBACK
from local.stack import sam_local, start_stack, stop_stack
from local.state import ROOT, Stack

NAME = "doors"
PANEL = "embedded"
ROUNDS, QUICK_ROUNDS = 40, 2
LIST = 32
"""Texts of one list."""
OWN_MS = 60
"""Milliseconds of Quorum's own at the median, at most."""
LIST_RATIO = 3
"""Times that a list takes longer than one text, at most."""
WARMING = 3
_MILLISECONDS = 1_000.0
Time = Callable[[], float]


class TimedMachine:
    """Step Functions, with the milliseconds of each run of the vote machine."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.milliseconds: list[float] = []

    def start_sync_execution(self, **given: Any) -> Any:
        """Run the machine and note the time."""
        began = time.perf_counter()
        try:
            return self._client.start_sync_execution(**given)
        finally:
            self.milliseconds.append((time.perf_counter() - began) * _MILLISECONDS)


def text() -> str:
    """A text that nobody has voted on."""
    return f"Thanks for the recipe, my kids loved it. {uuid4().hex[:6]}"


def took(do: Callable[[], httpx.Response]) -> float:
    """Milliseconds of one answer, which must be a good one."""
    began = time.perf_counter()
    answer = do()
    milliseconds = (time.perf_counter() - began) * _MILLISECONDS
    answer.raise_for_status()
    return milliseconds


def environment(stack: Stack) -> dict[str, str]:
    """The API function's environment on this machine."""
    given = sam_local(stack)["Parameters"]
    local = {name: one.replace("host.docker.internal", LOOPBACK) for name, one in given.items()}
    return {
        **stack.environment(),
        **local,
        "DEFAULT_PANEL": PANEL,
        "GATEWAY_BASE_URL": "http://127.0.0.1:9/v1",
        "MAX_RECEIVES": "13",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "AWS_LAMBDA_FUNCTION_NAME": "ApiFunction",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    }


@contextmanager
def emulated(handler: str, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """The address at which `handler` is invoked under the runtime interface emulator."""
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    emulator = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    ports = free_ports(2)
    paths = (folder, ROOT, ROOT / "layers/quorum/python")
    command = [
        str(emulator),
        "--runtime-interface-emulator-address",
        f"{LOOPBACK}:{ports[0]}",
        "--runtime-api-address",
        f"{LOOPBACK}:{ports[1]}",
        *(sys.executable, "-m", "awslambdaric", handler),
    ]
    known = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=known,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        try:
            until_open(ports[0])
            yield f"http://{LOOPBACK}:{ports[0]}/2015-03-31/functions/function/invocations"
        finally:
            os.killpg(running.pid, 15)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as open_:
        probes = [open_.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def until_open(port: int) -> None:
    """Wait until somebody listens on `port`."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the runtime interface emulator did not start")


def event(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """An example of `events/` with another body."""
    read: dict[str, Any] = json.loads((ROOT / "events" / name).read_text())
    return read | {"body": json.dumps(body)}


def invoke(http: httpx.Client, url: str, given: dict[str, Any]) -> httpx.Response:
    """The answer of a handler; its own status must be a good one."""
    answer = http.post(url, json=given)
    told = answer.json()
    if told.get("statusCode") != 200:  # noqa: PLR2004 the status of a good answer
        raise RuntimeError(f"{url} answered {told}")
    return answer


def ways(http: httpx.Client, stack: Stack, bare: str, api: str, machine: Time) -> dict[str, Time]:
    """The ways to an answer, each of which returns its milliseconds."""
    headers = {"x-api-key": stack.key}

    def post(path: str, body: dict[str, Any]) -> float:
        return took(lambda: http.post(f"{stack.api}/{path}", json=body, headers=headers))

    def verdict() -> dict[str, Any]:
        return {"content": text(), "panel": PANEL}

    def moderation(number: int = 1) -> dict[str, Any]:
        several = [text() for _ in range(number)]
        return {"input": several if number > 1 else several[0], "model": PANEL}

    def emulate(name: str, body: dict[str, Any]) -> float:
        return took(lambda: invoke(http, api, event(name, body)))

    return {
        "machine": machine,
        "bare, emulator": lambda: took(lambda: invoke(http, bare, {})),
        "POST /verdicts, emulator": lambda: emulate("post_verdict.json", verdict()),
        "POST /moderations, emulator": lambda: emulate("post_moderation.json", moderation()),
        "bare, stack": lambda: took(lambda: http.get(f"{stack.api}/docs/start.js")),
        "POST /verdicts, stack": lambda: post("verdicts", verdict()),
        "POST /moderations, stack": lambda: post("moderations", moderation()),
        "list, stack": lambda: post("moderations", moderation(LIST)),
    }


def measured(each: dict[str, Time], rounds: int) -> dict[str, float]:
    """The median milliseconds of each way; a list is asked about in a fifth of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in each}
    for number in range(-WARMING, rounds):
        for name, one in each.items():
            if name.startswith("list") and number % 5:
                continue
            try:
                milliseconds = one()
            except httpx.HTTPError as failure:
                if not name.startswith("list"):
                    raise
                # Of a machine that is too slow for a list in 28 s, the rest is measured.
                Console(stderr=True).print(f"{name}: {type(failure).__name__}", style="red")
                milliseconds = math.inf
            if number >= 0:
                found[name].append(milliseconds)
    return {name: statistics.median(times) for name, times in found.items()}


def own_ms(median: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds of Quorum's own in the answer of each route."""
    return {
        f"{route}, {where}": median[f"{route}, {where}"]
        - median[f"bare, {where}"]
        - median["machine"]
        for where in ("emulator", "stack")
        for route in ("POST /verdicts", "POST /moderations")
    }


def missed(median: Mapping[str, float]) -> list[str]:
    """The aims that these medians miss, in words."""
    slow = [f"{name}: {ms:.0f} ms" for name, ms in own_ms(median).items() if ms > OWN_MS]
    times = median["list, stack"] / median["POST /moderations, stack"]
    return slow + ([f"a list: {times:.1f} times one text"] if times >= LIST_RATIO else [])


def measure(rounds: int) -> dict[str, float]:
    """The median milliseconds of each way, on a stack of its own."""
    folder = ROOT / ".local" / "bench"
    try:
        stack = start_stack(folder, {"DefaultPanel": PANEL}, gateway_key="sk-none")
        variables = environment(stack)
        with ExitStack() as open_:
            open_.enter_context(patch.dict(os.environ, variables))
            bare = open_.enter_context(emulated("bench.bare.handler", ROOT, {}))
            api = open_.enter_context(
                emulated("app.handler", ROOT / "functions" / "api", variables)
            )
            http = open_.enter_context(httpx.Client(timeout=60))
            app = ApiContainer(ApiSettings.from_environment())
            timed = TimedMachine(app.step_functions)
            vars(app)["step_functions"] = timed

            def machine() -> float:
                panel, policy = app.panels.get("local", PANEL), app.policies.chosen("local")
                app.workflow.moderate("local", Content(text=text()), panel, policy)
                return timed.milliseconds[-1]

            return measured(ways(http, stack, bare, api, machine), rounds)
    finally:
        stop_stack(folder)


def main() -> None:
    """Measure and keep the figures; exits with 1 where an aim was missed."""
    parser = argparse.ArgumentParser(prog="bench.doors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds; keeps nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    run = results.run_of("bench.doors")
    rounds = QUICK_ROUNDS if given.quick else given.rounds
    median = measure(rounds)
    # JSON has no infinity, which is the time of a list that never came
    kept = {way: round(ms, 1) if math.isfinite(ms) else None for way, ms in median.items()}
    figures = {"run": run, "rounds": rounds, "median_ms": kept}
    results.keep(NAME, figures, ("httpx",), quick=given.quick)
    for aim in missed(median):
        print(f"MISSED: {aim}")
    sys.exit(bool(missed(median)) and not given.quick)


if __name__ == "__main__":
    main()
