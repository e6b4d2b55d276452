"""Models as data, as deployed: put, seated on a panel, asked, refused to be deleted."""

import json
import time
from typing import Any

import pytest
from quorum.aws.keys import Caller

from fakes.gateway import StandIn
from local.stack import Stack
from tests.e2e.conftest import OWN_KEY, Api, Recorded, by_voter, says
from tests.e2e.test_panels import somebody

SEEN_SECONDS = 70.0
"""Seconds until every function has seen what was put."""
PRICE = {"input": "0.01", "output": "0.02", "as_of": "2026-11-01", "source": "made up"}
LEAST: dict[str, Any] = {"price": PRICE, "context_window": 2048, "tokens_per_second": 60}


@pytest.fixture
def operator(stack: Stack) -> Api:
    """The deployment's operator."""
    return Api(stack, stack.operator_key)


def put(operator: Api, name: str, entry: dict[str, Any]) -> None:
    answer = operator.put(f"models/{name}", LEAST | entry)
    assert answer.status_code == 200, answer.text


def seat(stack: Stack, *voters: str) -> tuple[Api, str]:
    """A member of a new tenant that has a panel `own` of these voters, and its parameter."""
    tenant = somebody()
    document = {
        "name": "own",
        "rounds": [list(voters)],
        "stop": "all",
        "quorum": len(voters),
        "rule": {"kind": "majority"},
    }
    parameter = f"/quorum/tenants/{tenant}/panels/own"
    stack.client("ssm").put_parameter(Name=parameter, Value=json.dumps(document), Type="String")
    return Api(stack, stack.new_key(Caller(tenant=tenant))), parameter


def judged(member: Api, text: str, *, voting: int) -> dict[str, dict[str, Any]]:
    """The votes on `text` by voter, once `voting` of them are votes."""
    patience = time.monotonic() + SEEN_SECONDS
    for number in range(100):
        answer = member.post("verdicts", {"content": f"{text} {'!' * number}", "panel": "own"})
        votes = by_voter(answer.json()) if answer.status_code == 200 else {}
        cast = [vote for vote in votes.values() if vote["kind"] == "vote"]
        if len(cast) == voting or time.monotonic() > patience:
            assert len(cast) == voting, answer.text
            return votes
        time.sleep(1)
    raise AssertionError("nobody voted")


def test_models_put_as_data_vote_beside_packaged_ones_until_they_are_deleted(
    stack: Stack, operator: Api, stand_in: StandIn, recorded: Recorded
) -> None:
    own = {"base_url": stand_in.base_url, "key": OWN_KEY, "reply_format": "json_schema"}
    put(operator, "spelled-otherwise", {"gateway_name": "gpt-4.1", "reply_format": "json_schema"})
    put(operator, "own-server", own | {"gateway_name": "deepseek-v3.2"})
    member, parameter = seat(stack, "gpt-4.1-nano", "spelled-otherwise", "own-server")
    text = "a text for models put as data"
    for number in range(100):
        says(recorded, f"{text} {'!' * number}", gpt_4_1="unsafe", deepseek_v3_2="unsafe")
    votes = judged(member, text, voting=3)
    assert {name: vote["decision"] for name, vote in votes.items()} == {
        "gpt-4.1-nano": "safe",
        "spelled-otherwise": "unsafe",
        "own-server": "unsafe",
    }
    listed = {one["id"]: one["source"] for one in member.get("models").json()["data"]}
    assert (listed["own-server"], listed["gpt-4.1"]) == ("deployment", "packaged")
    costs = operator.get("costs").json()
    assert "own-server" in json.dumps(costs)

    refused = operator.delete("models/own-server")
    assert refused.status_code == 409, refused.text
    assert parameter.removeprefix("/quorum/") in refused.json()["error"]["message"]
    stack.client("ssm").delete_parameter(Name=parameter)
    assert operator.delete("models/own-server").status_code == 200
    assert operator.delete("models/spelled-otherwise").status_code == 200
    assert member.put("models/own-server", LEAST | {"gateway_name": "x"}).status_code == 403
    elsewhere = LEAST | {"gateway_name": "x", "base_url": "http://169.254.169.254/v1"}
    answer = operator.put("models/elsewhere", elsewhere)
    assert answer.json()["error"]["code"] == "host_not_allowed"
