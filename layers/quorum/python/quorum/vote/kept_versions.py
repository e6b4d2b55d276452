"""The panels and packaged policies that verdicts were made under, kept for their replay.

A panel's parameter in SSM keeps its last versions, and a release replaces the packaged panels and
the packaged policy. So each version is stored, once, before anything is judged by it. A tenant's
own policies are kept by `quorum.vote.policies`. In the Verdicts table, without a time to live::

    kept#panel#<tenant>#<name>#<version>    the document of a panel, compressed
    kept#policy#<name>#<version>            that of a packaged policy
"""

import json
import zlib
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.vote.panel import Panel
from quorum.vote.policy import PACKAGED, Policy, reference_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

KNOWN_VERSIONS = 4096
"""Versions that a process remembers to have kept."""


class KeptVersions:
    """The versions in the Verdicts table. Threads may share it."""

    def __init__(self, dynamodb: "DynamoDBServiceResource", table: str) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._lock = Lock()
        self._known: set[str] = set()

    def keep(self, tenant: str, panel: Panel, policy: Policy) -> None:
        """Store both versions, unless this process has done so. Raises `StoreUnavailable`."""
        self._keep(_panel_key(tenant, panel.name, panel.version), panel.document())
        if reference_of(policy) == PACKAGED:
            document = policy.document() | {"instructions": policy.instructions}
            self._keep(_policy_key(policy.name, policy.version), document)

    def panel(self, tenant: str, name: str, version: str) -> Panel | None:
        """That version of a panel; None if it was not kept, or this release does not take it."""
        document = self._read(_panel_key(tenant, name, version))
        if document is None:
            return None
        try:
            panel = Panel.model_validate_json(json.dumps(document))
        except ValidationError:
            return None
        vars(panel)["version"] = version  # in the place of what the cached property works out
        return panel

    def packaged_policy(self, name: str, version: str) -> Policy | None:
        """That version of a packaged policy; None as in `panel`."""
        document = self._read(_policy_key(name, version))
        try:
            return None if document is None else Policy.kept(name, version, document)
        except ValidationError:
            return None

    def _keep(self, key: str, document: dict[str, Any]) -> None:
        with self._lock:
            if key in self._known:
                return
        with unavailable("a version could not be kept"):
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key={"id": key},
                UpdateExpression="SET document = if_not_exists(document, :document)",
                ExpressionAttributeValues={
                    ":document": zlib.compress(json.dumps(document).encode(), 9)
                },
            )
        with self._lock:
            if len(self._known) >= KNOWN_VERSIONS:
                self._known.clear()
            self._known.add(key)

    def _read(self, key: str) -> dict[str, Any] | None:
        item = dynamo.get(self._client, self._table, {"id": key}, consistent=True)
        if item is None:
            return None
        document: dict[str, Any] = json.loads(zlib.decompress(bytes(item["document"])))
        return document


def _panel_key(tenant: str, name: str, version: str) -> str:
    return f"kept#panel#{tenant}#{name}#{version}"


def _policy_key(name: str, version: str) -> str:
    return f"kept#policy#{name}#{version}"
