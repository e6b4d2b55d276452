"""Votes read through a policy, before they are tallied. Pure.

A vote for unsafe flags the categories whose score reaches their threshold. It counts as the gravest
action of those: as cast for `unsafe`, as `needs_review`, and as safe if there is only `ignore` or
nothing is flagged. Other votes count as cast.

A vote without scores counts as cast if its voter was told the policy, or the policy has the
packaged instructions and categories. Embedded voters are told nothing. Under any other policy only
their scores of categories that it does not redefine count:

* a vote for unsafe flags the categories whose score reaches their threshold, 0.5 where the policy
  sets none, or, if there is no such, its highest one if that has no threshold;
* a vote counts as safe only if it covers every category that the policy enables, and the policy has
  the packaged instructions: of the others it says nothing;
* all else becomes an abstention. (`rules` covers what its lists name, and its hits count as such.)

The pooled score of a category is the mean of the scores of the voters that judge it, weighted
as the panel weighs them (equally under rules without weights). A voter that was told the policy
judges every enabled category: one that its vote does not list has the score 0. An embedded voter
speaks only of those that it names, a guard model only of those that its vote covers. An abstention,
and a vote for anything but safe without any score, judges none and adds nothing. Sums are exact
fractions: no order of votes changes a score, and no higher score of a vote lowers one.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import ModelUnknown, PanelInvalid
from quorum.core.exact import weighted_mean
from quorum.core.models import (
    Abstention,
    CastVote,
    CategoryScore,
    Decision,
)
from quorum.vote import guards
from quorum.vote.panel import Calibrated, Panel, Weighted
from quorum.vote.policy import DEFAULT, PACKAGED, THRESHOLD, Action, Policy
from quorum.vote.tally import compared

if TYPE_CHECKING:
    from collections.abc import Mapping

# A name of the module is found ten times as fast as a member of an enumeration (Python 3.11).
_UNSAFE, _SAFE, _REVIEW = Decision.UNSAFE, Decision.SAFE, Decision.NEEDS_REVIEW
NAMED_LIMIT = 3
"""Flagged categories that a verdict's reason names at most."""

_PACKAGED = frozenset((DEFAULT.name, PACKAGED, f"{DEFAULT.name}@{DEFAULT.version}"))
"""The names of the packaged policy; a tenant's policy that says nothing else is the same."""
_NOBODY: "Mapping[str, int]" = {}
_EMBEDDED = {model.name: model for model in registry.voters() if model.kind == "embedded"}


def read_through(
    policy: Policy, votes: Iterable[CastVote | Abstention]
) -> list[CastVote | Abstention]:
    """The votes as they count under `policy`, in the same order."""
    return [_read(policy, vote) if isinstance(vote, CastVote) else vote for vote in votes]


def _read(policy: Policy, vote: CastVote) -> CastVote | Abstention:
    if vote.voter in _EMBEDDED:
        return _read_embedded(policy, vote)
    if vote.decision is not _UNSAFE or not any(vote.scores.values()):
        return vote
    return _counted(vote, _actions(policy, vote.scores, least=0.0))


def _read_embedded(policy: Policy, vote: CastVote) -> CastVote | Abstention:
    """The vote of a voter that was told nothing: as cast, or read by its scores."""
    if policy.judges_as_default:
        return vote
    # A score that it gives a category means what it was trained for, not what a policy calls so.
    if not policy.redefined.isdisjoint(vote.scores):
        meant = {name: one for name, one in vote.scores.items() if name not in policy.redefined}
        vote = vote.model_copy(update={"scores": meant})
    scores = vote.scores
    if not any(scores.values()):
        return _abstaining(vote)
    actions = _actions(policy, scores, least=0.0 if vote.covers is None else THRESHOLD)
    if not actions and vote.decision is _UNSAFE:
        highest = policy.rules(max(sorted(scores), key=scores.__getitem__))
        actions = {highest.counted_as} if highest.threshold is None else set()
    clears = vote.covers is None or (
        policy.instructions == DEFAULT.instructions
        and policy.redefined.isdisjoint(policy.enabled)
        and all(name in vote.covers for name in policy.enabled)
    )
    if vote.decision is _UNSAFE:
        grave = actions & {Action.UNSAFE, Action.NEEDS_REVIEW}
        return _counted(vote, actions) if grave or clears else _abstaining(vote)
    return vote if clears and not actions - {Action.IGNORE} else _abstaining(vote)


def _actions(policy: Policy, scores: "Mapping[str, float]", least: float) -> set[Action]:
    """The actions of the categories whose score reaches their threshold, `least` without one."""
    found: set[Action] = set()
    for name, score in scores.items():
        rules = policy.rules(name)
        if score and score >= (least if rules.threshold is None else rules.threshold):
            found.add(rules.counted_as)
    return found


def _counted(vote: CastVote, actions: set[Action]) -> CastVote:
    """A vote for unsafe as the gravest of these actions."""
    if Action.UNSAFE in actions:
        return vote
    counted = _REVIEW if Action.NEEDS_REVIEW in actions else _SAFE
    return vote.model_copy(update={"decision": counted, "decision_cast": vote.decision})


def _abstaining(vote: CastVote) -> Abstention:
    """The abstention of an embedded voter that cannot judge under the policy."""
    return Abstention(
        voter=vote.voter,
        reason=AbstentionReason.POLICY_UNKNOWN,
        detail=f"reads no policy; of the packaged one it says {vote.decision}",
        attribute_scores=vote.attribute_scores,
        tokens=vote.tokens,
        cost_usd=vote.cost_usd,
        cost_estimated=vote.cost_estimated,
        latency_ms=vote.latency_ms,
        cached=vote.cached,
        served_by=vote.served_by,
    )


def pooled(
    policy: Policy, panel: Panel, votes: Iterable[CastVote | Abstention]
) -> dict[str, CategoryScore]:
    """For each enabled category that a voter on `panel` judges, its pooled score.

    `votes` were read through `policy`. Of two votes of a voter the higher scores count.
    """
    voters, weights = panel.voters, weights_of(panel)
    of_all: dict[str, int] = {}  # the voters that judge every enabled category, and their weights
    spoken: dict[str, dict[str, float]] = {}
    for vote in votes:
        voter = vote.voter
        if not isinstance(vote, CastVote) or voter not in voters:
            continue
        if _speaks_of_all(vote):
            of_all[voter] = weights.get(voter, 1)
        if not vote.scores and vote.covers is None:
            continue
        for name, score in _named(policy, vote).items():
            by_voter = spoken.setdefault(name, {})
            if score >= by_voter.get(voter, 0.0):
                by_voter[voter] = score
    scores = {
        name: policy.scored(name, mean(by_voter, weights, of_all))
        for name, by_voter in spoken.items()
    }
    if of_all:
        return policy.unscored | scores
    return {name: scores[name] for name in policy.enabled if name in scores}


def is_embedded(voter: str) -> bool:
    """Whether `voter` is one of the packaged embedded voters, which read no policy."""
    return voter in _EMBEDDED


def said(policy: Policy, vote: CastVote) -> dict[str, float]:
    """The score of each enabled category that `vote` judges."""
    named = _named(policy, vote)
    return dict.fromkeys(policy.enabled, 0.0) | named if _speaks_of_all(vote) else named


def _speaks_of_all(vote: CastVote) -> bool:
    """Whether a category that the vote does not name has the score 0."""
    if vote.covers is not None or vote.voter in _EMBEDDED:
        return False
    return bool(vote.scores) or vote.decision is _SAFE


def _named(policy: Policy, vote: CastVote) -> dict[str, float]:
    """The scores of the enabled categories that the vote names, and those a guard covers."""
    named = {name: score for name, score in vote.scores.items() if name in policy.unscored}
    if vote.covers is None or vote.voter in _EMBEDDED:
        return named
    if not vote.scores and vote.decision is not _SAFE:
        return {}
    return {name: 0.0 for name in policy.enabled if name in vote.covers} | named


def weights_of(panel: Panel) -> "Mapping[str, int]":
    """The weights of the panel's voters, in whole numbers; empty where all weigh the same."""
    return panel.rule.whole_weights if isinstance(panel.rule, Weighted) else {}


def mean(
    by_voter: "Mapping[str, float]",
    weights: "Mapping[str, int]",
    others: "Mapping[str, int]" = _NOBODY,
) -> float:
    """The mean of the voters' scores, weighted (1 where no weight is given); an exact sum.

    Those of `others`, who have these weights, that gave none have the score 0.
    """
    terms = [(weights.get(voter, 1), score) for voter, score in by_voter.items()]
    silent = sum(others.values()) - sum([others.get(voter, 0) for voter in by_voter])
    return weighted_mean(terms, silent)


def grounds(policy: Policy, decision: Decision, scores: "Mapping[str, CategoryScore]") -> str:
    """The flagged categories that speak for `decision`, the highest first; "" where none does."""
    if decision is _SAFE:
        return ""
    flagged = sorted(
        (-score.score, name)
        for name, score in scores.items()
        if score.flagged and score.score and policy.rules(name).counted_as == str(decision)
    )
    return ", ".join(
        f"{name} {compared(scores[name].score, '≥', scores[name].threshold)}"
        for _, name in flagged[:NAMED_LIMIT]
    )


def is_calibrated(panel: Panel, policy: Policy) -> bool | None:
    """Whether `panel` was calibrated under `policy`; None for a panel of another rule.

    Its scores are probabilities under that policy only.
    """
    if not isinstance(panel.rule, Calibrated):
        return None
    if panel.calibrated_under in _PACKAGED:
        return policy.judges_as_default
    return panel.calibrated_under in (policy.name, f"{policy.name}@{policy.version}")


def require_covers(
    panel: Panel, policy: Policy, model_of: Callable[[str], registry.Model] = registry.model
) -> None:
    """Raise `PanelInvalid` if no voter on `panel` can judge an enabled category of `policy`.

    `model_of` finds a voter's model, and raises `ModelUnknown` for one that is gone.
    """
    name = uncovered(panel, policy, model_of)
    if name is not None:
        raise PanelInvalid(
            f"no voter on {panel.name} ({', '.join(panel.voters)}) can judge {name}, a category"
            f" of the policy {policy.name}; choose a panel with a voter that is told the policy",
            path="panel",
        )


def uncovered(
    panel: Panel, policy: Policy, model_of: Callable[[str], registry.Model] = registry.model
) -> str | None:
    """The first enabled category of `policy` of which no voter on `panel` can speak, if any."""
    if policy.judges_as_default or covers_all(panel, model_of):
        return None
    covered = [_covered(voter, policy, model_of) for voter in panel.voters]
    spoken = {name for names in covered for name in names or ()}
    return next((name for name in policy.enabled if name not in spoken), None)


def covers_all(panel: Panel, model_of: Callable[[str], registry.Model] = registry.model) -> bool:
    """Whether a voter on `panel` is told the policy, so that it judges any category."""
    return any(_covered(voter, DEFAULT, model_of) is None for voter in panel.voters)


def _covered(
    voter: str, policy: Policy, model_of: Callable[[str], registry.Model]
) -> tuple[str, ...] | None:
    """The policy's categories of which `voter` can speak; None if it is told the policy."""
    try:
        model = model_of(voter)
    except ModelUnknown:
        return ()
    if model.kind == "gateway":
        return guards.covered(model, policy)
    return tuple(name for name in model.categories if not policy.rules(name).definition)
