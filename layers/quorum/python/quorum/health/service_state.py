"""The stored state of the service: circuits, waits, queues and alarms. Calls no gateway."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from quorum.aws.faults import AWS_ERRORS
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_sqs import SQSClient

    from quorum.gateway.breaker import Breaker
    from quorum.gateway.limiter import Limiter

TOKENS = 500
"""Tokens of the call whose wait is shown: a vote on a short text."""
_WAITING: Literal["ApproximateNumberOfMessages"] = "ApproximateNumberOfMessages"
_IN_WORK: Literal["ApproximateNumberOfMessagesNotVisible"] = "ApproximateNumberOfMessagesNotVisible"


class Circuit(Frozen):
    """The circuit of a model at the base URL with that number, from 1; open since when."""

    base_url: int
    state: str
    opened_at: datetime | None


class ModelState(Frozen):
    """A model's circuits, and the seconds that a short call would wait for its rate limit."""

    model: str
    circuits: tuple[Circuit, ...]
    wait_seconds: float

    @property
    def is_open(self) -> bool:
        """Whether no base URL is called for the model."""
        return all(circuit.state == "OPEN" for circuit in self.circuits)


class QueueState(Frozen):
    """About how many messages a queue has: those that wait, and those that are worked on.

    None where SQS does not tell.
    """

    name: str
    waiting: int | None = None
    in_work: int | None = None


class AlarmState(Frozen):
    """A CloudWatch alarm of the stack, its state, and since when."""

    name: str
    state: str
    since: datetime


def model_states(
    models: Iterable[str], base_urls: str, breaker: "Breaker", limiter: "Limiter"
) -> tuple[ModelState, ...]:
    """Each model's circuits at the comma-separated base URLs, and the wait for its rate limit.

    Raises `StoreUnavailable`.
    """
    urls = [url.strip().rstrip("/") for url in base_urls.split(",") if url.strip()]
    return tuple(
        ModelState(
            model=model,
            circuits=tuple(
                _circuit(breaker, url, model, number) for number, url in enumerate(urls, 1)
            ),
            wait_seconds=limiter.wait_seconds(model, TOKENS),
        )
        for model in models
    )


def _circuit(breaker: "Breaker", url: str, model: str, number: int) -> Circuit:
    record = breaker.circuit(url, model)
    opened = record.opened_at
    return Circuit(
        base_url=number,
        state=str(record.state),
        opened_at=None if opened is None else datetime.fromtimestamp(opened, UTC),
    )


def queue_states(sqs: "SQSClient", queues: Mapping[str, str]) -> tuple[QueueState, ...]:
    """The queues, of name and URL."""
    return tuple(_queue(sqs, name, url) for name, url in queues.items())


def _queue(sqs: "SQSClient", name: str, url: str) -> QueueState:
    try:
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[_WAITING, _IN_WORK])
    except AWS_ERRORS:
        return QueueState(name=name)
    counts = told["Attributes"]
    return QueueState(name=name, waiting=int(counts[_WAITING]), in_work=int(counts[_IN_WORK]))


def alarm_states(cloudwatch: "CloudWatchClient", stack: str) -> tuple[AlarmState, ...] | None:
    """The alarms of the stack, those that went off first; None where CloudWatch does not tell."""
    try:
        pages = cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{stack}-", AlarmTypes=["MetricAlarm"]
        )
        found = [
            AlarmState(
                name=alarm["AlarmName"].removeprefix(f"{stack}-"),
                state=alarm["StateValue"],
                since=alarm["StateUpdatedTimestamp"],
            )
            for page in pages
            for alarm in page["MetricAlarms"]
        ]
    except AWS_ERRORS:
        return None
    return tuple(sorted(found, key=lambda alarm: (alarm.state != "ALARM", alarm.name)))
