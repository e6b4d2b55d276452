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


def refusing(kind: str) -> list[dict[str, Any]]:
    """The policies of a kind, each of which refuses what does not come over TLS."""
    policies = list(template.resources(kind).values())
    for policy in policies:
        statements = policy["PolicyDocument"]["Statement"]
        (statement,) = (one for one in statements if one["Effect"] == "Deny")
        assert statement["Principal"] == "*"
        assert statement["Condition"] == INSECURE
    return policies


def test_the_bucket_refuses_what_is_not_sent_over_tls() -> None:
    assert [one["Bucket"] for one in refusing("AWS::S3::BucketPolicy")] == [
        {"Ref": "UploadsBucket"}
    ]


def test_every_queue_refuses_what_is_not_sent_over_tls() -> None:
    policies = refusing("AWS::SQS::QueuePolicy")
    queues = [queue["Ref"] for policy in policies for queue in policy["Queues"]]
    assert sorted(queues) == sorted(template.resources("AWS::SQS::Queue"))


def test_a_policy_speaks_of_no_queue_but_those_it_is_for() -> None:
    """A queue has one policy: a statement about another one has no place in it."""
    for name, policy in template.resources("AWS::SQS::QueuePolicy").items():
        own = [queue["Ref"] for queue in policy["Queues"]]
        for statement in policy["PolicyDocument"]["Statement"]:
            over = statement["Resource"]
            if over == "*":  # each of them
                assert statement["Effect"] == "Deny", name
            else:
                assert own == [over["Fn::GetAtt"][0]], name


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
