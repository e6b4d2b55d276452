"""Documents longer than their model's window, worked through by the machine's steps."""

import json
from decimal import Decimal
from typing import Any

import pytest
from quorum.core.errors import Postponed, Undeliverable
from quorum.document.long_documents import reason_of

from fakes.gateway import Fault, ModelScenario, Scenario, StandIn
from tests.functions.documents.conftest import SCHEMA, SMALL, DocumentService, caught, long_text
from tests.world import booked


def test_a_translation_of_a_long_text_is_joined_from_its_pieces_without_loss(
    service: DocumentService, stand_in: StandIn
) -> None:
    text = long_text(3_000)
    batch = service.hand_in(text, operation="translate", target_language="Korean")
    (found,) = service.done(batch)
    # the stand-in's translation is the text itself; joining puts a blank after a full-width stop
    assert "".join(found["document"]["answer"].split()) == "".join(text.split())
    assert found["document"]["pieces"] == stand_in.count.requests > 3
    for body in stand_in.bodies:
        piece = json.loads(body["messages"][1]["content"].split("\n")[1])
        assert not piece.startswith(("\u200d", "\ufe0f"))
        assert piece.count("👨") == piece.count("👦")  # no family is torn apart


@pytest.mark.parametrize(
    ("operation", "options", "merges"),
    [
        ("summarize", {}, 1),
        ("custom", {"prompt": "List the animals."}, 1),
        ("classify", {"categories": ["Sentence", "other"]}, 0),
        ("extract", {"schema": SCHEMA}, 0),
    ],
)
def test_a_document_longer_than_the_window_is_asked_about_in_pieces_and_put_together(
    service: DocumentService, stand_in: StandIn, operation: str, options: Any, merges: int
) -> None:
    text = long_text() + "\nname: Kim\nparties: A\n" + long_text(3_000) + "\nparties: B\nname: Lee"
    batch = service.hand_in(text, operation=operation, model=SMALL, **options)
    (found,) = service.done(batch)
    result = found["document"]
    assert result["failure"] is None
    assert result["pieces"] > 2
    assert result["calls"] == stand_in.count.requests == result["pieces"] + merges
    assert Decimal(result["cost_usd"]) == stand_in.count.cost_usd == booked(service.aws)
    if operation == "extract":
        assert result["answer"] == {"name": "Kim", "amount": None, "parties": ["A", "B"]}
        assert result["conflicts"] == ["name"]
    if operation == "classify":
        assert result["answer"] == "Sentence"
        assert set(result["votes"]) == {"Sentence"}


def test_summaries_that_are_too_long_together_are_summarized_in_pieces_themselves(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(
        models={SMALL: ModelScenario(reply="All of it matters, says this sentence. " * 200)}
    )
    batch = service.hand_in(long_text(10_000), model=SMALL)
    service.deliver(service.messages())
    (given,) = service.runs()
    cut = service.step("split", given)
    levels = []
    while cut["pieces"]:
        levels.append(cut["pieces"])
        at = given | {name: cut[name] for name in ("level", "pieces")}
        for number in cut["numbers"]:
            service.step("ask", at | {"piece": number})
        cut = service.step("merge", at)
    assert len(levels) > 1
    assert levels == sorted(levels, reverse=True)
    (found,) = service.results(batch)
    assert found["document"]["pieces"] == levels[0]
    assert found["document"]["calls"] == sum(levels) + 1 == stand_in.count.requests
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd


def test_the_machine_starts_once_however_often_the_message_comes_and_repeats_nothing(
    service: DocumentService, stand_in: StandIn
) -> None:
    batch = service.hand_in(long_text(3_000), operation="translate")
    records = service.messages()
    service.deliver(records)
    service.deliver(records)
    (given,) = service.runs()
    cut = service.step("split", given)
    at = given | {name: cut[name] for name in ("level", "pieces")}
    for number in (*cut["numbers"], *cut["numbers"]):
        service.step("ask", at | {"piece": number})
    service.step("merge", at)
    service.step("merge", at)
    assert stand_in.count.requests == cut["pieces"]
    assert service.view(batch)["settled"] == 1


def test_a_piece_the_model_refuses_fails_the_document_and_says_which(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.NONE, Fault.FILTERED))
    batch = service.hand_in(long_text(3_000), operation="translate")
    (found,) = service.done(batch)
    assert found["document"]["failure"]["code"] == "model_refused"
    assert found["document"]["failure"]["message"].startswith("piece 2 of ")
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd


def test_what_the_machine_gives_up_is_a_dead_letter_and_runs_anew_when_sent_round_again(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(rates={Fault.THROTTLED: 1.0}, retry_after="30")
    batch = service.hand_in({"text": long_text(3_000), "id": "long"}, operation="translate")
    service.deliver(service.messages())
    (given,) = service.runs()
    cut = service.step("split", given)
    at = given | {name: cut[name] for name in ("level", "pieces")}
    with pytest.raises(Postponed) as postponed:
        service.step("ask", at | {"piece": 0})
    service.step("dead_letter", given | {"error": caught(postponed.value)})
    (dead,) = service.results(batch)
    assert dead["dead"]["reason"] == "model throttled"
    assert service.view(batch)["state"] == "incomplete"
    stand_in.scenario = Scenario()
    assert service.request("post_redrive", batch=batch)[1] == {"sent": 1, "complete": True}
    service.end_runs()
    (found,) = service.done(batch)
    assert found["document"]["id"] == "long"
    assert service.view(batch)["state"] == "complete"


def test_a_long_document_whose_run_died_without_a_word_is_a_dead_letter_once(
    service: DocumentService,
) -> None:
    batch = service.hand_in({"text": long_text(3_000), "id": "long"}, operation="translate")
    service.deliver(service.messages())
    (given,) = service.runs()
    for _ in range(2):
        service.execution_ended(given, "TIMED_OUT")
    (dead,) = service.results(batch)
    assert dead["dead"]["reason"] == "the run timed out"
    assert service.request("post_redrive", batch=batch)[1] == {"sent": 1, "complete": True}


def test_a_strange_error_of_a_step_is_named_and_never_quoted() -> None:
    error = {"Error": "ValueError", "Cause": json.dumps({"errorMessage": "my secret text"})}
    assert reason_of(error) == "ValueError"
    assert reason_of({}) == "unknown"
    assert reason_of(caught(Undeliverable("too deep"))) == "too deep"
