"""The posting of messages to the clients of WebSocket connections."""

from typing import TYPE_CHECKING

from quorum.aws.faults import AWS_ERRORS
from quorum.chat import telemetry
from quorum.chat.chat import written
from quorum.core.errors import ConnectionGone

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

    from quorum.chat.chat import Message


class Connections:
    """API Gateway's management endpoint of the chat's stage."""

    def __init__(self, client: "ApiGatewayManagementApiClient") -> None:
        self._client = client

    def post(self, connection: str, message: "Message") -> None:
        """Send `message`; raises `ConnectionGone` if the client is gone or cannot be reached.

        boto3 itself repeats a post that is throttled (`LimitExceededException`) or lost, so a
        message may arrive twice.
        """
        try:
            self._client.post_to_connection(ConnectionId=connection, Data=written(message))
        except self._client.exceptions.GoneException as error:
            raise ConnectionGone("the client has gone") from error
        except AWS_ERRORS as error:
            telemetry.chat_unreachable(connection, type(error).__name__)
            raise ConnectionGone("the client cannot be reached") from error
