"""Two Lambdas that do what no chat can do without: what is left of its time without Quorum.

`receive` starts `answer` by an event, as Quorum's functions do; `answer` posts the model's first
token to the client, and at the end that it has ended. They check, count and keep nothing.
"""

import json
import os
from functools import cache
from typing import Any

import boto3
import httpx


@cache
def functions() -> Any:
    """Lambda."""
    return boto3.client("lambda")


@cache
def clients() -> Any:
    """The clients of the WebSocket."""
    return boto3.client("apigatewaymanagementapi", endpoint_url=os.environ["CONNECTIONS_URL"])


@cache
def models() -> httpx.Client:
    """The gateway."""
    return httpx.Client(base_url=os.environ["BASE_URL"], timeout=60)


def receive(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Start the answer to a message of the WebSocket."""
    about = event["requestContext"]
    if about["routeKey"] not in ("$connect", "$disconnect"):
        asked = json.loads(event["body"]) | {"connection": about["connectionId"]}
        functions().invoke(
            FunctionName=os.environ["ANSWER_FUNCTION"],
            InvocationType="Event",
            Payload=json.dumps(asked).encode(),
        )
    return {"statusCode": 200}


def answer(event: dict[str, Any], _context: Any) -> None:
    """Post the first token of the model's answer, and its end."""

    def post(kind: str) -> None:
        clients().post_to_connection(
            ConnectionId=event["connection"], Data=json.dumps({"type": kind}).encode()
        )

    body = {
        "model": event["model"],
        "messages": [{"role": "user", "content": event["prompt"]}],
        "max_tokens": event["max_tokens"],
        "stream": True,
    }
    headers = {"authorization": f"Bearer {os.environ['GATEWAY_KEY']}"}
    begun = False
    with models().stream("POST", "/chat/completions", json=body, headers=headers) as streamed:
        for line in streamed.iter_lines():
            if not begun and '"content": "' in line and '"content": ""' not in line:
                begun = True
                post("token")
    post("complete")
