"""Documents on moto: handed in, worked through, answered or failed, each paid for once."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from quorum.answer.asking import Asking
from quorum.app.documents import DocumentContainer
from quorum.aws import loop
from quorum.batch.pauses import TRIES
from quorum.document.documents import Documents
from quorum.document.queue import handle
from quorum.gateway.deadline import Deadline
from quorum.ledger import ledger

from fakes.gateway import Fault, ModelScenario, Scenario, StandIn
from functions.api import app as api
from functions.document import app as document
from tests.functions.conftest import Faults, reopen
from tests.functions.documents.conftest import (
    MODEL,
    SCHEMA,
    SMALL,
    TENANT,
    DocumentService,
    long_text,
)
from tests.world import Death, Life, Mortal, booked, open_intents, usage


def test_documents_are_answered_one_by_one_in_input_order_and_the_books_agree(
    service: DocumentService, stand_in: StandIn
) -> None:
    texts = [f"Report {number}. Something happened. It ended." for number in range(12)]
    batch = service.hand_in(*({"text": text, "id": f"r-{n}"} for n, text in enumerate(texts)))
    found = service.done(batch)
    assert [one["index"] for one in found] == list(range(12))
    documents = [one["document"] for one in found]
    assert [one["id"] for one in documents] == [f"r-{n}" for n in range(12)]
    assert all(text[:20] in one["answer"] for text, one in zip(texts, documents, strict=True))
    assert stand_in.count.requests == 12  # each is its own call
    view = service.view(batch)
    assert (view["state"], view["settled"], view["operation"]) == ("complete", 12, "summarize")
    paid = sum(Decimal(one["cost_usd"]) for one in documents)
    assert Decimal(view["cost_usd"]) == paid == booked(service.aws) == stand_in.count.cost_usd
    assert view["actual"]["output_tokens"] == sum(one["tokens"]["output"] for one in documents)
    assert Decimal(view["actual"]["cost_usd"]) == paid
    assert Decimal(view["estimate"]["cost_usd"]) == sum(
        Decimal(one["estimate_usd"]) for one in documents
    )


def test_bad_documents_are_reported_one_by_one_and_sink_no_other(service: DocumentService) -> None:
    status, taken = service.request("post_documents")
    assert (status, taken["items"], taken["state"]) == (202, 3, "running")
    (why,) = taken["rejected"]
    assert (why["index"], why["code"], why["field"]) == (2, "invalid_text", "text")
    batch = service.hand_in(
        "good",
        {"text": "x", "content": "eA=="},
        {"content": "no base64!"},
        {"upload": "uploads/other/theirs.pdf"},
        {"text": "x", "colour": "red"},
        7,
    )
    found = service.done(batch)
    assert [one.get("rejected", {}).get("code") for one in found] == [
        None,
        "invalid_item",
        "invalid_content",
        "upload_not_found",
        "unknown_field",
        "invalid_item",
    ]
    assert service.view(batch)["state"] == "complete"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"operation": "summarize"}, 400, "invalid_body"),
        ({"operation": "summarize", "documents": []}, 400, "invalid_documents"),
        ({"operation": "rhyme", "documents": [1]}, 400, "invalid_operation"),
        ({"operation": "summarize", "documents": [1], "model": "none"}, 400, "invalid_model"),
        ({"operation": "summarize", "documents": [1], "model": "rules"}, 400, "invalid_model"),
        ({"operation": "summarize", "documents": [1], "prompt": "x"}, 400, "invalid_body"),
        ({"operation": "summarize", "documents": [1], "sentences": 0}, 400, "invalid_sentences"),
        ({"operation": "extract", "documents": [1]}, 400, "invalid_body"),
        ({"operation": "extract", "documents": [1], "schema": {"a": 1}}, 400, "invalid_schema"),
        ({"operation": "classify", "documents": [1], "categories": ["a"]}, 400, None),
        ({"operation": "summarize", "upload": "uploads/acme/none"}, 404, "upload_not_found"),
        ({"operation": "summarize", "upload": "uploads/other/x"}, 404, "upload_not_found"),
        ({"operation": "summarize", "documents": [1] * 1_001}, 413, "too_many_documents"),
    ],
)
def test_a_request_that_cannot_be_taken_says_what_to_change(
    service: DocumentService, body: Any, status: int, code: str | None
) -> None:
    answered, problem = service.request("post_documents", body)
    assert answered == status
    assert code is None or problem["error"]["code"] == code


def test_the_same_idempotency_key_is_the_same_batch(
    service: DocumentService, stand_in: StandIn
) -> None:
    body = {"operation": "summarize", "documents": [{"text": "once"}]}
    first = service.request("post_documents", body, Idempotency_Key="k")
    assert service.request("post_documents", body, Idempotency_Key="k") == first
    service.done(first[1]["id"])
    assert stand_in.count.requests == 1


def test_a_spent_budget_refuses_new_documents_and_pauses_those_that_wait(
    service: DocumentService, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn
) -> None:
    batch = service.hand_in("one", "two")
    first, second = service.messages()
    monkeypatch.setenv("BUDGET_TENANT_USD", "0.00001")
    reopen(api)
    reopen(document)
    assert service.deliver([first]) == []
    assert service.deliver([second], deliveries=TRIES) == []  # the last delivery, and yet not dead
    view = service.view(batch)
    assert (view["state"], view["settled"], view["dead"]) == ("paused", 1, 0)
    assert stand_in.count.requests == 1
    status, problem = service.request("post_documents")
    assert (status, problem["error"]["code"]) == (402, "budget_spent")


def test_a_category_is_one_of_those_given_in_whatever_language(service: DocumentService) -> None:
    batch = service.hand_in("이번 분기 재무 보고", "기술 문서", operation="classify",
                          categories=["기술", "마케팅", "재무", "HR"])  # fmt: skip
    assert [one["document"]["answer"] for one in service.done(batch)] == ["재무", "기술"]
    batch = service.hand_in("All about finance.", operation="classify")
    assert service.done(batch)[0]["document"]["answer"] == "finance"


def test_what_is_extracted_satisfies_the_schema(service: DocumentService) -> None:
    text = "name: Kim\namount: 40\nparties: A\nparties: B"
    batch = service.hand_in(text, operation="extract", schema=SCHEMA)
    (found,) = service.done(batch)
    assert found["document"]["answer"] == {"name": "Kim", "amount": 40, "parties": ["A", "B"]}


def test_an_answer_that_does_not_do_is_mended_once_and_both_calls_are_paid(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.MALFORMED,))
    batch = service.hand_in("name: Kim", operation="extract", schema=SCHEMA)
    (found,) = service.done(batch)
    assert found["document"]["answer"]["name"] == "Kim"
    assert found["document"]["calls"] == 2
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd
    again = stand_in.bodies[-1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("operation", "faults", "code"),
    [
        ("extract", (Fault.MALFORMED, Fault.MALFORMED), "answer_no_json"),
        ("classify", (Fault.MALFORMED, Fault.MALFORMED), "category_unknown"),
        ("summarize", (Fault.FILTERED,), "model_refused"),
        ("summarize", (Fault.BLOCKED,), "model_refused"),
    ],
)
def test_what_the_model_would_not_answer_is_settled_as_failed_with_what_it_cost(
    service: DocumentService,
    stand_in: StandIn,
    operation: str,
    faults: tuple[Fault, ...],
    code: str,
) -> None:
    stand_in.scenario = Scenario(script=faults)
    options = {"schema": SCHEMA} if operation == "extract" else {}
    batch = service.hand_in("name: Kim", "name: Lee", operation=operation, **options)
    bad, good = service.done(batch)
    assert bad["document"]["failure"]["code"] == code
    assert (bad["document"]["answer"], good["document"]["failure"]) == (None, None)
    view = service.view(batch)
    assert (view["state"], view["settled"], view["failed"]) == ("complete", 2, 1)
    paid = sum(Decimal(one["document"]["cost_usd"]) for one in (bad, good))
    assert paid == Decimal(view["cost_usd"]) == stand_in.count.cost_usd


@pytest.mark.parametrize(
    ("reply", "finish", "code"),
    [
        ("The first half of", "length", "answer_cut"),
        ("The first half of", "MAX_TOKENS", "answer_cut"),
        ("The first half of", "SAFETY", "model_refused"),
        ("The first half of", "content_filter: PROHIBITED_CONTENT", "model_refused"),
        ("The first half of", "tool_calls", "answer_unusable"),
    ],
)
def test_half_an_answer_is_no_summary(
    service: DocumentService, stand_in: StandIn, reply: str, finish: str, code: str
) -> None:
    half = ModelScenario(reply=reply, finish_reason=finish)
    stand_in.scenario = Scenario(models={MODEL: half})
    (found,) = service.done(service.hand_in("a text"))
    assert (found["document"]["failure"]["code"], found["document"]["answer"]) == (code, None)
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd > 0


@pytest.mark.parametrize(
    ("reply", "finish"),
    [(" ", "stop"), ("The first half of", "error"), ("Half", "insufficient_system_resource")],
)
def test_an_answer_that_the_vendor_broke_off_is_asked_for_again_later(
    service: DocumentService, stand_in: StandIn, reply: str, finish: str
) -> None:
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply=reply, finish_reason=finish)})
    batch = service.hand_in("a text")
    records = service.messages()
    assert len(service.deliver(records)) == 1
    stand_in.scenario = Scenario()
    assert service.deliver(records, deliveries=2) == []
    (found,) = service.results(batch)
    assert found["document"]["failure"] is None
    assert stand_in.count.requests == 2


def test_what_was_estimated_teaches_no_estimate(
    service: DocumentService, stand_in: StandIn, aws: Any
) -> None:
    stand_in.scenario = Scenario(script=(Fault.NO_USAGE,))
    service.done(service.hand_in("a text"))
    assert [item for item in usage(aws) if item["key"].startswith("operation#")] == []
    service.done(service.hand_in("another text"))
    assert len([item for item in usage(aws) if item["key"].startswith("operation#")]) == 1


def test_a_message_delivered_again_is_neither_asked_about_nor_counted_again(
    service: DocumentService, stand_in: StandIn
) -> None:
    batch = service.hand_in("one")
    records = service.messages()
    service.deliver(records)
    service.deliver(records)
    assert (service.view(batch)["settled"], stand_in.count.requests) == (1, 1)
    counted = [one for one in usage(service.aws) if one["key"].startswith("operation#")]
    assert [int(one["documents"]) for one in counted] == [1]
    assert counted[0]["key"] == ledger.operation_key(TENANT, "summarize", MODEL)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(1, 5))
def test_a_worker_that_dies_at_any_write_is_followed_by_one_that_ends_in_the_same_state(
    service: DocumentService,
    stand_in: StandIn,
    writes: int,
    after: bool,
) -> None:
    batch = service.hand_in("one")
    records = service.messages()
    dying, asking = mortal_worker(service.aws, Life(writes, after=after))
    with suppress(Death):
        handle(
            document.app().document_queue,
            document.app().batches,
            records,
            lambda some: dying.work(some, Deadline.after(9)),
        )
    loop.run(asking.close())
    lapse_claims(service.aws)
    service.deliver(records)
    (found,) = service.results(batch)
    view = service.view(batch)
    assert (view["settled"], view["state"]) == (1, "complete")
    # what was answered is booked once; what was answered and not booked is possibly paid
    paid = booked(service.aws)
    assert paid <= stand_in.count.cost_usd <= paid + open_intents(service.aws)
    assert Decimal(found["document"]["cost_usd"]) == paid == Decimal(view["cost_usd"])
    assert not found["document"]["cached"]
    assert stand_in.count.requests == 1 or open_intents(service.aws)


def mortal_worker(dynamodb: Any, life: Life) -> tuple[Documents, Asking]:
    """A worker of that life, and what it asks with: all they write is written through it."""
    dying = DocumentContainer(document.app().settings)
    dying.gateway = DocumentContainer(dying.settings).gateway  # of a Lambda that lives
    mortal: Any = Mortal(dynamodb, life)
    dying.dynamodb = mortal
    return dying.documents, dying.asking


def lapse_claims(dynamodb: Any) -> None:
    """The time of every claim is over: the dead hold theirs for a minute."""
    table = dynamodb.Table("AnswersTable")
    for item in table.scan()["Items"]:
        if "held_until_ms" in item:
            table.delete_item(Key={"answer_key": item["answer_key"]})


def test_the_same_document_twice_is_paid_for_once_and_says_so(
    service: DocumentService, stand_in: StandIn
) -> None:
    batch = service.hand_in("same", "same")
    first, second = (one["document"] for one in service.done(batch))
    assert (first["cached"], second["cached"]) == (False, True)
    assert (second["cost_usd"], second["saved_usd"]) == ("0", first["cost_usd"])
    view = service.view(batch)
    assert (view["calls"], view["cached_answers"], view["hit_rate"]) == (1, 1, 0.5)
    assert stand_in.count.requests == 1


def test_a_document_waits_out_an_outage_with_growing_pauses(
    service: DocumentService, stand_in: StandIn, faults: Faults
) -> None:
    stand_in.scenario = Scenario(rates={Fault.THROTTLED: 1.0}, retry_after="45")
    service.hand_in("one")
    records = service.messages()
    for deliveries, seconds in ((1, 45), (4, 240), (TRIES - 1, 900)):
        assert len(service.deliver(records, deliveries=deliveries)) == 1
        pause = faults.requests["ChangeMessageVisibility"][-1]["VisibilityTimeout"]
        assert seconds - 1 <= pause <= seconds * 1.25 + 2


def test_a_throttled_document_stays_until_its_last_delivery_then_it_is_dead_and_sent_round_again(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(rates={Fault.THROTTLED: 1.0}, retry_after="30")
    batch = service.hand_in({"text": "one", "id": "a"}, "two")
    records = service.messages()
    assert len(service.deliver(records)) == 2
    view = service.view(batch)
    assert (view["state"], view["last_problem"]) == ("running", "model throttled")
    assert service.deliver(records, deliveries=TRIES) == []
    view = service.view(batch)
    assert (view["state"], view["dead"]) == ("incomplete", 2)
    assert service.results(batch)[0]["dead"]["id"] == "a"
    stand_in.scenario = Scenario()
    status, sent = service.request("post_redrive", batch=batch)
    assert (status, sent) == (202, {"sent": 2, "complete": True})
    assert [one["document"]["failure"] for one in service.done(batch)] == [None, None]
    assert service.view(batch)["state"] == "complete"


def test_a_document_that_was_cut_inside_an_emoji_is_read(service: DocumentService) -> None:
    batch = service.hand_in("so nice \ud83d")
    assert [one["document"]["failure"] for one in service.done(batch)] == [None]


def test_a_document_that_the_gateway_denies_comes_back_from_the_queue(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.NO_CREDIT,))
    batch = service.hand_in("one")
    records = service.messages()
    assert len(service.deliver(records)) == 1
    view = service.view(batch)
    assert (view["state"], view["settled"], view["dead"]) == ("running", 0, 0)
    assert service.deliver(records, deliveries=2) == []
    assert service.results(batch)[0]["document"]["failure"] is None


def test_a_document_that_outlives_its_workers_is_dead_with_that_reason(
    service: DocumentService, stand_in: StandIn
) -> None:
    batch = service.hand_in("one")
    service.deliver(service.messages(), deliveries=TRIES + 1)
    (dead,) = service.results(batch)
    assert dead["dead"]["reason"].startswith("its worker crashed")
    assert stand_in.count.requests == 0


@pytest.mark.parametrize("poison", ["not json", "{}", '{"tenant": "acme", "colour": "red"}'])
def test_poison_goes_to_the_dead_letters_and_sinks_no_other(
    service: DocumentService, poison: str
) -> None:
    batch = service.hand_in("good")
    (good,) = service.messages()
    service.deliver([good | {"messageId": "poison", "body": poison}, good])
    assert service.view(batch)["settled"] == 1


def test_a_cancelled_batch_begins_nothing_more(service: DocumentService, stand_in: StandIn) -> None:
    batch = service.hand_in("one", long_text(), model=SMALL)
    records = service.messages()
    service.request("delete_batch", batch=batch)
    service.deliver(records)
    assert (service.view(batch)["state"], stand_in.count.requests) == ("cancelled", 0)
