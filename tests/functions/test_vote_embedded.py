"""The embedded voters' handlers on moto."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from embedded import meaning

from functions.vote_embedded import app as voters
from tests import make

HANDLERS = [voters.rules, voters.characters, voters.meaning]


@pytest.fixture(params=HANDLERS, ids=lambda handler: handler.__name__)
def ask(
    request: pytest.FixtureRequest, aws: Any, within: Callable[[str], None], context: Any
) -> Callable[[str], dict[str, Any]]:
    within(f"{request.param.__name__.capitalize()}Function")
    voters.app.cache_clear()

    def send(text: str) -> dict[str, Any]:
        content = {"text": text, "language": "en"}
        evaluation = make.evaluation(text, "embedded", content=content, verdict_id=uuid4().hex)
        answer: dict[str, Any] = request.param(
            {"evaluation": evaluation.model_dump(mode="json")}, context
        )
        return answer

    return send


def test_an_insult_is_unsafe_and_costs_nothing(ask: Callable[[str], dict[str, Any]]) -> None:
    answer = ask("You are a worthless idiot and everybody here hates you.")
    assert answer["decision"] == "unsafe"
    assert answer["cost_usd"] == "0"
    assert answer["reason"]


def test_the_same_text_again_is_answered_from_the_cache(
    ask: Callable[[str], dict[str, Any]],
) -> None:
    first = ask("Thank you for the lovely evening.")
    again = ask("Thank you for the lovely evening.")
    assert first["cached"] is False
    assert again["cached"] is True
    assert again.get("decision") == first.get("decision")
    assert again.get("attribute_scores") == first.get("attribute_scores")


def test_nothing_is_written_to_the_ledger(ask: Callable[[str], dict[str, Any]], aws: Any) -> None:
    ask("Thank you for the lovely evening.")
    assert aws.Table("UsageTable").scan()["Count"] == 0


@pytest.mark.parametrize(
    ("handler", "loaded"), [("app.meaning", 1), ("app.rules", 0), ("app.characters", 0), (None, 0)]
)
def test_an_environment_of_meaning_loads_its_encoder_before_the_first_text(
    handler: str | None, loaded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(meaning, "embed", texts.extend)
    voters.start(handler)
    assert len(texts) == loaded
