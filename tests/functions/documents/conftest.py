"""Fixtures for documents: the API, the worker and the machine, over one account."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from quorum.aws import loop

from fakes.gateway import Scenario, StandIn, running
from functions.api import app as api
from functions.document import app as document
from tests.functions.conftest import Context, reopen
from tests.template import ROOT

TENANT = "acme"
MODEL = "gpt-4.1-nano"
SMALL = "deepseek-coder"
"""A model with a window of 16,000 tokens, for which a few thousand words are long."""
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


class DocumentService:
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
        """Hand in a batch of texts or documents; returns its id."""
        given = [{"text": one} if isinstance(one, str) else one for one in documents]
        body = {"operation": operation, "documents": given} | options
        status, taken = self.request("post_documents", body)
        assert status == 202, taken
        return str(taken["id"])

    def messages(self) -> list[dict[str, Any]]:
        """The messages on the queue, as a function gets them; they become invisible."""
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
        """Hand messages to the worker; returns the ids of those that stay."""
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
        """Work through everything on the queue, and every run of the machine."""
        while records := self.messages():
            self.deliver(records)
        self.run_machine()

    def runs(self) -> list[dict[str, Any]]:
        """The inputs of the machine's runs that did not run yet; they are marked as run."""
        arn = document.app().settings.document_machine
        started = self._machine.list_executions(stateMachineArn=arn)["executions"]
        new = [run for run in started if run["executionArn"] not in self._run]
        self._run |= {run["executionArn"] for run in new}
        return [
            json.loads(self._machine.describe_execution(executionArn=run["executionArn"])["input"])
            for run in new
        ]

    def run_machine(self) -> None:
        """Run the state machine's steps in order, and its Catch if one fails."""
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
        """End every run, which moto never does."""
        arn = document.app().settings.document_machine
        for run in self._machine.list_executions(stateMachineArn=arn)["executions"]:
            self._machine.stop_execution(executionArn=run["executionArn"])

    def execution_ended(self, given: dict[str, Any], status: str) -> None:
        """Tell the function of the end of an execution, as EventBridge does."""
        event = json.loads((ROOT / "events/run_ended.json").read_text())
        event["detail"] |= {"status": status, "input": json.dumps(given), "error": None}
        document.step(event, self._context)

    def step(self, step: str, given: dict[str, Any]) -> Any:
        return document.step({"step": step} | given, self._context)

    def view(self, batch: str) -> Any:
        return self.request("get_batch", batch=batch)[1]

    def results(self, batch: str) -> list[Any]:
        status, page = self.request("get_results", batch=batch)
        assert status == 200, page
        return list(page["items"])

    def done(self, batch: str) -> list[Any]:
        """Work through a batch; returns its results."""
        self.work()
        return self.results(batch)


@pytest.fixture
def context() -> Context:
    """A short invocation: a worker waits until its end for a question that another has claimed."""
    short = Context()
    short.remaining_milliseconds = 10_000
    return short


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running(Scenario()) as one:
        yield one


@pytest.fixture
def service(
    aws: Any,
    context: Any,
    event: Callable[[str], dict[str, Any]],
    stand_in: StandIn,
    within: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[DocumentService]:
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
    yield DocumentService(aws, context, event, urls)
    loop.run(document.app().asking.close())


def long_text(words: int = 6_000) -> str:
    """A text of about so many words that no window of `SMALL` holds."""
    return " ".join(f"{MANY}Sentence {number} ends." for number in range(words // 14))


def caught(error: Exception) -> dict[str, str]:
    """An error in the form of a state machine's Catch."""
    cause = {"errorType": type(error).__name__, "errorMessage": str(error)}
    return {"Error": type(error).__name__, "Cause": json.dumps(cause)}
