"""The start of each function under AWS's own runtime interface emulator, and its first calls.

``python -m bench.start`` builds the layers as `sam build` does, and starts every function of the
template under the emulator that SAM CLI ships (`aws-lambda-rie`) with AWS's runtime client
(`awslambdaric`). Measured are the milliseconds of its INIT phase, beside a bare import of its
module and beside the same INIT without bytecode (`__pycache__` left out of the layers), and of its
first and its second call where `EVENTS` has an event for it. AWS is a server in this process that
answers at once and holds nothing, so a call's time is the function's own work.

Each figure is that of the fastest of `--runs` new processes: load only lengthens them. The emulator
gives a function this machine's processors whatever its memory: in AWS, 512 MB are 0.29 of one. On a
busy machine compare the ratios, and the processor's milliseconds of the import. It writes
`docs/benchmarks/start.json`; a run with ``--only`` replaces these functions' part of the file.
"""

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Thread
from typing import Any, NamedTuple

import httpx
import samcli
from samcli.yamlhelper import yaml_parse

from bench import results
from local.state import ROOT

NAME = "start"
PACKAGES = ("awslambdaric", "boto3", "pydantic")
QUICK = ("Authorize",)
COMMON = ("quorum", "dependencies")
"""The layers that every function has."""
EVENTS = {
    "AuthorizeFunction": "authorize",
    "Gpt41Function": "vote",
    "RulesFunction": "vote_embedded",
    "CharactersFunction": "vote_embedded",
    "MeaningFunction": "vote_embedded",
    "AggregateFunction": "aggregate",
}
"""The events of those that an HTTP verdict passes, but for the API, whose call waits for them."""
ALIKE = "functions/vote"
"""The folder whose functions differ in the model alone; one stands for all."""
KEY = {"key_hash": {"S": "0"}, "tenant": {"S": "acme"}, "role": {"S": "member"}}
"""The one item that AWS has: whoever asks for a key finds this one."""
PATH = "/2015-03-31/functions/function/invocations"
PATIENCE_SECONDS = 120.0
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_CALL = re.compile(r"INVOKE RTDONE\(.*duration: ([\d.]+)ms\)")
_IMPORT = """
import json, sys, time
began, spent = time.perf_counter(), time.process_time()
__import__(sys.argv[1])
print(json.dumps([time.perf_counter() - began, time.process_time() - spent]))
"""


class Function(NamedTuple):
    """A function of the template."""

    name: str
    folder: Path
    handler: str
    layers: tuple[str, ...]
    memory: int
    environment: dict[str, str]


class Start(NamedTuple):
    """Milliseconds of an INIT phase, and of the calls after it."""

    init: float
    calls: tuple[float, ...]


class Import(NamedTuple):
    """Milliseconds to import a function's module: by the clock, and of the processor."""

    clock: float
    processor: float


def functions(only: Sequence[str] = ()) -> list[Function]:
    """The functions of the template, of those that are alike the first."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    common = template["Globals"]["Function"]
    found: list[Function] = []
    for name, block in template["Resources"].items():
        if block["Type"] != "AWS::Serverless::Function":
            continue
        own = block["Properties"]
        alike = own["CodeUri"] == ALIKE and any(one.folder == ROOT / ALIKE for one in found)
        if alike or (only and not any(part.lower() in name.lower() for part in only)):
            continue
        variables = (
            common["Environment"]["Variables"]
            | own.get("Environment", {"Variables": {}})["Variables"]
        )
        found.append(
            Function(
                name,
                ROOT / own["CodeUri"],
                own.get("Handler", common["Handler"]),
                (*COMMON, *(_layer(one["Ref"]) for one in own.get("Layers", ()))),
                own.get("MemorySize", common["MemorySize"]),
                {key: _plain(value, template["Parameters"]) for key, value in variables.items()},
            )
        )
    return found


def _layer(name: str) -> str:
    return name.removesuffix("Layer").lower()


def _plain(value: Any, parameters: dict[str, Any]) -> str:
    """A variable's value: a parameter's default, or the name of what it refers to."""
    match value:
        case {"Ref": name}:
            return str(parameters.get(name, {"Default": name})["Default"])
        case {"Fn::Sub": text}:
            return str(text).replace("${AWS::StackName}", "quorum")
        case str() | int() | float():
            return str(value)
        case _:
            return "none"


def build(layers: set[str], folder: Path) -> None:
    """Build the layers for this machine, as `sam build` does."""
    architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    for layer in sorted(layers):
        target = folder / "with" / layer
        target.mkdir(parents=True)
        subprocess.run(
            ["make", "--silent", f"build-{layer.capitalize()}Layer"],  # noqa: S607 - on the PATH
            cwd=ROOT / "layers" / layer,
            env=os.environ
            | {"PATH": path, "PYTHON_RUNTIME": runtime, "ARCHITECTURE": architecture}
            | {"ARTIFACTS_DIR": str(target)},
            check=True,
        )
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(target, folder / "without" / layer, ignore=without, copy_function=os.link)


class Aws(BaseHTTPRequestHandler):
    """AWS as far as these calls need it: nothing is stored, and every write succeeds."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer any operation at once."""
        asked = self.rfile.read(int(self.headers.get("content-length") or 0))
        operation = (self.headers.get("x-amz-target") or "").rpartition(".")[2]
        status, answer = {
            "GetItem": (200, {"Item": KEY} if b'"KeysTable"' in asked else {}),
            "Query": (200, {"Items": [], "Count": 0, "ScannedCount": 0}),
            "BatchGetItem": (200, {"Responses": {}, "UnprocessedKeys": {}}),
            "GetSecretValue": (200, {"SecretString": "key"}),
            "GetParameter": (400, {"__type": "ParameterNotFound"}),
            "": (503, {}),  # the gateway
        }.get(operation, (200, {}))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def aws() -> Iterator[str]:
    """The address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Bench:
    """Starts functions; `folder` has the layers `with` and `without` their bytecode."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint
        arm = platform.machine().lower() in ("arm64", "aarch64")
        name = "aws-lambda-rie-arm64" if arm else "aws-lambda-rie-x86_64"
        self._emulator = Path(samcli.__file__).parent / "local/rapid" / name

    def start(self, function: Function, bytecode: str) -> Start:
        """Start a function and, if it has an event, call it twice."""
        event = EVENTS.get(function.name)
        body = (ROOT / f"events/{event}.json").read_bytes() if event else b"{}"
        port = _free_port()
        command = [
            *(str(self._emulator), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *(sys.executable, "-m", "awslambdaric", function.handler),
        ]
        with TemporaryFile("w+") as log:
            running = subprocess.Popen(
                command,
                cwd=self._code(function),
                env=self._environment(function, bytecode),
                stdout=log,
                stderr=log,
            )
            try:
                for _ in range(2 if event else 1):
                    answer = _call(port, body)
                    if event and "errorType" in answer:
                        raise SystemExit(f"{function.name} failed: {answer}")
                time.sleep(0.2)  # its last line is written after the answer
            finally:
                running.terminate()
                running.wait()
            log.seek(0)
            said = log.read()
        init = _INIT.search(said)
        if init is None:
            raise SystemExit(f"{function.name} did not start:\n{said[-2000:]}")
        calls = tuple(map(float, _CALL.findall(said))) if event else ()
        return Start(float(init[1]), calls)

    def load(self, function: Function) -> Import:
        """Import a function's module in a bare interpreter."""
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT, function.handler.partition(".")[0]],
            cwd=self._code(function),
            env=self._environment(function, "with"),
            capture_output=True,
            text=True,
            check=True,
        )
        clock, processor = json.loads(done.stdout)
        return Import(1000 * clock, 1000 * processor)

    def _code(self, function: Function) -> Path:
        """A copy of the function's folder: SAM ships it without bytecode."""
        target = self._folder / "code" / function.name
        if not target.exists():
            shutil.copytree(function.folder, target, ignore=shutil.ignore_patterns("__pycache__"))
        return target

    def _environment(self, function: Function, bytecode: str) -> dict[str, str]:
        layers = (self._folder / bytecode / layer / "python" for layer in function.layers)
        return function.environment | {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "PYTHONPATH": os.pathsep.join(map(str, layers)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ENDPOINT_URL": self._endpoint,
            "GATEWAY_BASE_URL": f"{self._endpoint}/v1",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _call(port: int, body: bytes) -> Any:
    """The function's answer to an event, as soon as the emulator listens."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            url = f"http://127.0.0.1:{port}{PATH}"
            return httpx.post(url, content=body, timeout=PATIENCE_SECONDS).json()
        except httpx.ConnectError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def measure(chosen: Sequence[Function], runs: int) -> dict[str, Any]:
    """The figures of these functions, each with its run."""
    with TemporaryDirectory(prefix="quorum-start-") as name, aws() as endpoint:
        folder = Path(name)
        build({layer for one in chosen for layer in one.layers}, folder)
        bench = Bench(folder, endpoint)
        return {function.name: figures_of(bench, function, runs) for function in chosen}


def figures_of(bench: Bench, function: Function, runs: int) -> dict[str, Any]:
    """The fastest of several runs of one function; those of each kind are interleaved."""
    run = results.run_of("bench.start")
    started, bare, without = [], [], []
    for _ in range(runs):
        started.append(bench.start(function, "with"))
        bare.append(bench.load(function))
        without.append(bench.start(function, "without").init)
    calls = [min(times) for times in zip(*(one.calls for one in started), strict=True)]
    return {
        "run": run,
        "runs": runs,
        "memory_mb": function.memory,
        "init_ms": round(min(one.init for one in started)),
        "import_ms": round(min(one.clock for one in bare)),
        "processor_ms": round(min(one.processor for one in bare)),
        "init_without_bytecode_ms": round(min(without)),
        "calls_ms": [round(one) for one in calls],
    }


def main() -> None:
    """Measure functions and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.start", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one function once; keeps nothing")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=(), help="parts of functions' names")
    given = parser.parse_args()
    chosen = functions(QUICK if given.quick else given.only)
    figures = measure(chosen, 1 if given.quick else given.runs)
    if not given.quick:
        known = results.merged(NAME, figures, PACKAGES)
        figures = {one.name: known[one.name] for one in functions() if one.name in known}
    results.keep(NAME, figures, PACKAGES, quick=given.quick)


if __name__ == "__main__":
    main()
