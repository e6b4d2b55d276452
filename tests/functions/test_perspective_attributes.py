"""Perspective's usual attributes from the packaged voters of the panel `embedded`, by language."""

from typing import Any

import pytest
from embedded import characters, meaning, rules
from quorum.app.api import ApiContainer
from quorum.core.models import Abstention, Attribute, CastVote
from quorum.vote import score_coverage
from quorum.vote.evaluation import Evaluation
from quorum.vote.voter import PaidVote
from quorum.vote.voting import vote

from fakes.machine import InProcessMachine
from functions.api import app as api
from tests.functions.conftest import Ask
from tests.world import Serial

ROUTE = "analyze_comment.json"
USUAL = ("TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT")
"""What clients of Perspective ask for together."""
SEVEN = (*USUAL, "SEXUALLY_EXPLICIT")
VOTERS = {rules.VOTER: rules.vote, characters.VOTER: characters.vote, meaning.VOTER: meaning.vote}
ENGLISH = "You fucking idiots, I will find every one of you and cut your throats."
GERMAN = "Ihr seid alle Idioten und ich hasse euch."


@pytest.fixture(autouse=True)
def _packaged(ask: Ask, aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vote machine in this process, with the packaged voters."""
    api.app().dynamodb = Serial(aws)  # type: ignore[assignment] # as boto3's, one call at a time

    def asked(evaluation: Evaluation, voter: str) -> CastVote | Abstention:
        container = api.app()
        policy = container.policy_versions.of(evaluation.tenant, evaluation.policy)
        paid = PaidVote(VOTERS[voter](evaluation.content))
        return vote(evaluation, policy, voter, container.vote_store, lambda: paid)

    def machine(_container: ApiContainer) -> InProcessMachine:
        container = api.app()
        return InProcessMachine(asked, container.verdicts, container.policy_versions)

    monkeypatch.setattr(ApiContainer, "step_functions", property(machine))


def analyze(ask: Ask, text: str, language: str, **more: Any) -> tuple[int, Any]:
    body = {
        "comment": {"text": text},
        "languages": [language],
        "requestedAttributes": {name: {} for name in SEVEN},
    }
    return ask(body, name=ROUTE, queryStringParameters={"panel": "embedded"}, **more)


def test_english_has_all_seven_attributes(ask: Ask) -> None:
    status, answer = analyze(ask, ENGLISH, "en")
    assert status == 200, answer
    severe, thanks = (
        {name: one["summaryScore"]["value"] for name, one in found["attributeScores"].items()}
        for found in (answer, analyze(ask, "Thanks for the recipe, my kids loved it.", "en")[1])
    )
    assert severe.keys() == thanks.keys() == set(SEVEN)
    for name in USUAL:
        assert severe[name] > thanks[name], name
    assert severe["SEVERE_TOXICITY"] > 0.5 > thanks["SEVERE_TOXICITY"]


def test_german_names_what_it_lacks_and_what_to_do(ask: Ask) -> None:
    status, answer = analyze(ask, GERMAN, "de")
    covered = {one.name for one in score_coverage.attributes_in("de")}
    first, *others = [name for name in SEVEN if name not in covered]
    assert status == 400
    assert answer["error"]["message"] == (
        f"Attribute {first} does not support request languages: de. Nor do: {', '.join(others)}."
        " dropUnsupportedAttributes: true leaves them out"
    )


def test_german_is_answered_with_what_there_is_where_the_key_says_so(ask: Ask, event: Any) -> None:
    context = event(ROUTE)["requestContext"]  # API Gateway makes text of what an authorizer says
    context["authorizer"]["drop_unsupported_attributes"] = "true"
    status, answer = analyze(ask, GERMAN, "de", requestContext=context)
    assert status == 200, answer
    assert answer["attributeScores"].keys() == {
        one.name for one in Attribute if one in score_coverage.attributes_in("de")
    }
    assert answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] > 0.5
