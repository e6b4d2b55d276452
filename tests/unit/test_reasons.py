"""Reasons of verdicts in Korean: every clause of the tally, and nothing that others wrote."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.console.reasons import told
from quorum.core.models import Decision
from quorum.vote.panel import Panel, packaged
from quorum.vote.tally import tally

from tests import make

PANELS = (packaged("default"), packaged("economy"), packaged("embedded"))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), panel=st.sampled_from(PANELS), final=st.booleans())
def test_every_reason_of_the_tally_is_told_in_korean(data: Any, panel: Panel, final: bool) -> None:
    votes = [
        make.cast(voter, said, confidence=data.draw(st.sampled_from([0.5, 0.9, 0.99])))
        if (said := data.draw(st.sampled_from([*Decision, None]))) is not None
        else make.abstention(voter)
        for voter in data.draw(st.lists(st.sampled_from(panel.voters), unique=True))
    ]
    language = data.draw(st.sampled_from([None, "en", "nl", "hi"]))
    reason = tally(panel, votes, language, final=final).reason
    found = told(reason, "ko")
    assert found.language == "ko", reason
    words = re.sub("|".join(map(re.escape, panel.voters)), "", found.text)
    assert set(re.findall(r"[A-Za-z]{2,}", words)) <= {"nl", "hi"}, found.text
    for number in re.findall(r"\d+\.\d+", reason):
        assert number in found.text
    assert told(reason, "en") == (reason, "en")


def test_the_flagged_categories_of_a_policy_are_told_in_korean() -> None:
    reason = "no votes yet; hate 0.97 ≥ 0.50, self-harm/intent 0.9 ≥ 0.75"
    expected = "아직 투표가 없습니다. 혐오 0.97 ≥ 0.50, 자해 의도 0.9 ≥ 0.75"
    assert told(reason, "ko") == (expected, "ko")


@pytest.mark.parametrize(
    "reason",
    [
        "the policy's block list has 'x; no votes yet'",
        "a person decided this content on 2026-11-27: safe",
        "no votes yet; something new",
        "",
    ],
)
def test_what_is_not_known_stays_as_it_was_written(reason: str) -> None:
    assert told(reason, "ko") == (reason, "en")
