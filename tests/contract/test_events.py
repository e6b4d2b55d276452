"""The template's way of an event: tries, rights, what the stream shows; and the room for routes."""

import json
import re

from quorum.events import pauses
from quorum.events.delivering import SENDING_ANEW_SECONDS
from quorum.events.sending import SENDING_SECONDS

from tests import template

POLICY_BYTES = 20_480
"""Bytes of a function's resource policy that Lambda takes."""


def test_a_delivery_is_tried_for_a_day_by_a_function_that_has_time_for_each_try() -> None:
    queues, functions = template.resources("AWS::SQS::Queue"), template.functions()
    timeout = functions["DeliverFunction"]["Timeout"]
    assert sum(pauses.PAUSES) >= 24 * 3_600
    for name in ("DeliveriesQueue", "BusQueue"):
        assert queues[name]["VisibilityTimeout"] >= 6 * timeout
        # A message that is not even put off, because a store is away, comes again for an hour.
        tries = queues[name]["RedrivePolicy"]["maxReceiveCount"]
        assert tries * queues[name]["VisibilityTimeout"] > 3_600
    # What is stored before and after a try has time, too.
    assert timeout > SENDING_SECONDS + SENDING_ANEW_SECONDS + 20


def test_the_bus_and_webhooks_have_workers_of_their_own() -> None:
    sources = template.functions()["DeliverFunction"]["Events"]
    found = {
        name: (one["Properties"]["Queue"]["Fn::GetAtt"], one["Properties"]["ScalingConfig"])
        for name, one in sources.items()
    }
    queues = [str(queue) for queue, _ in found.values()]
    assert len(set(queues)) == len(queues) == 2
    assert all(scaling["MaximumConcurrency"] for _, scaling in found.values())


def test_who_stores_secrets_of_webhooks_cannot_read_them_and_who_reads_them_stores_none() -> None:
    granted = {
        name: {
            statement["Action"]
            for statement in template.statements(block)
            if "WebhooksKey" in json.dumps(statement["Resource"])
        }
        for name, block in template.functions().items()
    }
    found = {name: actions for name, actions in granted.items() if actions}
    assert found == {"WebhooksFunction": {"kms:Encrypt"}, "DeliverFunction": {"kms:Decrypt"}}


def test_the_stream_gives_verdicts_to_events_and_never_a_content() -> None:
    source = template.functions()["EventsFunction"]["Events"]["Changes"]["Properties"]
    (one,) = source["FilterCriteria"]["Filters"]
    image = json.loads(one["Pattern"])["dynamodb"]["NewImage"]
    assert image == {"verdict": {"S": [{"exists": True}]}}
    assert source["BisectBatchOnFunctionError"] is True
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["DestinationConfig"]["OnFailure"]["Type"] == "SQS"


def test_a_functions_routes_fit_into_its_policy() -> None:
    """SAM adds a statement for each route; Lambda refuses a policy of more than 20 KB."""
    stack, region = "a-stack-with-a-rather-long-name", "ap-southeast-2"
    for name, block in template.functions().items():
        function = f"{stack[:24]}-{name}-0123456789AB"
        statements = [
            {
                "Sid": f"{stack}-{name}{event}Permissionv1-0123456789AB",
                "Effect": "Allow",
                "Principal": {"Service": "apigateway.amazonaws.com"},
                "Action": "lambda:InvokeFunction",
                "Resource": f"arn:aws:lambda:{region}:{template.ACCOUNT}:function:{function}:live",
                "Condition": {
                    "ArnLike": {
                        "AWS:SourceArn": f"arn:aws:execute-api:{region}:{template.ACCOUNT}:"
                        f"0123456789/*/{route['Properties']['Method'].upper()}"
                        + re.sub(r"{\w+}", "*", route["Properties"]["Path"])
                    }
                },
            }
            for event, route in block.get("Events", {}).items()
            if route["Type"] == "Api"
        ]
        assert len(json.dumps(statements, separators=(",", ":"))) < POLICY_BYTES, name
