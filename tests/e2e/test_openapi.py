"""The deployed API does what `docs/openapi.json` says, whatever it is sent: requests are made up.

schemathesis makes them from the description: as it says, and as it says not. Each operation gets a
fixed number of them, the same in every run, after the example of `events/`, which it takes.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quorum.aws.keys import Caller
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.state import Stack
from tests import openapi
from tests.e2e.conftest import Api, Recorded, says
from tests.e2e.proposals import proposed
from tests.template import ROOT

MADE_UP = "made-up"
"""The tenant of these tests."""
NAME = "own"
"""One name, for a model put as data, and for a policy and a webhook of the tenant's own."""
REQUESTS = 5
"""Made-up requests to each operation."""
ANSWER_SECONDS = 60
"""Seconds for an answer: twice what API Gateway takes; schemathesis itself would wait for 10."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIPTION = schemathesis.openapi.from_dict(openapi.described())
OPERATIONS: dict[str, Any] = {
    found.ok().label: found.ok()  # type: ignore[union-attr] # the description is valid
    for found in DESCRIPTION.get_all_operations()
}


def bodies() -> Iterator[tuple[str, Any]]:
    """Operation → the body of its example; NOT_SET for one without."""
    for event in (json.loads(file.read_text()) for file in (ROOT / "events").glob("*.json")):
        if "httpMethod" in event:
            body = event.get("body")
            given = NOT_SET if body is None else json.loads(body)
            yield f"{event['httpMethod']} {event['resource']}", given


EXAMPLES = dict(bodies())
STEPS: dict[str, tuple[str, ...]] = {
    "POST /reviews/{verdict_id}/claim": (),
    "POST /reviews/{verdict_id}/release": ("claim",),
    "POST /reviews/{verdict_id}/skip": ("claim",),
    "POST /reviews/{verdict_id}/escalate": ("claim",),
    "POST /reviews/{verdict_id}/undo": ("claim", "decide"),
    "GET /verdicts/{verdict_id}/statement": ("claim", "decide"),
    "POST /verdicts/{verdict_id}/appeal": ("claim", "decide"),
}
"""What a reviewer has done before an operation makes sense."""
OTHERWISE = {"POST /proposals": (409,)}
"""Other statuses of an example: a tenant of a moment ago has too few labels for a proposal."""
# A model that the gateway serves; the stack allows no other server.
EXAMPLES["PUT /models/{name}"] = {
    **{k: v for k, v in EXAMPLES["PUT /models/{name}"].items() if k not in ("base_url", "key")},
    "gateway_name": "gpt-4.1-mini",
}


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """The key of a tenant of this test's own: no other test sees what is made up here."""
    return stack.new_key(Caller(tenant=MADE_UP, role="deployment_operator"))


@pytest.fixture(scope="module")
def known(stack: Stack, key: str) -> dict[str, str]:
    """What there is to be found, by the parameters of paths."""
    api = Api(stack, key)
    verdict = api.judge("made up", panel="embedded")
    items = [{"content": "made up", "panel": "embedded"}, {"content": ""}]
    batch = api.post("batches", {"items": items}).json()
    ids = {"verdict_id": verdict["id"], "batch_id": batch["id"]}
    return ids | {"name": NAME, "webhook": NAME}


def put_what_is_named(stack: Stack, key: str, label: str) -> None:
    """Put the policy, model or webhook called `NAME`: one before may have deleted it."""
    bodies: dict[str, Any] = {}
    if "/policies/{name}" in label:
        policy, shadow = EXAMPLES["PUT /policies/{name}"], EXAMPLES["PUT /policies/{name}/shadow"]
        bodies[f"policies/{shadow['policy']}"] = bodies[f"policies/{NAME}"] = policy
        bodies[f"policies/{NAME}/shadow"] = shadow
    if "/models/{name}" in label:
        bodies[f"models/{NAME}"] = EXAMPLES["PUT /models/{name}"]
    if "/webhooks/{webhook}" in label:
        bodies[f"webhooks/{NAME}"] = EXAMPLES["PUT /webhooks/{webhook}"]
    for path, body in bodies.items():
        put = httpx.put(f"{stack.api}/{path}", json=body, headers={"x-api-key": key}, timeout=60)
        assert put.status_code == 200, put.text


def reviewed(
    stack: Stack, key: str, recorded: Recorded, label: str, given: dict[str, str]
) -> dict[str, str]:
    """The parameters of an operation on a verdict that a person is asked about, or has decided.

    `given` if the operation needs no such verdict.
    """
    before = STEPS.get(label)
    if before is None:
        return given
    api = Api(stack, key)
    text = says(recorded, f"made up for {label}", gpt_4_1="unsafe", gemini_2_5_flash="needs_review")
    verdict = api.judge(text, panel="default")
    reviewer = {"reviewer": "ada@example.com"}
    decision = {"verdict_id": verdict["id"], "decision": "unsafe", "categories": ["harassment"]}
    for step in before:
        if step == "claim":
            done = api.post(f"reviews/{verdict['id']}/claim", reviewer)
        else:
            done = api.post("reviews/decide", reviewer | {"decisions": [decision]})
        assert done.status_code == 200, done.text
    return given | {"verdict_id": verdict["id"]}


def excused(response: Any) -> bool:
    """Whether MiniStack refused the request itself.

    It answers 401 and 403 with bodies of its own: it does not know the templates of API Gateway's
    responses, only their statuses.
    """
    return response.status_code in (401, 403) and "error" not in response.json()


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_described(
    stack: Stack, key: str, known: dict[str, str], recorded: Recorded, label: str
) -> None:
    operation = OPERATIONS[label]
    known = reviewed(stack, key, recorded, label, known)
    put_what_is_named(stack, key, label)
    path = {name: known[name] for name in known if f"{{{name}}}" in label}
    if "{key_id}" in label:
        made = Api(stack, key).post("keys", EXAMPLES["POST /keys"])
        path["key_id"] = made.json()["id"]
    if "{proposal_id}" in label:
        path["proposal_id"] = proposed(stack, MADE_UP).id
        if "promote" in label:
            shadow = EXAMPLES["POST /proposals/{proposal_id}/shadow"]
            put = Api(stack, key).post(f"proposals/{path['proposal_id']}/shadow", shadow)
            assert put.status_code == 200, put.text

    def send(case: Any) -> int:
        response = case.call(base_url=stack.api, headers={"x-api-key": key}, timeout=ANSWER_SECONDS)
        if not excused(response):
            case.validate_response(response, checks=CHECKS)
        return int(response.status_code)

    example = operation.Case(
        path_parameters=path, body=EXAMPLES[label], media_type="application/json"
    )
    assert send(example) in (200, 201, 202, *OTHERWISE.get(label, ()))

    made_up = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    made_up += [operation.as_strategy(path_parameters=path)] if path else []

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(made_up))
    def answers(case: Any) -> None:
        send(case)

    answers()
