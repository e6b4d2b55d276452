"""A tenant's own policies as deployed, with the permissions the template gives."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from quorum.aws.keys import Caller
from quorum.vote.policy import DEFAULT

from fakes.gateway import StandIn
from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says
from tests.e2e.test_command_line import quorum
from tests.e2e.test_panels import somebody

SEEN_SECONDS = 70.0
"""Seconds until every function has seen which version is in force."""
RULES: dict[str, Any] = {
    "instructions": "Gambling advertisements are unsafe. Mild profanity is fine.",
    "categories": {
        "gambling_ads": {"definition": "advertisements for gambling", "threshold": 0.7},
        "harassment": {"action": "ignore"},
    },
}
UNSAFE = dict.fromkeys(("gpt_4_1", "gemini_2_5_flash", "deepseek_v3_2"), "unsafe")


def tenant_of(stack: Stack) -> tuple[Api, Api]:
    """A new tenant's member and operator."""
    name = somebody()
    operator = Caller(tenant=name, role="operator")
    return Api(stack, stack.new_key(Caller(tenant=name))), Api(stack, stack.new_key(operator))


def put(operator: Api, name: str, document: Any, *, shadows: bool = False) -> str:
    answer = operator.put(f"policies/{name}", document)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    version: str = answer.json()["version"]
    assert not shadows or answer.json()["shadow"]["policy"] == document["policy"]
    return version


def until(judge: Callable[[], dict[str, Any]], version: str) -> dict[str, Any]:
    """The first verdict under that version of the policy."""
    patience = time.monotonic() + SEEN_SECONDS
    while True:
        verdict = judge()
        if verdict["policy_version"] == version or time.monotonic() > patience:
            return verdict
        time.sleep(1)


def test_a_tenants_own_policy_changes_its_verdicts_only_and_back_by_roll_back(
    stack: Stack, recorded: Recorded
) -> None:
    member, operator = tenant_of(stack)
    stranger, _ = tenant_of(stack)
    mild = says(recorded, "damn, what a game", **UNSAFE)
    advert = says(recorded, "gambling_ads: win big", **UNSAFE)
    packaged = put(operator, "default", operator.get("policies/default").json()["policy"])
    assert packaged == DEFAULT.version
    assert until(lambda: member.judge(mild), packaged)["decision"] == "unsafe"

    own = put(operator, "default", RULES)
    verdict = until(lambda: member.judge(mild), own)
    assert (verdict["decision"], verdict["policy_version"]) == ("safe", own)
    verdict = until(lambda: member.judge(advert), own)
    assert (verdict["decision"], verdict["action"]) == ("unsafe", "block")
    assert verdict["category_scores"]["gambling_ads"]["flagged"]
    assert "gambling_ads 0.80 ≥ 0.70" in verdict["reason"]
    assert stranger.judge(mild)["decision"] == "unsafe"
    assert stranger.get("policies/default").json()["source"] == "packaged"

    earlier = operator.get(f"policies/default?version={packaged}").json()["policy"]
    assert put(operator, "default", earlier) == packaged
    assert until(lambda: member.judge(mild), packaged)["decision"] == "unsafe"
    history = [one["version"] for one in operator.get("policies/default").json()["history"]]
    assert history == [packaged, own, packaged]


def test_ten_thousand_entries_a_trial_and_a_policy_that_only_detects(
    stack: Stack, recorded: Recorded
) -> None:
    member, operator = tenant_of(stack)
    listed: list[Any] = [f"forbidden{number}" for number in range(9_999)]
    listed.append({"pattern": "l[u0]cky ?7+"})
    put(operator, "listed", {"lists": {"block": listed}, "mode": "detect_only"})
    verdict = member.judge("that is FORBIDDEN4711!", policy="listed")
    assert (verdict["decision"], verdict["action"]) == ("unsafe", "allow")
    assert verdict["list_hit"] == {"list": "block", "entry": "forbidden4711"}
    assert verdict["calls"] == 0
    verdict = member.judge("so L0CKY 777 it is", policy="listed")
    assert verdict["list_hit"] == {"list": "block", "entry": "l[u0]cky ?7+"}

    text = says(recorded, "damn, on trial", **UNSAFE)
    trial = operator.post("policies/gaming/try", {"policy": RULES, "texts": [text]})
    assert trial.status_code == 200, trial.text
    (tried,) = trial.json()["tried"]
    assert (tried["before"], tried["after"], tried["changed"]) == ("unsafe", "safe", True)
    assert operator.get("policies/gaming").status_code == 404
    assert member.put("policies/gaming", RULES).status_code == 403


def test_a_shadow_judges_beside_with_votes_of_its_own_and_decides_nothing(
    stack: Stack, stand_in: StandIn, recorded: Recorded
) -> None:
    member, operator = tenant_of(stack)
    put(operator, "mild", RULES)
    milder = RULES | {"categories": {"harassment": {"action": "needs_review"}}}
    put(operator, "same", RULES | {"mode": "detect_only"})
    put(operator, "other", milder)
    text = says(recorded, "damn, beside another policy", **UNSAFE)
    before = stand_in.count.cost_usd
    put(operator, "mild/shadow", {"policy": "same"}, shadows=True)
    verdict = member.judge(text, policy="mild")
    assert (verdict["decision"], verdict["policy_shadow"]["decision"]) == ("safe", "safe")
    assert Decimal(verdict["cost_usd"]) == stand_in.count.cost_usd - before > 0

    put(operator, "other/shadow", {"policy": "mild"}, shadows=True)
    text = says(recorded, "damn, beside one that asks otherwise", **UNSAFE)
    before = stand_in.count.cost_usd
    verdict = member.judge(text, policy="other")
    beside = verdict["policy_shadow"]
    assert (verdict["decision"], beside["decision"]) == ("needs_review", "safe")
    paid = Decimal(verdict["cost_usd"]) + Decimal(beside["cost_usd"])
    assert paid == stand_in.count.cost_usd - before
    assert Decimal(beside["cost_usd"]) > 0
    shown = operator.get("policies/other").json()["shadow"]["comparison"]
    assert (shown["judged"], shown["changes"]) == (1, {"needs_review → safe": 1})
    assert shown["cost_usd"] == beside["cost_usd"]
    assert member.get(f"verdicts/{verdict['id']}").json() == verdict


def test_a_panel_that_cannot_judge_under_a_tenants_policy_is_not_put_as_its_default(
    stack: Stack,
) -> None:
    tenant = somebody()
    operator = Api(stack, stack.new_key(Caller(tenant=tenant, role="operator")))
    put(operator, "default", RULES)
    replacing = ("panel", "put", "embedded", "--name", "default", "--tenant", tenant)
    said = quorum(stack, *replacing, code=2)
    assert f"the policy default of {tenant} is in force" in " ".join(said.replace("│", " ").split())
    assert json.loads(quorum(stack, "panel", "get", "default"))["name"] == "default"
    assert operator.delete("policies/default").status_code == 200
    last = operator.get("policies/default?version=last").json()
    assert (last["in_force"], last["policy"]) == (False, RULES)
    quorum(stack, *replacing)
    refused = operator.put("policies/default", RULES)
    assert refused.json()["error"]["code"] == "category_not_covered", refused.text
    assert operator.put("policies/gaming", RULES).status_code == 200
