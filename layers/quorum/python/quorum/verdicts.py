"""Verdicts, stored once and read by their tenant only."""

from time import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from quorum import ledger
from quorum.cache import DAY
from quorum.errors import NotFound, StoreUnavailable
from quorum.models import Content, Decision, Review, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

_VERDICT = TypeAdapter(Verdict)


def verdict_key(tenant: str, verdict_id: str) -> str:
    """The key holds the tenant: another tenant's id is simply not there."""
    return f"verdict#{tenant}#{verdict_id}"


def content_key(tenant: str, verdict_id: str) -> str:
    """Where the content of a verdict that waits for a person is kept."""
    return f"content#{tenant}#{verdict_id}"


def verdict_of(item: "Mapping[str, Any]") -> Verdict:
    """The verdict in a table item, with its latest review."""
    verdict = _VERDICT.validate_json(str(item["verdict"]))
    if not item.get("reviews"):
        return verdict
    return verdict.model_copy(
        update={"review": Review.model_validate_json(str(item["reviews"][-1]))}
    )


class Verdicts:
    """The Verdicts table, and the counters that change with it."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        *,
        verdict_days: int,
        review_days: int,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._usage_table = usage_table
        self._verdict_days = verdict_days
        self._review_days = review_days

    def find(self, tenant: str, verdict_id: str) -> Verdict | None:
        """The verdict, or None."""
        key = {"id": verdict_key(tenant, verdict_id)}
        item = self._dynamodb.Table(self._table).get_item(Key=key).get("Item")
        return None if item is None else verdict_of(item)

    def get(self, tenant: str, verdict_id: str) -> Verdict:
        """The verdict; raises `NotFound`."""
        found = self.find(tenant, verdict_id)
        if found is None:
            raise NotFound("no such verdict", code="verdict_not_found", field="id")
        return found

    def record(self, tenant: str, content: Content, verdict: Verdict) -> Verdict:
        """Store `verdict` and count it, in one transaction that happens once.

        If the verdict's id is settled already nothing changes, and what is stored is returned.
        Raises `StoreUnavailable`.
        """
        transaction = [self._put(tenant, verdict)]
        if verdict.decision is Decision.NEEDS_REVIEW:
            transaction.append(self._keep_for_review(tenant, content, verdict))
        transaction.append(ledger.decided(self._usage_table, tenant, verdict))
        try:
            self._dynamodb.meta.client.transact_write_items(TransactItems=transaction)
        except ClientError as error:
            settled = self.find(tenant, verdict.id) if _was_cancelled(error) else None
            if settled is None:
                raise StoreUnavailable("the verdict could not be stored") from error
            return settled
        return verdict

    def _put(self, tenant: str, verdict: Verdict) -> Any:
        item: dict[str, Any] = {
            "id": verdict_key(tenant, verdict.id),
            "verdict": verdict.model_dump_json(),
            "decision": str(verdict.decision),
            "created_at": verdict.created_at.isoformat(),
            "expires_at": int(time()) + self._verdict_days * DAY,
        }
        if verdict.decision is Decision.NEEDS_REVIEW:
            item["review"] = f"pending#{tenant}"
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(id)",
            }
        }

    def _keep_for_review(self, tenant: str, content: Content, verdict: Verdict) -> Any:
        return {
            "Put": {
                "TableName": self._table,
                "Item": {
                    "id": content_key(tenant, verdict.id),
                    "content": content.text,
                    "expires_at": int(time()) + self._review_days * DAY,
                },
            }
        }


def _was_cancelled(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "TransactionCanceledException"
