"""Bulk documents through the deployed template: queue, machine, ledger, dead letters."""

import base64
import json
import time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
from quorum.ledger import ledger, listing

from fakes.gateway import Fault, StandIn
from local.state import Stack
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
    entries = listing.entries_of_day(client, stack.outputs["UsageTable"], ledger.today())
    return sum((Decimal(entry.get("cost_usd", 0)) for entry in entries), Decimal(0))


def page_of(number: int) -> str:
    """About a page's worth of sentences in four scripts, with emoji of several code points."""
    sentence = (
        f"Page {number} of {RUN} says something about the weather and the harvest of that year. "
        f"{number}쪽의 한국어 문장이다. {number}番目の日本語の文です。 جملة عربية رقم {number}؟ "
        "A family 👨‍👩‍👧‍👦 waves a flag 🇰🇷 and a hand 👋🏽.\n"
    )
    return sentence * 6 + "\n"


def test_200_mixed_documents_with_failures_are_each_settled_once_and_the_books_agree(
    api: Api, stack: Stack, stand_in: StandIn
) -> None:
    booked_before, billed_before = booked(stack), stand_in.count.cost_usd
    texts = [
        f"{RUN}: minutes {n}. 예산이 승인되었다. 会議は終わった。 انتهى الاجتماع. 👍🏽"
        for n in range(150)
    ]
    texts[140:] = texts[100:110]  # ten of them twice
    poisoned = base64.b64encode(b"%PDF-1.7\n1 0 obj <</Length 9>> stream\nno end").decode()
    html = base64.b64encode(f"<h1>{RUN}</h1><p>회의는 월요일.</p>".encode()).decode()
    given: list[Any] = [{"text": text, "id": f"minutes-{n}"} for n, text in enumerate(texts)]
    given[30] = {"content": poisoned, "media_type": "application/pdf", "id": "poisoned"}
    given[60] = {"content": html, "name": "notice.html", "id": "notice"}
    given[90] = {"text": ""}
    good = stand_in.scenario
    stand_in.scenario = good.model_copy(
        update={
            "script": (Fault.FILTERED,) * 3,
            "rates": {Fault.SERVER_ERROR: 0.05, Fault.THROTTLED: 0.05, Fault.RESET: 0.02},
        }
    )
    summaries = hand_in(api, given, operation="summarize")
    records: list[Any] = [
        {"text": f"{RUN} record {n}\nname: Kim {n}\namount: {n}"} for n in range(48)
    ]
    records += [{"text": "x", "colour": 1}, {}]
    extracts = hand_in(api, records, operation="extract", schema=SCHEMA)
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
    extracted = [one["document"] for one in results(api, extracts)[:48]]
    everything = [*documents, *extracted]
    failed = [one["failure"]["code"] for one in everything if one["failure"]]
    assert failed == ["model_refused"] * 3
    assert [one["answer"] for one in extracted if one["answer"]] == [
        {"name": f"Kim {n}", "amount": n} for n, one in enumerate(extracted) if one["answer"]
    ]
    paid = booked(stack) - booked_before
    assert paid == stand_in.count.cost_usd - billed_before
    assert paid == Decimal(view["cost_usd"]) + Decimal(other["cost_usd"])
    assert sum(Decimal(one["cost_usd"]) for one in everything) == paid
    assert view["cached_answers"] == 10
    assert 0 < Decimal(view["estimate"]["cost_usd"]) < 3 * Decimal(view["actual"]["cost_usd"])


def test_a_300_page_text_is_summarized_piece_by_piece_and_nothing_of_it_is_left_out(
    api: Api, stack: Stack, stand_in: StandIn
) -> None:
    booked_before, billed_before = booked(stack), stand_in.count.cost_usd
    asked_before = len(stand_in.bodies)
    book = "".join(page_of(number) for number in range(300))
    batch = hand_in(api, [{"text": book, "id": "book"}], operation="summarize", model=WINDOW)
    view = wait(api, batch)
    assert view["state"] == "complete", view
    ((found),) = results(api, batch)
    found = found["document"]
    assert found["pieces"] > 3
    assert found["calls"] == found["pieces"] + 1
    assert found["answer"].startswith("Page 0 of")
    assert found["answer"].rstrip().endswith("a hand 👋🏽.")
    pieces = [
        json.loads(body["messages"][1]["content"].split("\n")[1])
        for body in stand_in.bodies[asked_before:]
    ]
    sentences = [line for page in range(300) for line in page_of(page).splitlines() if line]
    assert sum(len(piece) for piece in pieces) > len(book)  # each repeats the end of the last
    seen = {line for piece in pieces for line in piece.splitlines()}
    assert set(sentences) <= seen
    paid = booked(stack) - booked_before
    assert paid == stand_in.count.cost_usd - billed_before
    assert Decimal(found["cost_usd"]) == paid == Decimal(view["cost_usd"])


def test_an_uploaded_list_is_translated_without_loss_and_a_long_answer_has_an_address(
    api: Api, stand_in: StandIn
) -> None:
    long = "".join(page_of(number) for number in range(80))
    lines = [{"text": f"{RUN} line {n}", "id": f"line-{n}"} for n in range(9)]
    body = "\n".join(json.dumps(line) for line in [*lines, {"text": long}]) + "\nnot json\n"
    position = api.post("batches/uploads", {}).json()
    assert position["method"] == "POST"
    form = {"data": position["fields"], "files": {"file": body.encode()}}
    assert httpx.post(position["url"], **form).is_success
    answer = api.post("documents", {"upload": position["upload"], "operation": "translate"})
    assert (answer.status_code, answer.json()["state"]) == (202, "receiving")
    batch = answer.json()["id"]
    view = wait(api, batch)
    assert (view["state"], view["items"], view["settled"]) == ("complete", 11, 10)
    found = results(api, batch)
    assert [one["document"]["answer"] for one in found[:9]] == [one["text"] for one in lines]
    assert found[10]["rejected"]["code"] == "invalid_json"
    assert found[9]["document"]["answer"] is None
    # the stand-in's translation is the text itself; joining puts a blank after a full-width stop
    whole = httpx.get(found[9]["document"]["answer_url"]).json()
    assert "\ufffd" not in whole
    assert "".join(whole.split()) == "".join(long.split())


def test_documents_of_a_gateway_that_is_down_are_dead_and_sent_round_again(
    api: Api, stand_in: StandIn
) -> None:
    good = stand_in.scenario
    stand_in.scenario = good.model_copy(update={"rates": {Fault.THROTTLED: 1.0}})
    long = "".join(page_of(number) for number in range(9))
    batch = hand_in(api, [{"text": long, "id": "long"}], operation="translate")
    view = wait(api, batch)
    assert (view["state"], view["dead"]) == ("incomplete", 1)
    (dead,) = results(api, batch)
    assert dead["dead"]["id"] == "long"
    assert dead["dead"]["reason"] == "model throttled"
    stand_in.scenario = good
    assert api.post(f"batches/{batch}/redrive", {}).json()["sent"] == 1
    assert wait(api, batch)["state"] == "complete"
