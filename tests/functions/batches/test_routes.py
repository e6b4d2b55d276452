"""The routes of batches."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from quorum.api import http
from quorum.app.api import ApiContainer
from quorum.batch.intake import ITEMS_LIMIT
from quorum.batch.progress import BatchView
from quorum.document.batches import DocumentBatchView

from tests.functions.batches.conftest import Ask
from tests.functions.conftest import Faults
from tests.world import Gateway, World, items


@pytest.fixture
def queued(sqs: Any, ask: Ask) -> Callable[[], list[dict[str, Any]]]:
    """What is on the queue, in the order of indexes."""

    def read() -> list[dict[str, Any]]:
        url = sqs.get_queue_url(QueueName="ItemsQueue")["QueueUrl"]
        found: list[dict[str, Any]] = []
        while letters := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(letter["Body"]) for letter in letters]
        return sorted(found, key=lambda item: item["position"]["index"])

    return read


def test_a_batch_is_taken_and_its_bad_items_are_reported_one_by_one(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    status, taken = ask("post_batch")
    assert status == 202
    assert taken["items"] == 3
    assert taken["rejected"] == [
        {
            "index": 2,
            "code": "invalid_content",
            "field": "content",
            "limit": 1,
            "message": "content: must have at least 1 character",
        }
    ]
    sent = queued()
    assert [item["position"] for item in sent] == [
        {"batch": taken["id"], "index": n} for n in (0, 1)
    ]
    assert sent[1]["metadata"] == {"thread": 7}
    assert {item["panel"] for item in sent} == {"default"}
    _, view = ask("get_batch", batch=taken["id"])
    assert (view["state"], view["items"], view["pending"]) == ("running", 3, 2)
    assert view["rejected"] == 1
    _, page = ask("get_results", batch=taken["id"])
    assert page == {"items": [], "next": 0}  # the first is not settled yet
    _, page = ask("get_results", batch=taken["id"], query={"gaps": "true"})
    assert [(one["index"], one["rejected"]["code"]) for one in page["items"]] == [
        (2, "invalid_content")
    ]


def test_a_batch_that_names_no_panel_is_judged_by_that_of_its_key(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    given = [{"content": "one"}, {"content": "two", "panel": "embedded"}]
    assert ask("post_batch", {"items": given}, rights={"panel": "economy"})[0] == 202
    assert [item["panel"] for item in queued()] == ["economy", "embedded"]


ODD = ["nothing odd", "\ufffe and \uffff", "nul \x00", "half a pair \ud800"]


def test_items_of_odd_characters_are_taken_and_half_a_pair_is_replaced(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    contents = [ODD[index % 4] for index in range(25)]
    status, taken = ask("post_batch", {"items": [{"content": one} for one in contents]})
    assert (status, taken["rejected"]) == (202, [])
    sent = {item["position"]["index"]: item["content"] for item in queued()}
    assert sent == {index: one.replace("\ud800", "\ufffd") for index, one in enumerate(contents)}


def test_an_item_that_cannot_be_stored_is_rejected_and_the_others_are_taken(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    items: list[dict[str, Any]] = [{"content": f"text {index}"} for index in range(25)]
    items[7]["metadata"] = {"a": ODD[3]}
    status, taken = ask("post_batch", {"items": items})
    assert status == 202
    assert [(one["index"], one["code"]) for one in taken["rejected"]] == [(7, "invalid_metadata")]
    assert len(queued()) == 24


class Choosy:
    """SQS that will not take some messages: each by itself, or the whole request with it."""

    def __init__(self, sqs: Any, code: str, *, whole: bool) -> None:
        self._sqs = sqs
        self._code = code
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def send_message_batch(self, **request: Any) -> Any:
        bad = [entry for entry in request["Entries"] if "refuse me" in entry["MessageBody"]]
        if bad and self._whole:
            raise ClientError({"Error": {"Code": self._code}}, "SendMessageBatch")
        good = [entry for entry in request["Entries"] if entry not in bad]
        sent = self._sqs.send_message_batch(**request | {"Entries": good}) if good else {}
        failed = [{"Id": one["Id"], "SenderFault": True, "Code": self._code} for one in bad]
        return sent | {"Failed": failed}


@pytest.mark.parametrize("whole", [False, True], ids=["the entry", "the whole request"])
@pytest.mark.parametrize(
    "code", ["InvalidMessageContents", "AWS.SimpleQueueService.InvalidMessageContents"]
)
def test_an_item_that_sqs_refuses_is_rejected_and_the_others_are_queued(
    ask: Ask,
    sqs: Any,
    queued: Callable[[], list[dict[str, Any]]],
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    whole: bool,
) -> None:
    monkeypatch.setattr(ApiContainer, "sqs", Choosy(sqs, code, whole=whole))
    contents = [{"content": "refuse me" if index in {3, 12} else "fine"} for index in range(25)]
    contents[20] = {"content": ""}
    status, taken = ask("post_batch", {"items": contents})
    assert status == 202
    assert [(one["index"], one["code"]) for one in taken["rejected"]] == [
        *((3, "invalid_item"), (12, "invalid_item"), (20, "invalid_content"))
    ]
    assert "InvalidMessageContents" in taken["rejected"][0]["message"]
    assert [item["position"]["index"] for item in queued()] == [
        index for index in range(25) if index not in {3, 12, 20}
    ]
    _, view = ask("get_batch", batch=taken["id"])
    assert (view["state"], view["rejected"], view["pending"]) == ("running", 3, 22)


def test_a_queue_that_takes_nothing_is_an_outage_and_rejects_no_item(
    ask: Ask, sqs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choosy = Choosy(sqs, "ServiceUnavailable", whole=False)
    monkeypatch.setattr(ApiContainer, "sqs", choosy)
    status, told = ask("post_batch", {"items": [{"content": "refuse me"}, {"content": "fine"}]})
    assert (status, told["error"]["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_body"),
        ({"items": []}, 400, "invalid_items"),
        ({"items": [1], "upload": "x"}, 400, "invalid_body"),
        ({"items": [{"content": "x"}], "panel": "nobody"}, 400, "invalid_panel"),
        ({"items": [{"content": "x"}], "colour": "red"}, 400, "unknown_field"),
        ({"items": [{"content": "x"}], "alert_usd": "1E+200"}, 400, "invalid_alert_usd"),
        ({"items": [{"content": "x"}], "alert_usd": f"0.{'1' * 40}"}, 400, "invalid_alert_usd"),
        ({"upload": "uploads/acme/none.jsonl"}, 404, "upload_not_found"),
        ({"upload": "uploads/other/theirs.jsonl"}, 404, "upload_not_found"),
        ({"items": [{"content": "x"}] * (ITEMS_LIMIT + 1)}, 413, "too_many_items"),
    ],
)
def test_a_batch_that_cannot_be_taken_says_what_to_change(
    ask: Ask, body: Any, status: int, code: str
) -> None:
    answered, problem = ask("post_batch", body)
    assert (answered, problem["error"]["code"]) == (status, code)


def test_a_body_over_the_limit_is_a_413_with_the_limit(ask: Ask) -> None:
    status, problem = ask("post_batch", '{"items": ["' + "가" * (http.BODY_LIMIT // 3) + '"]}')
    assert status == 413
    assert problem["error"]["limit"] == http.BODY_LIMIT == 4_194_304


def test_a_thousand_of_the_largest_items_fit_into_their_messages(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    text = "가" * 32_768  # 98,304 bytes
    status, taken = ask(
        "post_batch", json.dumps({"items": [{"content": text}] * 42}, ensure_ascii=False)
    )
    assert (status, taken["rejected"]) == (202, [])
    assert [item["content"] for item in queued()] == [text] * 42


def test_a_repeated_post_with_its_idempotency_key_is_the_same_batch(
    ask: Ask, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    key = {"Idempotency-Key": "batch-1"}
    first = ask("post_batch", headers=key)
    assert ask("post_batch", headers=key) == first
    assert len(queued()) == 2
    assert ask("post_batch", headers=key, tenant="other")[1]["id"] != first[1]["id"]


def test_a_key_that_is_used_anew_for_something_else_begins_a_batch_of_its_own(
    ask: Ask, aws: Any, queued: Callable[[], list[dict[str, Any]]]
) -> None:
    key = {"Idempotency-Key": "daily"}
    _, first = ask("post_batch", {"items": [{"content": "yesterday's \ud83d"}]}, headers=key)
    table = aws.Table("VerdictsTable")
    kept = [item for item in table.scan()["Items"] if "request_hash" in item]
    for item in kept:  # a day passes
        table.put_item(Item=item | {"expires_at": 1})
    status, second = ask("post_batch", {"items": [{"content": "today's"}]}, headers=key)
    assert (len(kept), status) == (1, 202)
    assert second["id"] != first["id"]
    assert len(queued()) == 2


def test_a_batch_is_read_and_cancelled_by_its_tenant_only(ask: Ask) -> None:
    _, taken = ask("post_batch")
    for name in ("get_batch", "get_results", "delete_batch", "post_redrive"):
        status, problem = ask(name, batch=taken["id"], tenant="other")
        assert (status, problem["error"]["code"]) == (404, "batch_not_found")
    assert ask("get_batch", batch="acme#" + taken["id"])[0] == 404
    status, view = ask("delete_batch", batch=taken["id"])
    assert (status, view["state"], view["cancelled"]) == (200, "cancelled", 2)


@pytest.mark.parametrize("batch", ["x" * 3_000, "가" * 1_000, "0" * 33])
@pytest.mark.parametrize("route", ["get_batch", "get_results", "delete_batch", "post_redrive"])
def test_a_batchs_id_that_none_can_have_is_a_404_and_looked_for_nowhere(
    ask: Ask, faults: Faults, route: str, batch: str
) -> None:
    faults.fail("GetItem", "BatchGetItem")
    status, problem = ask(route, batch=batch)
    assert (status, problem["error"]["code"]) == (404, "batch_not_found")


@pytest.mark.parametrize("start", ["1000000000", "9" * 2_000, "9" * 5_000, "-1"])
def test_an_index_that_no_item_can_have_is_a_400(ask: Ask, start: str) -> None:
    _, taken = ask("post_batch")
    status, problem = ask("get_results", batch=taken["id"], query={"start": start})
    assert (status, problem["error"]["code"]) == (400, "invalid_start")


def test_a_batch_of_contents_has_the_fields_of_every_batch_and_none_of_documents_in_them(
    ask: Ask,
) -> None:
    _, taken = ask("post_batch")
    _, view = ask("get_batch", batch=taken["id"])
    assert set(view) == set(DocumentBatchView.model_fields)
    own = set(DocumentBatchView.model_fields) - set(BatchView.model_fields)
    assert {name: view[name] for name in own} == {
        "operation": None,
        "model": None,
        "cached_answers": 0,
        "failed": 0,
        "estimate": None,
        "actual": None,
    }


def test_a_batch_is_redriven_over_http(ask: Ask) -> None:
    _, taken = ask("post_batch")
    assert ask("post_redrive", batch=taken["id"]) == (202, {"sent": 0, "complete": True})


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("post_verdict", "BatchGetItem"),
        ("get_verdict", "BatchGetItem"),
        ("get_reviews", "Query"),
        ("post_review", "GetItem"),
        ("post_batch", "PutItem"),
        ("post_batch", "SendMessageBatch"),
        ("get_batch", "BatchGetItem"),
        ("get_results", "Query"),
        ("delete_batch", "UpdateItem"),
        ("post_redrive", "ReceiveMessage"),
        ("get_stats", "BatchGetItem"),
        ("get_costs", "Query"),
    ],
)
def test_whatever_of_aws_cannot_be_reached_the_answer_is_a_503_that_says_to_retry(
    ask: Ask, faults: Faults, route: str, operation: str
) -> None:
    _, taken = ask("post_batch")
    faults.fail(operation)
    status, problem = ask(route, batch=taken["id"], role="operator")
    assert (status, problem["error"]["code"]) == (503, "unavailable")
    assert problem["error"]["message"] == "temporarily unavailable; retry later"


def test_a_spent_budget_is_a_402_that_says_when_it_resets(
    ask: Ask, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGET_TENANT_USD", "0.002")
    assert ask("post_batch")[0] == 202
    world = World(aws, Gateway())
    world.new_batch(1)
    world.judge(items("one"))
    for name in ("post_batch", "post_verdict"):
        status, problem = ask(name)
        assert (status, problem["error"]["code"]) == (402, "budget_spent")
        assert problem["error"]["limit"].endswith("T00:00:00+00:00")
    assert ask("post_batch", tenant="other")[0] == 202
