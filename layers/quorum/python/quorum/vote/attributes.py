"""The Perspective API's attributes of a text, pooled from a panel's votes. Pure.

An embedded voter gives attributes itself (`attribute_scores`: calibrated probabilities, of the
attributes that it knows in the text's language). The votes of language models have scores of
OpenAI's categories, a decision and a confidence. They are read as follows:

* TOXICITY is the probability of unsafe that the vote states: its confidence, or one less that for
  a vote for safe, a half for `needs_review`. A vote for unsafe that names only categories which are
  not hostile to anybody (self-harm, illicit) says 0.
* IDENTITY_ATTACK, INSULT, THREAT and SEXUALLY_EXPLICIT are the highest score of their categories
  (`CATEGORIES_OF`), 0 where the voter was asked about one and did not name it.
* Of SEVERE_TOXICITY and PROFANITY they say nothing: no category means them.

The pooled score is the mean of the voters that score the attribute, weighted as the panel weighs
them (equally under rules without weights). Sums are exact: no order of votes changes a score.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from quorum.core.models import Abstention, Attribute, CastVote, Category, Decision
from quorum.vote import policy_reading
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy

CATEGORIES_OF: Mapping[Attribute, tuple[Category, ...]] = MappingProxyType(
    {
        Attribute.IDENTITY_ATTACK: (Category.HATE, Category.HATE_THREATENING),
        Attribute.INSULT: (Category.HARASSMENT,),
        Attribute.THREAT: (Category.HARASSMENT_THREATENING, Category.HATE_THREATENING),
        Attribute.SEXUALLY_EXPLICIT: (Category.SEXUAL,),
    }
)
"""The categories whose highest score is the attribute's, in votes of language models."""
NOT_HOSTILE = frozenset(
    {
        *(Category.ILLICIT, Category.ILLICIT_VIOLENT, Category.SELF_HARM),
        *(Category.SELF_HARM_INTENT, Category.SELF_HARM_INSTRUCTIONS),
    }
)
"""Categories of unsafe content that is no attack on anybody."""
_STATED = (Attribute.TOXICITY, *CATEGORIES_OF)
"""The attributes that a language model may judge."""


def pooled(
    policy: Policy, panel: Panel, votes: Iterable[CastVote | Abstention]
) -> dict[Attribute, float]:
    """The score of each attribute that a voter on `panel` scores."""
    weights = policy_reading.weights_of(panel)
    spoken: dict[Attribute, dict[str, float]] = {}
    for vote in votes:
        if vote.voter in panel.voters:
            for attribute, score in _said(policy, vote).items():
                spoken.setdefault(attribute, {})[vote.voter] = score
    return {
        attribute: policy_reading.mean(spoken[attribute], weights)
        for attribute in Attribute
        if attribute in spoken
    }


def may_come(attribute: Attribute, votes: Iterable[CastVote | Abstention]) -> bool:
    """Whether a voter that failed, and may answer later, could judge `attribute`."""
    return any(
        isinstance(vote, Abstention)
        and not vote.repeatable
        and (policy_reading.is_embedded(vote.voter) or attribute in _STATED)
        for vote in votes
    )


def _said(policy: Policy, vote: CastVote | Abstention) -> dict[Attribute, float]:
    """The score of each attribute that `vote` scores."""
    given = dict(vote.attribute_scores)
    if given or isinstance(vote, Abstention) or policy_reading.is_embedded(vote.voter):
        return given
    named = policy_reading.said(policy, vote)
    of_categories = {
        attribute: max(named[category] for category in categories if category in named)
        for attribute, categories in CATEGORIES_OF.items()
        if any(category in named for category in categories)
    }
    return {Attribute.TOXICITY: _hostility(vote), **of_categories}


def _hostility(vote: CastVote) -> float:
    """How probable the vote makes it that the text is an attack on somebody."""
    # What the voter said, and not what a policy counts it as.
    decision = vote.decision_cast or vote.decision
    if decision is Decision.NEEDS_REVIEW:
        return 0.5
    if decision is Decision.SAFE:
        return 1 - vote.confidence
    named = {name for name, score in vote.scores.items() if score}
    return 0.0 if named and named <= NOT_HOSTILE else vote.confidence
