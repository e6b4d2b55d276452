"""OpenAI's form of moderations: requests become contents, verdicts become results."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from quorum.core.models import Category, CategoryScore, Decision, Verdict
from quorum.core.rejection import rejection
from quorum.vote import moderations
from quorum.vote.evaluation import conclude_at_once, conclude_without_votes
from quorum.vote.moderations import ModerationRequest, ModerationResult
from quorum.vote.policy import DEFAULT

from tests import make

ALL = {str(category) for category in Category}


def request(given: Any, **more: Any) -> ModerationRequest:
    return ModerationRequest.model_validate({"input": given} | more)


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def verdict(decision: str = "unsafe", **scores: float) -> Verdict:
    """A verdict of three equal votes on a text."""
    evaluation = make.evaluation()
    votes = [
        make.cast(voter, decision, confidence=1.0, scores=scores)
        for voter in evaluation.panel.voters
    ]
    return conclude_at_once(evaluation, votes, DEFAULT, now=make.NOW)


def result(one: Verdict, *, flags_review: bool = False) -> ModerationResult:
    (only,) = moderations.moderation(
        [one], name="modr-1", panel="default", flags_review=flags_review
    ).results
    return only


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("one", ["one"]),
        (["one"], ["one"]),
        (["one", "two", "one"], ["one", "two", "one"]),
        (parts("one"), ["one"]),
        (parts("one", "two"), ["one\ntwo"]),
        ("half an emoji \ud83d", ["half an emoji \ufffd"]),
    ],
)
def test_texts_are_judged_one_by_one_and_parts_together(given: Any, texts: list[str]) -> None:
    assert [content.text for content in request(given).contents()] == texts


@pytest.mark.parametrize(
    ("model", "panel"),
    [
        *((None, "economy"), ("omni-moderation-latest", "economy")),
        *(("omni-moderation-2024-09-26", "economy"), ("text-moderation-stable", "economy")),
        *(("text-moderation-007", "economy"), ("embedded", "embedded")),
        *(("my-text-moderation", "my-text-moderation"), ("gpt-4.1", "gpt-4.1")),
    ],
)
def test_a_model_names_a_panel_and_openais_own_names_mean_the_default_one(
    model: str | None, panel: str
) -> None:
    assert request("x", model=model).panel("economy") == panel


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ("", "input", "at least 1 character"),
        (" \u200b", "input", "visible text"),
        ("x" * 32_769, "input", "32768"),
        (["x", ""], "input.1", "at least 1 character"),
        (["x", "x" * 32_769], "input.1", "32768"),
        ([], "input", "at least 1 entry"),
        (["x"] * 101, "input", "100"),
        (7, "input", "a text, a list of texts, or a list of parts"),
        (None, "input", "a text, a list of texts, or a list of parts"),
        ({"text": "x"}, "input", "a list of parts"),
        ([7], "input.0", "must be a text"),
        ([["x"]], "input.0", "must be a text"),
        ([1212, 318], "input.0", "must be a text"),
        (["x", {"type": "text", "text": "x"}], "input.1", "must be a text"),
        ([*parts("x"), "x"], "input.1", "JSON object"),
        (parts("x") * 101, "input", "100"),
        (parts("x" * 20_000, "y" * 20_000), "input", "32768"),
        ([{"type": "text"}], "input.0.text", "is missing"),
        ([{"type": "audio", "text": "x"}], "input.0.type", "text"),
        (
            [*parts("x"), {"type": "image_url", "image_url": {"url": "https://example.com/a"}}],
            *("input.1.type", "images cannot be judged"),
        ),
    ],
)
def test_a_bad_input_is_refused_by_its_field_and_limit(given: Any, field: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        request(given)
    told = rejection(refused.value)
    assert told.field == field
    assert says in told.message


def test_an_unsafe_verdict_is_flagged_with_its_categories() -> None:
    found = result(verdict(harassment=0.9, hate=0.2))
    assert found.flagged
    assert {name for name, flagged in found.categories.items() if flagged} == {"harassment"}
    assert found.category_scores[Category.HARASSMENT] == pytest.approx(0.9)
    assert found.category_scores[Category.HATE] == pytest.approx(0.2)
    for values in (
        found.categories,
        found.category_scores,
        found.category_applied_input_types,
    ):
        assert {str(name) for name in values} == ALL
    assert found.quorum.decision is Decision.UNSAFE
    assert found.quorum.action == "block"
    assert found.quorum.not_covered == ()


def test_a_safe_verdict_flags_no_category_whatever_its_scores() -> None:
    scores = {"harassment": CategoryScore(score=0.8, threshold=0.5, flagged=True)}
    found = result(verdict("safe").model_copy(update={"category_scores": scores}))
    assert not found.flagged
    assert not any(found.categories.values())
    assert found.category_scores[Category.HARASSMENT] == 0.8


def test_a_category_that_nobody_spoke_of_has_a_score_of_zero_and_is_named() -> None:
    scores = {"hate": CategoryScore(score=0.0, threshold=0.5, flagged=False)}
    found = result(verdict().model_copy(update={"category_scores": scores}))
    assert set(found.quorum.not_covered) == ALL - {"hate"}
    assert found.category_scores[Category.VIOLENCE] == 0
    assert found.category_applied_input_types[Category.VIOLENCE] == ()
    assert found.category_applied_input_types[Category.HATE] == ("text",)


def test_a_policys_own_categories_appear_beside_openais_form_only() -> None:
    own = {"gambling_ads": CategoryScore(score=0.9, threshold=0.7, flagged=True)}
    found = result(verdict().model_copy(update={"category_scores": own}))
    assert found.quorum.categories == own
    assert {str(name) for name in found.categories} == ALL


@pytest.mark.parametrize("flags_review", [True, False])
def test_a_review_is_flagged_where_the_key_says_so_and_says_why(*, flags_review: bool) -> None:
    undecided = conclude_without_votes(
        make.evaluation(), "the machine was down", DEFAULT, now=make.NOW
    )
    found = result(undecided, flags_review=flags_review)
    assert found.flagged is flags_review
    assert found.quorum.decision is Decision.NEEDS_REVIEW
    assert found.quorum.reason == f"{undecided.reason}; the machine was down"
    assert set(found.quorum.not_covered) == ALL


def test_a_text_that_came_twice_costs_once() -> None:
    one = verdict()
    answer = moderations.moderation([one, one], name="modr-1", panel="default", flags_review=False)
    assert [found.quorum.cost_usd for found in answer.results] == [one.cost_usd, Decimal(0)]
    assert one.cost_usd > 0
