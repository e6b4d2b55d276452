"""The packaged policy's verdicts are those of the tally alone, as they were before policies.

The votes are made up by a seeded generator: decisions, confidences, scores and abstentions of every
voter of a panel. `FROZEN` are digests of what the tally says of them without reading them through
any policy; whoever changes one on purpose changes the verdicts of everybody's texts.

The same holds for votes that real models gave to 2,250 public texts. They are not in the project:
`RECORDED_VOTES` or a folder beside the project has them (TextClass-Benchmark, CC BY 4.0).
"""

import csv
import os
import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from quorum.core.models import Abstention, CastVote, Content, Decision
from quorum.vote import panel
from quorum.vote.evaluation import conclude_round
from quorum.vote.panel import PACKAGED, Panel
from quorum.vote.policy import DEFAULT
from quorum.vote.tally import tally

from tests import make
from tests.template import ROOT

ROWS = 400
LANGUAGES = ("en", "es", "de", "ko", None)
DECISIONS = ("safe", "unsafe", "needs_review")
FROZEN = {
    "default": "d9e8ac7be4171f3f",
    "economy": "b85576086304b5c3",
    "embedded": "c7d79f19bc93b435",
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


# ---- votes that models gave ----

FILE = Path(
    os.environ.get("RECORDED_VOTES", ROOT.parent / "shared/data/recorded_votes_en_es_de.csv")
)
COLUMNS = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gemini-2.5-flash": "gemini-2.0-flash",
    "gemini-2.5-flash-lite": "gemini-2.0-flash-lite-001",
    "deepseek-v3.2": "deepseek-chat",
}
"""The column of each voter: of that model, or of the nearest one that was recorded."""
MAJORITY = Panel.model_validate(
    {
        "name": "majority",
        "rounds": [list(COLUMNS)],
        "stop": "all",
        "quorum": 2,
        "rule": {"kind": "majority"},
    }
)
RECORDED = {
    "default": (panel.packaged("default"), "be6ce0386b3bddb8"),
    "economy": (panel.packaged("economy"), "39bfee3b56f59b4c"),
    "majority": (MAJORITY, "cd49c7bf810f9d9c"),
}
"""The panels, and the digests of their verdicts. With the code from before there were policies,
`default` and `majority` have the same; `economy` had other numbers."""


def exact(decision: Decision, score: float, confidence: float) -> str:
    return f"{decision} {score!r} {confidence!r}"


def said(voter: str, row: dict[str, str]) -> CastVote | Abstention:
    """The vote in a row; embedded voters have no column."""
    decision = row[COLUMNS[voter]] if voter in COLUMNS else ""
    return make.cast(voter, decision) if decision else make.abstention(voter, "nothing_found")


@pytest.mark.skipif(
    not FILE.is_file(), reason="the recorded votes are not in the project: set RECORDED_VOTES"
)
@pytest.mark.parametrize("name", RECORDED)
def test_verdicts_of_votes_that_models_gave_are_what_they_were_before_there_were_policies(
    name: str,
) -> None:
    of, digest = RECORDED[name]
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2_250
    # The last digits of an exponential, which calibrated panels have, differ between machines.
    form = line if of.rule.kind == "calibrated" else exact
    verdicts = []
    for row in rows:
        votes = [said(voter, row) for voter in of.voters]
        content = Content(text="a text", language=row["language"])
        evaluation = make.evaluation(panel=of, content=content)
        outcome = tally(of, votes, content.language, final=True)
        verdict = conclude_round(
            evaluation, votes, DEFAULT, round_number=9, now=evaluation.deadline
        ).verdict
        assert verdict is not None
        told = verdict.decision, verdict.score, verdict.confidence
        assert told == (outcome.decision, outcome.score, outcome.confidence)
        verdicts.append(form(*told) + "\n")
    assert sha256("".join(verdicts).encode()).hexdigest()[:16] == digest
