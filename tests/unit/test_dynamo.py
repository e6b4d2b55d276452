"""Answers of DynamoDB that only AWS gives, played to the real client by botocore's stub."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import NotFound, StoreUnavailable

ITEMS = [{"Put": {"TableName": "Votes", "Item": {"key": "one"}}}]
KEYS = [{"key": "one"}, {"key": "two"}]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time to try, and none to wait."""
    monkeypatch.setattr(dynamo, "TRYING_SECONDS", 0.2)


class Stub(Stubber):
    """A stubber over a client that takes Python values."""

    client: Any


@pytest.fixture
def stub() -> Iterator[Stub]:
    client: Any = boto3.resource(
        "dynamodb", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
    ).meta.client
    with Stub(client) as stubbed:
        yield stubbed


def typed(*names: str) -> list[Any]:
    """Items of those keys as they travel; boto3 turns them into Python values in place."""
    return [{"key": {"S": name}} for name in names]


def cancelled(stub: Stub, *codes: str) -> None:
    """The next transaction is cancelled for those reasons, one per entry."""
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
    )


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_a_transaction_cancelled_for_a_passing_reason_is_sent_again(
    stub: Stub, reason: str
) -> None:
    cancelled(stub, "None", reason)
    cancelled(stub, reason, reason)
    stub.add_response("transact_write_items", {})

    assert dynamo.write(stub.client, ITEMS) == []
    stub.assert_no_pending_responses()


def test_a_transaction_still_in_progress_is_sent_again_as_the_same_one(stub: Stub) -> None:
    tokens: list[str] = []
    stub.client.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda params, **_: tokens.append(params["ClientRequestToken"]),
    )
    stub.add_client_error("transact_write_items", "TransactionInProgressException")
    cancelled(stub, "TransactionConflict")
    stub.add_response("transact_write_items", {})

    assert dynamo.write(stub.client, ITEMS) == []
    first, again, another = tokens
    assert first == again, "it may be written already: sent as another it would count twice"
    assert another != first, "a cancelled transaction wrote nothing"


def test_a_condition_that_failed_is_told_by_its_index_and_not_tried_again(stub: Stub) -> None:
    cancelled(stub, "None", "ConditionalCheckFailed", "TransactionConflict")

    assert dynamo.write(stub.client, ITEMS) == [1]
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "reason", ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"]
)
def test_a_transaction_that_can_never_succeed_is_not_sent_again(stub: Stub, reason: str) -> None:
    cancelled(stub, reason, "TransactionConflict")

    with pytest.raises(StoreUnavailable):
        dynamo.write(stub.client, ITEMS)
    stub.assert_no_pending_responses()


def test_a_transaction_in_the_way_for_too_long_is_given_up(stub: Stub) -> None:
    for _ in range(200):
        cancelled(stub, "TransactionConflict")

    with pytest.raises(StoreUnavailable):
        dynamo.write(stub.client, ITEMS)


def test_a_plain_write_that_meets_a_transaction_is_sent_again(stub: Stub) -> None:
    stub.add_client_error("update_item", "TransactionConflictException")
    stub.add_response("update_item", {})

    dynamo.attempt(stub.client.update_item, TableName="Votes", Key={"key": "one"})
    stub.assert_no_pending_responses()


def test_a_plain_write_whose_condition_failed_is_left_to_its_caller(stub: Stub) -> None:
    stub.add_client_error("update_item", "ConditionalCheckFailedException")

    with pytest.raises(stub.client.exceptions.ConditionalCheckFailedException):
        dynamo.attempt(stub.client.update_item, TableName="Votes", Key={"key": "one"})


def test_what_a_batch_read_leaves_out_is_asked_for_again(stub: Stub) -> None:
    asked: list[Any] = []
    stub.client.meta.events.register_first(
        "provide-client-params.dynamodb.BatchGetItem",
        lambda params, **_: asked.append(params["RequestItems"]["Votes"]["Keys"]),
    )
    left = {"Votes": {"Keys": typed("two"), "ConsistentRead": True}}
    first = {"Responses": {"Votes": typed("one")}, "UnprocessedKeys": left}
    stub.add_response("batch_get_item", first)
    stub.add_response(
        "batch_get_item", {"Responses": {"Votes": typed("two")}, "UnprocessedKeys": {}}
    )

    assert dynamo.read(stub.client, "Votes", KEYS, consistent=True) == KEYS
    assert [len(keys) for keys in asked] == [2, 1]
    stub.assert_no_pending_responses()


def test_a_batch_read_that_is_never_whole_is_given_up(stub: Stub) -> None:
    for _ in range(200):
        left = {"Votes": {"Keys": typed("one", "two")}}
        stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})

    with pytest.raises(StoreUnavailable):
        dynamo.read(stub.client, "Votes", KEYS)


@pytest.mark.parametrize("code", ["InternalServerError", "ResourceNotFoundException"])
def test_whatever_a_read_fails_with_the_store_is_unavailable(stub: Stub, code: str) -> None:
    for operation in ("get_item", "query", "batch_get_item"):
        stub.add_client_error(operation, code)

    with pytest.raises(StoreUnavailable):
        dynamo.get(stub.client, "Votes", KEYS[0])
    with pytest.raises(StoreUnavailable):
        dynamo.query(stub.client, TableName="Votes", KeyConditionExpression="a = b")
    with pytest.raises(StoreUnavailable):
        dynamo.read(stub.client, "Votes", KEYS)


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"),
    ],
)
def test_every_error_of_a_client_becomes_the_one_named_for_it(failure: Exception) -> None:
    raised = pytest.raises(StoreUnavailable, match="the thing could not be stored")
    with raised as caught, unavailable("the thing could not be stored"):
        raise failure
    assert caught.value.__cause__ is failure


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(NotFound), unavailable("the thing could not be read"):
        raise NotFound("no such thing")
