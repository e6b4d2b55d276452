"""The container of the function that receives a chat's messages: it must be quick."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3

from quorum.app.clients import Clients
from quorum.aws.clients import client_config
from quorum.aws.keys import Keys
from quorum.chat.connections import Connections
from quorum.chat.conversations import Conversations
from quorum.chat.reception import Reception, starting

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

    from quorum.app.settings import ChatSettings, ReceptionSettings

POST_SECONDS = 5
"""Seconds for one post to a chat's client."""
POST_ATTEMPTS = 5
"""Tries of one post to a chat's client."""


class ConversationContainer(Clients):
    """The members of both functions of the chat."""

    settings: "ChatSettings"

    @cached_property
    def management(self) -> "ApiGatewayManagementApiClient":
        """The client that posts to connections of the WebSocket."""
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=self.settings.connections_url,
            config=client_config(read_seconds=POST_SECONDS, attempts=POST_ATTEMPTS),
        )

    @cached_property
    def connections(self) -> Connections:
        """The clients' ends of the connections."""
        return Connections(self.management)

    @cached_property
    def conversations(self) -> Conversations:
        """The table of connections, requests and histories."""
        settings = self.settings
        return Conversations(
            self.dynamodb, settings.conversations_table, seconds=settings.conversation_seconds
        )


class ReceptionContainer(ConversationContainer):
    """The members of the function that receives messages."""

    settings: "ReceptionSettings"

    @cached_property
    def reception(self) -> Reception:
        """The reception of messages."""
        return Reception(
            self.conversations,
            self.connections,
            starting(self.functions, self.settings.converse_function),
            default_model=self.settings.default_model,
            is_known=Keys(self.dynamodb.Table(self.settings.keys_table)).is_known,
            answers_at_once=self.settings.answers_at_once,
        )
