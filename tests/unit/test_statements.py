"""Statements of reasons: what Article 17 asks for, in each language, and the database's form."""

from datetime import UTC, datetime
from string import Formatter
from typing import Any, get_args

import pytest
from quorum.core.errors import Conflict
from quorum.core.models import (
    Category,
    Decision,
    Disposition,
    ListHit,
    ListName,
    ReusedReview,
    Review,
    Verdict,
)
from quorum.review.statement_texts import SENTENCES, Measure, Sentences, Source, StatementLanguage
from quorum.review.statements import StatementOptions, statement_of
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT

from tests import make

LANGUAGES: tuple[StatementLanguage, ...] = get_args(StatementLanguage)
ENGLISH = SENTENCES["en"]


def verdict(decision: str = "unsafe", **changes: Any) -> Verdict:
    evaluation = make.evaluation("a very particular text")
    scores = changes.pop("scores", {"harassment": 0.9, "hate/threatening": 0.95})
    votes = [
        make.cast(voter, decision, confidence=1.0, scores=scores, reason="so particular")
        for voter in evaluation.panel.voters
    ]
    found = conclude_at_once(evaluation, votes, DEFAULT, now=make.NOW)
    return found.model_copy(update=changes)


def review(decision: str = "unsafe", **changes: Any) -> Review:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return Review(
        decision=Decision(decision), reviewer="ada", reviewed_at=at, note="so particular", **changes
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_sentence_with_the_same_things_to_fill_in(
    language: StatementLanguage,
) -> None:
    sentences = SENTENCES[language]
    assert sentences.measures.keys() == set(get_args(Measure))
    assert sentences.sources.keys() == set(get_args(Source))
    assert sentences.categories.keys() == {str(category) for category in Category}
    for field in Sentences._fields:
        text = getattr(sentences, field)
        if isinstance(text, str):
            assert filled(text) == filled(getattr(ENGLISH, field)), field
            assert text.strip() == text
            assert text


def filled(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_statement_has_measure_facts_means_ground_and_redress_in_its_language(
    language: StatementLanguage,
) -> None:
    sentences = SENTENCES[language]
    found = statement_of(verdict(), StatementOptions(language, "demoted"))
    assert found.measure == sentences.measures["demoted"]
    assert sentences.sources["voluntary"] in found.facts
    assert sentences.categories["hate/threatening"] in found.facts
    assert "2023-11-14" in found.facts
    assert sentences.detected in found.automated_means
    assert "default" in found.ground
    assert found.redress == sentences.redress
    assert found.text.split("\n\n") == [
        *(found.measure, found.facts, found.automated_means, found.ground, found.redress)
    ]
    assert "{" not in found.text


def test_nothing_of_the_content_its_votes_or_its_reviewer_is_in_a_statement() -> None:
    found = statement_of(verdict(review=review()), StatementOptions())
    written = found.model_dump_json()
    assert "particular" not in written
    assert "ada" not in written


def test_the_record_is_one_that_the_transparency_database_takes() -> None:
    options = StatementOptions("ko", "removed", "article_16", ("DE", "FR"))
    record = statement_of(verdict(language="de"), options).transparency_database
    shown = record.model_dump(mode="json")
    assert shown["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    assert shown["decision_ground"] == "DECISION_GROUND_INCOMPATIBLE_CONTENT"
    assert shown["category"] == "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH"
    assert shown["category_addition"] == ["STATEMENT_CATEGORY_CYBER_VIOLENCE"]
    assert shown["category_specification"] == [
        *("KEYWORD_INCITEMENT_VIOLENCE_HATRED", "KEYWORD_CYBER_BULLYING_INTIMIDATION")
    ]
    assert shown["content_type"] == ["CONTENT_TYPE_TEXT"]
    assert shown["source_type"] == "SOURCE_ARTICLE_16"
    assert shown["automated_detection"] == "Yes"
    assert shown["automated_decision"] == "AUTOMATED_DECISION_FULLY"
    assert shown["territorial_scope"] == ["DE", "FR"]
    assert shown["content_language"] == "DE"
    assert shown["application_date"] == shown["content_date"] == "2023-11-14"
    assert "harassment" in shown["incompatible_content_ground"]
    assert shown["puid"] == "verdict-1"
    assert shown["decision_facts"].startswith(ENGLISH.sources["article_16"])


def test_an_id_of_another_form_is_written_as_the_database_takes_it() -> None:
    record = statement_of(verdict(id="a.b:c/d@e"), StatementOptions()).transparency_database
    assert record.puid == "a-b-c-d-e"


@pytest.mark.parametrize(
    ("found", "said", "automated"),
    [
        (verdict(), "by automated means: 3 classifiers", "AUTOMATED_DECISION_FULLY"),
        (
            verdict(list_hit=ListHit(list=ListName.BLOCK, entry="x"), votes=()),
            "an entry of a list",
            "AUTOMATED_DECISION_FULLY",
        ),
        (
            verdict("needs_review", review=review()),
            ENGLISH.by_person,
            "AUTOMATED_DECISION_PARTIALLY",
        ),
        (
            verdict(
                votes=(),
                reused_review=ReusedReview(verdict_id="v", reviewed_at=make.at(make.NOW)),
            ),
            ENGLISH.by_person,
            "AUTOMATED_DECISION_PARTIALLY",
        ),
    ],
    ids=["panel", "list", "person", "reused"],
)
def test_a_statement_says_whether_a_person_decided(
    found: Verdict, said: str, automated: str
) -> None:
    statement = statement_of(found, StatementOptions())
    assert said in statement.automated_means
    assert statement.transparency_database.automated_decision == automated


def test_a_reviewers_categories_take_the_place_of_the_panels() -> None:
    found = statement_of(verdict(review=review(categories=("sexual/minors",))), StatementOptions())
    assert "sexual content about minors" in found.facts
    assert "harassment" not in found.facts
    assert found.transparency_database.category == "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"


def test_a_category_of_a_policys_own_is_named_and_counts_as_another_violation() -> None:
    found = statement_of(verdict(review=review(categories=("gambling_ads",))), StatementOptions())
    assert "gambling_ads" in found.facts
    assert found.transparency_database.category == "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"


@pytest.mark.parametrize(
    "found",
    [
        verdict("safe", scores={}),
        verdict("needs_review", scores={}),
        verdict(review=review("safe")),
        verdict(action=Disposition.ALLOW),
    ],
    ids=["safe", "undecided", "overturned", "detected only"],
)
def test_without_a_restriction_there_are_no_reasons_to_give(found: Verdict) -> None:
    with pytest.raises(Conflict) as refused:
        statement_of(found, StatementOptions())
    assert refused.value.code == "not_restricted"


def test_a_withdrawn_review_leaves_the_panels_decision() -> None:
    found = statement_of(verdict(review=review("needs_review")), StatementOptions())
    assert found.transparency_database.automated_decision == "AUTOMATED_DECISION_FULLY"
