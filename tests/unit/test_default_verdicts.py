"""The packaged policy's verdicts are those of the tally alone, as they were before policies.

The votes are made up by a seeded generator: decisions, confidences, scores and abstentions of every
voter of a panel. `FROZEN` are digests of what the tally says of them without reading them through
any policy; whoever changes one on purpose changes the verdicts of everybody's texts.
"""

import random
from collections.abc import Iterator
from hashlib import sha256

import pytest
from quorum.core.models import Abstention, CastVote, Content, Decision
from quorum.vote import panel
from quorum.vote.evaluation import conclude_round
from quorum.vote.panel import PACKAGED, Panel
from quorum.vote.policy import DEFAULT
from quorum.vote.tally import tally

from tests import make

ROWS = 400
LANGUAGES = ("en", "es", "de", "ko", None)
DECISIONS = ("safe", "unsafe", "needs_review")
FROZEN = {
    "default": "d9e8ac7be4171f3f",
    "economy": "137e7ae7da8a6669",
    "embedded": "c2fe14cbc21ff8af",
}

Row = tuple[str | None, list[CastVote | Abstention]]


def recorded(of: Panel) -> Iterator[Row]:
    """Rows of made-up votes of all voters on the panel: the same on every machine."""
    draw = random.Random(f"recorded votes of {of.name}").random

    def one_of(choices: tuple[str, ...]) -> str:
        return choices[int(draw() * len(choices))]

    for _ in range(ROWS):
        language = LANGUAGES[int(draw() * len(LANGUAGES))]
        votes: list[CastVote | Abstention] = []
        for voter in of.voters:
            if draw() < 0.15:
                votes.append(make.abstention(voter, "nothing_found"))
                continue
            decision = one_of(DECISIONS)
            named = {one_of(DEFAULT.known): draw() for _ in range(int(draw() * 4))}
            scores = named if decision != "safe" else {}
            votes.append(make.cast(voter, decision, confidence=draw(), scores=scores))
        yield language, votes


def line(decision: Decision, score: float, confidence: float) -> str:
    # Twelve digits: the last ones of an exponential differ between machines.
    return f"{decision} {score:.12f} {confidence:.12f}"


@pytest.mark.parametrize("name", PACKAGED)
def test_verdicts_of_recorded_votes_are_what_they_were_before_there_were_policies(
    name: str,
) -> None:
    of = panel.packaged(name)
    alone, verdicts = [], []
    for language, votes in recorded(of):
        evaluation = make.evaluation(panel=of, content=Content(text="a text", language=language))
        outcome = tally(of, votes, language, final=True)
        verdict = conclude_round(
            evaluation, votes, DEFAULT, round_number=9, now=evaluation.deadline
        ).verdict
        assert verdict is not None
        assert (verdict.decision, verdict.score, verdict.confidence) == (
            outcome.decision,
            outcome.score,
            outcome.confidence,
        )
        assert verdict.reason.split("; ")[0] == outcome.reason.split("; ")[0]
        alone.append(line(outcome.decision, outcome.score, outcome.confidence))
        verdicts.append(line(verdict.decision, verdict.score, verdict.confidence))
    assert len(set(alone)) > ROWS / 4
    assert {one.split()[0] for one in alone} == set(DECISIONS)
    assert sha256("\n".join(verdicts).encode()).hexdigest()[:16] == FROZEN[name]
