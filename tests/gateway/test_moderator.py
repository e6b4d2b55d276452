"""Moderation in this process, against the stand-in for the gateway."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from quorum.core import registry
from quorum.core.errors import InvalidRequest, PanelInvalid
from quorum.core.models import CastVote, Content
from quorum.gateway.client import Gateway
from quorum.vote.policy import DEFAULT, Policy

from fakes.gateway import Fault, RecordedVotes, Scenario, running
from quorum_moderator import AskedAt, Moderator

if TYPE_CHECKING:
    from quorum_client import Progress

GatewayOf = Callable[..., Gateway]
SAFE = {"gemini-2.5-flash": "safe", "deepseek-v3.2": "safe", "gpt-4.1": "safe"}
TEXTS = {
    "all say safe": SAFE,
    "all say unsafe": dict.fromkeys(SAFE, "unsafe"),
    "they disagree": SAFE | {"gemini-2.5-flash": "unsafe"},
}
MINE = {
    "name": "own",
    "rounds": [["mine"]],
    "stop": "all",
    "quorum": 1,
    "rule": {"kind": "majority"},
}


def test_the_third_voter_is_asked_only_where_it_could_change_the_verdict_and_the_cost_is_exact(
    gateway: GatewayOf,
) -> None:
    with running(Scenario(), recorded=RecordedVotes(TEXTS)) as there:
        moderator = Moderator("default", gateway=gateway(there))
        agreed, disagreed = map(moderator.moderate, ("all say unsafe", "they disagree"))
        assert (agreed.decision, agreed.calls, agreed.rounds) == ("unsafe", 2, 1)
        assert (disagreed.calls, disagreed.rounds) == (3, 2)
        assert agreed.cost_usd + disagreed.cost_usd == there.count.cost_usd > 0
    assert agreed.answered_from == "panel"
    assert agreed.policy_version == DEFAULT.version


def test_everyone_is_asked_at_once_where_all_votes_are_wanted(gateway: GatewayOf) -> None:
    with running(Scenario(), recorded=RecordedVotes(TEXTS)) as there:
        moderator = Moderator("default", gateway=gateway(there), everyone=True)
        verdict = moderator.moderate("all say safe")
    assert [vote.voter for vote in verdict.votes] == list(moderator.panel.voters)
    assert (verdict.decision, verdict.rounds) == ("safe", 1)


def test_contents_of_a_pack_are_asked_about_together_and_cost_what_the_calls_cost(
    gateway: GatewayOf,
) -> None:
    with running(Scenario(), recorded=RecordedVotes(TEXTS)) as there:
        moderator = Moderator("default", gateway=gateway(there), everyone=True)
        verdicts = moderator.judge_pack([Content(text=text) for text in TEXTS])
        assert there.count.requests == len(SAFE)
        assert sum(one.cost_usd for one in verdicts) == there.count.cost_usd > 0
    assert [one.decision for one in verdicts] == ["safe", "unsafe", "needs_review"]
    votes = [vote for one in verdicts for vote in one.votes]
    assert {vote.packed for vote in votes if isinstance(vote, CastVote)} == {len(TEXTS)}


def test_a_pack_whose_reply_is_no_list_of_votes_is_asked_about_one_by_one(
    gateway: GatewayOf,
) -> None:
    with running(
        Scenario(script=(Fault.MALFORMED,) * len(SAFE)), recorded=RecordedVotes(TEXTS)
    ) as there:
        moderator = Moderator("default", gateway=gateway(there), everyone=True)
        verdicts = moderator.judge_pack([Content(text=text) for text in TEXTS])
        assert there.count.requests == len(SAFE) * (1 + len(TEXTS))
        assert sum(one.cost_usd for one in verdicts) == there.count.cost_usd
    assert [one.decision for one in verdicts] == ["safe", "unsafe", "needs_review"]


def test_many_texts_come_back_in_order_with_their_exact_cost(gateway: GatewayOf) -> None:
    told: list[Progress] = []
    texts = [*TEXTS, "", *TEXTS] * 4
    with running(Scenario(), recorded=RecordedVotes(TEXTS)) as there:
        moderator = Moderator("default", gateway=gateway(there))
        many = moderator.moderate_many(texts, concurrency=6, progress=told.append)
        assert many.report.total_cost_usd == there.count.cost_usd == told[-1].cost_usd
    found = [one.verdict.decision if one.verdict else str(one.error) for one in many]
    assert found[:3] == ["safe", "unsafe", found[2]]
    assert found == found[:7] * 4
    assert "content" in found[3]
    assert many.report.decisions["error"] == 4
    assert many.report.errors == {"invalid_content": 4}
    each = many.report.cost_per_decision_usd
    assert each is not None
    assert abs(each * 24 - many.report.total_cost_usd) < Decimal("1e-9")


def test_a_voter_that_fails_abstains_with_its_reason_and_the_others_decide(
    gateway: GatewayOf,
) -> None:
    missing = Scenario(missing_models=("deepseek-v3.2",))
    with running(missing, recorded=RecordedVotes(TEXTS)) as there:
        verdict = Moderator("default", gateway=gateway(there)).moderate("all say unsafe")
    reasons = {vote.voter: vote.reason for vote in verdict.votes if vote.kind == "abstention"}
    assert reasons == {"deepseek-v3.2": "gateway_rejected"}
    assert verdict.decision == "unsafe"


def test_a_gateway_that_is_down_leaves_the_text_to_a_person(gateway: GatewayOf) -> None:
    down = Scenario(rates={Fault.SERVER_ERROR: 1.0})
    with running(down) as there:
        verdict = Moderator("default", gateway=gateway(there), voting_seconds=5).moderate("a text")
    assert verdict.decision == "needs_review"
    assert all(vote.kind == "abstention" for vote in verdict.votes)


def test_a_gateway_may_be_named_by_its_url() -> None:
    with (
        running(Scenario(keys={"sk-1": "me"}), recorded=RecordedVotes(TEXTS)) as there,
        Moderator("default", gateway=there.base_url, key="sk-1") as moderator,
    ):
        assert moderator.moderate("all say safe").decision == "safe"


def test_a_model_that_is_not_packaged_is_asked_at_its_own_gateway(gateway: GatewayOf) -> None:
    model = registry.model("gpt-4.1").model_copy(update={"name": "mine"})
    with running(Scenario(), recorded=RecordedVotes(TEXTS)) as there:
        models = {"mine": AskedAt(model, gateway(there))}
        verdict = Moderator(MINE, models=models).moderate("all say unsafe")
    (vote,) = verdict.votes
    assert isinstance(vote, CastVote)
    assert (vote.voter, vote.decision) == ("mine", "unsafe")


def test_embedded_and_gateway_voters_vote_together(gateway: GatewayOf) -> None:
    text = "You are a worthless idiot and everybody here hates you."
    with running(Scenario()) as there:
        moderator = Moderator("economy", gateway=gateway(there), everyone=True)
        verdict = moderator.moderate(text)
    assert {vote.voter for vote in verdict.votes} == set(moderator.panel.voters)
    assert verdict.language == "en"


def test_a_list_settles_a_text_and_nobody_is_asked(gateway: GatewayOf) -> None:
    policy = Policy.model_validate(
        DEFAULT.model_dump(by_alias=True) | {"name": "own", "lists": {"block": ["gambl*"]}}
    )
    with running(Scenario()) as there:
        verdict = Moderator("default", policy, gateway(there)).moderate("gambling for all")
        assert there.count.cost_usd == 0
    assert (verdict.decision, verdict.answered_from) == ("unsafe", "list")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"text": ""}, "content"),
        ({"text": "x" * 32_769}, "content"),
        ({"text": "hello", "language": "klingon-!"}, "language"),
        ({"text": "hello", "context": {"parent": ""}}, "context.parent"),
        ({"text": "hello", "wrong": 1}, "wrong"),
    ],
)
def test_what_the_api_would_refuse_is_refused_by_field(options: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Moderator("embedded").moderate(**options)
    assert refused.value.field == field


@pytest.mark.parametrize("panel", ["default", "no such panel", {"name": "bad", "rounds": []}, MINE])
def test_a_panel_that_cannot_vote_is_refused_at_once(panel: Any) -> None:
    with pytest.raises(PanelInvalid):
        Moderator(panel)


def test_it_needs_nothing_of_aws() -> None:
    code = """
import sys
sys.modules.update(dict.fromkeys(("boto3", "botocore", "aws_lambda_powertools")))
from quorum_moderator import Moderator
verdict = Moderator("embedded").moderate("You are a worthless idiot and everybody hates you.")
assert verdict.decision == "unsafe", verdict
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
