"""The deployed template on a local stack of the tests' own, with a stand-in for the gateway.

The stack enforces the template's permissions. `QUORUM_E2E_FOLDER` keeps it between runs.
"""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from quorum.core import registry
from quorum.vote.evaluation import Evaluation

from fakes.gateway import RecordedVotes, Scenario, StandIn, running
from local.drills import RECOVERED
from local.stack import start_stack, stop_stack
from local.state import Stack
from tests.logs import logged, private_in

GATEWAY_KEY = "sk-stand-in-7f3a"
OWN_KEY = "own-server"
"""Name in the secret of the key of a server of a model's own."""
MEMORY = Path("/dev/shm")  # noqa: S108 a folder of a random name in it
STACK_BYTES = 2 * 2**30
"""Room for the files of a stack."""

STAGED = {
    "StateMachines": {
        "quorum-vote": {
            "TestCases": {
                error: {"gpt-4.1-nano votes": error}
                for error in ("Lambda.TooManyRequestsException", "States.Timeout", "AnyOther")
            }
        }
    },
    "MockedResponses": {
        error: {"0": {"Throw": {"Error": error, "Cause": "staged"}}}
        for error in ("Lambda.TooManyRequestsException", "States.Timeout", "AnyOther")
    },
}
"""Results of one branch's task by test case, in the format of Step Functions Local."""


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, str]]:
    """Decisions of the stand-in's models by text and model; tests write into it."""
    return {}


@pytest.fixture(scope="session")
def gateway(recorded: dict[str, dict[str, str]]) -> Iterator[StandIn]:
    """The stand-in gateway."""
    with running(Scenario(keys={GATEWAY_KEY: "quorum"}), recorded=RecordedVotes(recorded)) as one:
        yield one


@pytest.fixture
def stand_in(gateway: StandIn) -> Iterator[StandIn]:
    """The stand-in, whose scenario a test may change for itself."""
    before = gateway.scenario
    yield gateway
    gateway.scenario = before


@pytest.fixture(scope="session")
def model_port() -> int:
    """A port for a model's own server, which the deployment allows before the server runs."""
    return free_port()


@pytest.fixture(scope="session")
def webhook_port() -> int:
    """A port for a receiver of webhooks, which the deployment allows before it runs."""
    return free_port()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def overrides(gateway: StandIn, model_port: int, webhook_port: int) -> dict[str, str]:
    """Parameters of the template that these tests set."""
    own = gateway.base_url.removesuffix("/v1")
    return {
        "GatewayBaseUrl": gateway.base_url,
        "AllowedModelHosts": f"{own},http://127.0.0.1:{model_port}",
        "AllowedWebhookHosts": f"http://127.0.0.1:{webhook_port}",
        "DefaultPanel": "default",
        # The stand-in has no limit: nothing here waits for one.
        "RequestsPerMinute": "1000000",
        "TokensPerMinute": "1000000000",
        # Days of dollars that no test spends but the one about them.
        "AlertTenantUsd": "20",
        "BudgetTenantUsd": "40",
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the stack's files: in memory if there is room.

    Layers are thousands of files, and a slow disk takes long to write and to remove them.
    """
    kept = os.environ.get("QUORUM_E2E_FOLDER")
    if kept:
        yield Path(kept)
    elif MEMORY.is_dir() and disk_usage(MEMORY).free > STACK_BYTES:
        with TemporaryDirectory(dir=MEMORY, prefix="quorum-", ignore_cleanup_errors=True) as name:
            yield Path(name)
    else:
        yield tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(
    overrides: dict[str, str], folder: Path, recorded: dict[str, dict[str, str]]
) -> Iterator[Stack]:
    """The whole template, deployed; its gateway voters ask the stand-in.

    When all tests have run, no text that they sent and no key stands in any log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / "staged.json"
    staged.write_text(json.dumps(STAGED))
    raised = start_stack(
        folder,
        overrides,
        gateway_key=json.dumps({"*": GATEWAY_KEY, OWN_KEY: GATEWAY_KEY}),
        settings={"SFN_MOCK_CONFIG": str(staged)},
    )
    yield raised
    stop_stack(folder)
    lines = list(logged(folder))
    assert any(line.startswith("START RequestId") for line in lines)
    assert private_in(lines, [*recorded, GATEWAY_KEY]) == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the test that stops the stack last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


class Api:
    """The stack's HTTP API, with the key of one tenant."""

    def __init__(self, stack: Stack, key: str) -> None:
        self._http = httpx.Client(base_url=stack.api + "/", headers={"x-api-key": key}, timeout=60)

    def judge(self, content: str, **options: Any) -> dict[str, Any]:
        answer = self._http.post("verdicts", json={"content": content} | options)
        assert answer.status_code == 200, answer.text
        print(answer.text)  # noqa: T201 pytest shows it where the test fails
        verdict: dict[str, Any] = answer.json()
        return verdict

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._http.post(path, json=body, headers=headers)

    def put(self, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._http.put(path, json=body, headers=headers)

    def delete(self, path: str) -> httpx.Response:
        return self._http.delete(path)


@pytest.fixture(scope="session")
def api(stack: Stack) -> Api:
    return Api(stack, stack.key)


@pytest.fixture(scope="session", autouse=True)
def _warm(api: Api) -> None:
    """Send the first request, which starts every Lambda's process; no test is about that."""
    for panel in ("default", "embedded", "economy"):
        api.judge("warming up", panel=panel)


Recovery = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def recovery(record_property: Callable[[str, object], None]) -> Recovery:
    """Measures how long after a fault's end all was well, for `local.drills`."""

    @contextmanager
    def measured() -> Iterator[None]:
        begun = time.monotonic()
        yield
        record_property(RECOVERED, round(time.monotonic() - begun, 1))

    return measured


Recorded = dict[str, dict[str, str]]


def says(recorded: Recorded, text: str, **decisions: str) -> str:
    """Have the stand-in's models decide so on `text`; voters that are not named say safe."""
    recorded[text] = {
        model.name: decisions.get(re.sub(r"[.-]", "_", model.name), "safe")
        for model in registry.voters()
        if model.kind == "gateway"
    }
    return text


def by_voter(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {vote["voter"]: vote for vote in verdict["votes"]}


@pytest.fixture
def run_evaluation(stack: Stack) -> Callable[..., dict[str, Any]]:
    """Run an evaluation through the vote machine, as the API would."""

    def run(evaluation: Evaluation, staged: str | None = None) -> dict[str, Any]:
        request = {
            "evaluation": evaluation.model_dump(mode="json"),
            "voters": list(evaluation.panel.rounds[0]),
            "votes": [],
            "round": 1,
        }
        answer = stack.client("stepfunctions").start_sync_execution(
            stateMachineArn=stack.outputs["VoteMachineArn"] + (f"#{staged}" if staged else ""),
            input=json.dumps(request, ensure_ascii=False),
        )
        assert answer["status"] == "SUCCEEDED", answer
        verdict: dict[str, Any] = json.loads(answer["output"])
        return verdict

    return run
