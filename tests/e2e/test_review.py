"""People's decisions as deployed, with the permissions that the template gives."""

import json

import pytest
from quorum.audit.chain import faults
from quorum.aws.keys import Caller

from cli import audit
from cli.service import Service
from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says
from tests.e2e.proposals import proposed
from tests.e2e.test_panels import somebody
from tests.e2e.test_verdicts import as_function


def test_two_reviewers_decide_an_author_appeals_and_the_chain_holds(
    stack: Stack, recorded: Recorded
) -> None:
    name = somebody()
    member = Api(stack, stack.new_key(Caller(tenant=name)))
    key = stack.new_key(Caller(tenant=name, role="operator"))
    operator = Api(stack, key)
    texts = [
        says(recorded, f"{name} {number}", gpt_4_1="unsafe", gemini_2_5_flash="needs_review")
        for number in range(2)
    ]
    for text in texts:
        assert member.judge(text)["decision"] == "needs_review"

    ada = {"reviewer": "ada"}
    claimed = operator.post("reviews/claim", ada | {"order": "oldest"}).json()["claims"]
    (content,) = claimed
    chosen = content["verdict_id"]
    assert content["content"] in texts
    refused = operator.post(f"reviews/{chosen}/claim", {"reviewer": "grace"})
    assert refused.status_code == 409
    decision = {"verdict_id": chosen, "decision": "unsafe", "categories": ["harassment"]}
    decided = operator.post("reviews/decide", ada | {"decisions": [decision]}).json()
    assert decided["decisions"][0]["error"] is None, decided
    assert operator.get("reviews/counts").json()["claimed"] == 0

    statement = member.get(f"verdicts/{chosen}/statement?language=de").json()
    assert statement["measure"] == "Ihr Inhalt wurde entfernt."
    replayed = member.get(f"verdicts/{chosen}/replay").json()
    assert replayed["result"] == "same", replayed
    appealed = member.post(f"verdicts/{chosen}/appeal", {"words": "It was a joke."})
    assert appealed.status_code == 200, appealed.text
    assert operator.post(f"reviews/{chosen}/claim", ada).status_code == 409
    assert operator.post(f"reviews/{chosen}/claim", {"reviewer": "grace"}).status_code == 200
    overturning = {"verdict_id": chosen, "decision": "safe"}
    body = {"reviewer": "grace", "decisions": [overturning]}
    done = operator.post("reviews/decide", body).json()["decisions"][0]
    assert done["verdict"]["appeal"]["state"] == "overturned"
    report = operator.get("transparency").json()
    assert report["appeals"]["overturned"] == 1
    assert sum(report["verdicts"].values()) == len(texts)

    chain = list(audit.entries_of(Service(stack.api, key), {"order": "oldest"}))
    assert [entry.action for entry in chain] == [
        *("review.claimed", "review.decided", "appeal.made", "review.claimed", "review.decided")
    ]
    assert list(faults(chain)) == []


@pytest.mark.parametrize("operation", ["delete_item", "update_item"])
def test_the_api_itself_can_neither_delete_nor_change_an_entry(
    stack: Stack, operation: str
) -> None:
    client = as_function(stack, "ReviewsFunction", "dynamodb")
    key = {"tenant": {"S": "acme"}, "number": {"N": "1"}}
    with pytest.raises(client.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        getattr(client, operation)(TableName=stack.outputs["AuditTable"], Key=key)


def test_a_proposal_is_put_by_a_person_and_the_schedule_may_put_none(stack: Stack) -> None:
    name = somebody()
    operator = Api(stack, stack.new_key(Caller(tenant=name, role="operator", name="desk")))
    refused = operator.post("proposals", {"panel": "economy"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "too_few_labels")

    made = proposed(stack, name)
    for step, state in (("shadow", "shadow"), ("promote", "promoted")):
        answer = operator.post(f"proposals/{made.id}/{step}", {"person": "ada"})
        assert (answer.status_code, answer.json().get("state")) == (200, state), answer.text
    shown = operator.get("panels?name=economy").json()["panels"]
    assert [(one["source"], one["version"]) for one in shown] == [("tenant", made.version)]
    actions = [entry["action"] for entry in operator.get("audit").json()["entries"]]
    assert actions == ["panel.put", "panel_shadow.put", "proposal.made"]

    run = stack.client("lambda").invoke(FunctionName=stack.resources["ProposeFunction"])
    assert json.loads(run["Payload"].read())["failed"] == 0
    scheduled = as_function(stack, "ProposeFunction", "ssm")
    with pytest.raises(scheduled.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        scheduled.put_parameter(
            Name=f"/quorum/tenants/{name}/panels/economy", Value="{}", Type="String", Overwrite=True
        )
