"""Bulk documents through the deployed template: queue, machine, ledger, dead letters."""

import base64
import json
import time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
from quorum import ledger

from bench.gateway import Fault, StandIn
from local.stack import TENANT, Stack
from tests.e2e.conftest import Api

RUN = uuid4().hex[:8]
"""A stack that is kept between runs has the answers to an earlier run's texts."""
PATIENCE_SECONDS = 100
SETTLED = ("complete", "incomplete")
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": ["string", "null"]}, "amount": {"type": ["integer", "null"]}},
    "required": ["name", "amount"],
    "additionalProperties": False,
}
WINDOW = "deepseek-v3.2"
"""A model with a window of 64,000 tokens: 300 pages do not fit."""


def hand_in(api: Api, documents: list[Any], **work: Any) -> str:
    answer = api.post("documents", {"documents": documents} | work)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def wait(api: Api, batch: str) -> Any:
    patience = time.monotonic() + PATIENCE_SECONDS
    while (view := api.get(f"batches/{batch}").json())["state"] not in SETTLED:
        assert time.monotonic() < patience, view
        time.sleep(0.5)
    return view


def results(api: Api, batch: str) -> list[Any]:
    found: list[Any] = []
    start: int | None = 0
    while start is not None:
        page = api.get(f"batches/{batch}/results?start={start}&limit=200").json()
        assert page["items"] or page["next"] != start, "a gap in what is complete"
        found += page["items"]
        start = page["next"]
    return found


def booked(stack: Stack) -> Decimal:
    client = stack.resource().meta.client
    entries = ledger.entries(client, stack.outputs["UsageTable"], ledger.day_entry(ledger.today()))
    return sum((Decimal(entry.get("cost_usd", 0)) for entry in entries), Decimal(0))


def page_of(number: int) -> str:
    """About a page's worth of sentences in four scripts, with emoji of several code points."""
    sentence = (
        f"Page {number} of {RUN} says something about the weather and the harvest of that year. "
        f"{number}쪽의 한국어 문장이다. {number}番目の日本語の文です。 جملة عربية رقم {number}؟ "
        "A family 👨‍👩‍👧‍👦 waves a flag 🇰🇷 and a hand 👋🏽.\n"
    )
    return sentence * 4 + "\n"


def test_200_mixed_documents_with_failures_are_each_settled_once_and_the_books_agree(
    api: Api, stack: Stack, stand_in: StandIn
) -> None:
    booked_before, billed_before = booked(stack), stand_in.count.cost_usd
    texts = [
        f"{RUN}: minutes {n}. 예산이 승인되었다. 会議は終わった。 انتهى الاجتماع. 👍🏽"
        for n in range(150)
    ]
    texts[140:] = texts[:10]  # ten of them twice
    poisoned = base64.b64encode(b"%PDF-1.7\n1 0 obj <</Length 9>> stream\nno end").decode()
    html = base64.b64encode(f"<h1>{RUN}</h1><p>회의는 월요일.</p>".encode()).decode()
    given: list[Any] = [{"text": text, "id": f"minutes-{n}"} for n, text in enumerate(texts)]
    given[30] = {"content": poisoned, "media_type": "application/pdf", "id": "poisoned"}
    given[60] = {"content": html, "name": "notice.html", "id": "notice"}
    given[90] = {"text": ""}
    good = stand_in.scenario
    stand_in.scenario = good.model_copy(
        update={"rates": {Fault.SERVER_ERROR: 0.05, Fault.THROTTLED: 0.05, Fault.FILTERED: 0.02}}
    )
    summaries = hand_in(api, given, operation="summarize")
    records = [{"text": f"{RUN} record {n}\nname: Kim {n}\namount: {n}"} for n in range(48)]
    extracts = hand_in(api, [*records, {"text": "x", "colour": 1}, 7], operation="extract", schema=SCHEMA)  # fmt: skip
    wait(api, extracts)
    view = wait(api, summaries)
    stand_in.scenario = good

    # what was down for good is sent round again
    for batch in (summaries, extracts):
        assert api.post(f"batches/{batch}/redrive", {}).status_code == 202
    view, other = wait(api, summaries), wait(api, extracts)
    assert (view["state"], view["items"], view["settled"]) == ("complete", 150, 148)
    assert (other["state"], other["settled"], other["rejected"]) == ("complete", 48, 2)
    found = results(api, summaries)
    assert [one["index"] for one in found] == list(range(150))
    assert found[30]["rejected"]["id"] == "poisoned"
    assert found[90]["rejected"]["code"] == "invalid_text"
    assert "회의는 월요일." in found[60]["document"]["answer"]
    documents = [one["document"] for one in found if "document" in one]
    assert [one["id"] for one in documents] == [
        one["id"] for n, one in enumerate(given) if n not in (30, 90)
    ]
    for n, one in enumerate(found):
        if "document" in one and n != 60:
            result = one["document"]
            assert result["failure"] or result["answer"].startswith(texts[n][:40])
    failed = [one["failure"]["code"] for one in documents if one["failure"]]
    assert failed == ["model_refused"] * view["failed"]
    assert [one["document"]["answer"]["amount"] for one in results(api, extracts)[:48]
            if not one["document"]["failure"]]  # fmt: skip
    everything = [*documents, *(one["document"] for one in results(api, extracts)[:48])]
    paid = booked(stack) - booked_before
    assert paid == stand_in.count.cost_usd - billed_before
    assert paid == Decimal(view["cost_usd"]) + Decimal(other["cost_usd"])
    assert sum(Decimal(one["cost_usd"]) for one in everything) == paid
    assert view["cached_answers"] >= 9  # the ten that came twice, unless one was refused
    assert 0 < Decimal(view["estimate"]["cost_usd"]) < 3 * Decimal(view["actual"]["cost_usd"])


def test_a_300_page_text_is_worked_through_in_pieces_and_no_character_is_lost(
    api: Api, stack: Stack, stand_in: StandIn
) -> None:
    booked_before, billed_before = booked(stack), stand_in.count.cost_usd
    book = "".join(page_of(number) for number in range(300))
    batch = hand_in(api, [{"text": book, "id": "book"}], operation="summarize", model=WINDOW)
    translated = hand_in(
        api,
        [{"text": "".join(page_of(number) for number in range(60)), "id": "part"}],
        operation="translate",
        target_language="Korean",
    )
    view, other = wait(api, batch), wait(api, translated)
    assert (view["state"], other["state"]) == ("complete", "complete"), (view, other)
    ((book_found,), (part_found,)) = results(api, batch), results(api, translated)
    book_found, part_found = book_found["document"], part_found["document"]
    assert book_found["pieces"] > 3
    assert book_found["calls"] == book_found["pieces"] + 1
    assert book_found["answer"].startswith("Page 0 of")
    assert part_found["pieces"] > 5
    # the stand-in's translation is the text itself
    answer = part_found["answer"]
    original = "".join(page_of(number) for number in range(60))
    assert "".join(answer.split()) == "".join(original.split())
    assert "\ufffd" not in answer
    paid = booked(stack) - booked_before
    assert paid == stand_in.count.cost_usd - billed_before
    assert sum(Decimal(one["cost_usd"]) for one in (book_found, part_found)) == paid


def test_an_uploaded_list_is_read_by_the_machine_and_a_long_answer_has_an_address(
    api: Api, stand_in: StandIn
) -> None:
    place = api.post("batches/uploads", {}).json()
    long = "".join(page_of(number) for number in range(90))
    lines = [{"text": f"{RUN} line {n}", "id": f"line-{n}"} for n in range(9)]
    body = "\n".join(json.dumps(line) for line in [*lines, {"text": long}]) + "\nnot json\n"
    assert httpx.put(place["url"], content=body.encode()).is_success
    answer = api.post("documents", {"upload": place["upload"], "operation": "translate"})
    assert (answer.status_code, answer.json()["state"]) == (202, "receiving")
    batch = answer.json()["id"]
    view = wait(api, batch)
    assert (view["state"], view["items"], view["settled"]) == ("complete", 11, 10)
    found = results(api, batch)
    assert [one["document"]["answer"] for one in found[:9]] == [one["text"] for one in lines]
    assert found[10]["rejected"]["code"] == "invalid_json"
    assert found[9]["document"]["answer"] is None
    whole = httpx.get(found[9]["document"]["answer_url"]).json()
    assert "".join(whole.split()) == "".join(long.split())


def test_documents_of_a_gateway_that_is_down_are_dead_and_sent_round_again(
    api: Api, stack: Stack, stand_in: StandIn
) -> None:
    good = stand_in.scenario
    stand_in.scenario = good.model_copy(update={"rates": {Fault.THROTTLED: 1.0}})
    long = "".join(page_of(number) for number in range(30))
    batch = hand_in(api, [{"text": long, "id": "long"}], operation="translate")
    view = wait(api, batch)
    assert (view["state"], view["dead"]) == ("incomplete", 1)
    (dead,) = results(api, batch)
    assert dead["dead"]["id"] == "long"
    stand_in.scenario = good
    assert api.post(f"batches/{batch}/redrive", {}).json()["sent"] == 1
    assert wait(api, batch)["state"] == "complete"
    assert TENANT  # the stack's one tenant pays
