"""The Perspective API's clients on the deployed stack: Google's own, unchanged, and plain REST."""

import re
from typing import Any

import httpx
import pytest
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from quorum.aws.keys import Caller
from quorum.core.models import Content
from quorum.vote.panel import packaged
from quorum.vote.policy import DEFAULT

from local.state import Stack
from tests import make, node
from tests.e2e.conftest import Recorded, says
from tests.template import ROOT

INSULT = "You are a worthless idiot and everybody here hates you."
THANKS = "Thanks for the recipe, my kids loved it."


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.new_key(Caller(tenant="perspective", role="operator"))


@pytest.fixture(scope="module")
def client(stack: Stack, key: str) -> Any:
    """Google's client, unchanged, built from the discovery document."""
    return build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{stack.api}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    )


def asked(text: str, *attributes: str, **more: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {name: {} for name in attributes or ("TOXICITY",)}
    return {"comment": {"text": text}, "requestedAttributes": wanted, "languages": ["en"]} | more


def toxicity(answer: dict[str, Any]) -> float:
    return float(answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"])


def test_googles_client_gets_scores_of_embedded_voters(client: Any) -> None:
    comments = client.comments()
    insult, thanks = (
        comments.analyze(body=asked(text), panel="embedded").execute() for text in (INSULT, THANKS)
    )
    assert toxicity(thanks) < 0.5 < toxicity(insult)
    (span,) = insult["attributeScores"]["TOXICITY"]["spanScores"]
    assert (span["begin"], span["end"]) == (0, len(INSULT))
    assert insult["languages"] == ["en"]


def test_googles_client_reads_errors(client: Any) -> None:
    with pytest.raises(HttpError) as refused:
        client.comments().analyze(body=asked("x", "FLIRTATION")).execute()
    assert refused.value.status_code == 400
    assert refused.value.reason == (
        "Attribute FLIRTATION does not support request languages: en."
        " dropUnsupportedAttributes: true leaves it out"
    )
    (own, *_) = refused.value.error_details
    assert own["languageNotSupportedByAttributeError"]["attribute"] == "FLIRTATION"


def test_the_program_of_the_documentation_runs_in_node(stack: Stack) -> None:
    page = (ROOT / "docs" / "perspective.md").read_text()
    (program,) = re.findall(r"```js\n(.*?)```", page, re.DOTALL)
    own = stack.new_key(Caller(tenant="perspective", scopes=("moderate",), panel="embedded"))
    score = node.run("googleapis@178.0.0", program, API=stack.api, KEY=own)
    assert 0.5 < score < 1


def test_language_models_score_what_their_categories_mean(client: Any, recorded: Recorded) -> None:
    text = says(recorded, "perspective, unsafe", gemini_2_5_flash="unsafe", deepseek_v3_2="unsafe")
    answer = client.comments().analyze(body=asked(text), panel="default").execute()
    assert toxicity(answer) > 0.5
    assert answer["quorum"]["decision"] == "unsafe"


def test_sentences_have_scores_of_their_own_in_utf_16(client: Any) -> None:
    text = f"👍 {THANKS} {INSULT}"
    body = asked(text, spanAnnotations=True)
    # The first texts that are judged at once wait for processes of their own to start.
    asking = client.comments().analyze(body=body, panel="embedded")
    answer = asking.execute(num_retries=3)
    thanks, insult = answer["attributeScores"]["TOXICITY"]["spanScores"]
    encoded = text.encode("utf-16-le")
    assert encoded[2 * insult["begin"] : 2 * insult["end"]].decode("utf-16-le") == INSULT
    assert thanks["score"]["value"] < insult["score"]["value"]


def test_a_bots_flow_of_analyze_threshold_and_feedback(
    stack: Stack, key: str, recorded: Recorded
) -> None:
    """A bot with plain REST: it removes what is over its threshold and tells what was wrong."""
    text = says(recorded, "perspective, a bot", gemini_2_5_flash="unsafe", deepseek_v3_2="unsafe")
    url = f"{stack.api}/v1alpha1/comments:"
    body = asked(text, doNotStore=False)
    answer = httpx.post(f"{url}analyze?key={key}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert toxicity(answer.json()) > 0.5
    suggestion = {
        "comment": {"text": text},
        "context": {"entries": [{"text": '{"articleTitle": "News"}'}]},
        "attributeScores": {"TOXICITY": {"summaryScore": {"value": 0}}},
        "communityId": "Coral:https://news.example.com",
        "clientToken": "comment:1",
    }
    told = httpx.post(f"{url}suggestscore?key={key}", json=suggestion, timeout=60)
    assert (told.status_code, told.json()["clientToken"]) == (200, "comment:1")
    labels = httpx.get(f"{stack.api}/suggestions", headers={"x-api-key": key}, timeout=60).json()
    (label,) = [one for one in labels["suggestions"] if one["content"] == text]
    assert label["decision"] == "safe"
    assert label["verdict"]["decision"] == "unsafe"


def votes_on(stack: Stack, text: str) -> int:
    """How many votes of the panel `default` on a text are cached."""
    content = Content(text=text, language="en")
    keys = {
        make.vote_keys().key("perspective", voter, content, DEFAULT)
        for voter in packaged("default").voters
    }
    found = stack.client("dynamodb").scan(
        TableName=stack.outputs["VotesTable"], ConsistentRead=True
    )["Items"]
    return sum(item["vote_key"]["S"] in keys for item in found)


def test_a_comment_that_must_not_be_stored_leaves_nothing(
    stack: Stack, key: str, recorded: Recorded
) -> None:
    text = says(recorded, "perspective, private", gemini_2_5_flash="needs_review")
    url = f"{stack.api}/v1alpha1/comments:analyze?key={key}"
    answer = httpx.post(url, json=asked(text, doNotStore=True), timeout=60)
    assert answer.status_code == 200, answer.text
    assert "verdict_id" not in answer.json()["quorum"]
    assert votes_on(stack, text) == 0
    stored = stack.client("dynamodb").scan(
        TableName=stack.outputs["VerdictsTable"], ConsistentRead=True
    )
    assert text not in str(stored["Items"])
    costs = httpx.get(f"{stack.api}/costs", headers={"x-api-key": key}, timeout=60).json()
    assert float(costs["totals"]["cost_usd"]) > 0
    assert httpx.post(url, json=asked(text), timeout=60).status_code == 200
    assert votes_on(stack, text) >= 2


@pytest.mark.parametrize(
    ("query", "status", "says_so"),
    [("?key=qk_wrong", 400, "API key not valid"), ("", 403, "unregistered callers")],
)
def test_a_wrong_key_and_none_are_told_as_google_does(
    stack: Stack, query: str, status: int, says_so: str
) -> None:
    url = f"{stack.api}/v1alpha1/comments:analyze{query}"
    answer = httpx.post(url, json=asked("x"), timeout=60)
    assert answer.status_code == status, answer.text
    assert says_so in answer.json()["error"]["message"]
