"""The vote machine itself, run on evaluations of every kind."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from quorum.core import registry
from quorum.vote import panel

from tests import make
from tests.e2e.conftest import Recorded, by_voter, says

RunCase = Callable[..., dict[str, Any]]


def test_every_voter_has_a_branch_and_each_is_asked_once(
    run_evaluation: RunCase, recorded: Recorded
) -> None:
    everyone = [model.name for model in registry.voters()]
    chosen = panel.load(
        {
            "name": "everyone",
            "rounds": [everyone],
            "stop": "all",
            "quorum": 1,
            "rule": {"kind": "majority"},
        }
    )
    text = says(recorded, "What a lovely morning it is today, thank you all.")
    now = time.time()
    verdict = run_evaluation(
        make.evaluation(
            text, panel=chosen, started_at=now, deadline=now + 22, verdict_id="everyone"
        )
    )
    assert [vote["voter"] for vote in verdict["votes"]] == everyone
    cast = {name for name, vote in by_voter(verdict).items() if vote["kind"] == "vote"}
    # rules found nothing to say no to, and that is no vote for safe
    assert cast == set(everyone) - {"rules"}
    assert by_voter(verdict)["rules"]["reason"] == "nothing_found"


IN_ROUNDS = {
    "name": "in-rounds",
    "rounds": [["gpt-4.1-nano", "gemini-2.5-flash-lite"], ["gpt-4.1"]],
    "stop": "settled",
    "quorum": 2,
    "rule": {"kind": "majority"},
}


@pytest.mark.parametrize(
    ("cheap", "rounds", "calls", "decision"),
    [
        (("unsafe", "unsafe"), 1, 2, "unsafe"),
        (("safe", "safe"), 1, 2, "safe"),
        (("safe", "unsafe"), 2, 3, "unsafe"),
    ],
)
def test_the_next_round_is_asked_only_where_it_can_change_the_verdict(
    run_evaluation: RunCase,
    recorded: Recorded,
    cheap: tuple[str, str],
    rounds: int,
    calls: int,
    decision: str,
) -> None:
    text = says(
        recorded,
        f"in rounds, {cheap}",
        gpt_4_1_nano=cheap[0],
        gemini_2_5_flash_lite=cheap[1],
        gpt_4_1="unsafe",
    )
    now = time.time()
    verdict = run_evaluation(
        make.evaluation(
            text,
            panel=panel.load(IN_ROUNDS),
            started_at=now,
            deadline=now + 22,
            verdict_id=f"rounds-{cheap}",
        )
    )
    assert (verdict["rounds"], verdict["calls"], verdict["decision"]) == (rounds, calls, decision)


def test_a_tie_is_for_a_person_to_decide(run_evaluation: RunCase, recorded: Recorded) -> None:
    text = says(recorded, "a tie", gpt_4_1_nano="unsafe")
    tied = panel.load(
        IN_ROUNDS | {"rounds": [["gpt-4.1-nano", "gemini-2.5-flash-lite"]], "stop": "all"}
    )
    now = time.time()
    verdict = run_evaluation(make.evaluation(text, panel=tied, started_at=now, deadline=now + 22))
    assert verdict["decision"] == "needs_review"


def test_past_its_deadline_a_case_is_concluded_by_what_it_has(
    run_evaluation: RunCase, recorded: Recorded
) -> None:
    text = says(recorded, "late", gpt_4_1_nano="unsafe", gpt_4_1="unsafe")
    now = time.time()
    verdict = run_evaluation(
        make.evaluation(
            text,
            panel=panel.load(IN_ROUNDS),
            started_at=now - 30,
            deadline=now - 8,
            verdict_id="late",
        )
    )
    assert verdict["decision"] == "needs_review"
    assert verdict["rounds"] == 1
    assert {vote["reason"] for vote in verdict["votes"]} == {"timed_out"}


@pytest.mark.parametrize(
    ("error", "reason", "least_ms"),
    [
        # tried three times, one and two seconds apart
        ("Lambda.TooManyRequestsException", "failed", 3000),
        ("States.Timeout", "timed_out", 0),
        ("AnyOther", "failed", 0),
    ],
)
def test_a_branch_that_fails_becomes_an_abstention_with_its_reason(
    run_evaluation: RunCase, recorded: Recorded, error: str, reason: str, least_ms: int
) -> None:
    text = says(recorded, f"staged {error}", gemini_2_5_flash_lite="unsafe", gpt_4_1="unsafe")
    now = time.time()
    verdict = run_evaluation(
        make.evaluation(
            text,
            panel=panel.load(IN_ROUNDS),
            started_at=now,
            deadline=now + 22,
            verdict_id=f"staged-{error}",
        ),
        staged=error,
    )
    failed = by_voter(verdict)["gpt-4.1-nano"]
    assert (failed["kind"], failed["reason"], failed["detail"]) == ("abstention", reason, error)
    assert verdict["decision"] == "unsafe"
    assert verdict["rounds"] == 2
    assert verdict["latency_ms"] >= least_ms
