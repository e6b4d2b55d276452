"""Panels, shadows, reviews and alarms as deployed, with the permissions the template gives."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from quorum.aws.keys import Caller
from quorum.core import registry
from quorum.vote import panel

from cli import labels
from cli.service import Service
from fakes.gateway import StandIn
from local.state import Stack
from tests.e2e.conftest import Api, Recorded, by_voter, says
from tests.e2e.test_batches import SETTLED, results, wait
from tests.e2e.test_verdicts import as_function
from tests.unit.test_panels import voting


def somebody() -> str:
    """A tenant nobody has heard of, so that nothing of an earlier run is in its way."""
    return f"tenant-{uuid4().hex[:8]}"


def put(stack: Stack, parameter: str, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    stack.client("ssm").put_parameter(Name=parameter, Value=text, Type="String", Overwrite=True)


def test_a_tenants_panel_judges_and_when_it_is_spoilt_the_last_good_one_stays(
    stack: Stack, recorded: Recorded
) -> None:
    own, name = voting("default"), somebody()
    put(stack, f"/quorum/tenants/{name}/panels/default", own)
    put(stack, f"/quorum/tenants/{name}/panels/default", own | {"quorum": 7})
    tenant = Api(stack, stack.new_key(Caller(tenant=name)))
    verdict = tenant.judge(says(recorded, "by a panel of its own", gpt_4_1_nano="unsafe"))
    assert list(by_voter(verdict)) == ["gpt-4.1-nano"]
    assert verdict["decision"] == "unsafe"
    assert verdict["panel_version"] == panel.load(own).version
    listed = {shown["name"]: shown["source"] for shown in tenant.get("panels").json()["panels"]}
    assert listed == {"default": "tenant", "economy": "packaged", "embedded": "packaged"}


def test_a_shadow_sees_the_votes_and_is_on_the_stored_verdict(
    stack: Stack, recorded: Recorded
) -> None:
    api = Api(stack, stack.new_key(Caller(tenant=somebody())))
    put(stack, "/quorum/panels/shadowed", voting("shadowed"))
    put(stack, "/quorum/shadow/shadowed", voting("candidate", unsafe=0.9999))
    text = says(recorded, "with a shadow", gpt_4_1_nano="unsafe")
    verdict = api.judge(text, panel="shadowed")
    assert verdict["decision"] == "unsafe"
    assert verdict["shadow"]["panel"] == "candidate"
    assert verdict["shadow"]["decision"] == "needs_review"
    assert api.get(f"verdicts/{verdict['id']}").json() == verdict


def test_a_batch_of_a_panel_that_packs_is_judged_by_fewer_calls_and_its_books_are_exact(
    stack: Stack, recorded: Recorded, stand_in: StandIn
) -> None:
    api = Api(stack, stack.new_key(Caller(tenant=somebody())))
    put(stack, "/quorum/panels/packing", voting("packing") | {"packed": 8})
    before = (stand_in.count.requests, stand_in.count.cost_usd)
    decisions = ["unsafe", "safe"] * 12
    texts = [
        says(recorded, f"of a batch that packs, number {number}", gpt_4_1_nano=decision)
        for number, decision in enumerate(decisions)
    ]
    items = [{"content": text, "language": "en"} for text in texts]
    batch = api.post("batches", {"items": items, "panel": "packing"}).json()["id"]
    view = wait(api, batch, lambda view: view["state"] in SETTLED)
    assert (view["state"], view["decisions"]) == (
        *("complete", {"safe": 12, "unsafe": 12, "needs_review": 0}),
    )
    calls, billed = (
        stand_in.count.requests - before[0],
        stand_in.count.cost_usd - before[1],
    )
    assert calls <= len(texts) // 2  # whatever the queue hands out together
    assert Decimal(view["cost_usd"]) == billed
    lines = results(api, batch)
    assert [line["verdict"]["decision"] for line in lines] == decisions
    packs = [line["verdict"]["votes"][0].get("packed", 1) for line in lines]
    assert max(packs) > 1
    assert sum(Decimal(line["verdict"]["cost_usd"]) for line in lines) == billed


def test_what_waits_for_a_person_is_reviewed_and_becomes_a_label(
    stack: Stack, recorded: Recorded
) -> None:
    name = somebody()
    member = Api(stack, stack.new_key(Caller(tenant=name)))
    key = stack.new_key(Caller(tenant=name, role="operator"))
    operator = Api(stack, key)
    text = says(recorded, "nobody is sure", gpt_4_1="unsafe", gemini_2_5_flash="needs_review")
    verdict = member.judge(text)
    assert verdict["decision"] == "needs_review"
    (waiting,) = operator.get("reviews").json()["reviews"]
    assert (waiting["verdict_id"], waiting["content"]) == (verdict["id"], text)
    decided = {"decision": "safe", "reviewer": "ada@example.com"}
    address = f"verdicts/{verdict['id']}/review"
    assert member.post(address, decided).status_code == 403
    assert operator.post(address, decided).status_code == 200
    assert operator.get("reviews").json() == {"reviews": [], "next": None}
    assert member.get(f"verdicts/{verdict['id']}").json()["review"]["decision"] == "safe"
    (label,) = labels.reviewed(Service(stack.api, key))
    assert (label.content, label.reviews[-1].decision) == (text, "safe")


def test_every_voters_alarm_is_deployed_with_its_threshold(stack: Stack) -> None:
    described = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = {
        dimension["Value"]: alarm["Threshold"]
        for alarm in described
        if alarm.get("MetricName") == "AgreementWithVerdict"
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "voter"
    }
    assert watched == {model.name: 0.7 for model in registry.voters()} | {"any-model": 0.7}


@pytest.mark.parametrize(
    ("function", "parameter"),
    [
        ("EstimateFunction", "/quorum/shadow/default"),
        ("AggregateFunction", "/quorum/panels/default"),
        ("BatchFunction", "/another-stack/panels/default"),
        ("Gpt41Function", "/quorum/panels/default"),
    ],
)
def test_a_function_reads_no_parameters_but_its_own(
    stack: Stack, function: str, parameter: str
) -> None:
    client = as_function(stack, function, "ssm")
    with pytest.raises(client.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        client.get_parameter(Name=parameter)
