"""Recalibration on labels: what is fitted, what it makes of a panel, and what it would change."""

import math
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.core.models import Decision, Review
from quorum.review import recalibration as module
from quorum.review.recalibration import (
    LEAST_LABELS,
    NotCalibrated,
    Scale,
    TooFewLabels,
    effective,
    recalibration,
    scaled,
)
from quorum.vote.panel import Panel, packaged
from quorum.vote.reviews import Label
from quorum.vote.tally import tally

from tests import make
from tests.unit.test_event_changes import verdict

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAMES = ("ada", "bob")


def panel(intercept: float = 0.0, **changed: Any) -> Panel:
    """Two voters, asked in two rounds, and a language of its own."""
    evidence = {"unsafe": 0.2, "safe": -0.2, "slope": 1.0}
    return Panel.model_validate(
        {
            "name": "guard",
            "rounds": [["ada"], ["bob"]],
            "stop": "risk",
            "risk": [0.05],
            "quorum": 1,
            "thresholds": {"unsafe": 0.8, "safe": 0.8},
            "rule": {
                "kind": "calibrated",
                "stages": [
                    {
                        "bias": intercept,
                        "evidence": {"ada": evidence},
                        "languages": {"ko": {"bias": intercept + 0.5}},
                    },
                    {
                        "bias": intercept,
                        "evidence": {"ada": evidence, "bob": evidence},
                        "pairs": [{"voters": ["ada", "bob"], "unsafe": 0.4, "safe": -0.3}],
                    },
                ],
            },
        }
        | changed
    )


TRUE = panel()
DRIFTED = panel(intercept=2.0)
"""The panel in force, which thinks everything more unsafe than it is."""


class Content:
    """A content: its votes, whether it is unsafe, and what the drifted panel says."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        confidence = [chance.uniform(0.5, 0.98) for _ in NAMES]
        said = [chance.choice(["safe", "unsafe"]) for _ in NAMES]
        self.votes = tuple(
            make.cast(name, Decision(one), confidence=sure, cost_usd=Decimal("0.001"))
            for name, one, sure in zip(NAMES, said, confidence, strict=True)
        )
        # The truth is what a calibrated panel would say of both votes.
        self.unsafe = chance.random() < tally(TRUE, self.votes, final=True).score
        self.outcome = tally(DRIFTED, self.votes, final=True)

    def label(self, weight: float = 1.0, **changed: Any) -> Label:
        gold = Decision.UNSAFE if self.unsafe else Decision.SAFE
        review = Review(decision=gold, reviewer="ada", reviewed_at=NOW)
        fields = {"id": f"{self.number:032x}", "votes": self.votes, "metadata": {}} | changed
        return Label(
            verdict=verdict(**fields),
            content=None,
            reviews=(review,),
            count=1,
            weight=weight,
            first_seen=NOW,
            last_seen=NOW,
        )


_CHANCE = random.Random(5)
POPULATION = [Content(number, _CHANCE) for number in range(1600)]
SHARE = 0.2
"""Share of what the panel decided that is drawn."""


def drawn(seed: int) -> list[Label]:
    """The labels of a queue that is worked off, with a quality sample of what was decided."""
    chance = random.Random(seed)
    return [
        one.label(1.0 if undecided else 1 / SHARE)
        for one in POPULATION
        if (undecided := one.outcome.decision is Decision.NEEDS_REVIEW) or chance.random() < SHARE
    ]


@pytest.fixture(scope="module")
def samples() -> list[module.Recalibration]:
    """What is found on samples of labels."""
    return [recalibration(DRIFTED, drawn(seed)) for seed in range(8)]


@pytest.fixture(scope="module")
def everything() -> module.Recalibration:
    """What is found when all verdicts are labelled."""
    return recalibration(DRIFTED, [one.label() for one in POPULATION])


def test_a_drifted_panel_gets_its_probabilities_back(everything: module.Recalibration) -> None:
    assert everything.intercept == pytest.approx(-2.0, abs=0.15)
    assert everything.slope == pytest.approx(1.0, abs=0.1)
    better = everything.changes["accuracy"].change
    assert better.low > 0
    wrong = sum(
        (tally(everything.panel, one.votes, final=True).score >= 0.5) != one.unsafe
        for one in POPULATION
    )
    assert wrong < 0.9 * sum((one.outcome.score >= 0.5) != one.unsafe for one in POPULATION)


def test_weights_make_the_fit_of_a_sample_that_of_all_verdicts_on_average(
    everything: module.Recalibration, samples: list[module.Recalibration]
) -> None:
    mean = math.fsum(one.intercept for one in samples) / len(samples)
    assert mean == pytest.approx(everything.intercept, abs=0.1)
    for figure in ("accuracy", "decided_accuracy", "review_rate", "let_through"):
        for side in ("before", "after"):
            values = [getattr(one.changes[figure], side).value for one in samples]
            truth = getattr(everything.changes[figure], side).value
            assert math.fsum(values) / len(values) == pytest.approx(truth, abs=0.02), figure
    alike = [label.model_copy(update={"weight": 1.0}) for label in drawn(0)]
    reviewed = recalibration(DRIFTED, alike).changes["review_rate"].before.value
    assert reviewed > everything.changes["review_rate"].before.value + 0.1, "a plain mean is biased"


def test_intervals_of_changes_hold_the_truth_nearly_always(
    everything: module.Recalibration, samples: list[module.Recalibration]
) -> None:
    held = [
        one.change.low <= everything.changes[name].change.value <= one.change.high
        for sample in samples
        for name, one in sample.changes.items()
        if name != "cost_per_1000_usd"
    ]
    assert sum(held) >= 0.85 * len(held)


def test_the_same_labels_in_any_order_propose_the_same() -> None:
    labels = drawn(1)[:250]
    shuffled = random.Random(2).sample(labels, len(labels))
    assert recalibration(DRIFTED, labels) == recalibration(DRIFTED, shuffled)


_VOTES = st.tuples(
    *(
        st.tuples(st.sampled_from(list(Decision)), st.floats(min_value=0.5, max_value=0.99))
        for _ in NAMES
    )
)


@settings(max_examples=30, deadline=None)
@given(
    said=_VOTES,
    intercept=st.floats(min_value=-3, max_value=3),
    slope=st.floats(min_value=module.LEAST_SLOPE, max_value=module.MOST_SLOPE),
    language=st.sampled_from([None, "ko", "de"]),
    heard=st.integers(min_value=1, max_value=2),
)
def test_the_score_of_a_scaled_panel_is_the_scaled_score(
    said: Any, intercept: float, slope: float, language: str | None, heard: int
) -> None:
    votes = [
        make.cast(name, decision, confidence=sure)
        for name, (decision, sure) in zip(NAMES, said, strict=True)
    ][:heard]
    odds = [
        math.log(score / (1 - score))
        for one in (DRIFTED, scaled(DRIFTED, Scale(intercept, slope)))
        if 0 < (score := tally(one, votes, language, final=True).score) < 1
    ]
    assert odds[1] == pytest.approx(intercept + slope * odds[0], abs=0.02)


def test_what_calibration_chose_stays() -> None:
    kept = panel(escalates=["ada"], reviewed_languages=["hi"], default_language="en")
    new = scaled(kept, Scale(0.5, 0.9))
    assert new.version != kept.version
    for field in ("rounds", "risk", "quorum", "thresholds", "escalates", "reviewed_languages"):
        assert getattr(new, field) == getattr(kept, field)
    assert scaled(kept, module.UNCHANGED).version == kept.version


def test_a_packaged_panel_fits_into_a_parameter_when_it_is_recalibrated() -> None:
    new = scaled(packaged("economy"), Scale(-0.1234567, 0.987654))
    assert len(new.model_dump_json(exclude_defaults=True)) < 8192


def test_votes_that_the_new_panel_would_ask_for_and_nobody_has_leave_it_to_a_person() -> None:
    sure = [one for one in POPULATION[:900] if one.votes[0].confidence > 0.9]
    found = recalibration(
        DRIFTED, [one.label(votes=one.votes[: 1 + (one.number % 3 == 0)]) for one in sure]
    )
    assert 0 < found.unheard < found.changes["review_rate"].after.value + 1e-6
    assert found.changes["cost_per_1000_usd"].after.value > 1.0


def test_what_would_be_decided_otherwise_is_counted_by_both_decisions(
    everything: module.Recalibration,
) -> None:
    assert everything.flips["unsafe → needs_review"] > 0
    assert all(0 < share < 1 for share in everything.flips.values())


def test_few_labels_fit_nothing_and_a_panel_without_probabilities_neither() -> None:
    labels = [one.label() for one in POPULATION]
    with pytest.raises(TooFewLabels, match="90 labels"):
        recalibration(DRIFTED, labels[:90])
    with pytest.raises(TooFewLabels, match="of each kind"):
        recalibration(DRIFTED, [one.label() for one in POPULATION if one.unsafe])
    heavy = [label.model_copy(update={"weight": 10_000.0}) for label in labels[:3]]
    with pytest.raises(TooFewLabels, match="count as 3"):
        recalibration(DRIFTED, [*labels[3 : LEAST_LABELS + 3], *heavy])
    with pytest.raises(NotCalibrated, match="weighted"):
        recalibration(packaged("default"), labels)


def test_labels_left_open_or_without_votes_of_the_panel_count_nowhere() -> None:
    labels = [one.label() for one in POPULATION[:500]]
    open_ = Review(decision=Decision.NEEDS_REVIEW, reviewer="ada", reviewed_at=NOW)
    others = [
        labels[0].model_copy(update={"reviews": (*labels[0].reviews, open_)}),
        POPULATION[0].label(votes=(make.cast("cyd", "unsafe"),)),
        POPULATION[1].label(votes=()),
    ]
    assert recalibration(DRIFTED, [*labels, *others]) == recalibration(DRIFTED, labels)


def test_a_language_with_enough_labels_has_figures_of_its_own() -> None:
    labels = [
        one.label(language="ko" if one.number % 3 else "de" if one.number % 60 else "fr")
        for one in POPULATION[:600]
    ]
    found = recalibration(DRIFTED, labels)
    assert found.by_language.keys() == {"de", "ko"}
    assert found.by_language["ko"]["review_rate"] != found.by_language["de"]["review_rate"]


def test_equal_weights_are_worth_their_number() -> None:
    assert effective([2.0] * 10) == pytest.approx(10)
    assert effective([1.0, 0.0]) == 1.0
    assert effective([]) == 0.0
