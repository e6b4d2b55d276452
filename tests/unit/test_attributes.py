"""Perspective's attributes, pooled from a panel's votes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.models import Abstention, Attribute, CastVote
from quorum.vote import panel
from quorum.vote.attributes import may_come, pooled
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT, Policy

from tests import make

EMBEDDED, MODELS = panel.packaged("embedded"), panel.packaged("default")


def score(
    *votes: CastVote | Abstention, panel_: Panel = MODELS, policy: Policy = DEFAULT
) -> dict[str, float]:
    return {str(name): value for name, value in pooled(policy, panel_, votes).items()}


def test_embedded_voters_give_their_own_scores_also_where_they_abstain() -> None:
    votes = (
        make.cast("characters", "unsafe", attribute_scores={"toxicity": 0.9, "insult": 0.8}),
        make.abstention("meaning", "unlike_training", attribute_scores={"toxicity": 0.5}),
        make.abstention("rules", "nothing_found"),
    )
    found = score(*votes, panel_=EMBEDDED)
    assert found == {"toxicity": pytest.approx(0.7), "insult": 0.8}


def test_a_vote_of_an_embedded_voter_without_scores_says_nothing() -> None:
    vote = make.cast("rules", "unsafe", confidence=0.96, scores={"harassment": 0.96})
    assert score(vote, panel_=EMBEDDED) == {}


@pytest.mark.parametrize(
    ("decision", "scores", "toxicity"),
    [
        ("unsafe", {"harassment": 0.9}, 0.9),
        ("unsafe", {}, 0.9),
        ("unsafe", {"self-harm": 0.9}, 0.0),
        ("unsafe", {"illicit": 0.8, "hate": 0.2}, 0.9),
        ("safe", {}, 0.1),
        ("needs_review", {"harassment": 0.4}, 0.5),
    ],
)
def test_toxicity_is_how_probable_a_model_makes_hostile_content(
    decision: str, scores: dict[str, float], toxicity: float
) -> None:
    found = score(make.cast("gpt-4.1", decision, confidence=0.9, scores=scores))
    assert found["toxicity"] == pytest.approx(toxicity)


def test_a_policy_that_ignores_a_category_does_not_change_what_the_voter_said() -> None:
    vote = make.cast("gpt-4.1", "safe", decision_cast="unsafe", scores={"harassment": 0.9})
    assert score(vote)["toxicity"] == pytest.approx(0.9)


def test_categories_become_the_attributes_that_mean_them_and_no_others() -> None:
    scores = {"harassment": 0.7, "hate": 0.2, "hate/threatening": 0.6, "sexual": 0.1}
    found = score(make.cast("gpt-4.1", "unsafe", confidence=0.9, scores=scores))
    assert found == {
        "toxicity": pytest.approx(0.9),
        "identity_attack": 0.6,
        "insult": 0.7,
        "threat": 0.6,
        "sexually_explicit": 0.1,
    }


def test_a_model_that_was_asked_and_named_nothing_says_zero() -> None:
    assert score(make.cast("gpt-4.1", "safe", confidence=1.0)) == {
        "toxicity": 0.0,
        **dict.fromkeys(("identity_attack", "insult", "threat", "sexually_explicit"), 0.0),
    }


def test_a_model_says_nothing_of_a_category_that_it_was_not_asked_about() -> None:
    off = {"categories": {name: {"enabled": False} for name in ("sexual", "harassment")}}
    policy = Policy.model_validate({"name": "own", **off})
    found = score(make.cast("gpt-4.1", "safe"), policy=policy)
    assert found.keys() == {"toxicity", "identity_attack", "threat"}
    guard = make.cast("gpt-4.1", "unsafe", covers=("hate",), scores={"hate": 0.9})
    assert score(guard).keys() == {"toxicity", "identity_attack"}


def test_a_vote_for_unsafe_without_scores_says_nothing_but_toxicity() -> None:
    assert score(make.cast("gpt-4.1", "unsafe")).keys() == {"toxicity"}


def test_voters_of_another_panel_and_abstentions_add_nothing() -> None:
    assert score(make.cast("characters", "unsafe", attribute_scores={"toxicity": 0.9})) == {}
    assert score(make.abstention("gpt-4.1")) == {}


def test_scores_are_weighted_as_the_panel_weighs_its_voters() -> None:
    weights = MODELS.rule.weights  # type: ignore[union-attr] # its rule is weighted
    votes = [
        make.cast("gemini-2.5-flash", "unsafe", confidence=1.0, scores={"harassment": 1.0}),
        make.cast("deepseek-v3.2", "safe", confidence=1.0),
    ]
    whole = weights["gemini-2.5-flash"] + weights["deepseek-v3.2"]
    expected = weights["gemini-2.5-flash"] / whole
    assert score(*votes)["insult"] == pytest.approx(expected)


@given(st.permutations(range(3)), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_no_order_of_votes_changes_a_score(order: list[int], scores: list[float]) -> None:
    votes = [
        make.cast(voter, "unsafe", attribute_scores={"threat": scores[index]})
        for index, voter in enumerate(EMBEDDED.voters)
    ]
    expected = score(*votes, panel_=EMBEDDED)
    assert score(*(votes[index] for index in order), panel_=EMBEDDED) == expected
    assert min(scores) <= expected["threat"] <= max(scores)


@pytest.mark.parametrize(
    ("attribute", "vote", "comes"),
    [
        (Attribute.TOXICITY, make.abstention("gpt-4.1", "throttled"), True),
        (Attribute.PROFANITY, make.abstention("gpt-4.1", "throttled"), False),
        (Attribute.PROFANITY, make.abstention("meaning", "failed"), True),
        (Attribute.TOXICITY, make.abstention("meaning", "language_unknown"), False),
        (Attribute.TOXICITY, make.cast("gpt-4.1"), False),
    ],
)
def test_an_attribute_may_come_later_only_from_a_voter_that_failed_and_could_speak_of_it(
    attribute: Attribute, vote: CastVote | Abstention, *, comes: bool
) -> None:
    assert may_come(attribute, [vote]) is comes
