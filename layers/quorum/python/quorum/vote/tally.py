"""From votes and panel to an outcome. Pure: the same votes in any order give the same outcome.

Three rules (see `quorum.vote.panel`):

* weighted: the unsafe score is Σ weight × confidence over the votes for unsafe, divided by the
  weight of everyone who answered; the safe score likewise. Unsafe at its threshold, else safe at
  its threshold, else `needs_review`. A failed voter is not in the divisor: it lowers neither.
* majority: the same with every weight and confidence 1, and more than half needed.
* calibrated: the log-odds of unsafe are the language's bias, plus each vote's evidence, plus what
  pairs of agreeing votes add; decided by two thresholds on the probability.

Under every rule, the panel does not decide `safe` while a voter in its `escalates` votes anything
but safe or its vote was lost (what makes it fail may be in the content), nor before a voter in its
`clears` has answered. In its `reviewed_languages` it decides
nothing: it asks its first round, whose votes a reviewer sees.

Whether the panel is settled is decided by the extremes the score can still reach. They are exact:
every rule is monotone in each vote, so the extremes are where all outstanding voters vote one way
with full confidence. Sums are exact (weighted, as whole numbers of a small unit) or correctly
rounded (`fsum`), and calibrated thresholds are compared as log-odds, so no order of adding can
change a verdict.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from quorum.core.exact import decimal, weighted_sums
from quorum.core.models import Abstention, CastVote, Decision, Outcome
from quorum.vote.panel import Calibrated, Evidence, Majority, Panel, Stop, Thresholds, Weighted

CONFIDENCE_CEILING = 0.99
"""Highest confidence of a vote: a higher one counts as this."""

# A name of the module is found ten times as fast as a member of an enumeration (Python 3.11).
_UNSAFE, _SAFE, _REVIEW = Decision.UNSAFE, Decision.SAFE, Decision.NEEDS_REVIEW
_HALVES = Thresholds(unsafe=0.5, safe=0.5)
_WORDS = {option: option.replace("_", " ") for option in Decision}
_SEVERITY = {_SAFE: 0, _REVIEW: 1, _UNSAFE: 2}


class _TallyVote(Protocol):
    """The parts of a vote that the tally uses."""

    @property
    def decision(self) -> Decision:
        """The decision of the vote, as it counts."""

    @property
    def confidence(self) -> float:
        """The voter's probability that it is right."""


class _Supposed(NamedTuple):
    """A vote that an outstanding voter could still cast."""

    decision: Decision
    confidence: float


_SURELY_UNSAFE = _Supposed(_UNSAFE, 1.0)
_SURELY_SAFE = _Supposed(_SAFE, 1.0)
_ASKS_FOR_REVIEW = _Supposed(_REVIEW, 1.0)


class _TallyState(NamedTuple):
    """A panel's votes on one content so far, and the voters that are outstanding.

    The votes of `lost` could not be had: those voters failed, or the deadline came first.
    """

    panel: Panel
    language: str | None
    tally_votes: Mapping[str, _TallyVote]
    lost: Collection[str]
    outstanding: tuple[str, ...]
    quorum: int

    def supposing(self, tally_vote: _TallyVote, rounds: int | None = None) -> "_TallyState":
        """The state if all outstanding voters (of the first `rounds`) cast this vote."""
        asked = {voter for voters in self.panel.rounds[:rounds] for voter in voters}
        filled = {voter: tally_vote for voter in self.outstanding if voter in asked}
        return self._replace(tally_votes={**self.tally_votes, **filled})

    @property
    def thresholds(self) -> Thresholds | None:
        """The thresholds for the content's language."""
        return self.panel.thresholds_of(self.language)

    @property
    def reviewed(self) -> bool:
        """Whether a person decides in the content's language, whatever the votes."""
        return self.language in self.panel.reviewed_languages

    @property
    def escalating(self) -> tuple[str, ...]:
        """The voters that keep the panel from deciding safe."""
        return tuple(
            voter
            for voter in self.panel.escalates
            if voter in self.lost
            or (voter in self.tally_votes and self.tally_votes[voter].decision is not _SAFE)
        )

    @property
    def uncleared(self) -> bool:
        """Whether the panel may not decide safe yet: no voter that could clear has answered."""
        clears = self.panel.clears
        return bool(clears) and not any(voter in self.tally_votes for voter in clears)

    @property
    def last_round(self) -> int:
        """The number of the last round with a vote."""
        return max(
            number
            for number, voters in enumerate(self.panel.rounds)
            if any(voter in self.tally_votes for voter in voters)
        )


class _Reading(NamedTuple):
    """The decision on the votes, both scores, and the comparison that decided."""

    decision: Decision
    unsafe: float
    safe: float
    comparison: str


def tally(
    panel: Panel,
    votes: Iterable[CastVote | Abstention],
    language: str | None = None,
    *,
    final: bool = False,
) -> Outcome:
    """The outcome of `votes` (of any rounds, or from the cache) on `panel`, with the next voters.

    Votes of voters that are not on the panel are ignored. With `final` (the deadline has passed) no
    more voters are asked: the outcome is concluded from the votes there are.
    """
    votes = tuple(votes)
    tally_votes, heard, lost = _by_voter(panel, votes)
    outstanding = tuple([voter for voter in panel.voters if voter not in heard])
    quorum = quorum_of(panel, votes)
    if final:
        lost.update(outstanding)
    state = _TallyState(panel, language, tally_votes, lost, outstanding, quorum)
    reading = _read(state)
    quorate = len(tally_votes) >= quorum
    decision = _held(state, reading.decision) if quorate else _REVIEW
    why_stopped = _why_stopped(state, reading, final=final)
    next_voters = () if why_stopped is not None else _next_round(panel, heard)
    if not heard:
        beginning = "no votes yet"
    elif quorate and decision is not reading.decision:
        beginning = f"{_described(state, reading)}, but {_why_held(state)}"
    elif quorate:
        beginning = _described(state, reading)
    else:
        beginning = (
            f"only {len(tally_votes)} of {len(panel.voters)} answered; the quorum is {quorum}"
        )
    ending = why_stopped if why_stopped is not None else f"next to vote: {_listed(next_voters)}"
    if decision is _REVIEW:
        confidence = max(reading.unsafe, reading.safe)
    else:
        confidence = reading.unsafe if decision is _UNSAFE else reading.safe
    return Outcome(
        decision=decision,
        score=reading.unsafe,
        confidence=confidence,
        reason=f"{beginning}; {ending}" if ending else beginning,
        settled=why_stopped is not None,
        next_voters=next_voters,
    )


def quorum_of(panel: Panel, votes: Iterable[CastVote | Abstention]) -> int:
    """The number of votes that decide: the panel's quorum, or all that can be had if fewer can.

    A voter that does not know the language, or that only speaks where it finds something and
    found nothing, could not have voted. A voter that failed could have, and so could one that finds
    the content unlike its training.
    """
    mute = {
        vote.voter
        for vote in votes
        # Asked this way round, the common case takes a tenth of the time.
        if not isinstance(vote, CastVote) and vote.could_not_vote and vote.voter in panel.voters
    }
    return max(1, min(panel.quorum, len(panel.voters) - len(mute)))


def agreements(decision: Decision, votes: Iterable[CastVote | Abstention]) -> dict[str, bool]:
    """By voter, whether its vote is `decision`: a verdict's, or a reviewer's.

    Empty where the decision is `needs_review`, and without the voters that abstained: there is
    nothing to agree with.
    """
    if decision is _REVIEW:
        return {}
    return {vote.voter: vote.decision is decision for vote in votes if isinstance(vote, CastVote)}


def confidence_logit(confidence: float) -> float:
    """The logit of `confidence`, at least 0 and at most that of `CONFIDENCE_CEILING`.

    A voter less than half sure of its own decision counts as half sure: its confidence may weaken
    its vote, never turn it round.
    """
    sure = min(max(confidence, 0.5), CONFIDENCE_CEILING)
    return math.log(sure / (1 - sure))


def _by_voter(
    panel: Panel, votes: Iterable[CastVote | Abstention]
) -> tuple[dict[str, _TallyVote], set[str], set[str]]:
    """Each voter's vote, the voters that voted or abstained, and those whose vote was lost.

    A voter counts once. Of two votes (a redelivered round) the graver one counts, whichever came
    first; a vote beats an abstention.
    """
    tally_votes: dict[str, _TallyVote] = {}
    abstained: set[str] = set()
    lost: set[str] = set()
    voters = panel.voters
    for vote in votes:
        voter = vote.voter
        if voter not in voters:
            continue
        if not isinstance(vote, CastVote):
            abstained.add(voter)
            if not vote.repeatable:
                lost.add(voter)
        elif voter not in tally_votes or _gravity(vote) > _gravity(tally_votes[voter]):
            tally_votes[voter] = vote
    return tally_votes, abstained.union(tally_votes), lost.difference(tally_votes)


def _gravity(tally_vote: _TallyVote) -> tuple[int, float]:
    return _SEVERITY[tally_vote.decision], tally_vote.confidence


def _held(state: _TallyState, decision: Decision, *, cleared: bool = False) -> Decision:
    """The decision, or `needs_review` where the panel may not say it.

    With `cleared`, as if a voter that clears had answered.
    """
    uncleared = state.uncleared and not cleared
    if state.reviewed or (decision is _SAFE and (state.escalating or uncleared)):
        return _REVIEW
    return decision


def _why_held(state: _TallyState) -> str:
    if state.reviewed:
        return f"this panel leaves {state.language} to a person"
    asking = tuple(voter for voter in state.escalating if voter in state.tally_votes)
    if asking:
        return f"{_listed(asking)} asks for a person"
    if state.escalating:
        return f"the vote of {_listed(state.escalating)} was lost"
    return f"safe needs an answer of {_listed(state.panel.clears, 'or')}"


# --- when asking ends ----------------------------------------------------------------------------


def _why_stopped(state: _TallyState, reading: _Reading, *, final: bool) -> str | None:
    """The reason why asking ends ("" if it needs no words), or None if it goes on."""
    if not state.outstanding:
        return ""
    if final:
        return f"concluded without {_listed(state.outstanding)}"
    if len(state.tally_votes) + len(state.outstanding) < state.quorum:
        return "the quorum cannot be met any more"
    if _settled(state):
        return f"no vote of {_listed(state.outstanding)} could change it"
    if state.panel.stop is Stop.RISK:
        return _why_sure_enough(state, reading)
    return None


def _settled(state: _TallyState) -> bool:
    """Whether no outstanding vote could change the verdict, and the panel stops where that is so.

    In a reviewed language the first round is asked all the same: a reviewer sees its votes.
    """
    if state.reviewed:
        return len(state.outstanding) < len(state.panel.voters)
    return state.panel.stop is Stop.SETTLED and len(_reachable(state)) == 1


def _why_sure_enough(state: _TallyState, reading: _Reading) -> str | None:
    panel = state.panel
    without = _listed(state.outstanding)
    # Where the panel may not say safe, the others are asked before a person is.
    held = _held(state, reading.decision) is not reading.decision
    if len(state.tally_votes) < state.quorum or held:
        return None
    if panel.risk is None:
        in_between = reading.decision is _REVIEW
        return None if in_between else f"sure enough without {without}"
    error = min(reading.unsafe, reading.safe)
    # Voters of the last round are outstanding, or its bound is that of the round before.
    bound = panel.risk[min(state.last_round, len(panel.risk) - 1)] if panel.risk else 0.0
    if error > bound:
        return None
    return f"sure enough without {without} (risk {compared(error, '≤', bound)})"


def _next_round(panel: Panel, heard: set[str]) -> tuple[str, ...]:
    rounds = (panel.voters,) if panel.stop is Stop.ALL else panel.rounds
    missing = (tuple(voter for voter in voters if voter not in heard) for voters in rounds)
    return next(voters for voters in missing if voters)


def _reachable(state: _TallyState) -> set[Decision]:
    """Every decision that the outstanding votes, or abstentions, could still lead to."""
    panel, answered = state.panel, len(state.tally_votes)
    if isinstance(panel.rule, Calibrated):
        reachable = _reachable_log_odds(state, panel.rule)
    else:
        reachable = _reachable_shares(state, panel.rule)
    may_escalate = not set(panel.escalates).isdisjoint(state.outstanding)
    may_be_cleared = state.uncleared and not set(panel.clears).isdisjoint(state.outstanding)
    if _SAFE in reachable and (may_escalate or may_be_cleared):
        reachable = reachable | {_REVIEW}
    reachable = {_held(state, decision, cleared=may_be_cleared) for decision in reachable}
    return reachable if answered >= state.quorum else reachable | {_REVIEW}


def _reachable_shares(state: _TallyState, rule: Weighted | Majority) -> set[Decision]:
    # A vote adds its weight to the divisor and at most that weight to one score. So a score is
    # highest when all outstanding voters are sure of it, and lowest when all vote otherwise.
    extremes = (_SURELY_UNSAFE, _SURELY_SAFE, _ASKS_FOR_REVIEW)
    return {
        _decided_by_shares(state.thresholds, *_shares(rule, state.supposing(extreme).tally_votes))
        for extreme in extremes
    }


def _reachable_log_odds(state: _TallyState, rule: Calibrated) -> set[Decision]:
    # Later rounds may all abstain, so each stage may be the last, with its voters all agreeing.
    extremes = [
        _log_odds(rule, supposed)
        for rounds in range(1, len(state.panel.rounds) + 1)
        for extreme in (_SURELY_UNSAFE, _SURELY_SAFE)
        if (supposed := state.supposing(extreme, rounds)).tally_votes
    ]
    lowest, highest = min(extremes), max(extremes)
    safe_to, unsafe_from = _log_odds_limits(state.thresholds)
    reachable = set()
    if highest >= unsafe_from:
        reachable.add(_UNSAFE)
    if lowest <= safe_to:
        reachable.add(_SAFE)
    if lowest < unsafe_from and highest > safe_to:
        reachable.add(_REVIEW)
    return reachable


# --- the decision on the votes -------------------------------------------------------------------


def _read(state: _TallyState) -> _Reading:
    if not state.tally_votes:
        return _Reading(_REVIEW, 0.5, 0.5, "nobody answered")
    rule, thresholds = state.panel.rule, state.thresholds
    if isinstance(rule, Calibrated):
        return _read_log_odds(thresholds, _log_odds(rule, state))
    return _read_shares(thresholds, *_shares(rule, state.tally_votes))


def _shares(
    rule: Weighted | Majority, tally_votes: Mapping[str, _TallyVote]
) -> tuple[int, int, int]:
    """The weight for unsafe, the weight for safe, and all weight that answered, in one unit."""
    if isinstance(rule, Majority):
        said = [tally_vote.decision for tally_vote in tally_votes.values()]
        return said.count(_UNSAFE), said.count(_SAFE), len(said)
    weights = rule.whole_weights
    return weighted_sums(
        [
            (weights[voter], tally_vote.confidence, tally_vote.decision)
            for voter, tally_vote in tally_votes.items()
        ]
    )


def _read_shares(thresholds: Thresholds | None, unsafe: int, safe: int, whole: int) -> _Reading:
    decision = _decided_by_shares(thresholds, unsafe, safe, whole)
    unsafe_share, safe_share = unsafe / whole, safe / whole
    if decision is _REVIEW:
        comparison = f"score {unsafe_share:.2f}, safe score {safe_share:.2f}"
    else:
        limits, sign = (_HALVES, ">") if thresholds is None else (thresholds, "≥")
        comparison = (
            f"score {compared(unsafe_share, sign, limits.unsafe)}"
            if decision is _UNSAFE
            else f"safe score {compared(safe_share, sign, limits.safe)}"
        )
    return _Reading(decision, unsafe_share, safe_share, comparison)


def _decided_by_shares(
    thresholds: Thresholds | None, unsafe: int, safe: int, whole: int
) -> Decision:
    """The decision: a share reaches its threshold; without thresholds, it is more than half."""
    if thresholds is None:
        says_unsafe, says_safe = 2 * unsafe > whole, 2 * safe > whole
    else:
        limit, parts_of_one = decimal(thresholds.unsafe)
        says_unsafe = unsafe * parts_of_one >= limit * whole
        limit, parts_of_one = decimal(thresholds.safe)
        says_safe = safe * parts_of_one >= limit * whole
    if says_unsafe:
        return _UNSAFE
    return _SAFE if says_safe else _REVIEW


def _log_odds(rule: Calibrated, state: _TallyState) -> float:
    return math.fsum(_terms(rule, state))


def _terms(rule: Calibrated, state: _TallyState) -> Iterable[float]:
    stage = rule.stages[state.last_round]
    own = stage.languages.get(state.language) if state.language is not None else None
    yield stage.bias if own is None else own.bias
    for voter, tally_vote in state.tally_votes.items():
        pooled = stage.evidence[voter]
        yield from _weigh(pooled if own is None else own.evidence.get(voter, pooled), tally_vote)
    for pair in stage.pairs:
        said = [
            state.tally_votes[voter].decision for voter in pair.voters if voter in state.tally_votes
        ]
        if said == [_UNSAFE, _UNSAFE]:
            yield pair.unsafe
        elif said == [_SAFE, _SAFE]:
            yield pair.safe


def _weigh(evidence: Evidence, tally_vote: _TallyVote) -> Iterable[float]:
    if tally_vote.decision is _UNSAFE:
        yield evidence.unsafe
        yield evidence.slope * confidence_logit(tally_vote.confidence)
    elif tally_vote.decision is _SAFE:
        yield evidence.safe
        yield -evidence.slope * confidence_logit(tally_vote.confidence)
    else:
        yield evidence.needs_review


def _log_odds_limits(thresholds: Thresholds | None) -> tuple[float, float]:
    """The log-odds up to which the verdict is safe, and from which it is unsafe."""
    if thresholds is None:  # a calibrated panel without thresholds is refused at load
        return 0.0, 0.0
    safe_to = math.log((1 - thresholds.safe) / thresholds.safe)
    return safe_to, math.log(thresholds.unsafe / (1 - thresholds.unsafe))


def _read_log_odds(thresholds: Thresholds | None, log_odds: float) -> _Reading:
    safe_to, unsafe_from = _log_odds_limits(thresholds)
    unsafe, safe = _probability(log_odds), _probability(-log_odds)
    if log_odds >= unsafe_from:
        decision = _UNSAFE
        comparison = f"score {compared(unsafe, '≥', _probability(unsafe_from))}"
    elif log_odds <= safe_to:
        decision = _SAFE
        comparison = f"score {compared(unsafe, '≤', _probability(safe_to))}"
    else:
        decision = _REVIEW
        comparison = (
            f"score {unsafe:.2f}, between {_probability(safe_to):.2f} "
            f"and {_probability(unsafe_from):.2f}"
        )
    return _Reading(decision, unsafe, safe, comparison)


def _probability(log_odds: float) -> float:
    return (1 + math.tanh(log_odds / 2)) / 2  # the logistic function, without its overflow


# --- the reason, for a person --------------------------------------------------------------------


def _described(state: _TallyState, reading: _Reading) -> str:
    said = [tally_vote.decision for tally_vote in state.tally_votes.values()]
    if reading.decision is _REVIEW:
        counts = ", ".join(
            f"{said.count(option)} {words}" for option, words in _WORDS.items() if option in said
        )
        return f"the votes do not decide: {counts} ({reading.comparison})"
    agreeing = said.count(reading.decision)
    verb = "says" if agreeing == 1 else "say"
    return f"{agreeing} of {len(said)} voters {verb} {reading.decision} ({reading.comparison})"


def compared(left: float, sign: str, right: float) -> str:
    """Both numbers, with as many digits as it takes to tell them apart."""
    for form in ("%.2f", "%.4f", "%.6f"):
        shown, limit = form % left, form % right
        if shown != limit or left == right:
            break
    return f"{shown} {sign} {limit}"


def _listed(voters: tuple[str, ...], joined_by: str = "and") -> str:
    if len(voters) == 1:
        return voters[0]
    return f"{', '.join(voters[:-1])} {joined_by} {voters[-1]}"
