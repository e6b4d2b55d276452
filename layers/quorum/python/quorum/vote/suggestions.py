"""Suggestions: decisions on contents by people who are not reviewers. Each becomes a label.

A suggestion decides nothing: it answers no content and leaves verdicts and reviews as they are,
because any key may send one. The latest suggestion on a content under a policy counts. Its text is
kept for `label_days`, because a label without its text teaches fewer voters.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable
from quorum.aws.index_pages import read_page
from quorum.core.identifiers import suggestion_key
from quorum.core.models import Decision, Frozen, Probability, Verdict
from quorum.vote.review_entries import INDEX, entry_digest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.vote.evaluation import Evaluation
    from quorum.vote.policy import Policy
    from quorum.vote.workflow import Workflow

PAGE_LIMIT = 20
"""Suggestions of a page: twenty texts of full length fit into a Lambda's answer."""


class Suggestion(Frozen):
    """A suggested `decision` on a text, and the `scores` of attributes or statuses it comes from.

    `verdict` is what the votes that were cached for the text come to, None if it was not judged or
    they have expired. It is not stored as a verdict.
    """

    content: str
    language: str | None
    decision: Decision
    scores: dict[str, Probability]
    policy: str
    verdict: Verdict | None
    suggested_at: datetime


class SuggestionPage(Frozen):
    """A page of suggestions, oldest first, and the cursor of the next one; None for the last."""

    suggestions: tuple[Suggestion, ...]
    next: str | None


class Suggestions:
    """The suggestions in the Verdicts table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        workflow: "Workflow",
        *,
        label_days: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._workflow = workflow
        self._label_days = label_days
        self._clock = clock

    def add(
        self,
        evaluation: "Evaluation",
        decision: Decision,
        scores: dict[str, float],
        policy: "Policy",
    ) -> None:
        """Store the suggestion on the evaluation's content in the place of an earlier one.

        Nobody is asked. Raises `StoreUnavailable`.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        content = evaluation.content
        suggestion = Suggestion(
            content=content.text,
            language=content.language,
            decision=decision,
            scores=scores,
            policy=f"{policy.name}@{policy.version}",
            verdict=self._workflow.from_cached_votes(evaluation),
            suggested_at=now,
        )
        digest = entry_digest(evaluation.tenant, content, policy.version)
        with unavailable("the suggestion could not be stored"):
            dynamo.attempt(
                self._client.put_item,
                TableName=self._table,
                Item={
                    "id": suggestion_key(evaluation.tenant, digest),
                    "review": _partition(evaluation.tenant),
                    "created_at": now.isoformat(),
                    "suggestion": suggestion.model_dump_json(),
                    "expires_at": int(self._clock()) + self._label_days * DAY,
                },
            )

    def page(
        self, tenant: str, *, limit: int = PAGE_LIMIT, after: str | None = None
    ) -> SuggestionPage:
        """Up to `limit` suggestions, the oldest first; `after` is the `next` of the page before.

        Raises `InvalidRequest` for an invalid cursor, and `StoreUnavailable`.
        """
        prefix, partition = suggestion_key(tenant, ""), _partition(tenant)
        found, following = read_page(
            self._client, self._table, INDEX, prefix, partition, limit=limit, after=after
        )
        now = self._clock()
        return SuggestionPage(
            suggestions=tuple(
                dynamo.readable(
                    # DynamoDB may delete them two days late.
                    (item for item in found if int(str(item["expires_at"])) > now),
                    _suggestion,
                    "id",
                )
            ),
            next=following,
        )


def _suggestion(item: dict[str, Any]) -> Suggestion:
    return Suggestion.model_validate_json(str(item["suggestion"]), extra="ignore")


def _partition(tenant: str) -> str:
    return f"suggested#{tenant}"
