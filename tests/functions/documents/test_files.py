"""Files, uploads, and answers that are stored as files."""

import base64
import json
from time import time

import pytest
from quorum.batch.runs import QUIET_SECONDS
from quorum.core.errors import Undeliverable
from quorum.core.position import BatchPosition
from quorum.document.documents import DOCUMENT_BYTES
from quorum.document.keys import result_key

from fakes.gateway import ModelScenario, Scenario, StandIn
from functions.api import app as api
from tests.clock import Clock
from tests.functions.documents.conftest import MODEL, TENANT, DocumentService, caught


def test_a_file_nobody_can_read_is_rejected_with_its_reason_and_the_others_go_on(
    service: DocumentService, stand_in: StandIn
) -> None:
    poisoned = base64.b64encode(b"%PDF-1.7\n" + b"1 0 obj <</Length 99999999>> stream").decode()
    page = base64.b64encode("<h1>공지</h1><p>회의는 월요일.</p>".encode()).decode()
    batch = service.hand_in(
        {"content": poisoned, "media_type": "application/pdf", "id": "poisoned"},
        {"content": page, "media_type": "text/html", "name": "notice.html"},
        operation="translate",
    )
    bad, good = service.done(batch)
    assert bad["rejected"]["id"] == "poisoned"
    assert bad["rejected"]["code"]
    assert "회의는 월요일." in good["document"]["answer"]
    assert good["document"]["media_type"] == "text/html"
    assert service.view(batch)["state"] == "complete"
    assert stand_in.count.requests == 1


def test_an_uploaded_document_that_is_too_large_is_refused_before_it_is_read(
    service: DocumentService, stand_in: StandIn
) -> None:
    key = f"uploads/{TENANT}/large"
    service.s3.put_object(Bucket="UploadsBucket", Key=key, Body=bytes(DOCUMENT_BYTES + 1))
    (found,) = service.done(service.hand_in({"upload": key, "name": "large.pdf"}))
    assert found["rejected"]["code"] == "document_too_large"
    assert stand_in.count.requests == 0


def test_an_uploaded_list_of_documents_is_put_on_the_queue_by_the_machine(
    service: DocumentService,
) -> None:
    key = f"uploads/{TENANT}/list.jsonl"
    lines = [json.dumps({"text": f"Line {n}.", "id": f"line-{n}"}) for n in range(104)]
    lines[7:99] = ["not json"] * 92  # which take no time
    service.s3.put_object(Bucket="UploadsBucket", Key=key, Body="\n".join(lines).encode())
    status, taken = service.request("post_documents", {"operation": "summarize", "upload": key})
    assert (status, taken["state"]) == (202, "receiving")
    service.run_machine()
    view = service.view(taken["id"])
    assert (view["state"], view["items"], view["settled"]) == ("complete", 104, 12)
    assert view["rejected"] == 92
    found = service.results(taken["id"])
    assert [one["index"] for one in found] == list(range(100))
    assert [one["document"]["id"] for one in found[:7]] == [f"line-{n}" for n in range(7)]
    assert found[7]["rejected"]["code"] == "invalid_json"


def test_an_upload_whose_run_was_aborted_is_incomplete_until_it_is_redriven(
    service: DocumentService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"uploads/{TENANT}/list.jsonl"
    service.s3.put_object(Bucket="UploadsBucket", Key=key, Body=b'{"text": "one"}')
    _, taken = service.request("post_documents", {"operation": "summarize", "upload": key})
    clock.now = time() + QUIET_SECONDS + 1
    monkeypatch.setattr(api.app().runs, "_clock", clock)
    assert service.view(taken["id"])["state"] == "receiving"
    service.end_runs()
    view = service.view(taken["id"])
    assert (view["state"], view["last_problem"]) == ("incomplete", "the run was aborted")
    assert service.request("post_redrive", batch=taken["id"])[0] == 202
    assert service.view(taken["id"])["state"] == "receiving"
    service.run_machine()
    assert service.view(taken["id"])["state"] == "complete"


def test_an_upload_that_could_not_be_read_to_its_end_is_read_again_by_a_redrive(
    service: DocumentService,
) -> None:
    key = f"uploads/{TENANT}/list.jsonl"
    service.s3.put_object(Bucket="UploadsBucket", Key=key, Body=b'{"text": "one"}')
    _, taken = service.request("post_documents", {"operation": "summarize", "upload": key})
    service.s3.delete_object(Bucket="UploadsBucket", Key=key)
    (given,) = service.runs()
    with pytest.raises(Undeliverable) as failed:
        service.step("receive", given)
    named = {"tenant": TENANT, "batch": taken["id"]}
    service.step("abandon", named | {"error": caught(failed.value)})
    view = service.view(taken["id"])
    assert (view["state"], view["last_problem"]) == ("incomplete", "no such upload")
    service.s3.put_object(Bucket="UploadsBucket", Key=key, Body=b'{"text": "one"}')
    service.request("post_redrive", batch=taken["id"])
    service.run_machine()
    assert service.view(taken["id"])["state"] == "complete"


def test_an_answer_too_long_for_the_table_is_found_at_its_address(
    service: DocumentService, stand_in: StandIn
) -> None:
    long = "긴 답" * 30_000
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply=long)})
    batch = service.hand_in("short", operation="custom", prompt="Go on and on.")
    (found,) = service.done(batch)
    assert found["document"]["answer"] is None
    assert f"results/{TENANT}/{batch}/" in found["document"]["answer_url"]
    key = result_key(TENANT, BatchPosition(batch=batch, index=0))
    body = service.s3.get_object(Bucket="UploadsBucket", Key=key)["Body"].read()
    assert json.loads(body) == long


def test_a_page_of_long_answers_ends_before_it_is_too_large_for_its_answer(
    service: DocumentService, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply="답" * 30_000)})
    batch = service.hand_in(*(f"{n}" for n in range(20)), operation="custom", prompt="Go on.")
    service.work()
    status, page = service.request("get_results", batch=batch)
    assert status == 200
    assert 0 < page["next"] == len(page["items"]) < 20
