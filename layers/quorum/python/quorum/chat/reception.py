"""The reception of a chat's messages: each is accepted or refused at once.

An integration of API Gateway ends after 29 s, so answers are streamed by a function of their own
(`quorum.chat.conversing`), started by an event.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from quorum.aws.faults import unavailable
from quorum.chat import chat
from quorum.chat.chat import Asked, CancelRequest, ChatRequest
from quorum.chat.conversations import ANSWERS_AT_ONCE, request_not_found
from quorum.core import registry
from quorum.core.errors import (
    ConnectionGone,
    InvalidRequest,
    QuorumError,
    StoreUnavailable,
    TooLarge,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from quorum.aws.keys import Caller
    from quorum.chat.connections import Connections
    from quorum.chat.conversations import Connected, Conversations


class Reception:
    """Receives a connection's messages; `start` begins an answer and does not wait for it.

    `admit` lets in and counts a message of the key with a hash, or raises the reason why not: a
    connection lives for hours, and its key may be revoked meanwhile. A message that is refused is
    counted as well; only the cancelling of an answer is free.
    """

    def __init__(
        self,
        conversations: "Conversations",
        connections: "Connections",
        start: Callable[[Asked], None],
        *,
        default_model: str,
        admit: Callable[[str], None],
        answers_at_once: int = ANSWERS_AT_ONCE,
    ) -> None:
        self._conversations = conversations
        self._connections = connections
        self._start = start
        self._default_model = default_model
        self._admit = admit
        self._answers_at_once = answers_at_once

    def connect(self, connection: str, caller: "Caller", key_hash: str) -> None:
        """Remember the caller that the authorizer let in, by the key with that hash."""
        self._conversations.connect(connection, caller, key_hash)

    def disconnect(self, connection: str) -> None:
        """Forget a connection; answers to it stop."""
        self._conversations.disconnect(connection)

    def receive(self, connection: str, body: str | None, caller: "Connected | None" = None) -> None:
        """Handle a message; an error is sent to the connection.

        `caller` is the one on the connection, which is looked up if it is not known.
        """
        try:
            read = _read(body)
            # That saves money, and its question was counted, so a used-up limit does not hinder it.
            if isinstance(read, CancelRequest) and self._conversations.cancel(
                connection, read.request_id
            ):
                return
            connected = caller or self._conversations.connected(connection)
            self._admit(connected.key_hash)
            if isinstance(read, QuorumError):
                raise read
            if isinstance(read, CancelRequest):
                raise request_not_found()
            self._begin(self._asked(connection, connected.tenant, read))
        except QuorumError as failure:
            self._refuse(connection, chat.error(chat.named(body), failure))

    def _asked(self, connection: str, tenant: str, request: ChatRequest) -> Asked:
        """The request, after checking that it can be answered."""
        model = registry.answering(request.model or self._default_model)
        fresh = request.messages is None and request.conversation is None
        if request.conversation is not None:
            self._conversations.require(tenant, request.conversation)
        request_id = request.request_id or uuid4().hex
        return Asked(
            connection=connection,
            tenant=tenant,
            request_id=request_id,
            request=request,
            model=model.name,
            conversation=uuid4().hex if fresh else request.conversation,
            fresh=fresh,
            slot=self._conversations.open(connection, request_id, self._answers_at_once),
        )

    def _begin(self, asked: Asked) -> None:
        try:
            self._start(asked)
        except QuorumError:
            with suppress(StoreUnavailable):  # it is free after a while all the same
                self._conversations.close(asked.connection, asked.request_id, asked.slot)
            raise

    def _refuse(self, connection: str, message: chat.Message) -> None:
        try:
            self._connections.post(connection, message)
        except ConnectionGone:
            return


def _read(body: str | None) -> ChatRequest | CancelRequest | InvalidRequest | TooLarge:
    """The message, or why it cannot be read: it is counted before it is refused."""
    try:
        return chat.read(body)
    except (InvalidRequest, TooLarge) as unreadable:
        return unreadable


def starting(functions: "LambdaClient", name: str) -> Callable[[Asked], None]:
    """A function that starts the Lambda `name` on a request; raises `StoreUnavailable`."""

    def start(asked: Asked) -> None:
        with unavailable("the answer could not be begun"):
            functions.invoke(
                FunctionName=name,
                InvocationType="Event",
                Payload=asked.model_dump_json().encode(),
            )

    return start
