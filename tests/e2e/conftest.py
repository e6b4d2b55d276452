"""The deployed template on a local stack of the tests' own, with a stand-in for the gateway.

The stack enforces the template's permissions. `QUORUM_E2E_FOLDER` keeps it between runs.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.case import Case

from bench.gateway import RecordedVotes, Scenario, StandIn, running
from local.stack import Stack, lower_stack, raise_stack

GATEWAY_KEY = "sk-stand-in"


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, str]]:
    """Text → model → decision: what the stand-in's models say of a text; tests write into it."""
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
def stack(gateway: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole template, deployed; its gateway voters ask the stand-in."""
    kept = os.environ.get("QUORUM_E2E_FOLDER")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("stack")
    overrides = {"GatewayBaseUrl": gateway.base_url, "DefaultPanel": "default"}
    raised = raise_stack(folder, overrides, gateway_key=GATEWAY_KEY)
    yield raised
    lower_stack(folder)


class Api:
    """The stack's HTTP API, with the key of one tenant."""

    def __init__(self, stack: Stack, key: str) -> None:
        self._http = httpx.Client(base_url=stack.api + "/", headers={"x-api-key": key}, timeout=60)

    def judge(self, content: str, **options: Any) -> dict[str, Any]:
        answer = self._http.post("verdicts", json={"content": content} | options)
        assert answer.status_code == 200, answer.text
        print(answer.text)  # pytest shows it where the test fails
        verdict: dict[str, Any] = answer.json()
        return verdict

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)


@pytest.fixture(scope="session")
def api(stack: Stack) -> Api:
    return Api(stack, stack.key)


@pytest.fixture(scope="session", autouse=True)
def _warm(api: Api) -> None:
    """The first request starts every Lambda's process; none of the tests is about that."""
    for panel in ("default", "embedded", "economy"):
        api.judge("warming up", panel=panel)


@pytest.fixture
def run_case(stack: Stack) -> Callable[..., dict[str, Any]]:
    """Run the vote machine itself on a case, as the API would."""

    def run(case: Case, seated: list[str] | None = None) -> dict[str, Any]:
        request = {
            "case": case.model_dump(mode="json"),
            "seated": list(case.panel.rounds[0]) if seated is None else seated,
            "votes": [],
            "round": 1,
        }
        answer = stack.client("stepfunctions").start_sync_execution(
            stateMachineArn=stack.outputs["VoteMachineArn"],
            input=json.dumps(request, ensure_ascii=False),
        )
        assert answer["status"] == "SUCCEEDED", answer
        verdict: dict[str, Any] = json.loads(answer["output"])
        return verdict

    return run
