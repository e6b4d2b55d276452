"""The container of the function that receives a chat's messages: it must be quick."""

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import boto3

from quorum.app.clients import Clients
from quorum.app.keys import KeysContainer
from quorum.aws.clients import Patience, client_config
from quorum.aws.faults import unavailable
from quorum.chat.connections import Connections
from quorum.chat.conversations import Conversations
from quorum.chat.reception import Reception, starting
from quorum.core.errors import NotAllowed
from quorum.core.scopes import CHAT_SCOPES, require_one

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

    from quorum.app.settings import ChatSettings, ReceptionSettings

POST_PATIENCE = Patience(5, 5)
"""For one post of an answer to a chat's client."""
RECEPTION_PATIENCE = Patience(5, 2)
"""For one post of the function that receives, which has 20 s in all: what it says is short."""


class ConversationContainer(Clients):
    """The members of both functions of the chat."""

    settings: "ChatSettings"
    post_patience: ClassVar[Patience] = POST_PATIENCE

    @cached_property
    def management(self) -> "ApiGatewayManagementApiClient":
        """The client that posts to connections of the WebSocket."""
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=self.settings.connections_url,
            config=client_config(*self.post_patience),
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


class ReceptionContainer(ConversationContainer, KeysContainer):
    """The members of the function that receives messages."""

    settings: "ReceptionSettings"
    post_patience: ClassVar[Patience] = RECEPTION_PATIENCE

    @cached_property
    def reception(self) -> Reception:
        """The reception of messages."""
        return Reception(
            self.conversations,
            self.connections,
            starting(self.functions, self.settings.converse_function),
            default_model=self.settings.default_model,
            admit=self.admit,
            answers_at_once=self.settings.answers_at_once,
        )

    def admit(self, key_hash: str) -> None:
        """Let in a message that came with the key of that hash, and count it.

        Raises `NotAllowed` if the key was revoked, has expired or may not chat, `RateLimited`, and
        `StoreUnavailable`.
        """
        with unavailable("the keys could not be read"):
            key = self.keys.find(key_hash)
        if key is None:
            raise NotAllowed("this API key was revoked or has expired", code="invalid_api_key")
        require_one(key.effective_scopes, CHAT_SCOPES)
        self.key_limits.take(
            key_hash, per_minute=key.requests_per_minute, per_month=key.requests_per_month
        )
