"""Suggested scores on moto: they become labels, and decide nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from quorum.core.models import Content

from tests import make
from tests.functions.conftest import Ask

SUGGEST, LIST = "suggest_comment_score.json", "get_suggestions.json"


def suggest(ask: Ask, text: str, value: float = 1.0, **more: Any) -> tuple[int, Any]:
    scores = {"TOXICITY": {"summaryScore": {"value": value}}}
    body = {"comment": {"text": text}, "attributeScores": scores, "languages": ["en"]} | more
    role = body.pop("role", "member")
    query = {"panel": "embedded", "key": "qk_1"}
    return ask(body, name=SUGGEST, role=role, queryStringParameters=query)


def suggested(ask: Ask, **how: Any) -> list[dict[str, Any]]:
    status, page = ask(name=LIST, **how)
    assert status == 200, page
    found: list[dict[str, Any]] = page["suggestions"]
    return found


def test_a_suggestion_is_a_label_with_the_votes_on_its_text(
    ask: Ask, cached: Callable[..., None]
) -> None:
    content = Content(text="You are an idiot.", language="en")
    cached(make.evaluation(panel_name="embedded", content=content), "safe")
    status, answer = suggest(ask, "You are an idiot.", clientToken="comment:1")
    assert status == 200
    assert answer == {
        "clientToken": "comment:1",
        "detectedLanguages": ["en"],
        "requestedLanguages": ["en"],
    }
    (label,) = suggested(ask)
    assert (label["content"], label["language"]) == ("You are an idiot.", "en")
    assert (label["decision"], label["scores"]) == ("unsafe", {"TOXICITY": 1.0})
    assert label["verdict"]["decision"] == "safe"
    assert len(label["verdict"]["votes"]) == 3


def test_a_text_that_was_not_judged_is_a_label_without_votes_and_nobody_is_asked(
    ask: Ask, faults: Any
) -> None:
    assert suggest(ask, "never seen")[0] == 200
    (label,) = suggested(ask)
    assert label["verdict"] is None
    assert "StartSyncExecution" not in faults.requests


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ({"TOXICITY": {"summaryScore": {"value": 0}}}, "safe"),
        ({"TOXICITY": {"summaryScore": {"value": 0.5, "type": "PROBABILITY"}}}, "unsafe"),
        (
            {"INSULT": {"summaryScore": {"value": 0.1}}, "THREAT": {"summaryScore": {"value": 1}}},
            "unsafe",
        ),
        (
            {
                "TOXICITY": {
                    "spanScores": [
                        {"begin": 0, "end": 2, "score": {"value": 0.1}},
                        {"begin": 3, "end": 5, "score": {"value": 0.9}},
                    ]
                }
            },
            "unsafe",
        ),
        ({"FLIRTATION": {"summary_score": {"value": 0.2, "type": None}}}, "safe"),
    ],
)
def test_scores_from_a_half_on_suggest_unsafe(ask: Ask, scores: Any, decision: str) -> None:
    assert suggest(ask, "a text", attributeScores=scores)[0] == 200
    (label,) = suggested(ask)
    assert label["decision"] == decision


def test_the_latest_suggestion_on_a_text_counts(ask: Ask) -> None:
    for value in (1.0, 0.0):
        suggest(ask, "the same", value)
    suggest(ask, "another", 1.0)
    found = {label["content"]: label["decision"] for label in suggested(ask)}
    assert found == {"the same": "safe", "another": "unsafe"}


def test_a_suggestion_answers_no_text_and_leaves_reviews_alone(ask: Ask) -> None:
    given = {"content": "a text", "language": "en", "panel": "embedded"}
    _, before = ask(given)
    suggest(ask, "a text", 1.0, role="operator")
    _, after = ask(given)
    assert after["answered_from"] != "review"
    assert after["decision"] == before["decision"] == "needs_review"
    _, waiting = ask(name="get_reviews.json")
    assert [one["verdict_id"] for one in waiting["reviews"]] == [before["id"]]


def test_suggestions_are_listed_to_their_tenants_operators_only_page_by_page(ask: Ask) -> None:
    for index in range(3):
        suggest(ask, f"text {index}")
    assert suggested(ask, tenant="other") == []
    status, refused = ask(name=LIST, role="member")
    assert (status, refused["error"]["code"]) == (403, "scope_missing")
    _, first = ask(name=LIST, queryStringParameters={"limit": "2"})
    _, second = ask(name=LIST, queryStringParameters={"limit": "2", "next": first["next"]})
    texts = [label["content"] for page in (first, second) for label in page["suggestions"]]
    assert texts == ["text 0", "text 1", "text 2"]
    status, refused = ask(name=LIST, queryStringParameters={"next": "x"})
    assert (status, refused["error"]["code"]) == (400, "invalid_next")


def test_a_label_that_has_expired_is_not_listed(ask: Ask, aws: Any) -> None:
    suggest(ask, "a text")
    table = aws.Table("VerdictsTable")
    (item,) = [found for found in table.scan()["Items"] if "suggestion" in found]
    assert "a text" in item["suggestion"]
    table.put_item(Item=item | {"expires_at": 1})
    assert suggested(ask) == []


def test_a_text_as_coral_sends_it_is_taken(ask: Ask) -> None:
    body = {
        "comment": {"text": "You are an idiot."},
        "context": {"entries": [{"text": json.dumps({"articleTitle": "News"})}]},
        "attributeScores": {"TOXICITY": {"summaryScore": {"value": 1}}},
        "languages": ["en"],
        "communityId": "Coral:https://news.example.com",
        "clientToken": "comment:0f9c",
    }
    status, answer = ask(body, name=SUGGEST)
    assert (status, answer["clientToken"]) == (200, "comment:0f9c")


SUMMARY = {"TOXICITY": {"summaryScore": {"value": 1}}}
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no scores": ({"attributeScores": {}}, "INVALID_REQUEST", "attributeScores"),
    "scores of none": ({"attributeScores": {"TOXICITY": {}}}, "INVALID_REQUEST", "summaryScore"),
    "an unknown attribute": (
        {"attributeScores": {"RUDENESS": SUMMARY["TOXICITY"]}},
        *("INVALID_REQUEST", "Unknown requested attribute: RUDENESS"),
    ),
    "a score over 1": (
        {"attributeScores": {"TOXICITY": {"summaryScore": {"value": 2}}}},
        *("INVALID_REQUEST", "at most 1"),
    ),
    "a span without its end": (
        {"attributeScores": {"TOXICITY": {"spanScores": [{"begin": 0, "score": {"value": 1}}]}}},
        *("INVALID_REQUEST", "end"),
    ),
    "no text": ({"comment": {"text": ""}}, "COMMENT_EMPTY", "non-empty"),
    "a long text": ({"comment": {"text": "x" * 20_481}}, "COMMENT_TOO_LONG", "20480"),
    "a field of the other method": ({"doNotStore": True}, "INVALID_REQUEST", "doNotStore"),
}


@pytest.mark.parametrize(("changes", "kind", "says"), BAD.values(), ids=BAD)
def test_a_bad_suggestion_is_refused_in_googles_form(
    ask: Ask, changes: dict[str, Any], kind: str, says: str
) -> None:
    status, answer = suggest(ask, "a text", **changes)
    assert status == 400
    assert answer["error"]["details"][0]["errorType"] == kind
    assert says in answer["error"]["message"]
    assert suggested(ask) == []
