"""The routes of batches and costs on moto, and the bulk machine's steps one after the other."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from time import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from quorum.api import http
from quorum.app.api import ApiContainer
from quorum.aws.dynamo import DAY
from quorum.aws.redaction import Redacted
from quorum.batch.intake import ITEMS_LIMIT
from quorum.batch.pauses import TRIES
from quorum.batch.progress import BatchView
from quorum.batch.runs import QUIET_SECONDS
from quorum.bulk.machine import LINE_BYTES, PAGE_ITEMS, TOO_MANY_PAGES
from quorum.core.errors import BudgetSpent, Postponed
from quorum.document.batches import DocumentBatchView
from quorum.ledger.budget import Thresholds

from functions.api import app as api
from functions.bulk import app as bulk
from tests.clock import Clock
from tests.functions.conftest import Faults
from tests.world import BATCH, PRICE, Gateway, World, items, stored

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def sqs(aws: Any) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def ask(
    aws: Any,
    sqs: Any,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    within("ApiFunction")
    for name in ("ItemsQueue", "DeadLetters"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv("ITEMS_QUEUE" if name == "ItemsQueue" else "DEAD_LETTERS", url)
    boto3.client("s3").create_bucket(Bucket="UploadsBucket")
    machine = boto3.client("stepfunctions").create_state_machine(
        name="bulk",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/bulk",
    )["stateMachineArn"]
    monkeypatch.setenv("BULK_MACHINE", machine)
    api.app.cache_clear()

    def send(
        name: str,
        body: Any = None,
        *,
        batch: str = BATCH,
        tenant: str = "acme",
        role: str = "member",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        request = event(f"{name}.json")
        if body is not None:
            request["body"] = body if isinstance(body, str) else json.dumps(body)
        request["headers"] |= headers or {}
        request["queryStringParameters"] = query
        request["multiValueQueryStringParameters"] = {
            name: [value] for name, value in (query or {}).items()
        }
        if "batch_id" in (request["pathParameters"] or {}):
            given = request["pathParameters"]["batch_id"]
            request["path"] = request["path"].replace(given, batch)
            request["pathParameters"] = {"batch_id": batch}
        request["requestContext"]["authorizer"] |= {"tenant": tenant, "role": role}
        answer = api.handler(request, context)
        return answer["statusCode"], json.loads(answer["body"])

    return send


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
            "message": "content: String should have at least 1 character",
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
        ("get_batch", "GetItem"),
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


# ---- costs -----------------------------------------------------------------------------------


def test_the_costs_of_a_tenant_by_model_day_decision_and_tenant(ask: Ask, aws: Any) -> None:
    gateway = Gateway()
    world = World(aws, gateway)
    world.new_batch(3)
    world.judge(items("one", "two", "one"))
    status, report = ask("get_costs")
    assert status == 200
    assert report["requests"] == 3
    assert report["decisions"] == {"safe": 3, "unsafe": 0, "needs_review": 0}
    totals = report["totals"]
    assert Decimal(totals["cost_usd"]) == gateway.billed == 4 * PRICE
    assert Decimal(report["cost_per_decision_usd"]) == round(4 * PRICE / 3, 12)
    assert Decimal(report["cost_krw"]) == round(4 * PRICE * 1350, 2)
    assert (report["krw_per_usd"], report["krw_as_of"]) == ("1350", "2026-11-01")
    assert (totals["cached_votes"], totals["saved_tokens"]) == (2, 920)
    assert Decimal(totals["saved_usd"]) == 2 * PRICE
    assert [row["name"] for row in report["rows"]] == ["deepseek-v3.2", "gemini-2.5-flash"]
    for by in ("model", "tenant", "decision", "day"):
        rows = ask("get_costs", query={"by": by})[1]["rows"]
        assert sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0)) == gateway.billed
    assert ask("get_costs", tenant="other")[1]["requests"] == 0
    own = ask("get_costs", tenant="other", role="operator", query={"by": "tenant"})[1]
    assert (own["requests"], own["rows"]) == (0, []), "a tenant's operator sees their own tenant"
    everyone = ask("get_costs", tenant="other", role="deployment_operator", query={"by": "tenant"})
    assert [row["name"] for row in everyone[1]["rows"]] == ["acme"]


def test_a_call_nobody_came_back_from_is_shown_as_open_and_later_as_possibly_paid(
    ask: Ask, aws: Any
) -> None:
    world = World(aws, Gateway())
    world.limiter.reserve("gpt-4.1", 460, tenant="acme", cost_usd=PRICE)
    totals = ask("get_costs")[1]["totals"]
    assert (totals["open_calls"], totals["possibly_paid_calls"]) == (1, 0)
    (intent,) = (i for i in aws.Table("UsageTable").scan()["Items"] if "created_at" in i)
    assert "expires_at" not in intent
    intent["created_at"] -= 1_200
    aws.Table("UsageTable").put_item(Item=intent)
    for _ in range(2):
        totals = ask("get_costs")[1]["totals"]
        assert (totals["open_calls"], totals["possibly_paid_calls"]) == (0, 1)
        assert Decimal(totals["possibly_paid_usd"]) == PRICE
        assert Decimal(totals["cost_usd"]) == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "colour"}, "by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2024-01-01", "to": "2026-11-01"}, "to"),
    ],
)
def test_a_cost_query_that_cannot_be_answered_names_the_field(
    ask: Ask, query: dict[str, str], field: str
) -> None:
    status, problem = ask("get_costs", query=query)
    assert (status, problem["error"]["field"]) == (400, field)


# ---- in bulk ---------------------------------------------------------------------------------


Steps = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def steps(
    aws: Any,
    ask: Ask,
    within: Callable[[str], None],
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> Steps:
    """Run a step of the bulk machine."""
    within("BulkFunction")
    world = World(aws, gateway)
    bulk.app.cache_clear()
    monkeypatch.setattr(bulk.app(), "judging", world.judging)
    return lambda step: bulk.handler(step, None)  # type: ignore[arg-type] # reads no context


def pages_at(key: str) -> list[dict[str, Any]]:
    body = boto3.client("s3").get_object(Bucket="UploadsBucket", Key=key)["Body"]
    return [json.loads(line) for line in body.iter_lines()]


@pytest.fixture
def uploaded(ask: Ask) -> Callable[..., str]:
    """Hand in an upload of some contents as a batch; its id."""

    def put(*contents: str) -> str:
        upload = ask("post_upload")[1]["upload"]
        body = "\n".join(json.dumps({"content": content}) for content in contents)
        boto3.client("s3").put_object(Bucket="UploadsBucket", Key=upload, Body=body.encode())
        return str(ask("post_batch", {"upload": upload})[1]["id"])

    return put


def test_an_upload_becomes_pages_verdicts_and_results_in_order(
    ask: Ask, steps: Steps, aws: Any
) -> None:
    s3 = boto3.client("s3")
    status, upload = ask("post_upload")
    assert (status, upload["method"]) == (201, "PUT")
    lines = [json.dumps({"content": f"text {n % 3}", "id": f"line-{n}"}) for n in range(220)]
    lines[1], lines[219] = "not JSON", json.dumps({"content": "x", "panel": "nobody"})
    s3.put_object(Bucket="UploadsBucket", Key=upload["upload"], Body="\n".join(lines).encode())
    status, taken = ask("post_batch", {"upload": upload["upload"]})
    assert (status, taken["state"]) == (202, "receiving")
    batch = taken["id"]
    prepare = {"step": "prepare", "tenant": "acme", "batch": batch, "panel": "default"}
    prepared = steps(prepare | {"upload": upload["upload"]})
    assert prepared == {"key": f"pages/acme/{batch}.jsonl", "pages": 3}
    paged = pages_at(prepared["key"])
    assert [len(page["items"]) for page in paged] == [PAGE_ITEMS, PAGE_ITEMS, 18]
    # again, as it would after an answer that got lost: all pages are left
    prepared = steps(prepare | {"upload": upload["upload"]})
    assert prepared == {"key": f"pages/acme/{batch}.left.jsonl", "pages": 3}
    assert pages_at(prepared["key"]) == paged
    assert steps(paged[1]) == {"judged": 100}
    for _ in range(2):  # a step may be repeated
        assert steps(paged[2]) == {"judged": 18}
    prepared = steps(prepare | {"upload": upload["upload"]})
    assert (prepared["pages"], pages_at(prepared["key"])) == (1, [paged[0]])
    assert steps(paged[0]) == {"judged": 100}
    assert steps(prepare | {"upload": upload["upload"]})["pages"] == 0
    finished = steps({"step": "finish", "tenant": "acme", "batch": batch, "run": 1})
    assert finished == {
        "settled": 218,
        "rejected": 2,
        "unsettled": 0,
        "failed_with": None,
        "resume_at": None,
    }
    _, view = ask("get_batch", batch=batch)
    assert (view["state"], view["settled"], view["rejected"]) == ("complete", 218, 2)
    assert view["calls"] == 6
    assert len(stored(aws)) == 220
    _, page = ask("get_results", batch=batch, query={"limit": "500"})
    assert [one["index"] for one in page["items"]] == list(range(220))
    keys = s3.list_objects_v2(Bucket="UploadsBucket", Prefix=f"results/acme/{batch}/")["Contents"]
    written = [
        json.loads(line)
        for key in keys
        for line in s3.get_object(Bucket="UploadsBucket", Key=key["Key"])["Body"].iter_lines()
    ]
    assert [one["index"] for one in written] == [n for n in range(220) if n not in (1, 219)]
    # a panel that was taken away meanwhile: nothing can be done about it, so it fails no page
    gone = paged[2] | {"items": [{"index": 220, "item": {"content": "x", "panel": "gone"}}]}
    assert steps(gone) == {"judged": 1}
    assert ask("get_batch", batch=batch)[1]["rejected"] == 3


def test_a_line_that_is_too_long_is_rejected_by_its_number_and_the_others_are_judged(
    ask: Ask, steps: Steps
) -> None:
    upload = ask("post_upload")[1]["upload"]
    lines = [json.dumps({"content": content}) for content in ("one", "x" * LINE_BYTES, "three")]
    body = "\r\n".join(lines).encode()
    boto3.client("s3").put_object(Bucket="UploadsBucket", Key=upload, Body=body)
    batch = ask("post_batch", {"upload": upload})[1]["id"]
    prepare = {"step": "prepare", "tenant": "acme", "batch": batch, "panel": "default"}
    (page,) = pages_at(steps(prepare | {"upload": upload})["key"])
    assert [(one["index"], one["item"]["content"]) for one in page["items"]] == [
        (0, "one"),
        (2, "three"),
    ]
    _, results = ask("get_results", batch=batch, query={"gaps": "true"})
    assert [(one["index"], one["rejected"]) for one in results["items"]] == [
        (
            1,
            {
                "code": "too_long",
                "message": f"the line is longer than {LINE_BYTES} bytes",
                "limit": LINE_BYTES,
            },
        )
    ]


@pytest.mark.parametrize("received", [False, True])
def test_a_bulk_run_that_fails_leaves_its_batch_incomplete_and_a_redrive_is_another_run(
    ask: Ask, steps: Steps, uploaded: Callable[..., str], *, received: bool
) -> None:
    batch = uploaded("one", "two")
    prepare = {"step": "prepare", "tenant": "acme", "batch": batch, "panel": "default"}
    upload = api.app().batches.record("acme", batch).upload
    if received:
        steps(prepare | {"upload": upload})
        assert ask("get_batch", batch=batch)[1]["state"] == "running"
    finish = {"step": "finish", "tenant": "acme", "batch": batch, "run": 1}
    error = TOO_MANY_PAGES if received else "Lambda.Unknown"
    for _ in range(2):  # a step may be repeated
        assert steps(finish | {"failed_with": error})["failed_with"] == error
    _, view = ask("get_batch", batch=batch)
    assert (view["state"], view["last_problem"]) == ("incomplete", error)
    machine = boto3.client("stepfunctions")
    (run,) = machine.list_executions(stateMachineArn=api.app().settings.bulk_machine)["executions"]
    machine.stop_execution(executionArn=run["executionArn"])
    for _ in range(2):  # the second run goes on when the second request comes
        assert ask("post_redrive", batch=batch)[0] == 202
    _, view = ask("get_batch", batch=batch)
    assert view["state"] == ("running" if received else "receiving")
    runs = machine.list_executions(stateMachineArn=api.app().settings.bulk_machine)["executions"]
    assert {run["name"] for run in runs} == {f"{batch}-1", f"{batch}-2"}
    steps(prepare | {"upload": upload})
    (page,) = pages_at(f"pages/acme/{batch}.jsonl")
    steps(page)
    steps(finish | {"run": 2})
    assert ask("get_batch", batch=batch)[1]["state"] == "complete"


def test_a_batch_whose_run_was_noted_and_never_begun_is_cancelled_and_redriven_all_the_same(
    ask: Ask, uploaded: Callable[..., str]
) -> None:
    batch = uploaded("one")
    execution = api.app().settings.bulk_machine.replace(":stateMachine:", ":execution:")
    stored_batches = api.app().batches
    stored_batches.note("acme", batch, run=2, execution=f"{execution}:{batch}-2")
    assert ask("post_redrive", batch=batch)[0] == 202
    machine = boto3.client("stepfunctions")
    assert machine.describe_execution(executionArn=f"{execution}:{batch}-2")["status"] == "RUNNING"
    stored_batches.note("acme", batch, run=3, execution=f"{execution}:{batch}-3")
    assert ask("delete_batch", batch=batch)[1]["state"] == "cancelled"


def test_a_run_that_was_aborted_leaves_its_batch_incomplete_and_not_running_for_ever(
    ask: Ask,
    steps: Steps,
    uploaded: Callable[..., str],
    faults: Faults,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = uploaded("one", "two")
    upload = api.app().batches.record("acme", batch).upload
    steps(
        {"step": "prepare", "panel": "default", "upload": upload, "tenant": "acme", "batch": batch}
    )
    monkeypatch.setattr(api.app().runs, "_clock", clock)
    clock.now = time()
    machine = boto3.client("stepfunctions")
    (run,) = machine.list_executions(stateMachineArn=api.app().settings.bulk_machine)["executions"]
    assert ask("get_batch", batch=batch)[1]["state"] == "running"
    assert "DescribeExecution" not in faults.requests  # it was heard of a moment ago
    clock.now += QUIET_SECONDS + 1
    assert ask("get_batch", batch=batch)[1]["state"] == "running"
    machine.stop_execution(executionArn=run["executionArn"])
    faults.fail("DescribeExecution")
    assert ask("get_batch", batch=batch)[1]["state"] == "running"  # nobody can tell
    faults.operations.clear()
    for _ in range(2):
        _, view = ask("get_batch", batch=batch)
        assert (view["state"], view["last_problem"]) == ("incomplete", "the run was aborted")
    assert ask("post_redrive", batch=batch)[0] == 202
    assert ask("get_batch", batch=batch)[1]["state"] == "running"


def test_an_upload_whose_run_was_never_begun_is_incomplete_and_says_so(
    ask: Ask, uploaded: Callable[..., str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = uploaded("one")
    nowhere = "arn:aws:states:us-east-1:123456789012:execution:bulk:nowhere"
    api.app().batches.note("acme", batch, execution=nowhere)
    clock.now = time() + QUIET_SECONDS + 1
    monkeypatch.setattr(api.app().runs, "_clock", clock)
    _, view = ask("get_batch", batch=batch)
    assert (view["state"], view["last_problem"]) == ("incomplete", "the run was never begun")


def test_what_its_pages_said_was_wrong_stays_the_batchs_last_problem(
    ask: Ask, steps: Steps, uploaded: Callable[..., str], gateway: Gateway
) -> None:
    batch = uploaded("one")
    upload = api.app().batches.record("acme", batch).upload
    given = {"tenant": "acme", "batch": batch}
    steps({"step": "prepare", "panel": "default", "upload": upload} | given)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    with pytest.raises(Postponed):
        steps(pages_at(f"pages/acme/{batch}.jsonl")[0])
    steps({"step": "finish", "run": 1, "failed_with": "Lambda.Unknown"} | given)
    _, view = ask("get_batch", batch=batch)
    assert (view["state"], view["last_problem"]) == ("incomplete", "Lambda.Unknown")
    with pytest.raises(Postponed):
        steps(pages_at(f"pages/acme/{batch}.jsonl")[0])
    bulk.app().batches.note("acme", batch, waits=TRIES)
    steps({"step": "finish", "run": 1, "failed_with": TOO_MANY_PAGES} | given)
    _, view = ask("get_batch", batch=batch)
    assert view["state"] == "incomplete"
    assert "throttled" in view["last_problem"]


def test_a_bulk_run_waits_out_an_outage_with_growing_pauses_and_goes_on(
    ask: Ask,
    steps: Steps,
    uploaded: Callable[..., str],
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    monkeypatch.setattr(bulk.app().bulk, "_clock", clock)
    batch = uploaded(*["one"] * PAGE_ITEMS, *["two"] * PAGE_ITEMS, "three")
    upload = api.app().batches.record("acme", batch).upload
    given = {"tenant": "acme", "batch": batch}
    prepare = {"step": "prepare", "panel": "default", "upload": upload} | given
    first, second, third = pages_at(steps(prepare)["key"])
    steps(first)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}

    def waits(page: Any, failed_with: str | None) -> float | None:
        with pytest.raises(Postponed):
            steps(page)
        finished = steps({"step": "finish", "run": 1, "failed_with": failed_with} | given)
        resume_at = finished["resume_at"]
        return resume_at and datetime.fromisoformat(resume_at).timestamp() - clock()

    # whether the map tolerates the pages that failed or not
    assert [waits(second, why) for why in (None, TOO_MANY_PAGES, None)] == [30, 60, 120]
    _, view = ask("get_batch", batch=batch)
    assert (view["state"], view["settled"], view["pending"]) == ("running", 100, 101)
    assert "throttled" in view["last_problem"]
    assert pages_at(steps(prepare)["key"]) == [second, third]
    gateway.down = set()
    steps(second)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    pauses = [waits(third, TOO_MANY_PAGES) for _ in range(TRIES)]
    assert pauses[0] == 30  # something was done meanwhile: it is another outage
    assert pauses[-1] is None
    assert sum(pause for pause in pauses if pause) >= 2 * 3_600
    assert ask("get_batch", batch=batch)[1]["state"] == "incomplete"


def test_a_fault_that_may_not_pass_ends_a_bulk_run_at_once(
    ask: Ask, steps: Steps, uploaded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = uploaded("one")
    upload = api.app().batches.record("acme", batch).upload
    given = {"tenant": "acme", "batch": batch}
    steps({"step": "prepare", "panel": "default", "upload": upload} | given)

    def broken(items: Any) -> Any:
        return {item.verdict_id: LookupError("a fault") for item in items}

    monkeypatch.setattr(bulk.app().judging, "moderate_all", broken)
    with pytest.raises(Redacted):
        steps(pages_at(f"pages/acme/{batch}.jsonl")[0])
    finished = steps({"step": "finish", "run": 1, "failed_with": TOO_MANY_PAGES} | given)
    assert (finished["resume_at"], finished["unsettled"]) == (None, 1)


def test_a_bulk_run_waits_for_a_spent_budget_and_goes_on_with_the_pages_that_are_left(
    ask: Ask,
    steps: Steps,
    uploaded: Callable[..., str],
    aws: Any,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [time()]
    budget = Thresholds(budget_tenant_usd=PRICE)
    poor = World(aws, gateway, thresholds=budget, clock=lambda: now[0])
    monkeypatch.setattr(bulk.app(), "judging", poor.judging)
    batch = uploaded(*["one"] * PAGE_ITEMS, "two")
    upload = api.app().batches.record("acme", batch).upload
    given = {"tenant": "acme", "batch": batch}
    prepare = {"step": "prepare", "panel": "default", "upload": upload} | given
    steps(prepare)
    first, second = pages_at(f"pages/acme/{batch}.jsonl")
    steps(first)  # spends it
    with pytest.raises(BudgetSpent):
        steps(second)
    # whether the map tolerates that page or not
    for failed_with in (None, TOO_MANY_PAGES):
        finished = steps({"step": "finish", "run": 1, "failed_with": failed_with} | given)
        _, view = ask("get_batch", batch=batch)
        assert (view["state"], view["settled"], view["pending"]) == ("paused", PAGE_ITEMS, 1)
        assert finished["resume_at"] == view["paused_until"] is not None
    now[0] += DAY
    prepared = steps(prepare)
    assert pages_at(prepared["key"]) == [second]
    assert ask("get_batch", batch=batch)[1]["state"] == "running"
    steps(second)
    assert steps({"step": "finish", "run": 1} | given)["resume_at"] is None
    assert ask("get_batch", batch=batch)[1]["state"] == "complete"
