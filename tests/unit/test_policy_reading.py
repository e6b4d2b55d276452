"""Votes read through a policy: what counts as cast, as safe, for a person, or not at all."""

from typing import Any

import pytest
from embedded import rules
from hypothesis import given
from hypothesis import strategies as st
from quorum.core import registry
from quorum.core.errors import PanelInvalid
from quorum.core.models import Abstention, CastVote
from quorum.core.registry import VoteFormat
from quorum.vote import panel, score_coverage
from quorum.vote.evaluation import conclude_round
from quorum.vote.policy import DEFAULT, Policy
from quorum.vote.policy_reading import is_calibrated, pooled, read_through, require_covers

from tests import make

VOTERS = ("gpt-4.1", "gemini-2.5-flash", "deepseek-v3.2")
WEIGHTED = panel.packaged("default")
EMBEDDED = panel.packaged("embedded")
GAMING = Policy.model_validate(
    {
        "name": "gaming",
        "instructions": "Players may curse at the game, never at each other.",
        "categories": {
            "gambling_ads": {"definition": "an advertisement for gambling", "threshold": 0.7},
            "harassment": {"action": "ignore"},
            "violence": {"action": "needs_review", "threshold": 0.4},
            "illicit": {"enabled": False},
        },
    }
)


def read(vote: CastVote, policy: Policy = GAMING) -> Any:
    (found,) = read_through(policy, [vote])
    return found


@pytest.mark.parametrize(
    ("scores", "counted"),
    [
        ({"hate": 0.9}, "unsafe"),
        ({"gambling_ads": 0.7}, "unsafe"),
        ({"gambling_ads": 0.69}, "safe"),
        ({"harassment": 0.9}, "safe"),
        ({"illicit": 0.9}, "safe"),
        ({"violence": 0.4}, "needs_review"),
        ({"violence": 0.39}, "safe"),
        ({"violence": 0.9, "harassment": 0.9}, "needs_review"),
        ({"violence": 0.9, "harassment": 0.9, "hate": 0.1}, "unsafe"),
        ({}, "unsafe"),
        ({"harassment": 0.0}, "unsafe"),
    ],
    ids=str,
)
def test_a_vote_for_unsafe_counts_as_its_gravest_category_does(
    scores: dict[str, float], counted: str
) -> None:
    vote = make.cast(scores=scores)
    found = read(vote)
    assert found.decision == counted
    assert found.decision_cast == (None if counted == "unsafe" else "unsafe")
    assert found.scores == vote.scores


@pytest.mark.parametrize("decision", ["safe", "needs_review"])
def test_only_votes_for_unsafe_count_otherwise_than_they_were_cast(decision: str) -> None:
    vote = make.cast(decision=decision, scores={"harassment": 0.9})
    assert read(vote) == vote


@given(
    st.sampled_from(["safe", "unsafe", "needs_review"]),
    st.dictionaries(st.sampled_from(DEFAULT.known), st.floats(0, 1)),
    st.sampled_from([model.name for model in registry.voters()]),
)
def test_under_the_packaged_policy_every_vote_counts_as_cast(
    decision: str, scores: dict[str, float], voter: str
) -> None:
    vote = make.cast(voter, decision, scores=scores)
    assert read(vote, DEFAULT) == vote


def test_an_embedded_voter_without_scores_abstains_from_a_policy_that_it_was_not_told() -> None:
    toxic = {"toxicity": 0.9}
    found = read(make.cast("meaning", "unsafe", cost_usd="0", attribute_scores=toxic))
    assert isinstance(found, Abstention)
    assert found.attribute_scores == toxic
    assert found.reason == "policy_unknown"
    assert found.repeatable
    assert found.detail == "reads no policy; of the packaged one it says unsafe"


def test_an_embedded_voter_does_not_speak_of_a_category_that_the_policy_defines_anew() -> None:
    anew = Policy.model_validate(
        {"name": "anew", "categories": {"hate": {"definition": "hate of a football club"}}}
    )
    assert isinstance(read(make.cast("rules", scores={"hate": 0.9}), anew), Abstention)
    both = read(make.cast("rules", scores={"hate": 0.9, "sexual": 0.8}), anew)
    assert both.scores == {"sexual": 0.8}


def test_an_embedded_voter_votes_under_a_policy_that_only_differs_in_its_words_about_itself() -> (
    None
):
    same = Policy(name="same", description="the packaged one, for trial")
    vote = make.cast("meaning")
    assert read(vote, same) == vote
    assert same.version == DEFAULT.version


def test_the_voter_rules_gives_scores_to_the_categories_that_the_registry_says() -> None:
    of_rules = (rules.KORCEN_LEVELS, rules.SAFETYPE_CATEGORIES)
    named = {category for lists in of_rules for category in lists.values()}
    assert named == set(registry.model("rules").categories)


def test_the_voter_meaning_gives_scores_to_the_categories_that_the_registry_says() -> None:
    assert set(score_coverage.packaged().categories) == set(registry.model("meaning").categories)


STRICT = Policy.model_validate(
    {
        "name": "strict",
        "categories": {
            "hate": {"threshold": 0.7},
            "sexual": {"action": "ignore"},
            "violence": {"action": "needs_review", "threshold": 0.2},
        },
    }
)
COVERED = ("harassment", "hate", "sexual", "violence")
ONLY_COVERED = Policy.model_validate(
    {
        "name": "only_covered",
        "categories": {name: {"enabled": False} for name in DEFAULT.known if name not in COVERED}
        | {"hate": {"threshold": 0.3}},
    }
)


def by_meaning(decision: str, **scores: float) -> CastVote:
    given = dict.fromkeys(COVERED, 0.01) | scores
    return make.cast("meaning", decision, scores=given, covers=COVERED)


@pytest.mark.parametrize(
    ("scores", "counted"),
    [
        ({"hate": 0.8}, "unsafe"),
        ({"hate": 0.6}, None),  # below its threshold: unsafe for what, nobody knows
        ({"harassment": 0.55, "hate": 0.6}, "unsafe"),
        ({"harassment": 0.4, "hate": 0.3}, "unsafe"),  # its highest has no threshold
        ({"sexual": 0.9}, None),  # ignored, and what it does not cover may be unsafe
        ({"violence": 0.3}, "needs_review"),
    ],
)
def test_an_embedded_vote_for_unsafe_follows_thresholds_and_actions_of_a_policy(
    scores: dict[str, float], counted: str | None
) -> None:
    found = read(by_meaning("unsafe", **scores), STRICT)
    assert (found.decision if isinstance(found, CastVote) else None) == counted


def test_an_embedded_vote_is_safe_only_under_a_policy_of_which_it_covers_everything() -> None:
    assert isinstance(read(by_meaning("safe"), STRICT), Abstention)
    assert read(by_meaning("safe"), ONLY_COVERED) == by_meaning("safe")
    assert isinstance(read(by_meaning("safe", hate=0.4), ONLY_COVERED), Abstention)
    told = ONLY_COVERED.model_copy(update={"instructions": "No talk of football."})
    assert isinstance(read(by_meaning("safe"), told), Abstention)
    ignored = read(by_meaning("unsafe", hate=0.2), ONLY_COVERED)
    assert isinstance(ignored, CastVote)
    assert ignored.decision == "safe"


def scores_of(policy: Policy, *votes: CastVote | Abstention) -> dict[str, float]:
    found = pooled(policy, WEIGHTED, votes)
    return {name: one.score for name, one in found.items() if one.score}


def test_a_category_that_a_told_voter_does_not_list_has_its_score_zero() -> None:
    votes = (make.cast("gpt-4.1", scores={"hate": 0.9}), make.cast("deepseek-v3.2", "safe"))
    weights: Any = WEIGHTED.rule
    of = weights.weights
    expected = 0.9 * of["gpt-4.1"] / (of["gpt-4.1"] + of["deepseek-v3.2"])
    assert scores_of(DEFAULT, *votes)["hate"] == pytest.approx(expected)


def test_an_embedded_voter_speaks_only_of_the_categories_that_it_names() -> None:
    votes = (make.cast("rules", scores={"hate": 0.9}), make.cast("meaning"))
    assert {name: one.score for name, one in pooled(DEFAULT, EMBEDDED, votes).items()} == {
        "hate": 0.9
    }


def test_a_category_is_flagged_from_its_threshold_on() -> None:
    flagged = pooled(GAMING, WEIGHTED, [make.cast(scores={"gambling_ads": 0.7, "hate": 0.49})])
    assert flagged["gambling_ads"].flagged
    assert flagged["gambling_ads"].threshold == 0.7
    assert not flagged["hate"].flagged
    assert flagged["hate"].threshold == 0.5
    assert "illicit" not in flagged


ANY_SCORES = st.dictionaries(st.sampled_from(DEFAULT.known[:3]), st.floats(0, 1), max_size=3)
ANY_COVER = st.none() | st.sets(st.sampled_from(DEFAULT.known[:5])).map(
    lambda names: tuple(sorted(names))
)
"""Categories that a guard model judges; None for a voter that judges all."""
ANY_VOTE = st.builds(
    lambda voter, decision, scores, covers: make.cast(
        voter,
        decision,
        covers=covers,
        scores={name: score for name, score in scores.items() if covers is None or name in covers},
    ),
    st.sampled_from((*VOTERS, "rules", "meaning")),
    st.sampled_from(["safe", "unsafe", "needs_review"]),
    ANY_SCORES,
    ANY_COVER,
)


@given(
    st.lists(ANY_VOTE, max_size=6).flatmap(
        lambda votes: st.tuples(st.just(votes), st.permutations(votes))
    )
)
def test_pooled_scores_are_the_same_in_any_order(votes: Any) -> None:
    one, other = votes
    assert pooled(DEFAULT, WEIGHTED, one) == pooled(DEFAULT, WEIGHTED, other)


@given(st.lists(ANY_VOTE, max_size=5), st.sampled_from(VOTERS))
def test_an_abstention_adds_nothing_to_any_score(votes: list[CastVote], voter: str) -> None:
    with_it: list[CastVote | Abstention] = [make.abstention(voter), *votes]
    assert pooled(DEFAULT, WEIGHTED, with_it) == pooled(DEFAULT, WEIGHTED, votes)


@given(st.lists(ANY_VOTE, min_size=1, max_size=5), st.data())
def test_a_higher_score_of_a_vote_lowers_no_pooled_score(
    votes: list[CastVote], data: st.DataObject
) -> None:
    first, *others = votes
    if not first.scores:
        return
    name = data.draw(st.sampled_from(sorted(first.scores)))
    higher = data.draw(st.floats(first.scores[name], 1))
    raised = first.model_copy(update={"scores": first.scores | {name: higher}})
    before = pooled(DEFAULT, WEIGHTED, votes)
    after = pooled(DEFAULT, WEIGHTED, [raised, *others])
    assert before.keys() == after.keys()
    assert all(after[each].score >= before[each].score for each in before)


@given(st.lists(ANY_VOTE, max_size=5), st.data())
def test_a_category_that_no_vote_covers_is_not_in_the_pooled_scores_and_no_other_score_is_changed(
    votes: list[CastVote], data: st.DataObject
) -> None:
    covers = data.draw(st.sets(st.sampled_from(DEFAULT.known[:5]), min_size=1))
    alone = make.cast("gpt-4.1", "safe", covers=tuple(sorted(covers)))
    assert set(pooled(DEFAULT, WEIGHTED, [alone])) == covers
    others = [vote for vote in votes if vote.voter != "gpt-4.1"]
    before = pooled(DEFAULT, WEIGHTED, others)
    after = pooled(DEFAULT, WEIGHTED, [alone, *others])
    assert set(after) == set(before) | covers
    for name, found in after.items():
        if name not in covers:
            assert found == before[name]
        elif name in before:  # its zero is one more score in the mean
            assert found.score <= before[name].score


def test_the_verdict_names_policy_category_score_and_threshold() -> None:
    votes = [make.cast(voter, scores={"gambling_ads": 0.9}) for voter in VOTERS]
    verdict: Any = conclude_round(
        make.evaluation(), votes, GAMING, round_number=1, now=make.NOW
    ).verdict
    assert verdict.decision == "unsafe"
    assert verdict.reason.endswith("; gambling_ads 0.90 ≥ 0.70")
    assert verdict.categories == {"gambling_ads": 0.9}
    assert (verdict.policy, verdict.policy_version) == ("gaming", GAMING.version)


def test_a_policys_own_categories_change_the_verdict_on_the_same_votes() -> None:
    votes = [make.cast(voter, scores={"harassment": 0.9}) for voter in VOTERS]
    decided = {
        policy.name: conclude_round(
            make.evaluation(), votes, policy, round_number=1, now=make.NOW
        ).verdict
        for policy in (DEFAULT, GAMING)
    }
    assert {name: verdict and str(verdict.decision) for name, verdict in decided.items()} == {
        "default": "unsafe",
        "gaming": "safe",
    }


def test_a_panel_that_cannot_speak_of_an_enabled_category_is_refused() -> None:
    with pytest.raises(
        PanelInvalid,
        match=r"^panel: no voter on embedded \(rules, characters, meaning\) can judge",
    ):
        require_covers(EMBEDDED, GAMING)
    require_covers(EMBEDDED, DEFAULT)
    require_covers(WEIGHTED, GAMING)


def guarded(vote_format: VoteFormat) -> Any:
    """The models of a deployment whose `a-guard` is a guard model."""
    guard = registry.model("gpt-4.1").model_copy(
        update={
            "name": "a-guard",
            "vote_format": vote_format,
            "category_codes": {"S1": ("violence", "hate")},
        }
    )
    return lambda name: guard if name == "a-guard" else registry.model(name)


ALONE = panel.load(
    {
        "name": "alone",
        "rounds": [["a-guard"]],
        "stop": "settled",
        "quorum": 1,
        "rule": {"kind": "majority"},
    },
    voters=["a-guard"],
)


def test_a_panel_of_guards_that_read_no_policy_is_refused_under_one_with_its_own_categories() -> (
    None
):
    with pytest.raises(PanelInvalid):
        require_covers(ALONE, GAMING, guarded(VoteFormat.LLAMA_GUARD))
    require_covers(ALONE, DEFAULT, guarded(VoteFormat.LLAMA_GUARD))
    require_covers(ALONE, GAMING, guarded(VoteFormat.SAFEGUARD))
    with pytest.raises(PanelInvalid):  # nobody is left who could say anything
        require_covers(ALONE, GAMING)


@pytest.mark.parametrize(
    ("decision", "scores", "expected"),
    [
        ("safe", {}, {"violence": 0.0, "hate": 0.0}),
        ("unsafe", {"hate": 0.9}, {"violence": 0.0, "hate": 0.9}),
        ("unsafe", {}, {}),
    ],
)
def test_a_guard_says_nothing_of_categories_that_its_codes_do_not_cover(
    decision: str, scores: dict[str, float], expected: dict[str, float]
) -> None:
    vote = make.cast("a-guard", decision, scores=scores, covers=("violence", "hate"))
    found = pooled(DEFAULT, ALONE, [vote])
    assert {name: one.score for name, one in found.items()} == expected


OWN = Policy.model_validate({"name": "gaming", "instructions": "Players may curse."})
COUNTED_OTHERWISE = Policy.model_validate(
    {"name": "default", "categories": {"hate": {"action": "ignore"}}}
)
LISTED = Policy.model_validate({"name": "default", "lists": {"block": ["lucky7"]}})


@pytest.mark.parametrize(
    ("under", "policy", "expected"),
    [
        ("default", DEFAULT, True),
        ("default@packaged", DEFAULT, True),
        (f"default@{DEFAULT.version}", DEFAULT, True),
        (f"default@{DEFAULT.version}", LISTED, True),
        ("default", COUNTED_OTHERWISE, False),
        (f"default@{COUNTED_OTHERWISE.version}", COUNTED_OTHERWISE, True),
        (f"default@{COUNTED_OTHERWISE.version}", DEFAULT, False),
        ("default@0123456789ab", DEFAULT, False),
        ("default", OWN, False),
        ("gaming", OWN, True),
        (f"gaming@{OWN.version}", OWN, True),
        ("gaming@0123456789ab", OWN, False),
        (f"chat@{OWN.version}", OWN, False),
    ],
    ids=str,
)
def test_a_panel_is_calibrated_under_the_policy_and_version_that_it_names_only(
    under: str, policy: Policy, *, expected: bool
) -> None:
    calibrated = panel.packaged("economy").model_copy(update={"calibrated_under": under})
    assert is_calibrated(calibrated, policy) is expected
    verdict = conclude_round(
        make.evaluation(panel=calibrated), [], policy, round_number=9, now=make.NOW + 22
    ).verdict
    assert verdict is not None
    assert verdict.calibrated is expected
