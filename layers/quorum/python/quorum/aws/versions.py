"""Documents with versions: every version is kept, and one of each name is in force.

A table by owner and entry, where `<kind>` is the documents' kind (`policy`, `model`)::

    <kind>#<name>               the version in force, since when and by whom
    version#<name>#<version>    the document of a version, compressed; never changed or deleted
    put#<name>#<time>           who put which version when, or deleted the document

A version is a digest of its document, so it never changes. Which version is in force, or that none
is, is remembered for some seconds.
"""

import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.aws.remembered import Remembered
from quorum.core.errors import InvalidRequest, NotFound, PreconditionFailed
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

Writer = Callable[[str | None, str | None, list[dict[str, Any]]], list[int]]
"""What writes a change from one version to another: as `quorum.aws.dynamo.write`, with more."""

VERSIONS_SHOWN = 100
"""Entries of the history that is shown with a document: the latest ones."""
DOCUMENT_LIMIT = 380_000
"""Bytes of a compressed document: an item of DynamoDB has at most 400 KB."""


class VersionPut(Frozen):
    """A change: to which version, when and by whom; `version` is None for a deletion."""

    version: str | None
    at: datetime
    by: str


class Kind(NamedTuple):
    """A kind of documents, with its names in messages and codes of errors.

    `owner_key` is the table's partition key; of one owner at most `limit` are in force at a time.
    """

    name: str
    plural: str
    owner_key: str
    limit: int


class Document(NamedTuple):
    """One version of a document.

    `shown` are fields that are stored with the version in force, so that a list needs no other
    read.
    """

    name: str
    version: str
    fields: dict[str, Any]
    shown: dict[str, Any]


class VersionedDocuments:
    """The documents of all owners of one kind, in one table.

    Which version is in force is read again after `seconds`. Threads may share one object.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        kind: Kind,
        *,
        seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._kind = kind
        self._known: Remembered[str | None] = Remembered(seconds=seconds, clock=clock)

    # ---- reading -----------------------------------------------------------------------------

    def read(self, owner: str, name: str, version: str) -> dict[str, Any]:
        """The fields of that version; raises `NotFound` if it was never put."""
        key = self._entry(owner, f"version#{name}#{version}")
        item = dynamo.get(self._client, self._table, key, consistent=True)
        if item is None:
            raise NotFound("no such version")
        fields: dict[str, Any] = json.loads(zlib.decompress(bytes(item["document"])))
        return fields

    def in_force(self, owner: str) -> dict[str, dict[str, Any]]:
        """By name: the version in force, who put it when, and the fields stored with it."""
        prefix = f"{self._kind.name}#"
        found = self._items(owner, prefix)
        return {str(item["entry"]).removeprefix(prefix): item for item in found}

    def in_force_anywhere(self) -> list[tuple[str, str, str]]:
        """Owner, name and version of all documents in force. Reads the whole table."""
        prefix = f"{self._kind.name}#"
        request: dict[str, Any] = {
            "TableName": self._table,
            "ProjectionExpression": "#owner, entry, version",
            "FilterExpression": "begins_with(entry, :prefix)",
            "ExpressionAttributeNames": {"#owner": self._kind.owner_key},
            "ExpressionAttributeValues": {":prefix": prefix},
        }
        return [
            (
                str(item[self._kind.owner_key]),
                str(item["entry"]).removeprefix(prefix),
                str(item["version"]),
            )
            for item in dynamo.scan(self._client, **request)
        ]

    def current(self, owner: str, name: str) -> str | None:
        """The version in force, read now."""
        key = self._entry(owner, f"{self._kind.name}#{name}")
        item = dynamo.get(self._client, self._table, key, consistent=True)
        return None if item is None else str(item["version"])

    def known(self, owner: str, name: str) -> str | None:
        """The version in force, read again after `seconds`; raises `StoreUnavailable`."""
        return self._known.get(owner, name, self.current)

    def history(self, owner: str, name: str) -> tuple[VersionPut, ...]:
        """The latest changes, the last first."""
        items = self._items(owner, f"put#{name}#", limit=VERSIONS_SHOWN)
        return tuple(
            VersionPut.model_validate({field: item[field] for field in VersionPut.model_fields})
            for item in items
        )

    # ---- writing -----------------------------------------------------------------------------

    def put(
        self,
        owner: str,
        document: Document,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> None:
        """Put `document` in force, and store its version. `writer` writes more with it.

        With `expected`, only if that version is in force now (`*`: any version). Raises
        `PreconditionFailed`, `InvalidRequest` where a limit is broken, and `StoreUnavailable`.
        """
        name, version = document.name, document.version
        kept = self._kept(owner, document)
        current = self.current(owner, name)
        self._require(current, expected)
        if current is None and len(self.in_force(owner)) >= self._kind.limit:
            raise InvalidRequest(
                f"at most {self._kind.limit} {self._kind.plural} are in force; delete one",
                code=f"too_many_{self._kind.plural}",
                limit=self._kind.limit,
            )
        pointer = self._entry(owner, f"{self._kind.name}#{name}") | document.shown
        pointer |= {"version": version} | _put(by, now)
        self._write(
            (owner, name),
            current,
            {"Put": {"TableName": self._table, "Item": pointer}},
            [{"Update": kept}, self._noted(owner, name, version, by, now)],
            writer and partial(writer, current, version),
        )

    def keep(self, owner: str, document: Document) -> None:
        """Store that version, without putting it in force."""
        with unavailable(f"the {self._kind.name} could not be stored"):
            dynamo.attempt(self._client.update_item, **self._kept(owner, document))

    def delete(
        self,
        owner: str,
        name: str,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> None:
        """Put the document out of force; its versions are kept. `writer` writes more with it.

        Raises `NotFound`, `PreconditionFailed` and `StoreUnavailable`.
        """
        current = self.current(owner, name)
        if current is None:
            raise NotFound(
                f"no such {self._kind.name}", code=f"{self._kind.name}_not_found", field="name"
            )
        self._require(current, expected)
        key = self._entry(owner, f"{self._kind.name}#{name}")
        self._write(
            (owner, name),
            current,
            {"Delete": {"TableName": self._table, "Key": key}},
            [self._noted(owner, name, None, by, now)],
            writer and partial(writer, current, None),
        )

    def _kept(self, owner: str, document: Document) -> dict[str, Any]:
        """The update that stores a version; raises `InvalidRequest` if it is too large."""
        written = zlib.compress(json.dumps(document.fields).encode(), 9)
        if len(written) > DOCUMENT_LIMIT:
            raise InvalidRequest(
                f"the {self._kind.name} has {len(written)} bytes compressed; at most"
                f" {DOCUMENT_LIMIT} fit",
                code=f"{self._kind.name}_too_large",
                limit=DOCUMENT_LIMIT,
            )
        return {
            "TableName": self._table,
            "Key": self._entry(owner, f"version#{document.name}#{document.version}"),
            "UpdateExpression": "SET document = if_not_exists(document, :document)",
            "ExpressionAttributeValues": {":document": written},
        }

    def _write(
        self,
        whose: tuple[str, str],
        current: str | None,
        pointed: dict[str, dict[str, Any]],
        others: list[dict[str, Any]],
        write: Callable[[list[dict[str, Any]]], list[int]] | None,
    ) -> None:
        """Write all in one transaction, which succeeds only if `current` is still in force."""
        write = write or partial(dynamo.write, self._client)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(entry)"}
        if current is not None:
            condition = {
                "ConditionExpression": "version = :current",
                "ExpressionAttributeValues": {":current": current},
            }
        ((action, request),) = pointed.items()
        failed = write([{action: request | condition}, *others])
        self._known.forget(*whose)
        if failed:
            raise PreconditionFailed(
                f"somebody else changed this {self._kind.name} at the same moment; read it again",
                code=f"{self._kind.name}_changed",
            )

    def _require(self, current: str | None, expected: str | None) -> None:
        if expected is None or current == expected or (expected == "*" and current is not None):
            return
        raise PreconditionFailed(
            f"If-Match: the version in force is {current or 'none'}",
            code=f"{self._kind.name}_changed",
            field="If-Match",
            limit=current,
        )

    def _items(
        self, owner: str, prefix: str, limit: int | None = None, only: str | None = None
    ) -> list[dict[str, Any]]:
        """The owner's entries that begin with `prefix`, the last first."""
        more: dict[str, Any] = {"ScanIndexForward": False}
        more |= {} if limit is None else {"Limit": limit}
        more |= {} if only is None else {"ProjectionExpression": only}
        of = self._kind.owner_key, owner
        return [*islice(dynamo.entries(self._client, self._table, of, prefix, **more), limit)]

    def _noted(
        self, owner: str, name: str, version: str | None, by: str, now: datetime
    ) -> dict[str, Any]:
        """The transaction item that notes who put what."""
        entry = self._entry(owner, f"put#{name}#{now.astimezone(UTC).isoformat()}")
        return {
            "Put": {"TableName": self._table, "Item": entry | _put(by, now) | {"version": version}}
        }

    def _entry(self, owner: str, entry: str) -> dict[str, Any]:
        return {self._kind.owner_key: owner, "entry": entry}


def _put(by: str, now: datetime) -> dict[str, Any]:
    return {"at": now.isoformat(), "by": by}
