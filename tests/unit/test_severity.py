"""The severity of what waits: from the categories of its verdict."""

from typing import Any

import pytest
from quorum.core.models import Verdict
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT
from quorum.vote.severity import Severity, severity_of, suspected_in

from tests import make


def verdict(decision: str = "needs_review", **scores: float) -> Verdict:
    evaluation = make.evaluation()
    named = {name.replace("__", "/").replace("_", "-"): score for name, score in scores.items()}
    votes = [make.cast(voter, decision, scores=named) for voter in evaluation.panel.voters]
    return conclude_at_once(evaluation, votes, DEFAULT, now=make.NOW)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (verdict(self_harm__intent=0.6), Severity.CRITICAL),
        (verdict("safe", sexual__minors=0.5), Severity.CRITICAL),
        (verdict("unsafe", harassment=0.9), Severity.HIGH),
        (verdict("unsafe"), Severity.HIGH),
        (verdict("needs_review", harassment=0.1), Severity.LOW),
        (verdict("safe"), Severity.LOW),
    ],
)
def test_a_severity_follows_from_the_gravest_category(found: Verdict, expected: Severity) -> None:
    assert severity_of(found) is expected


def test_a_category_that_one_voter_suspects_and_the_panel_does_not_flag_is_of_medium_severity() -> (
    None
):
    found = verdict("safe").model_copy(update={"categories": {"hate": 0.5, "violence": 0.49}})
    assert suspected_in(found) == ("hate",)
    assert severity_of(found) is Severity.MEDIUM


def test_severities_are_listed_the_gravest_first() -> None:
    words: list[Any] = [str(severity) for severity in Severity]
    assert words == ["critical", "high", "medium", "low"]
