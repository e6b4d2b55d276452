"""A tenant's own policies, through the handlers: put, in force, rolled back, kept by batches."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from quorum.aws.versions import VersionedDocuments
from quorum.core import registry
from quorum.core.errors import PreconditionFailed, StoreUnavailable
from quorum.core.models import Category, Content, Context, Decision
from quorum.ledger import ledger, listing
from quorum.vote import panel
from quorum.vote.evaluation import AggregateRequest, VoteRequest
from quorum.vote.policies import POLICY, Policies, PolicyVersions
from quorum.vote.policy import DEFAULT, Policy, reference_of

from functions.aggregate import app as aggregate
from functions.api import app as api
from functions.batch import app as batch
from functions.vote_embedded import app as vote_embedded
from tests import make
from tests.clock import Clock
from tests.functions.conftest import Ask, Faults, reopen
from tests.functions.test_panels import put as put_parameter
from tests.unit.test_panels import voting

RULES: dict[str, Any] = {
    "instructions": "Players may curse at the game, never at each other.",
    "categories": {
        "gambling_ads": {"definition": "advertisements for gambling"},
        "harassment": {"action": "ignore"},
    },
}
GAMING = Policy.model_validate({"name": "gaming"} | RULES)
OWN_DEFAULT = GAMING.model_copy(update={"name": "default"})

HEARD_BY_RULES = registry.model("rules").categories

Put = Callable[..., tuple[int, Any]]


@pytest.fixture
def put(ask: Ask) -> Put:
    """Put a policy as an operator."""

    def send(body: Any = RULES, name: str = "gaming", **changes: Any) -> tuple[int, Any]:
        return ask(body, name="put_policy.json", **at(name), **{"role": "operator"} | changes)

    return send


def at(name: str) -> dict[str, Any]:
    return {"path": f"/policies/{name}", "pathParameters": {"name": name}}


def test_a_policy_that_was_put_is_shown_and_listed_with_who_put_it(put: Put, ask: Ask) -> None:
    status, shown = put()
    assert (status, shown["version"], shown["in_force"]) == (200, GAMING.version, True)
    assert shown["policy"] == GAMING.document()
    (first,) = shown["history"]
    assert (first["version"], first["by"]) == (GAMING.version, "operator")
    assert ask(name="get_policy.json", **at("gaming"))[1] == shown
    _, listed = ask(name="get_policies.json")
    assert [(one["name"], one["source"]) for one in listed["policies"]] == [
        ("default", "packaged"),
        ("gaming", "tenant"),
    ]


def test_a_policy_that_newer_code_put_is_left_out_of_the_list_of_the_others(
    put: Put, ask: Ask, aws: Any
) -> None:
    put()
    table = aws.Table("PoliciesTable")
    (item,) = [one for one in table.scan()["Items"] if one["entry"].startswith("policy#")]
    del item["by"]
    table.put_item(Item=item | {"entry": "policy#newer"})
    _, listed = ask(name="get_policies.json")
    assert "newer" not in [one["name"] for one in listed["policies"]]
    assert len(listed["policies"]) == 2


def test_no_tenant_sees_or_uses_anothers_policy(put: Put, ask: Ask) -> None:
    put()
    assert ask(name="get_policy.json", tenant="other", **at("gaming"))[0] == 404
    _, listed = ask(name="get_policies.json", tenant="other")
    assert [one["name"] for one in listed["policies"]] == ["default"]
    for named in ("gaming", reference_of(GAMING)):
        status, answer = ask({"content": "a text", "policy": named}, tenant="other")
        assert (status, answer["error"]["code"]) == (400, "invalid_policy")


def test_the_packaged_policy_is_shown_as_it_could_be_put(put: Put, ask: Ask) -> None:
    _, shown = ask(name="get_policy.json", **at("default"))
    assert (shown["source"], shown["version"]) == ("packaged", DEFAULT.version)
    assert put(shown["policy"], "copy")[1]["version"] == DEFAULT.version


def test_a_policy_is_put_by_operators_only(put: Put, ask: Ask) -> None:
    assert put(role="member")[0] == 403
    status, _ = ask(name="delete_policy.json", role="member", **at("gaming"))
    assert status == 403


def test_a_change_that_was_written_for_another_version_is_refused(put: Put) -> None:
    put()
    other = RULES | {"instructions": "Nobody may curse."}
    status, answer = put(other, headers={"If-Match": '"000000000000"'})
    assert (status, answer["error"]["code"]) == (412, "policy_changed")
    assert answer["error"]["limit"] == GAMING.version
    assert put(other, headers={"If-Match": f'"{GAMING.version}"'})[0] == 200
    assert put(other, "new", headers={"If-Match": "*"})[0] == 412


def test_a_bad_policy_is_refused_with_field_and_limit(put: Put) -> None:
    status, answer = put({"instructions": "x" * 8001})
    assert (status, answer["error"]["field"], answer["error"]["limit"]) == (
        400,
        "instructions",
        8000,
    )
    status, answer = put({"categories": {"gambling": {}}})
    assert (status, answer["error"]["field"]) == (400, "categories.gambling.definition")
    # Clients take "." and ".." out of a path, and commands take "-x" for an option.
    for name in ("no spaces", ".", "..", "-x", ".hidden", "a" * 65):
        assert put(RULES, name)[0] == 400, name
    assert put(RULES, "política")[0] == 400


@pytest.fixture
def judged(ask: Ask, cached: Callable[..., None]) -> Callable[..., Any]:
    """The verdict on a text that every voter calls unsafe for harassment, under any policy."""

    def judge(tenant: str = "acme", **fields: Any) -> Any:
        for policy in (DEFAULT, GAMING):
            for whose in ("acme", "other"):
                cached(
                    make.evaluation("a text", tenant=whose),
                    "unsafe",
                    policy,
                    scores={"harassment": 0.9},
                )
        status, verdict = ask({"content": "a text"} | fields, tenant=tenant)
        assert status == 200, verdict
        return verdict

    return judge


def test_a_tenants_own_default_judges_its_content_at_once_and_no_other_tenants(
    put: Put, judged: Callable[..., Any]
) -> None:
    assert judged()["decision"] == "unsafe"
    put(RULES, "default")
    verdict = judged()
    assert (verdict["decision"], verdict["policy"]) == ("safe", "default")
    assert verdict["policy_version"] == OWN_DEFAULT.version
    assert judged(tenant="other")["decision"] == "unsafe"
    assert judged(policy="default@packaged")["decision"] == "unsafe"


def test_an_earlier_version_that_is_put_again_judges_again(
    put: Put, ask: Ask, judged: Callable[..., Any]
) -> None:
    put(RULES)
    put(RULES | {"categories": {}, "instructions": DEFAULT.instructions})
    assert judged(policy="gaming")["decision"] == "unsafe"
    earlier = {"queryStringParameters": {"version": GAMING.version}}
    _, shown = ask(name="get_policy.json", **at("gaming"), **earlier)
    assert not shown["in_force"]
    _, back = put(shown["policy"])
    assert [one["version"] for one in back["history"]] == [
        GAMING.version,
        DEFAULT.version,
        GAMING.version,
    ]
    assert judged(policy="gaming")["decision"] == "safe"


def test_a_deleted_policy_is_not_in_force_and_its_versions_judge_on(
    put: Put, ask: Ask, judged: Callable[..., Any]
) -> None:
    put()
    status, deleted = ask(name="delete_policy.json", role="operator", **at("gaming"))
    assert (status, deleted["in_force"]) == (200, False)
    assert ask(name="get_policy.json", **at("gaming"))[0] == 404
    status, answer = ask({"content": "a text", "policy": "gaming"})
    assert (status, answer["error"]["field"]) == (400, "policy")
    assert judged(policy=reference_of(GAMING))["decision"] == "safe"
    assert ask(name="delete_policy.json", role="operator", **at("gaming"))[0] == 404


def test_what_was_put_last_and_by_whom_is_shown_of_a_deleted_policy_and_can_be_put_again(
    put: Put, ask: Ask
) -> None:
    last = {"queryStringParameters": {"version": "last"}}
    assert ask(name="get_policy.json", **at("gaming"), **last)[0] == 404
    assert ask(name="get_policy.json", **at("default"), **last)[1]["source"] == "packaged"
    put({"mode": "detect_only"})
    put()
    ask(name="delete_policy.json", role="operator", **at("gaming"))
    status, shown = ask(name="get_policy.json", **at("gaming"), **last)
    assert (status, shown["version"], shown["in_force"]) == (200, GAMING.version, False)
    versions = [one["version"] for one in shown["history"]]
    assert (versions[0], versions[1], len(versions)) == (None, GAMING.version, 3)
    assert ask(name="get_policy.json", tenant="other", **at("gaming"), **last)[0] == 404
    assert put(shown["policy"])[1]["version"] == GAMING.version
    assert ask(name="get_policy.json", **at("gaming"), **last)[1]["in_force"]


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ('{"mode": "enforce", "mode": "detect_only"}', "mode"),
        ('{"categories": {"hate": {"threshold": 1, "threshold": 0}}}', "threshold"),
        ('{"categories": {"hate": {}, "hate": {"enabled": false}}}', "hate"),
        (f'{{"{"x" * 65}": 1, "{"x" * 65}": 1}}', "x" * 64 + "…"),
    ],
)
def test_a_policy_that_says_the_same_name_twice_is_refused_with_the_name(
    put: Put, ask: Ask, raw: str, named: str
) -> None:
    for refused in (
        put(None, raw=raw),
        ask(raw=f'{{"texts": ["a text"], "policy": {raw}}}', name="post_policy_trial.json"),
    ):
        assert (refused[0], refused[1]["error"]["code"]) == (400, "name_repeated")
        assert refused[1]["error"]["field"] == named
        assert refused[1]["error"]["message"].startswith(f"{named}: stands twice")
    assert ask(name="get_policy.json", **at("gaming"))[0] == 404


def test_a_panel_that_cannot_speak_of_the_policys_categories_is_refused(put: Put, ask: Ask) -> None:
    put()
    status, answer = ask({"content": "a text", "policy": "gaming", "panel": "embedded"})
    assert (status, answer["error"]["code"]) == (400, "invalid_panel")
    assert "a category of the policy gaming" in answer["error"]["message"]


def test_a_default_policy_that_the_default_panel_cannot_judge_is_refused_when_it_is_put(
    put: Put, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_PANEL", "embedded")
    reopen(api)
    own = {"categories": {"gambling_ads": {"definition": "advertisements for gambling"}}}
    status, answer = put(own, "default")
    assert (status, answer["error"]["code"]) == (400, "category_not_covered")
    assert answer["error"]["field"] == "categories.harassment/threatening"
    only = {str(name): {"enabled": False} for name in Category if name not in HEARD_BY_RULES}
    status, answer = put({"categories": own["categories"] | only}, "default")
    assert (status, answer["error"]["field"]) == (400, "categories.gambling_ads")
    assert "no voter on the panel embedded can judge it" in answer["error"]["message"]
    assert ask(name="get_policy.json", **at("default"))[1]["source"] == "packaged"
    assert put({"categories": only}, "default")[0] == 200
    assert put(own, "gaming")[0] == 200  # a request may name it with another panel
    put_parameter("/quorum/tenants/acme/panels/embedded", voting("embedded"))
    assert put(own, "default")[0] == 200
    assert put(own, "default", tenant="other")[0] == 400


def test_where_the_panels_cannot_be_read_only_a_policy_that_any_panel_can_judge_is_put(
    put: Put, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    monkeypatch.setenv("DEFAULT_PANEL", "embedded")
    reopen(api)
    faults.operations.add("GetParameter")
    assert put(RULES)[0] == 503
    assert put({"mode": "detect_only"}, "default")[0] == 200
    faults.operations.clear()
    faults.operations.add("GetParametersByPath")
    reopen(api)
    assert put(RULES)[0] == 503


def test_a_policy_that_no_panel_of_the_tenant_can_judge_is_refused_when_it_is_put(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_PANEL", "embedded")
    reopen(api)
    for name in ("default", "economy"):
        embedded = panel.packaged("embedded").document() | {"name": name}
        put_parameter(f"/quorum/panels/{name}", embedded)
    put_parameter("/quorum/panels/broken", "no JSON")
    put_parameter("/quorum/tenants/other/panels/own", voting("own"))
    status, answer = put(RULES)
    assert (status, answer["error"]["code"]) == (400, "category_not_covered")
    assert "no panel of yours" in answer["error"]["message"]
    assert put(RULES, tenant="other")[0] == 200
    assert put({"mode": "detect_only"})[0] == 200  # nothing that a voter would have to be told
    put_parameter("/quorum/panels/own", voting("own"))
    assert put(RULES)[0] == 200


def test_a_batch_keeps_the_version_that_was_in_force_when_it_was_handed_in(
    put: Put, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = boto3.client("sqs").create_queue(QueueName="items")["QueueUrl"]
    monkeypatch.setenv("ITEMS_QUEUE", queue)
    reopen(api)
    put()
    items = [
        {"content": "one"},
        {"content": "two", "policy": "default"},
        {"content": "", "id": "x"},
    ]
    status, taken = ask({"items": items, "policy": "gaming"}, name="post_batch.json")
    assert status == 202, taken
    put(RULES | {"instructions": "Nobody may curse."})
    sent = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    policies = {
        one["content"]: one["policy"] for one in (json.loads(sent_["Body"]) for sent_ in sent)
    }
    assert policies == {"one": reference_of(GAMING), "two": "default@packaged"}
    _, view = ask(
        name="get_batch.json",
        path=f"/batches/{taken['id']}",
        pathParameters={"batch_id": taken["id"]},
    )
    assert view["policy"] == reference_of(GAMING)


def test_the_queue_judges_by_the_policy_that_a_message_names(
    put: Put,
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], Any],
    context: Any,
    cached: Callable[..., None],
) -> None:
    put()
    within("BatchFunction")
    reopen(batch)
    cached(make.evaluation("one"), "unsafe", GAMING, scores={"harassment": 0.9})
    record = event("batch.json")["Records"][0]
    body = json.dumps({"tenant": "acme", "content": "one", "policy": "gaming"})
    answer = batch.handler({"Records": [record | {"body": body}]}, context)
    assert answer == {"batchItemFailures": []}
    items = aws.Table("VerdictsTable").scan()["Items"]
    (stored,) = (json.loads(item["verdict"]) for item in items if "verdict" in item)
    assert (stored["decision"], stored["policy_version"]) == ("safe", GAMING.version)


def test_the_aggregate_tallies_by_the_policy_that_the_evaluation_refers_to(
    put: Put, within: Callable[[str], None], context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    within("AggregateFunction")
    reopen(aggregate)
    monkeypatch.setattr(aggregate, "time", lambda: make.NOW + 2)
    evaluation = make.evaluation(policy=reference_of(GAMING))
    votes = tuple(
        make.cast(voter, scores={"gambling_ads": 0.9}) for voter in evaluation.panel.voters
    )
    request = AggregateRequest(evaluation=evaluation, votes=votes, voters=(), round=1)
    verdict = aggregate.handler(request.model_dump(mode="json"), context)["verdict"]
    assert (verdict["decision"], verdict["policy_version"]) == ("unsafe", GAMING.version)
    assert "gambling_ads 0.90 ≥ 0.50" in verdict["reason"]


def test_an_evaluation_carries_no_policy_but_its_reference() -> None:
    event = VoteRequest(evaluation=make.evaluation(policy=reference_of(GAMING)))
    assert GAMING.instructions not in event.model_dump_json()


def test_a_tenant_has_a_limited_number_of_policies(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorum.vote.policies.POLICY", POLICY._replace(limit=1))
    assert put()[0] == 200
    status, answer = put(RULES, "another")
    assert (status, answer["error"]["code"], answer["error"]["limit"]) == (
        400,
        "too_many_policies",
        1,
    )
    assert put(RULES | {"description": "changed"})[0] == 200


def test_a_block_entry_settles_the_verdict_without_asking_anybody(put: Put, ask: Ask) -> None:
    put(RULES | {"lists": {"block": ["Lucky7"], "review": ["dice"]}})
    status, verdict = ask({"content": "win at LUCKY7!", "policy": "gaming"})
    assert status == 200, verdict
    assert (verdict["decision"], verdict["action"], verdict["answered_from"]) == (
        "unsafe",
        "block",
        "list",
    )
    assert verdict["list_hit"] == {"list": "block", "entry": "Lucky7"}
    assert verdict["reason"] == "the policy's block list has 'Lucky7'"
    assert (verdict["votes"], verdict["calls"], verdict["cost_usd"]) == ([], 0, "0")
    _, verdict = ask({"content": "my dice", "policy": "gaming"})
    assert (verdict["decision"], verdict["action"]) == ("needs_review", "review")


def test_a_policy_that_only_detects_judges_and_allows(
    put: Put, ask: Ask, cached: Callable[..., None], aws: Any
) -> None:
    put({"mode": "detect_only"}, "trial")
    cached(make.evaluation("a text"), "unsafe")
    _, verdict = ask({"content": "a text", "policy": "trial"})
    assert (verdict["decision"], verdict["action"]) == ("unsafe", "allow")
    # It is stored as any verdict is, and counted by what was found, not by what came of it.
    there = {"path": f"/verdicts/{verdict['id']}", "pathParameters": {"verdict_id": verdict["id"]}}
    assert ask(name="get_verdict.json", **there)[1]["action"] == "allow"
    assert decisions(aws) == {"safe": 0, "unsafe": 1, "needs_review": 0}
    _, verdict = ask({"content": "a text"})
    assert (verdict["decision"], verdict["action"]) == ("unsafe", "block")
    assert decisions(aws) == {"safe": 0, "unsafe": 2, "needs_review": 0}


def decisions(aws: Any) -> dict[str, int]:
    """The tenant's decisions of today, as they are counted."""
    found = listing.counter(
        aws.meta.client, "UsageTable", ledger.decisions_key(ledger.today(), "acme")
    )
    return {str(one): int(found.get(str(one), 0)) for one in Decision}


def test_the_voter_rules_does_not_see_what_is_allowed(
    put: Put, within: Callable[[str], None], context: Any
) -> None:
    put({"lists": {"allow": ["fucking machines"]}}, "band")
    _, view = put({"lists": {"allow": ["fucking machines"]}}, "band")
    within("RulesFunction")
    reopen(vote_embedded)
    for text, policy, kind in (
        ("fucking machines", f"band@{view['version']}", "abstention"),
        ("fucking machines", "default@packaged", "vote"),
        ("you fucking idiot", f"band@{view['version']}", "vote"),
    ):
        evaluation = make.evaluation(
            content=Content(text=text, language="en"), policy=policy, panel_name="embedded"
        )
        event = VoteRequest(evaluation=evaluation).model_dump(mode="json")
        assert vote_embedded.rules(event, context)["kind"] == kind, (text, policy)


@pytest.fixture
def attempt(ask: Ask) -> Put:
    """Try a policy as an operator."""

    def send(body: Any, name: str = "gaming", **changes: Any) -> tuple[int, Any]:
        there = {"path": f"/policies/{name}/try", "pathParameters": {"name": name}}
        return ask(body, name="post_policy_trial.json", **there, **{"role": "operator"} | changes)

    return send


def test_a_trial_says_what_would_change_and_what_it_would_cost(
    attempt: Put, ask: Ask, cached: Callable[..., None], aws: Any
) -> None:
    for policy in (DEFAULT, GAMING):
        cached(make.evaluation("a text"), "unsafe", policy, scores={"harassment": 0.9})
        cached(make.evaluation("another"), "safe", policy)
    status, trial = attempt({"policy": RULES, "texts": ["a text", "another"]})
    assert status == 200, trial
    assert trial["after"] == reference_of(GAMING)
    assert trial["changed"] == 1
    assert [(one["index"], one["before"], one["after"]) for one in trial["tried"]] == [
        (0, "unsafe", "safe"),
        (1, "safe", "safe"),
    ]
    assert trial["cost_usd"] == "0"
    assert float(trial["per_thousand_usd_after"]) > 0
    # Nothing is in force, and nothing was recorded.
    assert ask(name="get_policy.json", **at("gaming"))[0] == 404
    # but for the documents that a verdict can be computed anew with
    assert [
        item for item in aws.Table("VerdictsTable").scan()["Items"] if "document" not in item
    ] == []


def test_a_policy_is_tried_on_a_text_in_its_context(
    attempt: Put, cached: Callable[..., None]
) -> None:
    context = Context(parent="my last boss")
    within = make.evaluation(content=Content(text="kill it", language="en", context=context))
    cached(within, "safe")
    cached(within, "unsafe", policy=GAMING)
    text = {"content": "kill it", "context": {"parent": "my last boss"}}
    _, trial = attempt({"policy": RULES, "texts": ["kill it", text]})
    # There are votes for the text in its context only, and no voter answers here.
    assert [one["after"] for one in trial["tried"]] == ["needs_review", "unsafe"]
    bad = {"content": "kill it", "context": {"parent": ""}}
    status, refused = attempt({"policy": RULES, "texts": ["a text", bad]})
    assert (status, refused["error"]["field"]) == (400, "texts.1.context.parent")
    status, refused = attempt({"policy": RULES, "texts": [""]})
    assert (status, refused["error"]["field"]) == (400, "texts.0")


def test_a_verdict_is_tried_on_its_own_votes_where_only_their_counting_differs(
    attempt: Put, ask: Ask, cached: Callable[..., None]
) -> None:
    cached(make.evaluation("a text"), "unsafe", scores={"harassment": 0.9})
    _, verdict = ask({"content": "a text"})
    milder = {"categories": {"harassment": {"action": "needs_review"}}}
    _, trial = attempt({"policy": milder, "verdict_ids": [verdict["id"], "nobody"]})
    one, other = trial["tried"]
    assert (one["verdict_id"], one["before"], one["after"]) == (
        verdict["id"],
        "unsafe",
        "needs_review",
    )
    assert other["skipped"] == "there is no such verdict"
    assert trial["per_thousand_usd_after"] is None
    _, trial = attempt({"policy": RULES, "verdict_ids": [verdict["id"]]})
    said = "its content is no longer stored, and the policies ask voters different things"
    assert trial["tried"][0]["skipped"] == said
    assert attempt({"policy": milder, "verdict_ids": [verdict["id"]]}, tenant="other")[1]["tried"][
        0
    ]["skipped"]


@pytest.mark.parametrize(
    "body", [{}, {"texts": ["x"] * 51}, {"texts": ["x"] * 30, "verdict_ids": ["y"] * 30}]
)
def test_a_trial_has_a_limit(attempt: Put, body: Any) -> None:
    assert attempt(body)[0] == 400
    assert attempt({"texts": ["x"]}, role="member")[0] == 403


def test_a_calibrated_panel_says_under_which_policy_its_scores_are_probabilities(
    put: Put, ask: Ask
) -> None:
    put({"lists": {"block": ["lucky7"]}}, "listed")
    _, verdict = ask({"content": "lucky7", "policy": "listed", "panel": "economy"})
    assert verdict["calibrated"] is True
    put(RULES | {"lists": {"block": ["lucky7"]}}, "default")
    _, verdict = ask({"content": "lucky7", "panel": "economy"})
    assert verdict["calibrated"] is False
    _, listed = ask(name="get_panels.json")
    shown = {one["name"]: one.get("calibrated") for one in listed["panels"]}
    assert shown == {"default": None, "economy": False, "embedded": False}
    _, verdict = ask({"content": "lucky7"})
    assert "calibrated" not in verdict


@pytest.fixture
def reader(aws: Any, clock: Clock) -> Policies:
    """Another function's view of the policies, which reads them again after a minute."""
    versions = PolicyVersions(aws, "PoliciesTable")
    return Policies(aws, "PoliciesTable", versions, seconds=60, clock=clock)


def test_another_function_sees_a_new_version_when_it_reads_again(
    put: Put, reader: Policies, clock: Clock
) -> None:
    assert reader.chosen("acme") is DEFAULT
    put(RULES, "default")
    clock.now += 59.9
    assert reader.chosen("acme") is DEFAULT
    clock.now += 0.2
    assert reader.chosen("acme").version == GAMING.version


def test_a_policy_judges_on_as_the_version_it_was_put_as_after_a_release_that_asks_otherwise(
    put: Put, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = put()[1]["version"]
    monkeypatch.setattr("quorum.vote.reply.PARSER_VERSION", "of the next release")
    reopen(api)
    shown = ask({}, name="get_policy.json", **at("gaming"))[1]
    assert (shown["version"], shown["in_force"]) == (version, True)
    found = api.app().policies.chosen("acme", "gaming")
    assert reference_of(found) == f"gaming@{version}"
    assert api.app().policies.of("acme", reference_of(found)) == found
    assert found.asked_version != GAMING.asked_version
    changed = RULES | {"mode": "detect_only"}
    assert put(changed, headers={"If-Match": f'"{version}"'})[0] == 200


def test_a_kept_policy_that_a_release_no_longer_takes_is_refused_with_the_reason(
    put: Put, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    monkeypatch.setattr("quorum.vote.policy.TOLD_LIMIT", 100)
    reopen(api)
    for status, answer in (
        ask({"content": "a text", "policy": "gaming"}),
        ask({}, name="get_policy.json", **at("gaming")),
    ):
        assert (status, answer["error"]["code"]) == (400, "invalid_policy")
        assert "another release" in answer["error"]["message"]


def test_a_version_that_was_read_is_not_read_again(
    put: Put, reader: Policies, faults: Faults
) -> None:
    put()
    first = reader.of("acme", reference_of(GAMING))
    faults.fail("GetItem")
    assert reader.of("acme", reference_of(GAMING)) is first
    with pytest.raises(StoreUnavailable):
        reader.of("other", reference_of(GAMING))


def test_a_known_policy_stays_where_the_table_cannot_be_read_and_no_other_is_guessed(
    put: Put, reader: Policies, clock: Clock, faults: Faults
) -> None:
    put(RULES, "default")
    known = reader.chosen("acme")
    faults.fail("GetItem")
    clock.now += 61.0
    assert reader.chosen("acme") is known
    with pytest.raises(StoreUnavailable):
        reader.chosen("other")


def test_of_two_that_change_a_policy_at_the_same_moment_one_is_refused(
    put: Put, reader: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    found = reader.view("acme", "gaming").version
    put(RULES | {"instructions": "Nobody may curse."})
    # As if the other had been put after this one had looked.
    monkeypatch.setattr(VersionedDocuments, "current", lambda _self, _tenant, _name: found)
    with pytest.raises(PreconditionFailed):
        reader.put("acme", GAMING, "ada", expected=None, now=datetime.now(UTC))
