"""Another tenant's ids answer 404 on every route that takes one, whatever routes there are."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.api import app as api
from tests import make, openapi
from tests.functions.conftest import Ask, reopen
from tests.template import ROOT

OWNER, OTHER = "acme", "zeta"
NAME, SECOND = "house-rules", "stricter"
OPERATIONS = [
    (method.upper(), path)
    for path, methods in openapi.described()["paths"].items()
    for method in methods
    if "{" in path and not path.startswith(("/models/", "/webhooks/"))
]
"""Models belong to no tenant: every key reads them, and the deployment's operator puts them.
Webhooks have a function of their own (`webhooks/`)."""
CREATES = {("PUT", "/policies/{name}")}
"""A name in this request is that of something new of the caller's own."""
BODIES = {
    ("POST", "/policies/{name}/try"): {"texts": ["Win big."]},  # of the policy that there is
    ("PUT", "/policies/{name}/shadow"): {"policy": SECOND},
}


def events() -> dict[tuple[str, str], str]:
    """The example event of each operation, by method and path."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted(Path(ROOT / "events").glob("*.json")):
        event = json.loads(file.read_text())
        if "httpMethod" in event:
            found[event["httpMethod"], event["resource"]] = file.name
    return found


@pytest.fixture
def owned(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One of everything that has an id, of the owner, by the parameter of paths that names it."""
    sqs = boto3.client("sqs")
    for name in ("ITEMS_QUEUE", "DEAD_LETTERS"):
        monkeypatch.setenv(name, sqs.create_queue(QueueName=name)["QueueUrl"])
    reopen(api)
    mine = {"tenant": OWNER, "role": "operator"}
    status, verdict = ask({"content": "Hello."}, **mine)
    assert status == 200, verdict
    status, batch = ask({"items": [{"content": "Hello."}]}, name="post_batch.json", **mine)
    assert status == 202, batch
    status, key = ask({"name": "shop", "scopes": ["chat"]}, name="post_key.json", **mine)
    assert status == 201, key
    there = {"path": f"/policies/{NAME}", "pathParameters": {"name": NAME}}
    status, policy = ask({"instructions": "Be kind."}, name="put_policy.json", **there, **mine)
    assert status == 200, policy
    stricter = {"path": f"/policies/{SECOND}", "pathParameters": {"name": SECOND}}
    for tenant in (OWNER, OTHER):
        status, _ = ask(
            {"instructions": "Be kinder."}, name="put_policy.json", tenant=tenant, **stricter
        )
        assert status == 200
    shadow = there | {"path": f"/policies/{NAME}/shadow"}
    status, _ = ask({"policy": SECOND}, name="put_policy_shadow.json", **shadow, **mine)
    assert status == 200
    proposal = api.app().proposals.add(OWNER, make.made_proposal(), by="test")
    return {
        "proposal_id": proposal.id,
        "verdict_id": verdict["id"],
        "batch_id": batch["id"],
        "key_id": key["id"],
        "name": NAME,
    }


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_another_tenants_id_is_not_found(
    ask: Ask, owned: dict[str, str], method: str, path: str
) -> None:
    names = re.findall(r"{(\w+)}", path)

    def send(tenant: str) -> tuple[int, Any]:
        return ask(
            BODIES.get((method, path)),
            name=events()[method, path],
            tenant=tenant,
            path=path.format(**owned),
            pathParameters={name: owned[name] for name in names},
            queryStringParameters=None,
            multiValueQueryStringParameters=None,
        )

    status, answer = send(OTHER)
    if (method, path) in CREATES:
        _, kept = ask(
            name="get_policy.json",
            tenant=OWNER,
            path=f"/policies/{NAME}",
            pathParameters={"name": NAME},
        )
        assert kept["policy"]["instructions"] == "Be kind."
        return
    assert status == 404, answer
    status, answer = send(OWNER)
    assert status != 404, answer  # there it is
