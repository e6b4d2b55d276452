"""The quality sample: who is drawn, and what follows for all from those that were."""

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.core.models import Decision, Verdict
from quorum.vote import quality_sample
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT, Policy
from quorum.vote.quality_sample import (
    QualitySample,
    Sampled,
    drawn_probability,
    estimated,
    is_drawn,
    probability_of,
    sampled_with,
    wilson,
)

from tests import make


def verdict(decision: str = "safe", **changes: Any) -> Verdict:
    evaluation = make.evaluation()
    scores = changes.pop("scores", {})
    votes = [
        make.cast(voter, decision, confidence=1.0, scores=scores)
        for voter in evaluation.panel.voters
    ]
    found = conclude_at_once(evaluation, votes, DEFAULT, now=make.NOW)
    return found.model_copy(update=changes)


def test_the_highest_share_that_applies_counts() -> None:
    sample = QualitySample(share=0.02, categories={"hate": 0.5, "violence": 0.01})
    assert probability_of(verdict(), sample) == 0.02
    assert probability_of(verdict("unsafe", scores={"hate": 0.9}), sample) == 0.5
    assert probability_of(verdict("unsafe", scores={"violence": 0.9}), sample) == 0.02


@pytest.mark.parametrize("answered_from", ["review", "list"])
def test_only_what_a_panel_decided_alone_by_votes_is_drawn(answered_from: str) -> None:
    every = QualitySample(share=1.0)
    assert drawn_probability(verdict(), every) == 1.0
    assert drawn_probability(verdict(answered_from=answered_from), every) is None
    undecided = verdict(decision="needs_review")
    assert undecided.decision is Decision.NEEDS_REVIEW
    assert drawn_probability(undecided, every) is None


@given(st.uuids(), st.floats(0, 1))
def test_the_same_verdict_is_drawn_again_and_by_every_higher_probability(
    name: Any, probability: float
) -> None:
    drawn = is_drawn(name.hex, probability)
    assert is_drawn(name.hex, probability) is drawn
    assert is_drawn(name.hex, 1.0)
    assert not is_drawn(name.hex, 0.0)
    if drawn:
        assert is_drawn(name.hex, (probability + 1) / 2)


def test_about_the_share_that_was_asked_for_is_drawn() -> None:
    drawn = sum(is_drawn(f"verdict-{number}", 0.05) for number in range(20_000))
    assert 850 < drawn < 1_150  # five standard deviations of 31 around 1,000


def test_a_share_so_small_that_one_verdict_stands_for_too_many_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"at least 0\.0001"):
        QualitySample(share=0.00001)
    assert QualitySample(share=0.0).share == 0.0


def test_a_policy_has_a_sample_of_its_own_and_another_version_with_it() -> None:
    sampled = Policy(name="default", quality_sample=QualitySample(share=0.1))
    assert sampled.asked_version == DEFAULT.asked_version
    assert sampled.version != DEFAULT.version
    assert Policy(name="default").version == DEFAULT.version


@given(st.lists(st.floats(0.0001, 1.0), max_size=20))
def test_what_is_stored_of_a_sample_is_read_again(probabilities: list[float]) -> None:
    sampled = sum(map(sampled_with, probabilities), Sampled())
    stored = quality_sample.stored(Decision.UNSAFE, sampled)
    assert quality_sample.read(stored, Decision.UNSAFE) == sampled
    assert quality_sample.read(stored, Decision.SAFE) == Sampled()
    # DynamoDB keeps 38 digits of a number.
    assert all(len(Decimal(value).as_tuple().digits) <= 38 for value in stored.values())


def test_the_weights_make_up_for_unequal_probabilities() -> None:
    """1,000 verdicts of two kinds, one drawn ten times as often and wrong far more often."""
    often, seldom = 0.5, 0.05
    wrong = [
        sum([sampled_with(often)] * 20, Sampled()),
        sum([sampled_with(seldom)] * 1, Sampled()),
    ]
    every = [
        sum([sampled_with(often)] * 100, Sampled()),
        sum([sampled_with(seldom)] * 40, Sampled()),
    ]
    found = estimated(sum(wrong, Sampled()), sum(every, Sampled()))
    assert found is not None
    assert found.share == pytest.approx((20 * 2 + 1 * 20) / 1_000)
    assert found.low < found.share < found.high


def test_the_interval_has_the_true_share_in_it_about_as_often_as_it_says() -> None:
    seeded = random.Random(7)
    population = [
        (0.3 if seeded.random() < 0.2 else 0.05, seeded.random() < 0.08) for _ in range(4_000)
    ]
    truth = sum(is_wrong for _, is_wrong in population) / len(population)
    held, shares = 0, []
    for _ in range(200):
        drawn = [one for one in population if seeded.random() < one[0]]
        every = sum((sampled_with(one[0]) for one in drawn), Sampled())
        wrong = sum((sampled_with(one[0]) for one in drawn if one[1]), Sampled())
        found = estimated(wrong, every)
        assert found is not None
        held += found.low <= truth <= found.high
        shares.append(found.share)
    assert held >= 180
    assert sum(shares) / len(shares) == pytest.approx(truth, abs=0.005)


@pytest.mark.parametrize(
    ("wrong", "of", "low", "high"),
    [(0, 50, 0.0, 7.13), (3, 100, 1.03, 8.45), (6, 200, 1.38, 6.39), (30, 1000, 2.11, 4.25)],
)
def test_the_interval_is_the_published_one(wrong: int, of: int, low: float, high: float) -> None:
    found = wilson(wrong / of, of)
    assert (100 * found[0], 100 * found[1]) == pytest.approx((low, high), abs=0.005)


def test_without_a_sample_there_is_no_estimate() -> None:
    assert estimated(Sampled(), Sampled()) is None
