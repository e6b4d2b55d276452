"""What guards the deployment: TLS, access logs without secrets, tables that stay, reserved room."""

import json
from typing import Any

import pytest

from tests import template

INSECURE = {"Bool": {"aws:SecureTransport": "false"}}
HARMLESS = {
    f"$context.{name}"
    for name in (
        *("requestId", "authorizer.tenant", "httpMethod", "resourcePath", "routeKey", "eventType"),
        *("status", "responseLatency", "error.responseType", "connectionId"),
    )
}
"""What an access log may have. A path or a query string may hold a key, a header anything."""
LOG_FORMATS: dict[str, str] = {
    "http": template.resources("AWS::Serverless::Api")["Api"]["AccessLogSetting"]["Fn::If"][1][
        "Format"
    ],
    "chat": template.resources("AWS::ApiGatewayV2::Stage")["ChatStage"]["AccessLogSettings"][
        "Fn::If"
    ][1]["Format"],
}


def denied(kind: str) -> dict[str, Any]:
    """The one statement of the one policy of a kind."""
    (policy,) = template.resources(kind).values()
    (statement,) = (one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny")
    assert statement["Principal"] == "*"
    assert statement["Condition"] == INSECURE
    return dict(policy)


def test_the_bucket_refuses_what_is_not_sent_over_tls() -> None:
    assert denied("AWS::S3::BucketPolicy")["Bucket"] == {"Ref": "UploadsBucket"}


def test_every_queue_refuses_what_is_not_sent_over_tls() -> None:
    refusing = [queue["Ref"] for queue in denied("AWS::SQS::QueuePolicy")["Queues"]]
    assert sorted(refusing) == sorted(template.resources("AWS::SQS::Queue"))


@pytest.mark.parametrize("door", LOG_FORMATS)
def test_an_access_log_has_neither_keys_nor_addresses_nor_contents(door: str) -> None:
    told = json.loads(LOG_FORMATS[door])
    assert set(told.values()) <= HARMLESS
    assert {"$context.authorizer.tenant", "$context.status"} <= set(told.values())


MADE_ANEW = {
    "AnswersTable": "a cache",
    "ConversationsTable": "gone within a day of their last turn",
    "EventsTable": "of the last days; verdicts tell the same",
    "KeyUseTable": "counts of an hour",
    "SessionsTable": "whoever is signed in signs in anew",
    "VotesTable": "a cache",
}
"""Tables whose loss costs no record, and why."""


def test_every_table_that_cannot_be_made_anew_is_backed_up_and_protected_from_deletion() -> None:
    protected = {
        name
        for name, table in template.resources("AWS::DynamoDB::Table").items()
        if table.get("DeletionProtectionEnabled") == {"Fn::If": ["InAws", True, False]}
    }
    backed_up = {
        name
        for name, table in template.resources("AWS::DynamoDB::Table").items()
        if table.get("PointInTimeRecoverySpecification")
    }
    assert protected == backed_up
    assert protected == template.resources("AWS::DynamoDB::Table").keys() - MADE_ANEW.keys()


def test_whoever_lets_a_caller_in_or_answers_one_can_have_room_that_no_batch_takes() -> None:
    reserved = {
        name
        for name, block in template.functions().items()
        if block.get("ReservedConcurrentExecutions", {}).get("Fn::If", [])[:2]
        == ["ReserveRequests", {"Ref": "RequestFunctions"}]
    }
    assert reserved == template.called_by_api_gateway()
    assert {"AuthorizeFunction", "RouteFunction", "ApiFunction"} < reserved
