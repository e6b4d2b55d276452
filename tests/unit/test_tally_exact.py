"""Outcomes to the last digit, word and border."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from quorum.core.models import Abstention, CastVote, Decision
from quorum.vote import panel
from quorum.vote.panel import Panel
from quorum.vote.tally import agreements, confidence_logit, quorum_of, tally

from tests import make

SAFE, UNSAFE, REVIEW = Decision.SAFE, Decision.UNSAFE, Decision.NEEDS_REVIEW
NAMES = ("ada", "bob", "cyd", "dan")
Said = Mapping[str, tuple[Decision, float] | None]


def votes(said: Said) -> list[CastVote | Abstention]:
    """Each voter's decision and confidence, or an abstention where it has none."""
    return [
        make.abstention(voter)
        if one is None
        else make.cast(voter, str(one[0]), confidence=float(one[1]))
        for voter, one in said.items()
    ]


def weighted(*rounds: Sequence[str], **changes: Any) -> Panel:
    """A panel by weights: ada 0.1, bob 0.2, cyd 0.3, dan 0.4."""
    weights = dict(zip(NAMES, (0.1, 0.2, 0.3, 0.4), strict=True))
    document = {
        "name": "weighted",
        "rounds": rounds,
        "stop": "settled",
        "quorum": 1,
        "thresholds": {"unsafe": 0.5, "safe": 0.6},
        "rule": {
            "kind": "weighted",
            "weights": {voter: weights[voter] for voters in rounds for voter in voters},
        },
    }
    return panel.load(document | changes, voters=NAMES)


def majority(*rounds: Sequence[str], **changes: Any) -> Panel:
    facts = {"rule": {"kind": "majority"}, "thresholds": None} | changes
    return weighted(*rounds, **facts)


def calibrated(rounds: Sequence[Sequence[str]], stages: Sequence[Any], **changes: Any) -> Panel:
    facts = {"rule": {"kind": "calibrated", "stages": stages}, "thresholds": (0.6, 0.7)} | changes
    unsafe, safe = facts["thresholds"]
    return weighted(*rounds, **facts | {"thresholds": {"unsafe": unsafe, "safe": safe}})


# --- shares of a weight --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "decision", "score", "confidence", "reason"),
    [
        (
            {"ada": (UNSAFE, 0.8), "bob": (SAFE, 0.5), "cyd": (UNSAFE, 0.9), "dan": (SAFE, 0.5)},
            REVIEW,
            0.35,
            0.35,
            "the votes do not decide: 2 safe, 2 unsafe (score 0.35, safe score 0.30)",
        ),
        (
            {"ada": (REVIEW, 1), "bob": (SAFE, 1), "cyd": (UNSAFE, 1), "dan": (REVIEW, 1)},
            REVIEW,
            0.3,
            0.3,
            (
                "the votes do not decide: 1 safe, 1 unsafe, 2 needs review "
                "(score 0.30, safe score 0.20)"
            ),
        ),
        (
            {"ada": (SAFE, 1), "bob": (SAFE, 1), "cyd": (SAFE, 0.5), "dan": None},
            SAFE,
            0.0,
            0.75,
            "3 of 3 voters say safe (safe score 0.75 ≥ 0.60)",
        ),
        (
            {"ada": (SAFE, 0.5), "bob": None, "cyd": None, "dan": (UNSAFE, 0.75)},
            UNSAFE,
            0.6,
            0.6,
            "1 of 2 voters says unsafe (score 0.60 ≥ 0.50)",
        ),
        (
            {"ada": (SAFE, 0.5), "bob": (REVIEW, 0.5), "cyd": None, "dan": None},
            REVIEW,
            0.0,
            1 / 6,
            "the votes do not decide: 1 safe, 1 needs review (score 0.00, safe score 0.17)",
        ),
    ],
)
def test_a_weighted_score_is_the_share_of_the_weight_that_answered(
    said: Said, decision: Decision, score: float, confidence: float, reason: str
) -> None:
    outcome = tally(weighted(NAMES), votes(said))
    assert (outcome.decision, outcome.reason) == (decision, reason)
    assert (outcome.score, outcome.confidence) == pytest.approx((score, confidence))
    assert (outcome.settled, outcome.next_voters) == (True, ())


def test_a_weighted_share_is_exact_where_floating_point_is_not() -> None:
    # In floating point, 0.6 of this weight is a little less than 0.6.
    outcome = tally(weighted(NAMES[:3]), votes(dict.fromkeys(NAMES[:3], (SAFE, 0.6))))
    assert outcome.decision is SAFE


@pytest.mark.parametrize(
    ("confidence", "shown"),
    [
        (0.5, "0.50 ≥ 0.50"),
        (0.51, "0.51 ≥ 0.50"),
        (0.5004, "0.5004 ≥ 0.5000"),
        (0.50004, "0.500040 ≥ 0.500000"),
        (0.50000004, "0.500000 ≥ 0.500000"),
    ],
)
def test_a_score_and_its_threshold_are_shown_with_the_digits_that_tell_them_apart(
    confidence: float, shown: str
) -> None:
    outcome = tally(weighted(["ada"]), votes({"ada": (UNSAFE, confidence)}))
    assert outcome.reason == f"1 of 1 voters says unsafe (score {shown})"


@pytest.mark.parametrize(
    ("said", "decision", "score", "reason"),
    [
        ([UNSAFE, UNSAFE, SAFE], UNSAFE, 2 / 3, "2 of 3 voters say unsafe (score 0.67 > 0.50)"),
        ([SAFE, REVIEW, SAFE], SAFE, 0.0, "2 of 3 voters say safe (safe score 0.67 > 0.50)"),
        (
            [SAFE, REVIEW, REVIEW],
            REVIEW,
            0.0,
            "the votes do not decide: 1 safe, 2 needs review (score 0.00, safe score 0.33)",
        ),
    ],
)
def test_a_majority_counts_heads_whatever_their_confidence(
    said: Sequence[Decision], decision: Decision, score: float, reason: str
) -> None:
    one_by_one = zip(NAMES, said, (0.1, 0.6, 1.0), strict=False)
    cast = votes({voter: (decided, sure) for voter, decided, sure in one_by_one})
    outcome = tally(majority(NAMES[:3]), cast)
    assert (outcome.decision, outcome.reason) == (decision, reason)
    assert outcome.score == pytest.approx(score)


# --- log-odds ------------------------------------------------------------------------------------

ROUNDS = (("ada", "bob"), ("cyd",))
STAGES = (
    {
        "bias": 0.125,
        "evidence": {
            "ada": {"unsafe": 1.0, "safe": -0.5, "needs_review": 0.25, "slope": 0.5},
            "bob": {"unsafe": 0.75, "safe": -1.5, "needs_review": -0.375, "slope": 0.25},
        },
        "pairs": [{"voters": ["bob", "ada"], "unsafe": 0.625, "safe": -0.0625}],
        "languages": {
            "de": {
                "bias": -0.25,
                "evidence": {
                    "ada": {"unsafe": 2.0, "safe": -1.75, "needs_review": 0.5, "slope": 1.0}
                },
            }
        },
    },
    {
        "bias": -0.5,
        "evidence": {
            "ada": {"unsafe": 0.5},
            "bob": {"safe": -0.25},
            "cyd": {"unsafe": 1.5, "safe": -2.0, "slope": 2.0},
        },
    },
)
LOG_3, LOG_99 = math.log(3), math.log(99)


@pytest.mark.parametrize(
    ("said", "language", "log_odds"),
    [
        ({"ada": (UNSAFE, 0.75)}, None, 0.125 + 1.0 + 0.5 * LOG_3),
        ({"ada": (SAFE, 0.75)}, None, 0.125 - 0.5 - 0.5 * LOG_3),
        ({"ada": (REVIEW, 0.75)}, None, 0.125 + 0.25),
        ({"ada": (UNSAFE, 0.2)}, None, 0.125 + 1.0),
        ({"ada": (UNSAFE, 1.0)}, None, 0.125 + 1.0 + 0.5 * LOG_99),
        ({"ada": (UNSAFE, 0.5), "bob": (UNSAFE, 0.75)}, None, 2.5 + 0.25 * LOG_3),
        ({"ada": (SAFE, 0.5), "bob": (SAFE, 0.75)}, None, -1.9375 - 0.25 * LOG_3),
        ({"ada": (UNSAFE, 0.5), "bob": (SAFE, 0.5)}, None, 0.125 + 1.0 - 1.5),
        ({"ada": (SAFE, 0.5), "bob": (UNSAFE, 0.5)}, None, 0.125 - 0.5 + 0.75),
        ({"ada": (UNSAFE, 0.5), "bob": (REVIEW, 0.5)}, None, 0.125 + 1.0 - 0.375),
        ({"ada": (UNSAFE, 0.5), "bob": None}, None, 0.125 + 1.0),
        ({"ada": (UNSAFE, 0.75)}, "fr", 0.125 + 1.0 + 0.5 * LOG_3),
        ({"ada": (UNSAFE, 0.75)}, "de", -0.25 + 2.0 + LOG_3),
        ({"ada": (SAFE, 0.75)}, "de", -0.25 - 1.75 - LOG_3),
        ({"ada": (UNSAFE, 0.5), "bob": (UNSAFE, 0.5)}, "de", -0.25 + 2.0 + 0.75 + 0.625),
        ({"cyd": (UNSAFE, 0.75)}, "de", -0.5 + 1.5 + 2 * LOG_3),
        ({"ada": (UNSAFE, 0.9), "cyd": (SAFE, 0.75)}, None, -0.5 + 0.5 - 2.0 - 2 * LOG_3),
    ],
)
def test_the_log_odds_are_the_bias_and_what_each_vote_and_each_agreeing_pair_adds(
    said: Said, language: str | None, log_odds: float
) -> None:
    outcome = tally(calibrated(ROUNDS, STAGES), votes(said), language, final=True)
    assert outcome.score == pytest.approx(1 / (1 + math.exp(-log_odds)))


@pytest.mark.parametrize(
    ("confidence", "logit"),
    [(0.0, 0.0), (0.5, 0.0), (0.75, LOG_3), (0.99, LOG_99), (1.0, LOG_99)],
)
def test_a_confidence_is_at_least_half_and_at_most_the_ceiling(
    confidence: float, logit: float
) -> None:
    assert confidence_logit(confidence) == pytest.approx(logit)


def fixed(log_odds: float, **changes: Any) -> Panel:
    """A panel whose only vote adds nothing: its log-odds are the bias."""
    return calibrated([["ada"]], [{"bias": log_odds, "evidence": {"ada": {}}}], **changes)


UNSAFE_FROM, SAFE_TO = math.log(0.8 / (1 - 0.8)), math.log((1 - 0.7) / 0.7)


@pytest.mark.parametrize(
    ("log_odds", "decision", "comparison"),
    [
        (UNSAFE_FROM, UNSAFE, "score 0.80 ≥ 0.80"),
        (math.nextafter(UNSAFE_FROM, 0), REVIEW, "score 0.80, between 0.30 and 0.80"),
        (0.0, REVIEW, "score 0.50, between 0.30 and 0.80"),
        (math.nextafter(SAFE_TO, 0), REVIEW, "score 0.30, between 0.30 and 0.80"),
        (SAFE_TO, SAFE, "score 0.30 ≤ 0.30"),
        (2.0, UNSAFE, "score 0.88 ≥ 0.80"),
        (-2.0, SAFE, "score 0.12 ≤ 0.30"),
    ],
)
def test_the_calibrated_thresholds_are_met_exactly_on_the_border(
    log_odds: float, decision: Decision, comparison: str
) -> None:
    outcome = tally(fixed(log_odds, thresholds=(0.8, 0.7)), votes({"ada": (decision, 1)}))
    assert outcome.decision is decision
    assert outcome.reason.endswith(f"({comparison})")
    probability = 1 / (1 + math.exp(-log_odds))
    sure = {UNSAFE: probability, SAFE: 1 - probability}
    assert outcome.score == pytest.approx(probability)
    assert outcome.confidence == pytest.approx(
        sure.get(decision, max(probability, 1 - probability))
    )


# --- who counts ----------------------------------------------------------------------------------


def test_of_two_votes_of_a_voter_the_graver_counts_and_of_two_equal_ones_the_surer() -> None:
    one = weighted(["ada"])
    for first, second, score in (
        ((SAFE, 1.0), (UNSAFE, 0.6), 0.6),
        ((REVIEW, 1.0), (UNSAFE, 0.6), 0.6),
        ((UNSAFE, 0.55), (UNSAFE, 0.75), 0.75),
        ((SAFE, 1.0), (REVIEW, 0.1), 0.0),
    ):
        for order in ((first, second), (second, first)):
            cast = [vote for said in order for vote in votes({"ada": said})]
            assert tally(one, cast).score == pytest.approx(score)
    cast = [*votes({"ada": (SAFE, 1.0)}), *votes({"ada": (REVIEW, 0.1)})]
    assert tally(one, cast).decision is REVIEW


def test_a_vote_of_somebody_else_stops_no_other_from_being_counted() -> None:
    cast = votes({"eve": (SAFE, 1), "ada": (UNSAFE, 1), "bob": (UNSAFE, 1)})
    outcome = tally(weighted(("ada", "bob")), cast)
    assert outcome.reason == "2 of 2 voters say unsafe (score 1.00 ≥ 0.50)"


def test_the_quorum_counts_the_voters_that_could_have_voted() -> None:
    three = weighted(NAMES[:3], quorum=2)
    mute = [make.abstention(voter, "nothing_found") for voter in NAMES]
    failed = [make.abstention(voter, "timed_out") for voter in NAMES]
    assert quorum_of(three, []) == 2
    assert quorum_of(three, mute[:1]) == 2
    assert quorum_of(three, mute[:2]) == 1
    assert quorum_of(three, mute[:3]) == 1
    assert quorum_of(three, [mute[0], mute[0], mute[3]]) == 2
    assert quorum_of(three, failed[:2]) == 2
    assert quorum_of(three, votes({"ada": (SAFE, 1), "bob": (SAFE, 1)})) == 2


def test_voters_agree_with_a_decision_that_is_theirs() -> None:
    cast = votes({"ada": (UNSAFE, 1), "bob": (SAFE, 1), "cyd": None, "dan": (REVIEW, 1)})
    assert agreements(SAFE, cast) == {"ada": False, "bob": True, "dan": False}


# --- when asking ends, and what it says ----------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said", "final", "reason", "next_voters"),
    [
        ({}, {}, False, "no votes yet; next to vote: ada and bob", ("ada", "bob")),
        (
            {"quorum": 2},
            {"ada": (SAFE, 1)},
            False,
            "only 1 of 4 answered; the quorum is 2; next to vote: bob",
            ("bob",),
        ),
        ({}, {}, True, "no votes yet; concluded without ada, bob, cyd and dan", ()),
        (
            {"quorum": 4},
            {"ada": None},
            False,
            "only 0 of 4 answered; the quorum is 4; the quorum cannot be met any more",
            (),
        ),
        (
            {"quorum": 3},
            {"ada": None},
            False,
            "only 0 of 4 answered; the quorum is 3; next to vote: bob",
            ("bob",),
        ),
        (
            {"quorum": 2},
            {"ada": (SAFE, 1), "dan": (SAFE, 1)},
            True,
            "2 of 2 voters say safe (safe score 1.00 ≥ 0.60); concluded without bob and cyd",
            (),
        ),
        (
            {},
            {"ada": (UNSAFE, 1), "bob": (UNSAFE, 1), "dan": (UNSAFE, 1)},
            False,
            "3 of 3 voters say unsafe (score 1.00 ≥ 0.50); no vote of cyd could change it",
            (),
        ),
        (
            {"stop": "all"},
            {"dan": (UNSAFE, 1)},
            False,
            "1 of 1 voters says unsafe (score 1.00 ≥ 0.50); next to vote: ada, bob and cyd",
            ("ada", "bob", "cyd"),
        ),
    ],
)
def test_the_reason_says_what_was_decided_and_why_asking_ends_or_goes_on(
    asked: dict[str, Any],
    said: Said,
    final: bool,
    reason: str,
    next_voters: tuple[str, ...],
) -> None:
    outcome = tally(weighted(("ada", "bob"), ("cyd", "dan"), **asked), votes(said), final=final)
    assert (outcome.reason, outcome.next_voters) == (reason, next_voters)
    assert outcome.settled is not bool(next_voters)


def test_a_voter_that_escalates_is_named_and_only_where_it_matters() -> None:
    guarded = majority(NAMES, escalates=["cyd", "dan"], quorum=3)
    said = dict.fromkeys(("ada", "bob", "cyd"), (SAFE, 1.0)) | {"dan": (UNSAFE, 1.0)}
    assert tally(guarded, votes(said)).reason == (
        "3 of 4 voters say safe (safe score 0.75 > 0.50), but dan asks for a person"
    )
    said = dict.fromkeys(("ada", "bob", "dan"), (UNSAFE, 1.0)) | {"cyd": (SAFE, 1.0)}
    assert tally(guarded, votes(said)).reason == "3 of 4 voters say unsafe (score 0.75 > 0.50)"
    two: Said = {"ada": (SAFE, 1.0), "bob": None, "cyd": None, "dan": (UNSAFE, 1.0)}
    few = tally(guarded, votes(two))
    assert (few.decision, few.reason) == (REVIEW, "only 2 of 4 answered; the quorum is 3")


def test_what_no_voter_that_clears_has_answered_is_not_safe_and_says_who_could() -> None:
    guarded = majority(NAMES, clears=["cyd", "dan"], quorum=2)
    silent = dict.fromkeys(("ada", "bob"), (SAFE, 1.0)) | dict.fromkeys(("cyd", "dan"))
    outcome = tally(guarded, votes(silent))
    assert (outcome.decision, outcome.reason) == (
        REVIEW,
        "2 of 2 voters say safe (safe score 1.00 > 0.50), but safe needs an answer of cyd or dan",
    )
    assert tally(guarded, votes(silent | {"dan": (SAFE, 1.0)})).decision is SAFE
    # Any answer of theirs will do: the rule weighs what it says.
    assert tally(guarded, votes(silent | {"dan": (UNSAFE, 1.0)})).decision is SAFE
    unsafe = dict.fromkeys(("ada", "bob"), (UNSAFE, 1.0)) | dict.fromkeys(("cyd", "dan"))
    assert tally(guarded, votes(unsafe)).decision is UNSAFE


def test_asking_goes_on_to_a_voter_that_clears_and_ends_where_none_is_left() -> None:
    guarded = majority(("ada", "bob", "cyd"), ("dan",), clears=["dan"])
    safe = dict.fromkeys(("ada", "bob", "cyd"), (SAFE, 1.0))
    unsafe = dict.fromkeys(("ada", "bob", "cyd"), (UNSAFE, 1.0))
    assert tally(guarded, votes(safe)).next_voters == ("dan",)
    assert tally(guarded, votes(unsafe)).settled
    either = majority(("ada", "bob", "cyd"), ("dan",), clears=["ada", "dan"])
    assert tally(either, votes(safe)).settled, "one answer of them is enough"
    first = majority(("ada",), ("bob", "cyd"), clears=["ada"])
    silent = tally(first, votes({"ada": None, "bob": (SAFE, 1.0)}))
    assert (silent.decision, silent.settled) == (REVIEW, True)


def test_small_risk_does_not_end_the_asking_before_a_voter_that_clears_has_answered() -> None:
    for bias, settled in ((-5.0, False), (5.0, True)):
        guarded = risky((bias, bias), (0.2,), clears=["bob"])
        assert tally(guarded, votes({"ada": (SAFE, 1.0)})).settled is settled


def test_a_language_left_to_a_person_says_so_and_asks_one_round() -> None:
    reviewed = majority(("ada", "bob"), ("cyd", "dan"), reviewed_languages=["zh"])
    heard = votes(dict.fromkeys(("ada", "bob"), (SAFE, 1.0)))
    assert tally(reviewed, [], "zh").next_voters == ("ada", "bob")
    outcome = tally(reviewed, heard, "zh")
    assert outcome.decision is REVIEW
    assert outcome.reason == (
        "2 of 2 voters say safe (safe score 1.00 > 0.50), but this panel leaves zh to a person; "
        "no vote of cyd and dan could change it"
    )
    assert not tally(reviewed, heard, "ko").settled
    assert not tally(reviewed, heard, None).settled


def test_a_languages_own_thresholds_decide_its_contents_and_no_others() -> None:
    own = {"thresholds_by_language": {"zh": {"unsafe": 0.9, "safe": 0.95}}}
    stages = [{"bias": 1.0, "evidence": {"ada": {}}}]
    asked = calibrated([["ada"]], stages, **own)
    heard = votes({"ada": (UNSAFE, 1.0)})
    assert tally(asked, heard, "ko").reason == "1 of 1 voters says unsafe (score 0.73 ≥ 0.60)"
    assert tally(asked, heard, "zh").reason == (
        "the votes do not decide: 1 unsafe (score 0.73, between 0.05 and 0.90)"
    )
    assert asked.midpoint_of("zh") == pytest.approx(0.475)
    assert asked.midpoint_of(None) == pytest.approx(0.45)


def test_an_escalation_settles_what_could_only_have_been_safe() -> None:
    guarded = majority(("ada", "bob", "cyd"), ("dan",), escalates=["ada"])
    outcome = tally(guarded, votes({"ada": (REVIEW, 1), "bob": (SAFE, 1), "cyd": (SAFE, 1)}))
    # dan may make it safe or not decided: a person is asked either way.
    assert (outcome.decision, outcome.settled) == (REVIEW, True)


def test_a_voter_that_may_escalate_is_asked_although_all_others_say_safe() -> None:
    guarded = majority(("ada", "bob", "cyd"), ("dan",), escalates=["dan"])
    safe = votes(dict.fromkeys(("ada", "bob", "cyd"), (SAFE, 1.0)))
    assert tally(guarded, safe).next_voters == ("dan",)
    assert tally(majority(("ada", "bob", "cyd"), ("dan",)), safe).settled


def test_what_an_outstanding_voter_could_change_depends_on_its_weight() -> None:
    for last, weight, settled in (("cyd", 0.3, True), ("dan", 0.4, False)):
        asked = weighted(("ada", "bob"), (last,), quorum=2)
        heard = votes({"ada": (UNSAFE, 1), "bob": (UNSAFE, 1)})
        assert tally(asked, heard).settled is settled
        said = tally(asked, [*heard, *votes({last: (SAFE, 1)})])
        assert said.score == pytest.approx(0.3 / (0.3 + weight))


# --- risk ----------------------------------------------------------------------------------------


def risky(biases: Sequence[float], risk: Sequence[float] | None, **changes: Any) -> Panel:
    """A panel of a voter a round, whose votes add nothing: each round's log-odds are its bias."""
    rounds = [[voter] for voter in NAMES[: len(biases)]]
    stages = [
        {"bias": bias, "evidence": {voter: {} for voter in NAMES[: number + 1]}}
        for number, bias in enumerate(biases)
    ]
    facts = {"stop": "risk", "risk": risk, "thresholds": (0.5, 0.5)} | changes
    return calibrated(rounds, stages, **facts)


def test_asking_ends_where_the_risk_is_at_most_the_bound_of_the_last_round_with_a_vote() -> None:
    sure, unsure = math.log(9), math.log(3)  # risks of 0.10 and 0.25
    for biases, risk, heard, why in (
        ((sure, sure, sure), (0.2, 0.01), ("ada",), "bob and cyd (risk 0.10 ≤ 0.20)"),
        ((unsure, sure, sure), (0.2, 0.01), ("ada",), None),
        ((sure, sure, sure), (0.2, 0.01), ("ada", "bob"), None),
        ((unsure, sure, sure), (0.01, 0.2), ("ada", "bob"), "cyd (risk 0.10 ≤ 0.20)"),
        ((sure, sure, sure), (0.2, 0.01), ("ada", "cyd"), None),
        ((sure, sure, sure), (0.01, 0.2), ("cyd",), "ada and bob (risk 0.10 ≤ 0.20)"),
        ((-sure, sure, sure), (0.2, 0.01), ("ada",), "bob and cyd (risk 0.10 ≤ 0.20)"),
        ((0.0, 1.0), (0.5,), ("ada",), "bob (risk 0.50 ≤ 0.50)"),
    ):
        outcome = tally(risky(biases, risk), votes(dict.fromkeys(heard, (SAFE, 1.0))))
        assert outcome.settled is (why is not None)
        if why is not None:
            assert outcome.reason.endswith(f"; sure enough without {why}")


def test_without_bounds_asking_ends_beyond_a_threshold_and_says_so() -> None:
    one = votes({"ada": (UNSAFE, 1.0)})
    assert tally(risky((2.0, 2.0), None), one).reason == (
        "1 of 1 voters says unsafe (score 0.88 ≥ 0.50); sure enough without bob"
    )
    between = risky((0.0, 2.0), None, thresholds=(0.8, 0.8))
    assert tally(between, one).next_voters == ("bob",)


def test_within_the_last_round_no_risk_is_small_enough() -> None:
    stages = [{"bias": 20.0, "evidence": {"ada": {}, "bob": {}}}]
    last = calibrated([("ada", "bob")], stages, stop="risk", risk=[])
    assert tally(last, votes({"ada": (UNSAFE, 1.0)})).next_voters == ("bob",)


def test_asking_does_not_end_below_the_quorum_however_small_the_risk() -> None:
    sure = risky((5.0, 5.0, 5.0), (0.2, 0.2), quorum=2)
    one, two = votes({"ada": (UNSAFE, 1)}), votes({"ada": (UNSAFE, 1), "bob": (UNSAFE, 1)})
    assert tally(sure, one).next_voters == ("bob",)
    assert tally(sure, two).settled


def test_who_escalates_keeps_a_calm_panel_asking_and_an_alarmed_one_not() -> None:
    for bias, settled in ((-5.0, False), (5.0, True)):
        guarded = risky((bias, bias), (0.2,), escalates=["ada"])
        assert tally(guarded, votes({"ada": (UNSAFE, 1.0)})).settled is settled
        assert tally(guarded, votes({"ada": (SAFE, 1.0)})).settled


# --- settled, on log-odds ------------------------------------------------------------------------


def reaching(low: float, high: float, **changes: Any) -> Panel:
    """A panel on which ada's vote says nothing, and bob's may take the log-odds to both ends."""
    middle, half = (low + high) / 2, (high - low) / 2
    stages = [
        {"bias": middle, "evidence": {"ada": {}}},
        {"bias": middle, "evidence": {"ada": {}, "bob": {"unsafe": half, "safe": -half}}},
    ]
    return calibrated([["ada"], ["bob"]], stages, **changes)


@pytest.mark.parametrize(
    ("low", "high", "limits", "settled"),
    [
        (1.0, 2.0, (0.6, 0.6), True),  # unsafe whatever bob says
        (-2.0, -1.0, (0.6, 0.6), True),  # safe
        (-0.25, 0.25, (0.6, 0.6), True),  # neither
        (-2.0, 2.0, (0.6, 0.6), False),
        (0.0, 1.0, (0.6, 0.6), False),
        (-1.0, 0.0, (0.6, 0.6), False),
        (0.0, 0.0, (0.5, 0.9), True),  # on the border of unsafe
        (0.0, 0.0, (0.9, 0.5), True),  # on the border of safe
        (0.0, 1.0, (0.5, 0.9), True),
        (-1.0, 0.0, (0.9, 0.5), True),
        (-1.0, 0.0, (0.5, 0.9), False),  # unsafe on its border, or neither
        (0.0, 1.0, (0.9, 0.5), False),  # safe on its border, or neither
    ],
)
def test_a_calibrated_panel_is_settled_where_no_vote_could_change_the_verdict(
    low: float,
    high: float,
    limits: tuple[float, float],
    settled: bool,
) -> None:
    asked = reaching(low, high, thresholds=limits)
    outcome = tally(asked, votes({"ada": (REVIEW, 1)}))
    assert outcome.settled is settled
    verdicts = {
        tally(asked, votes({"ada": (REVIEW, 1), "bob": said})).decision
        for said in ((SAFE, 1.0), (UNSAFE, 1.0), None)
    }
    assert (len(verdicts) == 1) is settled


def test_what_only_an_abstention_leaves_is_reachable_too() -> None:
    stages = [
        {"bias": 3.0, "evidence": {"ada": {}}},
        {"bias": 0.0, "evidence": {"ada": {}, "bob": {}}},
    ]
    asked = calibrated([["ada"], ["bob"]], stages)
    assert tally(asked, votes({"ada": (UNSAFE, 1), "bob": None})).decision is UNSAFE
    assert tally(asked, votes({"ada": (UNSAFE, 1), "bob": (UNSAFE, 1)})).decision is REVIEW
    assert tally(asked, votes({"ada": (UNSAFE, 1)})).next_voters == ("bob",)


def test_below_the_quorum_only_a_review_is_settled() -> None:
    heard = votes({"ada": (REVIEW, 1)})
    assert tally(reaching(-0.25, 0.25, quorum=2), heard).settled
    assert not tally(reaching(1.0, 2.0, quorum=2), heard).settled
    assert tally(reaching(1.0, 2.0, quorum=1), heard).settled


def test_on_log_odds_too_an_escalation_settles_and_one_that_may_come_does_not() -> None:
    heard = votes({"ada": (REVIEW, 1)})
    assert tally(reaching(-2.0, -0.25, escalates=["ada"]), heard).settled
    assert not tally(reaching(-2.0, -1.0, escalates=["bob"]), heard).settled
    assert tally(reaching(1.0, 2.0, escalates=["bob"]), heard).settled
