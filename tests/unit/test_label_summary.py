"""What labels amount to: counts, agreement by weight, and a drift that is told from chance."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from quorum.core.models import Decision, Review
from quorum.review.label_summary import LEAST_LABELS, UNKNOWN, summary
from quorum.vote.reviews import Label
from typer.testing import CliRunner

from cli import labels as command
from cli.app import app
from cli.service import Service
from tests import make
from tests.unit.test_event_changes import verdict

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def label(
    gold: str,
    votes: dict[str, str],
    *,
    days: float = 1,
    weight: float = 1.0,
    categories: tuple[str, ...] = (),
    **changed: Any,
) -> Label:
    cast = tuple(make.cast(voter, decision) for voter, decision in votes.items())
    at = NOW - timedelta(days=days)
    review = Review(decision=Decision(gold), reviewer="ada", categories=categories, reviewed_at=at)
    return Label(
        verdict=verdict(**{"votes": cast, "metadata": {}} | changed),
        content="a text",
        reviews=(review,),
        count=1,
        weight=weight,
        first_seen=at,
        last_seen=at,
    )


def test_labels_are_counted_by_decision_language_and_category() -> None:
    found = summary(
        [
            label("unsafe", {}, language="ko", categories=("hate",)),
            label("unsafe", {}, language="ko"),  # no category named: the panel's flagged ones
            label("safe", {}, weight=50),
            label("needs_review", {"a": "safe"}),  # left open again
        ],
        NOW,
    )
    assert (found.labels, found.with_text, found.represents) == (3, 3, 52)
    assert found.by_decision == {"unsafe": 2, "safe": 1}
    assert found.by_language == {"ko": 2, UNKNOWN: 1}
    assert found.by_category == {"hate": 1, "harassment": 1}
    assert found.voters == ()


def test_a_voter_is_as_right_as_the_verdicts_that_its_labels_stand_for() -> None:
    hard = [label("unsafe", {"a": "safe", "b": "unsafe"}) for _ in range(10)]
    drawn = [label("safe", {"a": "safe", "b": "safe"}, weight=50) for _ in range(10)]
    worst, best = summary([*hard, *drawn], NOW).voters
    assert (worst.voter, best.voter) == ("a", "b")
    assert worst.agreement.share == pytest.approx(500 / 510)  # and not a half
    assert worst.agreement.low < worst.agreement.share < worst.agreement.high
    assert worst.agreement.sampled == 20
    assert best.agreement.share == 1


def test_the_weighed_agreement_is_that_of_all_verdicts_on_average() -> None:
    """Of 200 verdicts a tenth is undecided and reviewed; of the rest one in twenty is drawn."""
    chance = random.Random(7)
    rights: list[float] = []
    truth = 0.1 * 0.5 + 0.9 * 0.95
    for _ in range(40):
        labels = [
            label("safe", {"a": "safe" if chance.random() < 0.5 else "unsafe"}) for _ in range(20)
        ]
        drawn = sum(chance.random() < 0.05 for _ in range(180))
        labels += [
            label("safe", {"a": "safe" if chance.random() < 0.95 else "unsafe"}, weight=20)
            for _ in range(drawn)
        ]
        rights.append(summary(labels, NOW).voters[0].agreement.share)
    assert sum(rights) / len(rights) == pytest.approx(truth, abs=0.03)


def period(right: int, of: int, days: float) -> list[Label]:
    return [label("safe", {"a": "safe" if n < right else "unsafe"}, days=days) for n in range(of)]


@pytest.mark.parametrize(
    ("before", "after", "drifted"),
    [
        ((190, 200), (70, 100), True),
        ((190, 200), (92, 100), False),  # within what chance does
        ((140, 200), (99, 100), False),  # better than before
        ((200, 200), (100, 100), False),
        ((190, 200), (10, LEAST_LABELS - 1), False),  # too few to say
    ],
)
def test_a_voter_that_became_worse_than_chance_explains_has_drifted(
    before: tuple[int, int],
    after: tuple[int, int],
    drifted: bool,
) -> None:
    (voter,) = summary([*period(*before, days=60), *period(*after, days=3)], NOW).voters
    assert voter.drifted is drifted
    assert voter.before is not None
    assert voter.recent is not None
    assert (voter.before.sampled, voter.recent.sampled) == (before[1], after[1])


def test_the_command_prints_them_without_any_content(monkeypatch: pytest.MonkeyPatch) -> None:
    one = json.loads(label("unsafe", {"a": "safe"}, language="ko").model_dump_json())

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/labels"
        return httpx.Response(200, json={"labels": [one], "next": None})

    service = Service("http://quorum.test/v1", "k", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(command, "connect", lambda _where, operator: operator and service)
    told = CliRunner().invoke(app, ["labels", "summary"])
    assert told.exit_code == 0, told.output
    assert "1 label" in told.output
    assert "ko 1" in told.output
    assert "a text" not in told.output
    as_json = CliRunner().invoke(app, ["labels", "summary", "--json"])
    assert json.loads(as_json.stdout)["voters"][0]["agreement"]["share"] == 0
