from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import PanelInvalid
from quorum.core.models import Abstention, CastVote, Decision
from quorum.vote import panel
from quorum.vote.panel import Panel
from quorum.vote.tally import agreements, tally

SAFE, UNSAFE, REVIEW = Decision.SAFE, Decision.UNSAFE, Decision.NEEDS_REVIEW
Votes = list[CastVote | Abstention]
DEFAULT = panel.packaged("default")
NAMES = ("ada", "bob", "cyd", "dan")


def vote(voter: str, decision: Decision, confidence: float = 1.0) -> CastVote:
    return CastVote(voter=voter, model=voter, decision=decision, confidence=confidence)


def abstained(voter: str, reason: AbstentionReason) -> Abstention:
    return Abstention(voter=voter, reason=reason)


def abstention(voter: str) -> Abstention:
    return abstained(voter, AbstentionReason.TIMED_OUT)


def nothing_found(voter: str) -> Abstention:
    return abstained(voter, AbstentionReason.NOTHING_FOUND)


def ask(panel_: Panel, said: dict[str, Any], language: str | None = None) -> tuple[Decision, Votes]:
    """The verdict after all the asking, and who was asked; `said` holds everyone's vote."""
    votes: Votes = []
    while not (outcome := tally(panel_, votes, language)).settled:
        assert outcome.next_voters
        assert not {cast.voter for cast in votes} & set(outcome.next_voters)
        votes += [said[voter] for voter in outcome.next_voters]
    assert outcome.next_voters == ()
    return outcome.decision, votes


# --- panels and votes of every kind --------------------------------------------------------------

numbers = st.floats(0, 3).map(lambda number: round(number, 2))
confidences = st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.75, 0.8, 0.99, 1.0])


@st.composite
def rounds(draw: st.DrawFn) -> list[list[str]]:
    voters = draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))]
    cuts = draw(st.sets(st.integers(1, len(NAMES)), max_size=2))
    edges = [0, *sorted(cut for cut in cuts if cut < len(voters)), len(voters)]
    return [list(voters[start:end]) for start, end in pairwise(edges)]


@st.composite
def evidence(draw: st.DrawFn) -> dict[str, float]:
    unsafe, safe = draw(numbers), -draw(numbers)
    share = draw(st.sampled_from([0.0, 0.5, 1.0]))
    return {
        "unsafe": unsafe,
        "safe": safe,
        "needs_review": min(max(safe + share * (unsafe - safe), safe), unsafe),
        "slope": draw(numbers),
    }


@st.composite
def rules(draw: st.DrawFn, asked: list[list[str]]) -> dict[str, Any]:
    voters = [voter for voters in asked for voter in voters]
    kind = draw(st.sampled_from(["weighted", "majority", "calibrated"]))
    if kind == "majority":
        return {"kind": kind}
    if kind == "weighted":
        return {"kind": kind, "weights": {name: 0.1 + draw(numbers) for name in voters}}
    stages = []
    for number in range(len(asked)):
        heard = [voter for voters in asked[: number + 1] for voter in voters]
        stages.append(
            {
                "bias": draw(numbers) - 1.5,
                "evidence": {name: draw(evidence()) for name in heard},
                "pairs": [{"voters": heard[:2], "unsafe": draw(numbers), "safe": -draw(numbers)}][
                    : len(heard) - 1
                ],
                "languages": {
                    "de": {"bias": draw(numbers) - 1.5, "evidence": {heard[0]: draw(evidence())}}
                },
            }
        )
    return {"kind": kind, "stages": stages}


@st.composite
def panels(draw: st.DrawFn, stop: str = "settled") -> Panel:
    asked = draw(rounds())
    rule = draw(rules(asked))
    document = {
        "name": "drawn",
        "rounds": asked,
        "stop": stop,
        "quorum": draw(st.integers(1, sum(map(len, asked)))),
        "rule": rule,
        "escalates": draw(st.sampled_from([[], asked[0][:1], asked[-1][-1:]])),
        "clears": draw(st.sampled_from([[], asked[-1], asked[0][:1]])),
        "reviewed_languages": draw(st.sampled_from([[], ["fr"]])),
    }
    if rule["kind"] == "weighted":
        limits = st.sampled_from([0.2, 0.5, 0.6, 0.75, 1.0])
        document["thresholds"] = {"unsafe": draw(limits), "safe": draw(limits)}
    if rule["kind"] == "calibrated":
        unsafe, safe = draw(st.sampled_from([(0.5, 0.5), (0.6, 0.7), (0.9, 0.95), (0.2, 0.9)]))
        document["thresholds"] = {"unsafe": unsafe, "safe": safe}
    if rule["kind"] != "majority" and draw(st.booleans()):
        document["thresholds_by_language"] = {"de": {"unsafe": 0.7, "safe": 0.8}}
    return panel.load(document, voters=NAMES)


@st.composite
def any_vote(draw: st.DrawFn, voter: str) -> CastVote | Abstention:
    decision = draw(st.sampled_from([*Decision, None]))
    return abstention(voter) if decision is None else vote(voter, decision, draw(confidences))


@st.composite
def everyone(draw: st.DrawFn) -> dict[str, CastVote | Abstention]:
    return {voter: draw(any_vote(voter)) for voter in NAMES}


languages = st.sampled_from([None, "de", "fr"])


# --- properties ----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(panel_=panels(), said=everyone(), language=languages)
def test_settled_and_all_give_the_same_verdict(
    panel_: Panel, said: dict[str, Any], language: str | None
) -> None:
    everybody = panel_.model_copy(update={"stop": panel.Stop.ALL})
    asked = tally(everybody, []).next_voters
    assert set(asked) == set(panel_.voters), "under the stop rule all, everyone is asked at once"
    assert ask(panel_, said, language)[0] == ask(everybody, said, language)[0]


def outstanding_votes(voters: tuple[str, ...]) -> Iterator[Votes]:
    for choice in product(
        [None, (SAFE, 0.0), (SAFE, 1.0), (UNSAFE, 0.0), (UNSAFE, 1.0), (REVIEW, 1.0), (SAFE, 0.7)],
        repeat=len(voters),
    ):
        yield [
            abstention(voter) if said is None else vote(voter, *said)
            for voter, said in zip(voters, choice, strict=True)
        ]


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone(), heard=st.sets(st.sampled_from(NAMES), min_size=1))
def test_once_settled_no_outstanding_vote_changes_the_verdict(
    panel_: Panel, said: dict[str, Any], heard: set[str]
) -> None:
    votes = [said[voter] for voter in heard]
    outcome = tally(panel_, votes, "de")
    if not outcome.settled:
        return
    outstanding = tuple(voter for voter in panel_.voters if voter not in heard)
    for more in outstanding_votes(outstanding[:3]):
        rest = [abstention(voter) for voter in outstanding[3:]]
        assert tally(panel_, [*votes, *more, *rest], "de").decision == outcome.decision


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone())
def test_shares_are_settled_as_soon_as_they_can_be(panel_: Panel, said: dict[str, Any]) -> None:
    if isinstance(panel_.rule, panel.Calibrated):
        return
    votes = [said[panel_.voters[0]]]
    outcome = tally(panel_, votes)
    if outcome.settled:
        return
    verdicts = {
        tally(panel_, [*votes, *more]).decision for more in outstanding_votes(panel_.voters[1:])
    }
    assert len(verdicts) > 1, "asking went on although only one verdict was left"


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone(), data=st.data(), language=languages)
def test_the_order_of_votes_changes_nothing(
    panel_: Panel, said: dict[str, Any], data: st.DataObject, language: str | None
) -> None:
    votes = data.draw(st.lists(st.sampled_from(list(said.values()))))
    votes += [data.draw(any_vote("ada")), data.draw(any_vote("ada"))]
    shuffled = data.draw(st.permutations(votes))
    first, second = (tally(panel_, order, language) for order in (votes, shuffled))
    assert first == second


SEVERITY = {SAFE: 0, REVIEW: 1, UNSAFE: 2}


@settings(max_examples=100, deadline=None)
@given(panel_=panels("all"), said=everyone(), data=st.data(), language=languages)
def test_a_graver_vote_never_makes_a_milder_verdict(
    panel_: Panel, said: dict[str, Any], data: st.DataObject, language: str | None
) -> None:
    voter = data.draw(st.sampled_from(panel_.voters))
    confidence = data.draw(confidences)
    outcomes = [
        tally(panel_, {**said, voter: vote(voter, decision, sure)}.values(), language)
        for decision, sure in (
            (SAFE, 1.0),
            (SAFE, confidence),
            (REVIEW, confidence),
            (UNSAFE, confidence),
            (UNSAFE, 1.0),
        )
    ]
    scores = [outcome.score for outcome in outcomes]
    assert scores == sorted(scores)
    thresholds = panel_.thresholds
    if thresholds is None or thresholds.unsafe + thresholds.safe >= 1:
        gravity = [SEVERITY[outcome.decision] for outcome in outcomes]
        assert gravity == sorted(gravity)


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone(), language=languages)
def test_an_abstention_never_decides(
    panel_: Panel, said: dict[str, Any], language: str | None
) -> None:
    cast = [vote_ for vote_ in said.values() if isinstance(vote_, CastVote)]
    with_them = tally(panel_, said.values(), language, final=True)
    without = tally(panel_, cast, language, final=True)
    assert with_them.decision == without.decision
    assert with_them.score == without.score
    silence = tally(panel_, [abstention(voter) for voter in panel_.voters], language)
    assert silence.decision is REVIEW
    assert silence.settled


@settings(max_examples=100, deadline=None)
@given(panel_=panels("all"), said=everyone(), language=languages)
def test_a_score_is_a_share_and_the_reason_one_line(
    panel_: Panel, said: dict[str, Any], language: str | None
) -> None:
    outcome = tally(panel_, said.values(), language)
    assert 0 <= outcome.score <= 1
    assert outcome.reason
    assert "\n" not in outcome.reason


# --- the published rule --------------------------------------------------------------------------


def test_the_published_thresholds_are_met_exactly_on_the_border() -> None:
    votes = [vote(name, UNSAFE, 0.5) for name in DEFAULT.voters]
    assert tally(DEFAULT, votes).decision is UNSAFE
    votes = [vote(name, SAFE, 0.6) for name in DEFAULT.voters]
    assert tally(DEFAULT, votes).decision is SAFE
    votes = [vote(name, SAFE, 0.59) for name in DEFAULT.voters]
    assert tally(DEFAULT, votes).decision is REVIEW


def test_a_failed_voter_does_not_lower_the_score_of_the_others() -> None:
    votes: Votes = [
        vote("gemini-2.5-flash", UNSAFE, 0.6),
        abstention("deepseek-v3.2"),
        vote("gpt-4.1", UNSAFE, 0.6),
    ]
    outcome = tally(DEFAULT, votes)
    assert outcome.decision is UNSAFE
    assert outcome.score == pytest.approx(0.6)
    assert outcome.reason == "2 of 2 voters say unsafe (score 0.60 ≥ 0.50)"


def test_two_sure_cheap_voters_spare_the_dear_one() -> None:
    votes: Votes = [vote("gemini-2.5-flash", UNSAFE, 0.9), vote("deepseek-v3.2", UNSAFE, 0.9)]
    outcome = tally(DEFAULT, votes)
    assert outcome.settled
    assert outcome.decision is UNSAFE
    assert "no vote of gpt-4.1 could change it" in outcome.reason
    votes[1] = vote("deepseek-v3.2", SAFE, 0.9)
    assert tally(DEFAULT, votes).next_voters == ("gpt-4.1",)


def test_the_first_round_is_asked_first_and_cached_votes_of_later_rounds_count() -> None:
    assert tally(DEFAULT, []).next_voters == ("gemini-2.5-flash", "deepseek-v3.2")
    assert tally(DEFAULT, []).reason.startswith("no votes yet")
    cached: Votes = [vote("gpt-4.1", UNSAFE), vote("deepseek-v3.2", UNSAFE)]
    assert tally(DEFAULT, cached).settled
    assert tally(DEFAULT, cached[:1]).next_voters == ("gemini-2.5-flash", "deepseek-v3.2")


def test_too_few_answers_go_to_a_person() -> None:
    votes: Votes = [
        abstention("gemini-2.5-flash"),
        abstention("deepseek-v3.2"),
        vote("gpt-4.1", UNSAFE),
    ]
    outcome = tally(DEFAULT, votes)
    assert outcome.decision is REVIEW
    assert outcome.settled
    assert outcome.reason == "only 1 of 3 answered; the quorum is 2"


def test_a_quorum_that_cannot_be_met_any_more_asks_nobody() -> None:
    votes: Votes = [abstention("gemini-2.5-flash"), abstention("deepseek-v3.2")]
    assert tally(DEFAULT, votes).settled


def test_a_spent_deadline_concludes_with_what_there_is() -> None:
    votes = [vote("gemini-2.5-flash", UNSAFE), vote("deepseek-v3.2", SAFE)]
    assert not tally(DEFAULT, votes).settled
    outcome = tally(DEFAULT, votes, final=True)
    assert outcome.settled
    assert outcome.decision is UNSAFE
    assert "concluded without gpt-4.1" in outcome.reason
    assert tally(DEFAULT, [], final=True).decision is REVIEW


def test_votes_of_others_are_ignored_and_a_voter_counts_once() -> None:
    votes: Votes = [vote("claude-sonnet-4.5", SAFE), vote("gpt-4.1", SAFE), vote("gpt-4.1", UNSAFE)]
    assert tally(DEFAULT, votes, final=True).reason.startswith("only 1 of 3 answered")
    votes = [*votes, abstention("gpt-4.1"), vote("deepseek-v3.2", SAFE)]
    assert tally(DEFAULT, votes, final=True).score == 0.5


# --- majority and calibrated ---------------------------------------------------------------------


def test_a_majority_is_more_than_half_of_those_who_answered() -> None:
    majority = panel.load(
        {
            "name": "majority",
            "rounds": [["ada", "bob", "cyd"]],
            "stop": "settled",
            "quorum": 2,
            "rule": {"kind": "majority"},
        },
        voters=NAMES,
    )
    votes: Votes = [vote("ada", UNSAFE, 0.1), vote("bob", UNSAFE, 0.1), vote("cyd", SAFE)]
    assert tally(majority, votes).decision is UNSAFE
    votes[1] = abstention("bob")
    outcome = tally(majority, votes)
    assert outcome.decision is REVIEW
    assert outcome.reason == (
        "the votes do not decide: 1 safe, 1 unsafe (score 0.50, safe score 0.50)"
    )


def calibrated(**changes: Any) -> Panel:
    document = {
        "name": "calibrated",
        "rounds": [["ada", "bob"], ["cyd"]],
        "stop": "risk",
        "risk": [0.1],
        "quorum": 1,
        "thresholds": {"unsafe": 0.6, "safe": 0.6},
        "rule": {
            "kind": "calibrated",
            "stages": [
                {
                    "bias": 0.0,
                    "evidence": {
                        "ada": {"unsafe": 1.0, "safe": -1.0},
                        "bob": {"unsafe": 1.0, "safe": -1.0},
                    },
                    "pairs": [{"voters": ["ada", "bob"], "unsafe": 0.5, "safe": -0.1}],
                    "languages": {"de": {"bias": -1.0}},
                },
                {
                    "bias": 0.0,
                    "evidence": {
                        "ada": {"unsafe": 0.5, "safe": -0.5},
                        "bob": {"unsafe": 0.5, "safe": -0.5},
                        "cyd": {"unsafe": 2.0, "safe": -2.0},
                    },
                },
            ],
        },
    } | changes
    return panel.load(document, voters=NAMES)


def test_risk_stops_where_the_error_is_under_the_bound_and_asks_on_where_it_is_not() -> None:
    unsafe = [vote("ada", UNSAFE), vote("bob", UNSAFE)]
    outcome = tally(calibrated(), unsafe)
    assert outcome.settled
    assert outcome.score == pytest.approx(0.924, abs=0.001)
    assert "risk 0.08 ≤ 0.10" in outcome.reason
    assert tally(calibrated(), unsafe, "de").next_voters == ("cyd",)
    safe = [vote("ada", SAFE), vote("bob", SAFE)]
    assert tally(calibrated(), safe).next_voters == ("cyd",)


def test_risk_without_a_bound_stops_beyond_the_thresholds() -> None:
    safe = [vote("ada", SAFE), vote("bob", SAFE)]
    assert tally(calibrated(risk=None), safe).settled
    split = [vote("ada", SAFE), vote("bob", UNSAFE)]
    assert tally(calibrated(risk=None), split).next_voters == ("cyd",)


def test_a_language_without_numbers_of_its_own_takes_the_pooled_ones() -> None:
    votes = [vote("ada", UNSAFE), vote("bob", UNSAFE)]
    pooled = tally(calibrated(), votes)
    assert tally(calibrated(), votes, "fr") == pooled
    assert tally(calibrated(), votes, "de").score < pooled.score


def test_agreement_is_measured_on_votes_and_on_decided_verdicts_only() -> None:
    votes: Votes = [vote("ada", UNSAFE), vote("bob", SAFE), abstention("cyd")]
    assert agreements(UNSAFE, votes) == {"ada": True, "bob": False}
    assert agreements(REVIEW, votes) == {}


GUARDED = panel.load(
    {
        "name": "guarded",
        "rounds": [["ada", "bob", "cyd", "dan"]],
        "stop": "all",
        "quorum": 2,
        "rule": {"kind": "majority"},
        "escalates": ["dan"],
    },
    voters=NAMES,
)


@pytest.mark.parametrize(
    ("said", "decision"),
    [(REVIEW, REVIEW), (UNSAFE, REVIEW), (SAFE, SAFE), (None, SAFE)],
)
def test_a_voter_that_escalates_keeps_the_panel_from_saying_safe(
    said: Decision | None, decision: Decision
) -> None:
    votes: Votes = [vote(voter, SAFE) for voter in ("ada", "bob", "cyd")]
    votes.append(nothing_found("dan") if said is None else vote("dan", said))
    outcome = tally(GUARDED, votes)
    assert outcome.decision is decision
    assert ("dan asks for a person" in outcome.reason) is (decision is REVIEW)


LOST = [reason for reason in AbstentionReason if not abstained("dan", reason).repeatable]


@pytest.mark.parametrize("reason", LOST)
def test_where_the_vote_of_one_that_escalates_was_lost_nothing_is_safe(
    reason: AbstentionReason,
) -> None:
    lost = abstained("dan", reason)
    calm: Votes = [vote(voter, SAFE) for voter in ("ada", "bob", "cyd")]
    outcome = tally(GUARDED, [*calm, lost])
    assert (outcome.decision, outcome.settled) == (REVIEW, True)
    assert "but the vote of dan was lost" in outcome.reason
    grave: Votes = [vote(voter, UNSAFE) for voter in ("ada", "bob", "cyd")]
    assert tally(GUARDED, [*grave, lost]).decision is UNSAFE
    # Of two deliveries the vote counts.
    assert tally(GUARDED, [*calm, lost, vote("dan", SAFE)]).decision is SAFE
    # One that does not escalate may fail.
    others = [vote(voter, SAFE) for voter in ("ada", "bob", "dan")]
    assert tally(GUARDED, [*others, abstained("cyd", reason)]).decision is SAFE


def test_at_the_deadline_nothing_is_safe_without_one_that_escalates() -> None:
    calm = [vote(voter, SAFE) for voter in ("ada", "bob", "cyd")]
    late = tally(GUARDED, calm, final=True)
    assert late.decision is REVIEW
    assert "the vote of dan was lost; concluded without dan" in late.reason
    assert tally(GUARDED, [*calm[:2], vote("dan", SAFE)], final=True).decision is SAFE


@pytest.mark.parametrize("field", ["escalates", "clears"])
def test_who_escalates_or_clears_must_sit(field: str) -> None:
    with pytest.raises(PanelInvalid, match=f"{field}: rules is not in these rounds"):
        panel.load(DEFAULT.document() | {field: ["rules"]})


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone(), language=languages)
def test_nothing_is_safe_before_a_voter_that_clears_has_answered(
    panel_: Panel, said: dict[str, Any], language: str | None
) -> None:
    outcome, votes = ask(panel_, said, language)
    answered = {vote.voter for vote in votes if isinstance(vote, CastVote)}
    if outcome is SAFE and panel_.clears:
        assert answered & set(panel_.clears)


@settings(max_examples=100, deadline=None)
@given(panel_=panels(), said=everyone(), data=st.data())
def test_in_a_reviewed_language_a_person_decides_after_the_first_round(
    panel_: Panel, said: dict[str, Any], data: st.DataObject
) -> None:
    stop = data.draw(st.sampled_from([panel.Stop.SETTLED, panel.Stop.ALL]))
    reviewed = panel_.model_copy(update={"reviewed_languages": ("fr",), "stop": stop})
    decision, votes = ask(reviewed, said, "fr")
    assert decision is REVIEW
    rounds = reviewed.rounds[:1] if stop is panel.Stop.SETTLED else reviewed.rounds
    assert {vote.voter for vote in votes} == {voter for voters in rounds for voter in voters}


def test_what_a_voter_escalates_the_later_rounds_look_at_before_a_person_must() -> None:
    economy = panel.packaged("economy")
    calm = [vote(voter, SAFE, 0.99) for voter in ("characters", "meaning", *economy.rounds[1])]
    assert tally(economy, [nothing_found("rules"), *calm], "en").settled
    lost = tally(economy, [abstention("rules"), *calm], "en")
    assert lost.next_voters == economy.rounds[2]
    escalated = tally(economy, [vote("rules", REVIEW, 0.5), *calm], "en")
    assert escalated.next_voters == economy.rounds[2]


def test_economy_says_safe_only_after_an_llm_has_answered() -> None:
    economy = panel.packaged("economy")
    calm = [vote(voter, SAFE, 0.99) for voter in ("characters", "meaning")]
    first = tally(economy, [nothing_found("rules"), *calm], "en")
    assert (first.decision, first.next_voters) == (REVIEW, economy.rounds[1])
    silent = [abstention(voter) for voters in economy.rounds[1:] for voter in voters]
    alone = tally(economy, [nothing_found("rules"), *calm, *silent], "en")
    assert alone.decision is REVIEW
    assert "safe needs an answer of gpt-4.1-nano, gemini-2.5-flash-lite or gpt-4.1" in alone.reason
