"""Documents on moto: handed in, worked through, the long ones by the machine's steps."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import boto3
import pytest
from quorum.answer.asking import Asking
from quorum.app.documents import DocumentContainer
from quorum.aws import loop
from quorum.core.errors import Postponed, Undeliverable
from quorum.core.position import BatchPosition
from quorum.document.documents import DOCUMENT_BYTES, Documents
from quorum.document.keys import result_key
from quorum.document.long_documents import reason_of
from quorum.document.queue import handle
from quorum.gateway.deadline import Deadline
from quorum.ledger import ledger

from fakes.gateway import Fault, ModelScenario, Scenario, StandIn, running
from functions.api import app as api
from functions.document import app as document
from tests.functions.conftest import reopen
from tests.world import Death, Life, Mortal, booked, open_intents, usage

TENANT = "acme"
MODEL = "gpt-4.1-nano"
SMALL = "deepseek-coder"
"""A window of 16,000 tokens: a document of a few thousand words is long."""
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": ["string", "null"]},
        "amount": {"type": ["integer", "null"]},
        "parties": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "amount", "parties"],
    "additionalProperties": False,
}
MANY = "다람쥐가 숲을 달린다. 日本語の文です。 هذه جملة عربية؟ A family 👨‍👩‍👧‍👦 waves 🇰🇷. "


class House:
    """The API, the queue's worker and the machine, over one account."""

    def __init__(self, aws: Any, context: Any, event: Any, urls: dict[str, str]) -> None:
        self.aws = aws
        self._context = context
        self._event = event
        self._urls = urls
        self._sqs = boto3.client("sqs")
        self._machine = boto3.client("stepfunctions")
        self.s3 = boto3.client("s3")
        self._run: set[str] = set()

    def request(
        self, name: str, body: Any = None, batch: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Send a request to the API function."""
        request = self._event(f"{name}.json")
        if body is not None:
            request["body"] = json.dumps(body)
        request["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
        if batch is not None:
            given = request["pathParameters"]["batch_id"]
            request["path"] = request["path"].replace(given, batch)
            request["pathParameters"] = {"batch_id": batch}
        request["requestContext"]["authorizer"] |= {"tenant": TENANT, "role": "member"}
        answer = api.handler(request, self._context)
        return answer["statusCode"], json.loads(answer["body"])

    def hand_in(self, *documents: Any, operation: str = "summarize", **options: Any) -> str:
        """A batch of texts or of documents; its id."""
        given = [{"text": one} if isinstance(one, str) else one for one in documents]
        body = {"operation": operation, "documents": given} | options
        status, taken = self.request("post_documents", body)
        assert status == 202, taken
        return str(taken["id"])

    def messages(self) -> list[dict[str, Any]]:
        """What is on the queue, as a function is given it; it stays invisible."""
        found = self._sqs.receive_message(
            QueueUrl=self._urls["DocumentsQueue"], MaxNumberOfMessages=10
        )
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1700000000000",
                    "SenderId": "123456789012",
                    "ApproximateFirstReceiveTimestamp": "1700000000000",
                },
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:documents",
                "awsRegion": "us-east-1",
            }
            for message in found.get("Messages", [])
        ]

    def deliver(self, records: list[dict[str, Any]], deliveries: int = 1) -> list[str]:
        """Hand messages to the worker; the ids of those that stay."""
        for record in records:
            record["attributes"]["ApproximateReceiveCount"] = str(deliveries)
        answer = document.queue({"Records": records}, self._context)
        stay = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in stay:
                self._sqs.delete_message(
                    QueueUrl=self._urls["DocumentsQueue"], ReceiptHandle=record["receiptHandle"]
                )
        return sorted(stay)

    def work(self) -> None:
        """All that is on the queue, and every run of the machine."""
        while records := self.messages():
            self.deliver(records)
        self.run_machine()

    def runs(self) -> list[dict[str, Any]]:
        """The inputs of the machine's runs that did not run yet, marked as run."""
        arn = document.app().settings.document_machine
        started = self._machine.list_executions(stateMachineArn=arn)["executions"]
        new = [run for run in started if run["executionArn"] not in self._run]
        self._run |= {run["executionArn"] for run in new}
        return [
            json.loads(self._machine.describe_execution(executionArn=run["executionArn"])["input"])
            for run in new
        ]

    def run_machine(self) -> None:
        """As the state machine does: its happy way, and its Catch."""
        for given in self.runs():
            if "upload" in given:
                self.step("receive", given)
                self.work()
                continue
            try:
                cut = self.step("split", given)
                while cut["pieces"]:
                    at = given | {name: cut[name] for name in ("level", "pieces")}
                    for number in cut["numbers"]:
                        self.step("ask", at | {"piece": number})
                    cut = self.step("merge", at)
            except Exception as error:  # noqa: BLE001 - as States.ALL
                self.step("dead_letter", given | {"error": caught(error)})

    def end_runs(self) -> None:
        """Every run has ended: moto's never do by themselves."""
        arn = document.app().settings.document_machine
        for run in self._machine.list_executions(stateMachineArn=arn)["executions"]:
            self._machine.stop_execution(executionArn=run["executionArn"])

    def step(self, step: str, given: dict[str, Any]) -> Any:
        return document.step({"step": step} | given, self._context)

    def view(self, batch: str) -> Any:
        return self.request("get_batch", batch=batch)[1]

    def results(self, batch: str) -> list[Any]:
        status, page = self.request("get_results", batch=batch)
        assert status == 200, page
        return list(page["items"])

    def done(self, batch: str) -> list[Any]:
        """Work through all of it; its results."""
        self.work()
        return self.results(batch)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running(Scenario()) as one:
        yield one


@pytest.fixture
def house(
    aws: Any,
    context: Any,
    event: Callable[[str], dict[str, Any]],
    stand_in: StandIn,
    within: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    within("ApiFunction")
    within("DocumentFunction")
    within("DocumentStepFunction")
    boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
    boto3.client("s3").create_bucket(Bucket="UploadsBucket")
    sqs, urls = boto3.client("sqs"), {}
    for name, variable in (("DocumentsQueue", "DOCUMENTS_QUEUE"), ("DeadLetters", "DEAD_LETTERS")):
        urls[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv(variable, urls[name])
    machine = boto3.client("stepfunctions").create_state_machine(
        name="quorum-document",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/document",
    )["stateMachineArn"]
    monkeypatch.setenv("DOCUMENT_MACHINE", machine)
    monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
    monkeypatch.setenv("DOCUMENTS_AT_ONCE", "1")  # moto is no good for threads
    monkeypatch.setenv("REQUESTS_PER_MINUTE", "1000000")
    monkeypatch.setenv("TOKENS_PER_MINUTE", "1000000000")
    for app in (api, document):
        reopen(app)
    yield House(aws, context, event, urls)
    loop.run(document.app().asking.close())


def long_text(words: int = 6_000) -> str:
    """A text of about so many words that no window of `SMALL` holds."""
    return " ".join(f"{MANY}Sentence {number} ends." for number in range(words // 14))


def test_documents_are_answered_one_by_one_in_input_order_and_the_books_agree(
    house: House, stand_in: StandIn
) -> None:
    texts = [f"Report {number}. Something happened. It ended." for number in range(12)]
    batch = house.hand_in(*({"text": text, "id": f"r-{n}"} for n, text in enumerate(texts)))
    found = house.done(batch)
    assert [one["index"] for one in found] == list(range(12))
    documents = [one["document"] for one in found]
    assert [one["id"] for one in documents] == [f"r-{n}" for n in range(12)]
    assert all(text[:20] in one["answer"] for text, one in zip(texts, documents, strict=True))
    assert stand_in.count.requests == 12  # each is its own call
    view = house.view(batch)
    assert (view["state"], view["settled"], view["operation"]) == ("complete", 12, "summarize")
    paid = sum(Decimal(one["cost_usd"]) for one in documents)
    assert Decimal(view["cost_usd"]) == paid == booked(house.aws) == stand_in.count.cost_usd
    assert view["actual"]["output_tokens"] == sum(one["tokens"]["output"] for one in documents)
    assert Decimal(view["actual"]["cost_usd"]) == paid
    assert Decimal(view["estimate"]["cost_usd"]) == sum(
        Decimal(one["estimate_usd"]) for one in documents
    )


def test_bad_documents_are_reported_one_by_one_and_sink_no_other(house: House) -> None:
    status, taken = house.request("post_documents")
    assert (status, taken["items"], taken["state"]) == (202, 3, "running")
    (why,) = taken["rejected"]
    assert (why["index"], why["code"], why["field"]) == (2, "invalid_text", "text")
    batch = house.hand_in(
        "good",
        {"text": "x", "content": "eA=="},
        {"content": "no base64!"},
        {"upload": "uploads/other/theirs.pdf"},
        {"text": "x", "colour": "red"},
        7,
    )
    found = house.done(batch)
    assert [one.get("rejected", {}).get("code") for one in found] == [
        None,
        "invalid_item",
        "invalid_content",
        "upload_not_found",
        "unknown_field",
        "invalid_item",
    ]
    assert house.view(batch)["state"] == "complete"


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
    house: House, body: Any, status: int, code: str | None
) -> None:
    answered, problem = house.request("post_documents", body)
    assert answered == status
    assert code is None or problem["error"]["code"] == code


def test_the_same_idempotency_key_is_the_same_batch(house: House, stand_in: StandIn) -> None:
    body = {"operation": "summarize", "documents": [{"text": "once"}]}
    first = house.request("post_documents", body, Idempotency_Key="k")
    assert house.request("post_documents", body, Idempotency_Key="k") == first
    house.done(first[1]["id"])
    assert stand_in.count.requests == 1


def test_a_spent_budget_refuses_new_documents_and_pauses_those_that_wait(
    house: House, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn
) -> None:
    batch = house.hand_in("one", "two")
    first, second = house.messages()
    monkeypatch.setenv("BUDGET_TENANT_USD", "0.00001")
    reopen(api)
    reopen(document)
    assert house.deliver([first]) == []
    assert house.deliver([second], deliveries=5) == []  # the last delivery, and yet not dead
    view = house.view(batch)
    assert (view["state"], view["settled"], view["dead"]) == ("paused", 1, 0)
    assert stand_in.count.requests == 1
    status, problem = house.request("post_documents")
    assert (status, problem["error"]["code"]) == (402, "budget_spent")


def test_a_category_is_one_of_those_given_in_whatever_language(house: House) -> None:
    batch = house.hand_in("이번 분기 재무 보고", "기술 문서", operation="classify",
                          categories=["기술", "마케팅", "재무", "HR"])  # fmt: skip
    assert [one["document"]["answer"] for one in house.done(batch)] == ["재무", "기술"]
    batch = house.hand_in("All about finance.", operation="classify")
    assert house.done(batch)[0]["document"]["answer"] == "finance"


def test_what_is_extracted_satisfies_the_schema(house: House) -> None:
    text = "name: Kim\namount: 40\nparties: A\nparties: B"
    batch = house.hand_in(text, operation="extract", schema=SCHEMA)
    (found,) = house.done(batch)
    assert found["document"]["answer"] == {"name": "Kim", "amount": 40, "parties": ["A", "B"]}


def test_an_answer_that_does_not_do_is_mended_once_and_both_calls_are_paid(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.MALFORMED,))
    batch = house.hand_in("name: Kim", operation="extract", schema=SCHEMA)
    (found,) = house.done(batch)
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
    house: House, stand_in: StandIn, operation: str, faults: tuple[Fault, ...], code: str
) -> None:
    stand_in.scenario = Scenario(script=faults)
    options = {"schema": SCHEMA} if operation == "extract" else {}
    batch = house.hand_in("name: Kim", "name: Lee", operation=operation, **options)
    bad, good = house.done(batch)
    assert bad["document"]["failure"]["code"] == code
    assert (bad["document"]["answer"], good["document"]["failure"]) == (None, None)
    view = house.view(batch)
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
    house: House, stand_in: StandIn, reply: str, finish: str, code: str
) -> None:
    half = ModelScenario(reply=reply, finish_reason=finish)
    stand_in.scenario = Scenario(models={MODEL: half})
    (found,) = house.done(house.hand_in("a text"))
    assert (found["document"]["failure"]["code"], found["document"]["answer"]) == (code, None)
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd > 0


@pytest.mark.parametrize(
    ("reply", "finish"),
    [(" ", "stop"), ("The first half of", "error"), ("Half", "insufficient_system_resource")],
)
def test_an_answer_that_the_vendor_broke_off_is_asked_for_again_later(
    house: House, stand_in: StandIn, reply: str, finish: str
) -> None:
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply=reply, finish_reason=finish)})
    batch = house.hand_in("a text")
    records = house.messages()
    assert len(house.deliver(records)) == 1
    stand_in.scenario = Scenario()
    assert house.deliver(records, deliveries=2) == []
    (found,) = house.results(batch)
    assert found["document"]["failure"] is None
    assert stand_in.count.requests == 2


def test_what_was_estimated_teaches_no_estimate(house: House, stand_in: StandIn, aws: Any) -> None:
    stand_in.scenario = Scenario(script=(Fault.NO_USAGE,))
    house.done(house.hand_in("a text"))
    assert [item for item in usage(aws) if item["key"].startswith("operation#")] == []
    house.done(house.hand_in("another text"))
    assert len([item for item in usage(aws) if item["key"].startswith("operation#")]) == 1


def test_a_message_delivered_again_is_neither_asked_about_nor_counted_again(
    house: House, stand_in: StandIn
) -> None:
    batch = house.hand_in("one")
    records = house.messages()
    house.deliver(records)
    house.deliver(records)
    assert (house.view(batch)["settled"], stand_in.count.requests) == (1, 1)
    counted = [one for one in usage(house.aws) if one["key"].startswith("operation#")]
    assert [int(one["documents"]) for one in counted] == [1]
    assert counted[0]["key"] == ledger.operation_key(TENANT, "summarize", MODEL)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", range(1, 5))
def test_a_worker_that_dies_at_any_write_is_followed_by_one_that_ends_in_the_same_state(
    house: House,
    stand_in: StandIn,
    writes: int,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    batch = house.hand_in("one")
    records = house.messages()
    dying, asking = mortal_worker(house.aws, Life(writes, after=after))
    with suppress(Death):
        handle(
            document.app().document_queue,
            document.app().batches,
            records,
            lambda some: dying.work(some, Deadline.after(9)),
        )
    loop.run(asking.close())
    lapse_claims(house.aws)
    house.deliver(records)
    (found,) = house.results(batch)
    view = house.view(batch)
    assert (view["settled"], view["state"]) == (1, "complete")
    # what was answered is booked once; what was answered and not booked is possibly paid
    paid = booked(house.aws)
    assert paid <= stand_in.count.cost_usd <= paid + open_intents(house.aws)
    assert Decimal(found["document"]["cost_usd"]) == paid == Decimal(view["cost_usd"])
    assert not found["document"]["cached"]
    assert stand_in.count.requests == 1 or open_intents(house.aws)


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
    house: House, stand_in: StandIn
) -> None:
    batch = house.hand_in("same", "same")
    first, second = (one["document"] for one in house.done(batch))
    assert (first["cached"], second["cached"]) == (False, True)
    assert (second["cost_usd"], second["saved_usd"]) == ("0", first["cost_usd"])
    view = house.view(batch)
    assert (view["calls"], view["cached_answers"], view["hit_rate"]) == (1, 1, 0.5)
    assert stand_in.count.requests == 1


def test_a_throttled_document_stays_until_its_last_delivery_then_it_is_dead_and_sent_round_again(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(rates={Fault.THROTTLED: 1.0}, retry_after="30")
    batch = house.hand_in({"text": "one", "id": "a"}, "two")
    records = house.messages()
    assert len(house.deliver(records)) == 2
    view = house.view(batch)
    assert (view["state"], view["last_problem"]) == ("running", "model throttled")
    assert house.deliver(records, deliveries=5) == []
    view = house.view(batch)
    assert (view["state"], view["dead"]) == ("incomplete", 2)
    assert house.results(batch)[0]["dead"]["id"] == "a"
    stand_in.scenario = Scenario()
    status, sent = house.request("post_redrive", batch=batch)
    assert (status, sent) == (202, {"sent": 2, "complete": True})
    assert [one["document"]["failure"] for one in house.done(batch)] == [None, None]
    assert house.view(batch)["state"] == "complete"


def test_a_document_that_the_gateway_denies_comes_back_from_the_queue(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.NO_CREDIT,))
    batch = house.hand_in("one")
    records = house.messages()
    assert len(house.deliver(records)) == 1
    view = house.view(batch)
    assert (view["state"], view["settled"], view["dead"]) == ("running", 0, 0)
    assert house.deliver(records, deliveries=2) == []
    assert house.results(batch)[0]["document"]["failure"] is None


def test_a_document_that_outlives_its_workers_is_dead_with_that_reason(
    house: House, stand_in: StandIn
) -> None:
    batch = house.hand_in("one")
    house.deliver(house.messages(), deliveries=6)
    (dead,) = house.results(batch)
    assert dead["dead"]["reason"].startswith("its worker crashed")
    assert stand_in.count.requests == 0


@pytest.mark.parametrize("poison", ["not json", "{}", '{"tenant": "acme", "colour": "red"}'])
def test_poison_goes_to_the_dead_letters_and_sinks_no_other(house: House, poison: str) -> None:
    batch = house.hand_in("good")
    (good,) = house.messages()
    house.deliver([good | {"messageId": "poison", "body": poison}, good])
    assert house.view(batch)["settled"] == 1


def test_a_cancelled_batch_begins_nothing_more(house: House, stand_in: StandIn) -> None:
    batch = house.hand_in("one", long_text(), model=SMALL)
    records = house.messages()
    house.request("delete_batch", batch=batch)
    house.deliver(records)
    assert (house.view(batch)["state"], stand_in.count.requests) == ("cancelled", 0)


# ---- files -----------------------------------------------------------------------------------


def test_a_file_nobody_can_read_is_rejected_with_its_reason_and_the_others_go_on(
    house: House, stand_in: StandIn
) -> None:
    poisoned = base64.b64encode(b"%PDF-1.7\n" + b"1 0 obj <</Length 99999999>> stream").decode()
    page = base64.b64encode("<h1>공지</h1><p>회의는 월요일.</p>".encode()).decode()
    batch = house.hand_in(
        {"content": poisoned, "media_type": "application/pdf", "id": "poisoned"},
        {"content": page, "media_type": "text/html", "name": "notice.html"},
        operation="translate",
    )
    bad, good = house.done(batch)
    assert bad["rejected"]["id"] == "poisoned"
    assert bad["rejected"]["code"]
    assert "회의는 월요일." in good["document"]["answer"]
    assert good["document"]["media_type"] == "text/html"
    assert house.view(batch)["state"] == "complete"
    assert stand_in.count.requests == 1


def test_an_uploaded_document_that_is_too_large_is_refused_before_it_is_read(
    house: House, stand_in: StandIn
) -> None:
    key = f"uploads/{TENANT}/large"
    house.s3.put_object(Bucket="UploadsBucket", Key=key, Body=bytes(DOCUMENT_BYTES + 1))
    (found,) = house.done(house.hand_in({"upload": key, "name": "large.pdf"}))
    assert found["rejected"]["code"] == "document_too_large"
    assert stand_in.count.requests == 0


def test_an_uploaded_list_of_documents_is_put_on_the_queue_by_the_machine(house: House) -> None:
    key = f"uploads/{TENANT}/list.jsonl"
    lines = [json.dumps({"text": f"Line {n}.", "id": f"line-{n}"}) for n in range(104)]
    lines[7:99] = ["not json"] * 92  # which take no time
    house.s3.put_object(Bucket="UploadsBucket", Key=key, Body="\n".join(lines).encode())
    status, taken = house.request("post_documents", {"operation": "summarize", "upload": key})
    assert (status, taken["state"]) == (202, "receiving")
    house.run_machine()
    view = house.view(taken["id"])
    assert (view["state"], view["items"], view["settled"]) == ("complete", 104, 12)
    assert view["rejected"] == 92
    found = house.results(taken["id"])
    assert [one["index"] for one in found] == list(range(100))
    assert [one["document"]["id"] for one in found[:7]] == [f"line-{n}" for n in range(7)]
    assert found[7]["rejected"]["code"] == "invalid_json"


def test_an_upload_that_could_not_be_read_to_its_end_is_read_again_by_a_redrive(
    house: House,
) -> None:
    key = f"uploads/{TENANT}/list.jsonl"
    house.s3.put_object(Bucket="UploadsBucket", Key=key, Body=b'{"text": "one"}')
    _, taken = house.request("post_documents", {"operation": "summarize", "upload": key})
    house.s3.delete_object(Bucket="UploadsBucket", Key=key)
    (given,) = house.runs()
    with pytest.raises(Undeliverable) as failed:
        house.step("receive", given)
    named = {"tenant": TENANT, "batch": taken["id"]}
    house.step("abandon", named | {"error": caught(failed.value)})
    view = house.view(taken["id"])
    assert (view["state"], view["last_problem"]) == ("incomplete", "no such upload")
    house.s3.put_object(Bucket="UploadsBucket", Key=key, Body=b'{"text": "one"}')
    house.request("post_redrive", batch=taken["id"])
    house.run_machine()
    assert house.view(taken["id"])["state"] == "complete"


def test_an_answer_too_long_for_the_table_is_found_at_its_address(
    house: House, stand_in: StandIn
) -> None:
    long = "긴 답" * 30_000
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply=long)})
    batch = house.hand_in("short", operation="custom", prompt="Go on and on.")
    (found,) = house.done(batch)
    assert found["document"]["answer"] is None
    assert f"results/{TENANT}/{batch}/" in found["document"]["answer_url"]
    key = result_key(TENANT, BatchPosition(batch=batch, index=0))
    body = house.s3.get_object(Bucket="UploadsBucket", Key=key)["Body"].read()
    assert json.loads(body) == long


def test_a_page_of_long_answers_ends_before_it_is_too_large_for_its_answer(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(models={MODEL: ModelScenario(reply="답" * 30_000)})
    batch = house.hand_in(*(f"{n}" for n in range(20)), operation="custom", prompt="Go on.")
    house.work()
    status, page = house.request("get_results", batch=batch)
    assert status == 200
    assert 0 < page["next"] == len(page["items"]) < 20


# ---- long documents --------------------------------------------------------------------------


def test_a_translation_of_a_long_text_is_joined_from_its_pieces_without_loss(
    house: House, stand_in: StandIn
) -> None:
    text = long_text(3_000)
    batch = house.hand_in(text, operation="translate", target_language="Korean")
    (found,) = house.done(batch)
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
    house: House, stand_in: StandIn, operation: str, options: Any, merges: int
) -> None:
    text = long_text() + "\nname: Kim\nparties: A\n" + long_text(3_000) + "\nparties: B\nname: Lee"
    batch = house.hand_in(text, operation=operation, model=SMALL, **options)
    (found,) = house.done(batch)
    result = found["document"]
    assert result["failure"] is None
    assert result["pieces"] > 2
    assert result["calls"] == stand_in.count.requests == result["pieces"] + merges
    assert Decimal(result["cost_usd"]) == stand_in.count.cost_usd == booked(house.aws)
    if operation == "extract":
        assert result["answer"] == {"name": "Kim", "amount": None, "parties": ["A", "B"]}
        assert result["conflicts"] == ["name"]
    if operation == "classify":
        assert result["answer"] == "Sentence"
        assert set(result["votes"]) == {"Sentence"}


def test_summaries_that_are_too_long_together_are_summarized_in_pieces_themselves(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(
        models={SMALL: ModelScenario(reply="All of it matters, says this sentence. " * 200)}
    )
    batch = house.hand_in(long_text(10_000), model=SMALL)
    house.deliver(house.messages())
    (given,) = house.runs()
    cut = house.step("split", given)
    levels = []
    while cut["pieces"]:
        levels.append(cut["pieces"])
        at = given | {name: cut[name] for name in ("level", "pieces")}
        for number in cut["numbers"]:
            house.step("ask", at | {"piece": number})
        cut = house.step("merge", at)
    assert len(levels) > 1
    assert levels == sorted(levels, reverse=True)
    (found,) = house.results(batch)
    assert found["document"]["pieces"] == levels[0]
    assert found["document"]["calls"] == sum(levels) + 1 == stand_in.count.requests
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd


def test_the_machine_starts_once_however_often_the_message_comes_and_repeats_nothing(
    house: House, stand_in: StandIn
) -> None:
    batch = house.hand_in(long_text(3_000), operation="translate")
    records = house.messages()
    house.deliver(records)
    house.deliver(records)
    (given,) = house.runs()
    cut = house.step("split", given)
    at = given | {name: cut[name] for name in ("level", "pieces")}
    for number in (*cut["numbers"], *cut["numbers"]):
        house.step("ask", at | {"piece": number})
    house.step("merge", at)
    house.step("merge", at)
    assert stand_in.count.requests == cut["pieces"]
    assert house.view(batch)["settled"] == 1


def test_a_piece_the_model_refuses_fails_the_document_and_says_which(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(script=(Fault.NONE, Fault.FILTERED))
    batch = house.hand_in(long_text(3_000), operation="translate")
    (found,) = house.done(batch)
    assert found["document"]["failure"]["code"] == "model_refused"
    assert found["document"]["failure"]["message"].startswith("piece 2 of ")
    assert Decimal(found["document"]["cost_usd"]) == stand_in.count.cost_usd


def test_what_the_machine_gives_up_is_a_dead_letter_and_runs_anew_when_sent_round_again(
    house: House, stand_in: StandIn
) -> None:
    stand_in.scenario = Scenario(rates={Fault.THROTTLED: 1.0}, retry_after="30")
    batch = house.hand_in({"text": long_text(3_000), "id": "long"}, operation="translate")
    house.deliver(house.messages())
    (given,) = house.runs()
    cut = house.step("split", given)
    at = given | {name: cut[name] for name in ("level", "pieces")}
    with pytest.raises(Postponed) as postponed:
        house.step("ask", at | {"piece": 0})
    house.step("dead_letter", given | {"error": caught(postponed.value)})
    (dead,) = house.results(batch)
    assert dead["dead"]["reason"] == "model throttled"
    assert house.view(batch)["state"] == "incomplete"
    stand_in.scenario = Scenario()
    assert house.request("post_redrive", batch=batch)[1] == {"sent": 1, "complete": True}
    house.end_runs()
    (found,) = house.done(batch)
    assert found["document"]["id"] == "long"
    assert house.view(batch)["state"] == "complete"


def test_a_strange_error_of_a_step_is_named_and_never_quoted() -> None:
    error = {"Error": "ValueError", "Cause": json.dumps({"errorMessage": "my secret text"})}
    assert reason_of(error) == "ValueError"
    assert reason_of({}) == "unknown"
    assert reason_of(caught(Undeliverable("too deep"))) == "too deep"


def caught(error: Exception) -> dict[str, str]:
    """As a state machine's Catch tells it."""
    cause = {"errorType": type(error).__name__, "errorMessage": str(error)}
    return {"Error": type(error).__name__, "Cause": json.dumps(cause)}
