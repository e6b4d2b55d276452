"""Appeals: an author asks for another decision, and somebody else makes it.

The words of the author, and the content where it is not kept any more, are stored like contents
that wait: encrypted, for `review_days`, and never logged. The content stands in the queue with the
origin `appeal`, for anybody but those who decided it before. The next review upholds the decision,
or overturns it (`quorum.vote.reviews`).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from quorum.audit.chain import Action, Change
from quorum.aws.dynamo import DAY
from quorum.core.errors import Conflict, InvalidRequest, StoreUnavailable
from quorum.core.fields import not_blank, whole
from quorum.core.identifiers import appeal_key, content_key, verdict_key
from quorum.core.models import (
    Appeal,
    AppealState,
    Content,
    Decision,
    Frozen,
    Verdict,
)
from quorum.ledger import ledger
from quorum.vote.requests import ContextRequest, Text
from quorum.vote.review_entries import entry_digest, pending_field
from quorum.vote.verdicts import verdict_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.audit.trail import AuditTrail
    from quorum.vote.reviews import Reviews, Target

WORDS_LIMIT = 5_000
"""Characters of an author's words."""
_ROUNDS = 5
"""Tries of one appeal while the entry of its content changes."""

Words = Annotated[
    str,
    StringConstraints(min_length=1, max_length=WORDS_LIMIT),
    BeforeValidator(whole),
    AfterValidator(not_blank),
]


class AppealRequest(Frozen):
    """The body of `POST /verdicts/{id}/appeal`: the author's `words`.

    `content`, with its `context` if it had one, is needed where the service has not kept it: it
    keeps only what waits for a person. It must be the content that was judged.
    """

    words: Words
    content: Text | None = None
    context: ContextRequest | None = None


class Appeals:
    """The appeals in the Verdicts table; words are kept for `review_days`."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        reviews: "Reviews",
        audit: "AuditTrail",
        *,
        review_days: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._usage_table = usage_table
        self._reviews = reviews
        self._audit = audit
        self._seconds = review_days * DAY
        self._clock = clock

    def make(self, tenant: str, verdict_id: str, request: AppealRequest, *, by: str) -> Verdict:
        """Appeal against the decision on a verdict; returns the verdict with the appeal.

        Sent again while it waits, an appeal changes nothing. Raises `NotFound`, `Conflict` if
        nothing is decided yet or an appeal was decided, `InvalidRequest` if the content is needed
        or is another one, and `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            item = self._reviews.item(tenant, verdict_id)
            target = self._reviews.target(tenant, verdict_id, item)
            shown = verdict_of(item | self._appeal_and_reviews(target))
            if shown.appeal is not None and shown.appeal.state is AppealState.OPEN:
                return shown
            decision = _appealed_decision(shown)
            now = datetime.fromtimestamp(self._clock(), UTC)
            appeal = Appeal(decision=decision, made_at=now)
            transaction = [
                self._queued(tenant, target, appeal),
                self._words(tenant, target, request),
            ]
            content = self._content(tenant, target, item, shown, request)
            transaction += [] if content is None else [content]
            if item["id"] != target.item["id"]:
                transaction.append(self._reviews.read_from(item, target))
            transaction.append(
                ledger.appealed(self._usage_table, tenant, {"made": 1}, day=now.date())
            )
            change = Change(
                action=Action.APPEAL_MADE,
                by=by,
                subject=f"verdict/{target.verdict_id}",
                after={"decision": str(decision)},
            )
            if not self._audit.write(tenant, change, transaction):
                return shown.model_copy(update={"appeal": appeal})
        raise StoreUnavailable("the content's entry changes faster than it can be written")

    def _appeal_and_reviews(self, target: "Target") -> dict[str, Any]:
        appeal = {"appeal": target.item["appeal"]} if "appeal" in target.item else {}
        return {"reviews": target.item.get("reviews", [])} | appeal

    def _queued(self, tenant: str, target: "Target", appeal: Appeal) -> dict[str, Any]:
        """The transaction item by which a content waits for somebody who has not decided it."""
        people = {review.reviewer for review in target.reviews}
        earlier = len(target.reviews)
        values: dict[str, Any] = {
            ":review": pending_field(tenant, verdict_of(target.item)),
            ":appeal": appeal.model_dump_json(),
            ":origin": "appeal",
            ":open": f'"state":"{AppealState.OPEN}"',
        }
        update = "SET #review = :review, appeal = :appeal, origin = :origin"
        if people:
            update += " ADD excluded :people"
            values[":people"] = people
        values |= {":earlier": earlier} if earlier else {}
        unchanged = "size(reviews) = :earlier" if earlier else "attribute_not_exists(reviews)"
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"id": verdict_key(tenant, target.verdict_id)},
                "UpdateExpression": update,
                "ConditionExpression": f"attribute_exists(id) AND {unchanged}"
                " AND (attribute_not_exists(appeal) OR NOT contains(appeal, :open))",
                "ExpressionAttributeNames": {"#review": "review"},
                "ExpressionAttributeValues": values,
            }
        }

    def _words(self, tenant: str, target: "Target", request: AppealRequest) -> dict[str, Any]:
        """The transaction item that keeps the author's words for a reviewer."""
        item = {
            "id": appeal_key(tenant, target.verdict_id),
            "words": request.words,
            "expires_at": int(self._clock()) + self._seconds,
        }
        return {"Put": {"TableName": self._table, "Item": item}}

    def _content(
        self,
        tenant: str,
        target: "Target",
        item: dict[str, Any],
        verdict: Verdict,
        request: AppealRequest,
    ) -> dict[str, Any] | None:
        """The transaction item that keeps the content until the appeal is decided.

        Raises `InvalidRequest` if it is not kept and not given, or if it is another one.
        """
        key = {"id": content_key(tenant, target.verdict_id)}
        later = int(self._clock()) + self._seconds
        if request.content is None:
            if target.verdict_id not in self._reviews.kept_contents(tenant, [target.verdict_id]):
                raise InvalidRequest(
                    "content: is not kept any more; send it with the appeal",
                    code="content_needed",
                    field="content",
                )
            return {
                "Update": {
                    "TableName": self._table,
                    "Key": key,
                    "UpdateExpression": "SET expires_at = :later",
                    "ConditionExpression": "attribute_exists(content)",
                    "ExpressionAttributeValues": {":later": later},
                }
            }
        context = None if request.context is None else request.context.to_context()
        content = Content(text=request.content, context=context)
        if entry_digest(tenant, content, verdict.policy_version) != item.get("entry"):
            raise InvalidRequest(
                "content: is not the one that was judged, or its context is another one",
                code="another_content",
                field="content",
            )
        kept = key | {"content": content.text, "expires_at": later}
        kept |= {} if context is None else {"context": context.model_dump_json()}
        return {"Put": {"TableName": self._table, "Item": kept}}


def _appealed_decision(verdict: Verdict) -> Decision:
    """The decision that stands; raises `Conflict` where there is none to appeal against."""
    if verdict.appeal is not None:
        raise Conflict(
            f"an appeal was decided already: {verdict.appeal.state}", code="appeal_decided"
        )
    review = verdict.review
    decision = verdict.decision if review is None else review.decision
    if decision is Decision.NEEDS_REVIEW:
        raise Conflict("nothing is decided yet that could be appealed against", code="not_decided")
    return decision
