"""Uploads: the bulk machine's steps one after the other, and what the routes show of them."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from quorum.aws.dynamo import DAY
from quorum.aws.redaction import Redacted
from quorum.batch.pauses import TRIES
from quorum.batch.runs import QUIET_SECONDS
from quorum.bulk.judging import PAGE_SECONDS
from quorum.bulk.machine import LINE_BYTES, PAGE_ITEMS, TOO_MANY_PAGES
from quorum.core.errors import BudgetSpent, Postponed
from quorum.ledger.budget import Thresholds

from functions.api import app as api
from functions.bulk import app as bulk
from tests.clock import Clock
from tests.functions.batches.conftest import Ask
from tests.functions.conftest import Faults
from tests.template import ROOT
from tests.world import PRICE, Gateway, World, stored

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

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
    status, upload = ask("post_upload", query={"bytes": "7"})
    assert (status, upload["method"], upload["fields"]) == (201, "PUT", {})
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


def test_the_size_of_a_file_that_is_put_is_part_of_what_is_signed(ask: Ask) -> None:
    _, upload = ask("post_upload", query={"bytes": "7"})
    signed = parse_qs(urlsplit(upload["url"]).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-length;host"]


def test_a_form_for_an_upload_takes_one_object_up_to_the_limit(ask: Ask) -> None:
    status, upload = ask("post_upload")
    assert (status, upload["method"], upload["most_bytes"]) == (201, "POST", 2**30)
    signed = json.loads(base64.b64decode(upload["fields"]["policy"]))["conditions"]
    assert ["content-length-range", 1, 2**30] in signed
    assert {"key": upload["upload"]} in signed
    assert upload["fields"]["key"] == upload["upload"]
    assert "content-length" not in upload["url"]


@pytest.mark.parametrize(
    ("size", "status", "code", "limit"),
    [
        (str(2**30 + 1), 413, "upload_too_large", 2**30),
        ("0", 400, "invalid_bytes", 1),
        ("many", 400, "invalid_bytes", None),
    ],
)
def test_an_upload_of_no_possible_size_is_refused_with_the_limit(
    ask: Ask, size: str, status: int, code: str, limit: int | None
) -> None:
    answered, problem = ask("post_upload", query={"bytes": size})
    assert (answered, problem["error"]["code"]) == (status, code)
    assert (problem["error"]["field"], problem["error"].get("limit")) == ("bytes", limit)


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


def ended(run: "ExecutionListItemTypeDef", **detail: Any) -> dict[str, Any]:
    """The event of an execution that has ended."""
    event: dict[str, Any] = json.loads((ROOT / "events/run_ended.json").read_text())
    given = boto3.client("stepfunctions").describe_execution(executionArn=run["executionArn"])
    event["detail"] |= {"executionArn": run["executionArn"], "input": given["input"]} | detail
    return event


def test_a_run_that_dies_of_an_error_no_state_can_catch_is_recorded_by_the_event_of_its_end(
    ask: Ask, steps: Steps, uploaded: Callable[..., str]
) -> None:
    batch = uploaded("one")
    machine = boto3.client("stepfunctions")
    (run,) = machine.list_executions(stateMachineArn=api.app().settings.bulk_machine)["executions"]
    other = run["executionArn"].replace("-1", "-2")
    steps(ended(run, executionArn=other))  # not the run that the batch waits for
    assert ask("get_batch", batch=batch)[1]["state"] == "receiving"
    steps(ended(run, error="States.DataLimitExceeded"))
    _, view = ask("get_batch", batch=batch)
    problem = "the run failed (States.DataLimitExceeded)"
    assert (view["state"], view["last_problem"]) == ("incomplete", problem)


def test_an_end_that_a_run_recorded_itself_keeps_its_own_reason(
    ask: Ask, steps: Steps, uploaded: Callable[..., str]
) -> None:
    batch = uploaded("one")
    machine = boto3.client("stepfunctions")
    (run,) = machine.list_executions(stateMachineArn=api.app().settings.bulk_machine)["executions"]
    given = {"tenant": "acme", "batch": batch}
    steps({"step": "finish", "run": 1, "failed_with": "NotFound"} | given)
    steps(ended(run, error="NotFound"))
    assert ask("get_batch", batch=batch)[1]["last_problem"] == "NotFound"
    unknown = json.dumps(given | {"batch": "0" * 32})
    steps(ended(run, input=unknown))  # of a batch that has expired


def test_a_page_begins_no_item_after_its_time_and_the_next_try_judges_the_rest(
    steps: Steps,
    uploaded: Callable[..., str],
    gateway: Gateway,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = uploaded("one", "two", "three")
    upload = api.app().batches.record("acme", batch).upload
    given = {"tenant": "acme", "batch": batch}
    steps({"step": "prepare", "panel": "default", "upload": upload} | given)
    (page,) = pages_at(f"pages/acme/{batch}.jsonl")
    judging = bulk.app().judging
    monkeypatch.setattr(judging, "_clock", clock)
    judge = judging._workflow.run  # noqa: SLF001 - what takes the time

    def slow(evaluation: Any) -> Any:
        clock.now += PAGE_SECONDS * 0.6
        return judge(evaluation)

    monkeypatch.setattr(judging._workflow, "run", slow)  # noqa: SLF001 - as above
    with pytest.raises(Postponed, match="no time left"):
        steps(page)
    assert bulk.app().batches.record("acme", batch).settled == 2
    assert steps(page) == {"judged": 3}
    assert len(gateway.calls) == sum(gateway.calls.values()), "a vote was bought twice"


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
