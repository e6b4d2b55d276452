"""The clients' ends of the WebSocket connections: where messages to them are posted."""

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
        """Send `message`; raises `ConnectionGone` if there is nobody, or nobody can be reached.

        What is throttled (`LimitExceededException`) or lost on the way is sent again by the client
        itself, so a message may come twice.
        """
        try:
            self._client.post_to_connection(ConnectionId=connection, Data=written(message))
        except self._client.exceptions.GoneException as error:
            raise ConnectionGone("the client has gone") from error
        except AWS_ERRORS as error:
            telemetry.chat_unreachable(connection, type(error).__name__)
            raise ConnectionGone("the client cannot be reached") from error
