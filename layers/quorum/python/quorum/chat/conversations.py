"""The Conversations table: connections, requests being answered, and the turns of conversations.

::

    connection#<id>             connection         tenant, role and the key's hash, as long as it is
                                                   open; which answers are under way
                                request#<id>       one answer: claimed once; cancelled?
    conversation#<tenant>#<id>  head               system prompt, how many turns there were
                                turn#<when>        one question and its answer

Everything has a time to live. Turns are content: they are encrypted, and never logged.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.answer.questions import ChatMessage
from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.aws.keys import Caller
from quorum.chat.chat import conversation_not_found
from quorum.core.errors import Conflict, NotFound, TooMany
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

CONNECTION_SECONDS = 3 * 3600
"""Seconds until a connection's record expires, a little after API Gateway's limit of two hours."""
ANSWERS_AT_ONCE = 3
"""Answers under way at once on one connection, where the deployment does not say."""
SLOT_SECONDS = 420
"""Seconds after which an answer counts as over, whose function died without saying so."""
TURN_BYTES = 350 * 1024
"""Bytes of a turn at most; a longer one is not kept, because an item holds 400 KiB."""
TURNS_LOOKED_AT = 100
"""Turns of the history, at most, that are sent to the model."""


class ClientState(NamedTuple):
    """The state of an answer's client: whether it is connected, and whether it cancelled."""

    connected: bool
    cancelled: bool


class Connected(Caller):
    """The caller on a connection, and the hash of the key it came with."""

    key_hash: str


class Turn(Frozen):
    """A question and its answer."""

    prompt: str
    answer: str

    @classmethod
    def said(cls, prompt: str, answer: str) -> "Turn":
        """A turn that can be stored: a lone surrogate becomes a question mark."""
        return cls(prompt=_whole(prompt), answer=_whole(answer))

    def size(self) -> int:
        """The turn's size in bytes."""
        return len(self.prompt.encode()) + len(self.answer.encode())

    def messages(self) -> tuple[ChatMessage, ChatMessage]:
        """The turn as messages to a model."""
        return (
            ChatMessage(role="user", content=self.prompt),
            ChatMessage(role="assistant", content=self.answer),
        )


class History(NamedTuple):
    """The history of a conversation: the latest `turns`, the oldest first.

    `total` counts all turns there ever were; those not in `turns` have expired or are too many.
    """

    system: str | None
    turns: tuple[Turn, ...]
    total: int


class Conversations:
    """The table; raises `StoreUnavailable`. Conversations are kept for `seconds`."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        seconds: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values and is safe for threads
        self._table = table
        self._seconds = seconds
        self._clock = clock

    # ---- connections -------------------------------------------------------------------------

    def connect(self, connection: str, caller: Caller, key_hash: str) -> None:
        """Remember the caller on a new connection, and the hash of its key."""
        connected = Connected(**caller.model_dump(), key_hash=key_hash)
        item = _connection(connection) | connected.model_dump() | self._until(CONNECTION_SECONDS)
        with _stored():
            dynamo.attempt(self._client.put_item, TableName=self._table, Item=item)

    def disconnect(self, connection: str) -> None:
        """Record that the connection is closed, so that nothing is sent to it any more."""
        with _stored():
            dynamo.attempt(
                self._client.delete_item, TableName=self._table, Key=_connection(connection)
            )

    def connected(self, connection: str) -> Connected:
        """The caller on a connection; raises `NotFound`."""
        item = self._get(_connection(connection))
        if item is None:
            raise NotFound("this connection is closed", code="connection_closed")
        # A connection that was opened before a deploy has no fields of the newer code.
        return Connected.model_validate(
            {name: item[name] for name in Connected.model_fields if name in item}
        )

    # ---- answers -----------------------------------------------------------------------------

    def open(self, connection: str, request_id: str, at_once: int = ANSWERS_AT_ONCE) -> int:
        """A request is about to be answered; returns the slot that it takes of `at_once`.

        Raises `Conflict` if its id was used before, `NotFound` if the connection is closed, and
        `TooMany` if no slot is free.
        """
        for slot in range(at_once):
            request, taken = (
                {"Put": self._new_request(connection, request_id)},
                {"Update": self._taking(connection, request_id, slot)},
            )
            failed = dynamo.write(self._client, [request, taken])
            if not failed:
                return slot
            if 0 in failed:
                raise Conflict(
                    "this request_id was used before on this connection",
                    code="request_id_used",
                    field="request_id",
                )
        self.connected(connection)  # one that is closed has no slot either
        raise TooMany(
            f"a connection has at most {at_once} answers at once; wait for one or cancel it",
            code="too_many_answers",
            limit=at_once,
        )

    def _new_request(self, connection: str, request_id: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Item": _request(connection, request_id) | self._until(CONNECTION_SECONDS),
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "key"},
        }

    def _taking(self, connection: str, request_id: str, slot: int) -> dict[str, Any]:
        """The update by which a request takes a slot that is free, or whose answer is overdue."""
        return {
            "TableName": self._table,
            "Key": _connection(connection),
            "UpdateExpression": "SET #answer = :request, #until = :until",
            "ConditionExpression": "attribute_exists(#key)"
            " AND (attribute_not_exists(#until) OR #until <= :now)",
            "ExpressionAttributeNames": {"#key": "key"} | _slot(slot),
            "ExpressionAttributeValues": {
                ":request": request_id,
                ":until": int(self._clock()) + SLOT_SECONDS,
                ":now": int(self._clock()),
            },
        }

    def close(self, connection: str, request_id: str, slot: int) -> None:
        """The answer has ended, or never begins: its slot is free, unless another has it."""
        with _stored(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key=_connection(connection),
                UpdateExpression="REMOVE #answer, #until",
                ConditionExpression="#answer = :request",
                ExpressionAttributeNames=_slot(slot),
                ExpressionAttributeValues={":request": request_id},
            )

    def claim(self, connection: str, request_id: str) -> bool:
        """Claim the request; returns whether this caller may answer it: only the first one may."""
        return self._changed(
            connection,
            request_id,
            "SET claimed_at = :now",
            " AND attribute_not_exists(claimed_at)",
            {":now": int(self._clock())},
        )

    def cancel(self, connection: str, request_id: str) -> bool:
        """Cancel an answer; returns False if the connection has no such request."""
        return self._changed(connection, request_id, "SET cancelled = :yes", "", {":yes": True})

    def client_state(self, connection: str, request_id: str) -> ClientState:
        """Whether the client is connected and still wants the answer: one cheap read."""
        keys = [_connection(connection), _request(connection, request_id)]
        found = dynamo.read(self._client, self._table, keys, consistent=True)
        by_entry = {str(item["entry"]): item for item in found}
        request = by_entry.get(keys[1]["entry"], {})
        return ClientState("connection" in by_entry, bool(request.get("cancelled")))

    def _changed(
        self,
        connection: str,
        request_id: str,
        update: str,
        condition: str,
        values: dict[str, Any],
    ) -> bool:
        with _stored():
            try:
                dynamo.attempt(
                    self._client.update_item,
                    TableName=self._table,
                    Key=_request(connection, request_id),
                    UpdateExpression=update,
                    ConditionExpression="attribute_exists(#key)" + condition,
                    ExpressionAttributeNames={"#key": "key"},
                    ExpressionAttributeValues=values,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    # ---- history -----------------------------------------------------------------------------

    def require(self, tenant: str, conversation: str) -> None:
        """Raises `NotFound` unless `tenant` has such a conversation."""
        if self._head(tenant, conversation) is None:
            raise conversation_not_found()

    def history(self, tenant: str, conversation: str) -> History:
        """The turns of a conversation that are kept; empty if there are none."""
        head = self._head(tenant, conversation) or {}
        found = dynamo.query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="#key = :key AND begins_with(entry, :turn)",
            ExpressionAttributeNames={"#key": "key"},
            ExpressionAttributeValues={
                ":key": _conversation(tenant, conversation, "head")["key"],
                ":turn": "turn#",
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=TURNS_LOOKED_AT,
        )["Items"]
        now = self._clock()
        turns = [
            Turn(prompt=item["prompt"], answer=item["answer"])
            for item in reversed(found)
            # DynamoDB deletes expired items with a delay.
            if int(item["expires_at"]) > now
        ]
        system = head.get("system_prompt")
        return History(system, tuple(turns), max(int(head.get("turns", 0)), len(turns)))

    def keep(
        self,
        tenant: str,
        conversation: str,
        request_id: str,
        turn: Turn | None,
        *,
        system: str | None,
    ) -> bool:
        """Extend the conversation's life and add `turn`, if any; returns whether it could be kept.

        `system` is the system prompt from now on.
        """
        until = self._until(self._seconds)
        kept = turn is not None and turn.size() <= TURN_BYTES
        values: dict[str, Any] = {":until": until["expires_at"], ":one": int(kept)}
        update = "SET expires_at = :until"
        if system is not None:
            update += ", system_prompt = :system"
            values[":system"] = system
        head = {
            "TableName": self._table,
            "Key": _conversation(tenant, conversation, "head"),
            "UpdateExpression": update + " ADD turns :one",
            "ExpressionAttributeValues": values,
        }
        items = [{"Update": head}]
        if turn is not None and kept:
            entry = f"turn#{round(self._clock() * 1000):015d}#{request_id}"
            item = _conversation(tenant, conversation, entry) | turn.model_dump() | until
            items.append({"Put": {"TableName": self._table, "Item": item}})
        dynamo.write(self._client, items)
        return kept

    def _head(self, tenant: str, conversation: str) -> dict[str, Any] | None:
        return self._get(_conversation(tenant, conversation, "head"))

    def _get(self, key: dict[str, str]) -> dict[str, Any] | None:
        found = dynamo.get(self._client, self._table, key, consistent=True)
        return None if found is None or int(found["expires_at"]) <= self._clock() else found

    def _until(self, seconds: int) -> dict[str, int]:
        return {"expires_at": int(self._clock()) + seconds}


def request_not_found() -> NotFound:
    """The error about an answer that the connection never asked for."""
    return NotFound(
        "there is no request with this request_id", code="request_not_found", field="request_id"
    )


def _connection(connection: str) -> dict[str, str]:
    return {"key": f"connection#{connection}", "entry": "connection"}


def _request(connection: str, request_id: str) -> dict[str, str]:
    return {"key": f"connection#{connection}", "entry": f"request#{request_id}"}


def _slot(slot: int) -> dict[str, str]:
    """The names of a slot's attributes in the connection's item."""
    return {"#answer": f"answer_{slot}", "#until": f"answer_{slot}_until"}


def _conversation(tenant: str, conversation: str, entry: str) -> dict[str, str]:
    # A conversation's id holds no "#": no tenant's key can be another's.
    return {"key": f"conversation#{tenant}#{conversation}", "entry": entry}


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()


def _stored() -> AbstractContextManager[None]:
    return unavailable("the conversations could not be read or written")
