"""Sessions of the console: who is signed in, and for how long.

A session's token is 256 random bits in the browser's cookie; the table has its hash. A session
ends when it was not used for `IDLE_SECONDS`, at the latest after `SESSION_SECONDS`, when its key
does, and when its owner signs out everywhere: the entry of the key then has a time, and earlier
sessions of the key do not count any more.
"""

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.aws.keys import StoredKey, hash_of
from quorum.aws.telemetry import logger
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Frozen, Identifier
from quorum.core.scopes import OPERATOR_SCOPES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.aws.keys import Keys

IDLE_SECONDS = 30 * 60
"""Seconds without a request after which a session ends."""
SESSION_SECONDS = 12 * 60 * 60
"""Seconds after which a session ends in any case."""
TOUCH_SECONDS = 60
"""Seconds between two writes of a session's use."""
PAUSE_SECONDS = 10 * 60
"""Seconds without a decision that count as a break of a reviewer."""
_ALL = "all#"
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


class Session(Frozen):
    """A session, with its token; times are epoch seconds.

    `decided` counts its decisions; `reviewing_since` is when the reviewer began after the last
    break, 0 if none is under way.
    """

    token: str
    key: StoredKey
    started_at: int
    decided: int = 0
    reviewing_since: int = 0
    decided_at: int = 0

    @property
    def reviewer(self) -> str:
        """The person: the name of the key, which a rotated one keeps, or its id.

        A name that no reviewer may have stands for nobody.
        """
        try:
            return _IDENTIFIER.validate_python(self.key.name)
        except ValidationError:
            return f"key-{self.key.id}"

    @property
    def form_token(self) -> str:
        """The token that each form of this session has."""
        return hmac.new(self.token.encode(), b"form", sha256).hexdigest()

    def made(self, form_token: str) -> bool:
        """Whether a form with that token belongs to this session."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())

    def reviewing_minutes(self, now: float) -> int:
        """Minutes of reviewing since the last break."""
        if not self.reviewing_since or now - self.decided_at > PAUSE_SECONDS:
            return 0
        return max(0, int(now) - self.reviewing_since) // 60


class Sessions:
    """The table of sessions; `clock` returns seconds since the epoch."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        keys: "Keys",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._keys = keys
        self._clock = clock

    def start(self, key: str, *, instead_of: str = "") -> Session | None:
        """A new session for a key with one of the console's scopes; None for any other key.

        It ends the session of the token that the browser had before. Raises `StoreUnavailable`.
        """
        found = self._key(hash_of(key))
        if found is None:
            return None
        now = int(self._clock())
        session = Session(token=secrets.token_urlsafe(32), key=found, started_at=now)
        item = {
            "session": _hash(session.token),
            "key_hash": found.key_hash,
            "started_at": now,
            "used_at": now,
            "expires_at": now + SESSION_SECONDS,
        }
        items: list[dict[str, Any]] = [{"Put": {"TableName": self._table, "Item": item}}]
        if instead_of:
            earlier = {"session": _hash(instead_of)}
            items.append({"Delete": {"TableName": self._table, "Key": earlier}})
        dynamo.write(self._client, items)
        return session

    def find(self, token: str, *, by_itself: bool = False) -> Session | None:
        """The session of a token, noted as used; None if it has ended.

        A request that a page sends `by_itself` is no use of the session. Raises `StoreUnavailable`.
        """
        now = int(self._clock())
        item = dynamo.get(self._client, self._table, {"session": _hash(token)}, consistent=True)
        if item is None or not _lives(item, now):
            return None
        key = self._key(str(item["key_hash"]))
        if key is None or int(item["started_at"]) <= self._ended(key.key_hash):
            return None
        if not by_itself and now - int(item["used_at"]) >= TOUCH_SECONDS:
            self._count(token, "SET used_at = :now", {":now": now})
        counts = {name: int(item.get(name, 0)) for name in _COUNTS}
        return Session(token=token, key=key, started_at=int(item["started_at"]), **counts)

    def end(self, session: Session) -> None:
        """Sign out."""
        key = {"session": _hash(session.token)}
        dynamo.write(self._client, [{"Delete": {"TableName": self._table, "Key": key}}])

    def end_all(self, session: Session) -> None:
        """Sign out every session of this session's key."""
        now = int(self._clock())
        ended = {
            "session": f"{_ALL}{session.key.key_hash}",
            "ended_at": now,
            "expires_at": now + SESSION_SECONDS,
        }
        dynamo.write(self._client, [{"Put": {"TableName": self._table, "Item": ended}}])

    def note_decision(self, session: Session) -> None:
        """Count a decision, for its reviewer to see. If that fails, the decision stands."""
        now = int(self._clock())
        rests = now - session.decided_at > PAUSE_SECONDS
        since = now if rests or not session.reviewing_since else session.reviewing_since
        self._count(
            session.token,
            "SET decided_at = :now, used_at = :now, reviewing_since = :since ADD decided :one",
            {":now": now, ":since": since, ":one": 1},
        )

    def note_break(self, session: Session) -> None:
        """Start counting a reviewer's minutes anew."""
        self._update(session.token, "SET reviewing_since = :none", {":none": 0})

    def _key(self, key_hash: str) -> StoredKey | None:
        with unavailable("the key could not be read"):
            found = self._keys.find(key_hash)
        if found is None or not set(found.effective_scopes) & set(OPERATOR_SCOPES):
            return None
        return found

    def _ended(self, key_hash: str) -> int:
        """When all sessions of a key were ended, 0 for never."""
        key = {"session": f"{_ALL}{key_hash}"}
        item = dynamo.get(self._client, self._table, key, consistent=True)
        return 0 if item is None else int(item["ended_at"])

    def _count(self, token: str, expression: str, values: dict[str, int]) -> None:
        """Change what a session counts. If that fails, the page is shown all the same."""
        try:
            self._update(token, expression, values)
        except StoreUnavailable as error:
            logger.warning("a session was not counted", extra={"why": str(error)})

    def _update(self, token: str, expression: str, values: dict[str, int]) -> None:
        """Change a session that is still there."""
        update = {
            "TableName": self._table,
            "Key": {"session": _hash(token)},
            "UpdateExpression": expression,
            "ConditionExpression": "attribute_exists(key_hash)",
            "ExpressionAttributeValues": values,
        }
        dynamo.write(self._client, [{"Update": update}])


_COUNTS = ("decided", "reviewing_since", "decided_at")


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _lives(item: dict[str, Any], now: int) -> bool:
    used_at, expires_at = int(item.get("used_at", 0)), int(item["expires_at"])
    return "key_hash" in item and now < expires_at and now - used_at < IDLE_SECONDS
