"""A policy beside another one: it judges the same texts, is counted, and decides nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from quorum.core.models import Category, PolicyShadow
from quorum.ledger import ledger
from quorum.vote import panel
from quorum.vote.policy import Policy

from functions.api import app as api
from functions.batch import app as batch
from tests import make
from tests.functions.conftest import Ask, reopen
from tests.functions.test_panels import put as put_parameter
from tests.functions.test_policies import GAMING, HEARD_BY_RULES, RULES, at

MILDER = Policy.model_validate(
    {"name": "milder", "instructions": RULES["instructions"]}
    | {"categories": RULES["categories"] | {"hate": {"action": "ignore"}}}
)
"""Asks what `GAMING` asks, and counts it otherwise."""
STRICT = Policy.model_validate({"name": "strict", "instructions": "Curses are unsafe."})
"""Asks something else."""

Send = Callable[..., tuple[int, Any]]


@pytest.fixture
def shadow(ask: Ask) -> Send:
    """Put the policies, and make one the shadow of `gaming`."""

    def send(of: str = "milder", **changes: Any) -> tuple[int, Any]:
        for policy in (GAMING, MILDER, STRICT):
            status, shown = ask(policy.document(), name="put_policy.json", **at(policy.name))
            assert status == 200, shown
        there = {"path": "/policies/gaming/shadow", "pathParameters": {"name": "gaming"}}
        return ask({"policy": of}, name="put_policy_shadow.json", **there | changes)

    return send


def comparison(ask: Ask) -> Any:
    _, shown = ask(name="get_policy.json", **at("gaming"))
    return shown["shadow"]["comparison"]


def judge(ask: Ask, text: str = "a text", **changes: Any) -> Any:
    status, verdict = ask({"content": text, "policy": "gaming"} | changes)
    assert status == 200, verdict
    return verdict


def test_a_shadow_that_asks_the_same_reads_the_same_votes_and_decides_nothing(
    shadow: Send, ask: Ask, cached: Callable[..., None], aws: Any
) -> None:
    cached(make.evaluation("a text"), "unsafe", GAMING, scores={"hate": 0.9})
    cached(make.evaluation("fine"), "safe", GAMING)
    assert aws.Table("UsageTable").scan()["Count"] == 0
    status, shown = shadow()
    assert (status, shown["shadow"]["policy"], shown["shadow"]["by"]) == (200, "milder", "operator")
    verdict = judge(ask)
    assert (verdict["decision"], verdict["action"]) == ("unsafe", "block")
    reference = f"milder@{MILDER.version}"
    beside = {"policy": reference, "decision": "safe", "score": 0.0, "cost_usd": "0"}
    assert verdict["policy_shadow"] == beside
    here = {"pathParameters": {"verdict_id": verdict["id"]}, "path": f"/verdicts/{verdict['id']}"}
    assert ask(name="get_verdict.json", **here)[1] == verdict
    judge(ask)
    judge(ask, "fine")
    assert comparison(ask) == {
        "policy": f"gaming@{GAMING.version}",
        "shadow": reference,
        "judged": 3,
        "changed": 2,
        "changes": {"unsafe → safe": 2},
        "cost_usd": "0",
    }
    # Decisions of the day are counted, and the two are compared: nobody was asked or paid.
    kinds = {item["key"].split("#")[0] for item in aws.Table("UsageTable").scan()["Items"]}
    assert kinds == {"decisions", "compared"}


def test_a_shadow_that_asks_something_else_has_votes_of_its_own(
    shadow: Send, ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("damn"), "safe", GAMING)
    cached(make.evaluation("damn"), "unsafe", STRICT)
    assert shadow("strict")[0] == 200
    verdict = judge(ask, "damn")
    assert verdict["decision"] == "safe"
    assert verdict["policy_shadow"]["decision"] == "unsafe"
    assert comparison(ask)["changes"] == {"safe → unsafe": 1}


def test_what_the_votes_of_a_shadow_cost_is_shown(aws: Any, shadow: Send, ask: Ask) -> None:
    shadow("strict")
    own = f"strict@{STRICT.version}"
    amounts = {"safe_unsafe": 1, "cost_usd": make.cast().cost_usd}
    policy = f"gaming@{GAMING.version}"
    for shard in range(2):
        item = ledger.compared("UsageTable", "acme", policy, own, amounts, shard=shard)
        aws.meta.client.transact_write_items(TransactItems=[item])
    assert comparison(ask)["cost_usd"] == "0.00256"


def test_a_shadow_that_cannot_judge_leaves_the_verdict_alone(
    shadow: Send, ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("damn"), "safe", GAMING)
    assert shadow("strict")[0] == 200
    assert ask(name="delete_policy.json", **at("strict"))[0] == 200
    verdict = judge(ask, "damn")
    assert verdict["decision"] == "safe"
    assert "policy_shadow" not in verdict
    _, shown = ask(name="get_policy.json", **at("gaming"))
    assert (shown["shadow"]["policy"], shown["shadow"]["comparison"]) == ("strict", None)


EMBEDDED = panel.packaged("embedded").document()
HEARD = {str(name): {"enabled": False} for name in Category if name not in HEARD_BY_RULES}
"""Categories of a policy that the embedded voters can judge."""


@pytest.fixture
def asking(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Requests to an API whose default panel is `embedded`."""
    monkeypatch.setenv("DEFAULT_PANEL", "embedded")
    reopen(api)
    return ask


def test_a_shadow_that_no_panel_of_its_policy_could_judge_is_refused_when_it_is_put(
    asking: Ask,
) -> None:
    ask = asking
    for name, categories in (
        ("default", HEARD),
        ("heard", HEARD),
        ("gaming", RULES["categories"]),
    ):
        body = {"categories": categories}
        assert ask(body, name="put_policy.json", **at(name))[0] == 200

    def beside(of: str, shadow: str) -> tuple[int, Any]:
        there = {"path": f"/policies/{of}/shadow", "pathParameters": {"name": of}}
        return ask({"policy": shadow}, name="put_policy_shadow.json", **there)

    # Nothing but the default panel judges under `default`.
    status, answer = beside("default", "gaming")
    assert (status, answer["error"]["code"]) == (400, "category_not_covered")
    assert answer["error"]["field"] == "policy"
    assert "no voter on the panel embedded" in answer["error"]["message"]
    assert "shadow" not in ask(name="get_policy.json", **at("default"))[1]
    # A request may name another panel under `heard`, until there is none that could judge both.
    assert beside("heard", "gaming")[0] == 200
    assert beside("gaming", "heard")[0] == 200
    for name in ("default", "economy"):
        put_parameter(f"/quorum/panels/{name}", EMBEDDED | {"name": name})
    status, answer = beside("heard", "gaming")
    assert (status, answer["error"]["code"]) == (400, "category_not_covered")
    assert "no panel that can judge under heard" in answer["error"]["message"]


def test_a_new_version_of_a_shadow_that_no_panel_of_its_policy_could_judge_is_refused(
    asking: Ask,
) -> None:
    ask = asking

    def put(name: str, categories: Any) -> tuple[int, Any]:
        return ask({"categories": categories}, name="put_policy.json", **at(name))

    def beside(of: str, **changes: Any) -> None:
        there = {"path": f"/policies/{of}/shadow", "pathParameters": {"name": of}}
        assert ask(**{"name": "put_policy_shadow.json"} | there | changes)[0] == 200

    for name in ("default", "next"):
        assert put(name, HEARD)[0] == 200
    beside("default", body={"policy": "next"})
    assert put("next", HEARD | {"hate": {"action": "ignore"}})[0] == 200
    status, answer = put("next", RULES["categories"])
    assert (status, answer["error"]["code"]) == (400, "category_not_covered")
    assert answer["error"]["field"] == "categories"
    assert "next could judge nothing as the shadow of default" in answer["error"]["message"]
    # One version as the shadow is not changed by another one, and a shadow taken off by none.
    version = ask(name="get_policy.json", **at("next"))[1]["version"]
    beside("default", body={"policy": f"next@{version}"})
    assert put("next", RULES["categories"])[0] == 200
    assert put("next", HEARD)[0] == 200
    beside("default", body={"policy": "next"})
    beside("default", name="delete_policy_shadow.json")
    assert put("next", RULES["categories"])[0] == 200


def test_a_shadow_is_put_by_operators_only_and_must_be_another_policy(
    shadow: Send, ask: Ask
) -> None:
    assert shadow(role="member")[0] == 403
    for named in ("nobody", "nobody@3f2a9c01b7de", "gaming", f"gaming@{GAMING.version}"):
        status, refused = shadow(named)
        assert (status, refused["error"]["field"]) == (400, "policy"), named
    assert shadow("not a name")[0] == 400
    assert shadow(tenant="other")[0] == 404
    there = {"path": "/policies/gaming/shadow", "pathParameters": {"name": "gaming"}}
    assert ask(name="delete_policy_shadow.json", **there)[0] == 404


def test_without_its_shadow_a_policy_judges_alone_again(
    shadow: Send, ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("damn"), "safe", GAMING)
    shadow(f"milder@{MILDER.version}")
    assert judge(ask, "damn")["policy_shadow"]["decision"] == "safe"
    there = {"path": "/policies/gaming/shadow", "pathParameters": {"name": "gaming"}}
    status, shown = ask(name="delete_policy_shadow.json", **there)
    assert (status, "shadow" in shown) == (200, False)
    assert "policy_shadow" not in judge(ask, "damn")


def test_another_tenants_verdicts_have_no_shadow(
    shadow: Send, ask: Ask, cached: Callable[..., None]
) -> None:
    shadow()
    ask(GAMING.document(), name="put_policy.json", tenant="other", **at("gaming"))
    cached(make.evaluation("damn", tenant="other"), "safe", GAMING)
    _, verdict = ask({"content": "damn", "policy": "gaming"}, tenant="other")
    assert verdict["decision"] == "safe"
    assert "policy_shadow" not in verdict


def test_items_of_the_queue_are_compared_once_however_often_they_are_delivered(
    shadow: Send,
    ask: Ask,
    *,
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], Any],
    context: Any,
    cached: Callable[..., None],
) -> None:
    shadow()
    cached(make.evaluation("one"), "unsafe", GAMING, scores={"hate": 0.9})
    record = event("batch.json")["Records"][0]
    body = json.dumps({"tenant": "acme", "content": "one", "policy": "gaming"})
    within("BatchFunction")
    for _ in range(2):
        reopen(batch)
        answer = batch.handler({"Records": [record | {"body": body}]}, context)
        assert answer == {"batchItemFailures": []}
    items = aws.Table("VerdictsTable").scan()["Items"]
    (stored,) = (json.loads(one["policy_shadow"]) for one in items if "verdict" in one)
    assert stored["decision"] == "safe"
    assert comparison(ask)["changes"] == {"unsafe → safe": 1}


def test_a_shadow_whose_list_blocks_says_so_and_blocks_nothing(
    ask: Ask, shadow: Send, cached: Callable[..., None]
) -> None:
    listing = GAMING.document() | {"lists": {"block": ["damn"]}}
    assert ask(listing, name="put_policy.json", **at("listing"))[0] == 200
    cached(make.evaluation("damn"), "safe", GAMING)
    assert shadow("listing")[0] == 200
    verdict = judge(ask, "damn")
    assert (verdict["decision"], verdict["answered_from"]) == ("safe", "cache")
    assert verdict["policy_shadow"]["decision"] == "unsafe"


def test_a_shadow_has_a_cost_that_is_exact() -> None:
    shown = PolicyShadow(policy="a@b", decision="safe", score=0, cost_usd="0.000000000001")
    assert shown.model_dump(mode="json")["cost_usd"] == "0.000000000001"
