"""The report of a period: what was decided, how, how well, and how appeals ended.

Figures come from the ledger's counts by day, and from what people decided of the verdicts of those
days. Nothing of a content is in it.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from quorum.aws import dynamo
from quorum.core.models import Decision, Frozen
from quorum.ledger import ledger
from quorum.ledger.shards import keys_of
from quorum.vote import quality_sample
from quorum.vote.quality_sample import Estimate, Sampled, estimated
from quorum.vote.review_entries import INDEX, REVIEWED
from quorum.vote.reviews import reviews_of
from quorum.vote.verdicts import verdict_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

LABELS_LIMIT = 10_000
"""Contents decided by people that a report reads. Where there are more, it says so."""


class AppealCounts(Frozen):
    """Appeals that were made, and that were decided, on those days.

    `overturn_rate` is of the decided ones. They are chosen by their authors: it is no error rate.
    """

    made: int
    upheld: int
    overturned: int
    overturn_rate: float | None


class QualityEstimates(Frozen):
    """How much of what panels decided alone was wrong, from the quality sample.

    `wrong` is of all that panels decided, `wrongly_unsafe` of what they called unsafe, and
    `wrongly_safe` of what they called safe. None where nothing of it was checked.
    """

    wrong: Estimate | None
    wrongly_unsafe: Estimate | None
    wrongly_safe: Estimate | None


class TransparencyReport(Frozen):
    """The decisions on contents that were sent on the days from `start` to `end`, UTC.

    `verdicts` counts what the panels said. `automated_share` of them no person was asked about;
    copies of a content that a person had decided are among them. `reviewed` counts what people
    decided, by content. `median_review_seconds` is the time from a content's first verdict to its
    latest decision. Not `complete`: people decided more than was read.
    """

    start: date
    end: date
    verdicts: dict[Decision, int]
    automated_share: float | None
    reviewed: dict[Decision, int]
    median_review_seconds: float | None
    quality: QualityEstimates
    appeals: AppealCounts
    complete: bool = Field(description="whether all that people decided was read")


class _Decided(NamedTuple):
    """A content that people decided: as what, after how long, and its part of the sample."""

    decision: Decision
    seconds: float
    by_panel: dict[Decision, Sampled]


class Transparency:
    """Reports from the tables of verdicts and of usage."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", verdicts_table: str, usage_table: str
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._verdicts_table = verdicts_table
        self._usage_table = usage_table

    def report(self, tenant: str, start: date, end: date) -> TransparencyReport:
        """The report on `tenant` from `start` to `end`; raises `StoreUnavailable`."""
        verdicts, appeals = self._counted(tenant, start, end)
        decided: list[_Decided] = []
        complete = True
        for one in self._decided(tenant, start, end):
            if len(decided) == LABELS_LIMIT:
                complete = False
                break
            decided.append(one)
        total = sum(verdicts.values())
        alone = total - verdicts[Decision.NEEDS_REVIEW]
        times = [one.seconds for one in decided]
        return TransparencyReport(
            start=start,
            end=end,
            verdicts=verdicts,
            automated_share=alone / total if total else None,
            reviewed={
                decision: sum(one.decision is decision for one in decided)
                for decision in (Decision.SAFE, Decision.UNSAFE)
            },
            median_review_seconds=median(times) if times else None,
            quality=_quality(decided),
            appeals=appeals,
            complete=complete,
        )

    def _counted(
        self, tenant: str, start: date, end: date
    ) -> tuple[dict[Decision, int], AppealCounts]:
        """The counts of those days: by decision, and of appeals."""
        days = [start + timedelta(number) for number in range((end - start).days + 1)]
        keys = [
            {"key": key}
            for day in days
            for key in (
                *keys_of(ledger.decisions_key(day, tenant)),  # every verdict adds to one of them
                ledger.appeals_key(day, tenant),
            )
        ]
        items = dynamo.read(self._client, self._usage_table, keys)

        def total(kind: str, field: str) -> int:
            found = (item for item in items if str(item["key"]).startswith(kind))
            return sum(int(item.get(field, 0)) for item in found)

        upheld, overturned = total("appeals#", "upheld"), total("appeals#", "overturned")
        ended = upheld + overturned
        appeals = AppealCounts(
            made=total("appeals#", "made"),
            upheld=upheld,
            overturned=overturned,
            overturn_rate=overturned / ended if ended else None,
        )
        return {one: total("decisions#", str(one)) for one in Decision}, appeals

    def _decided(self, tenant: str, start: date, end: date) -> Iterator[_Decided]:
        """What people decided of the contents that were first sent on those days."""
        request: dict[str, Any] = {
            "TableName": self._verdicts_table,
            "IndexName": INDEX.name,
            "KeyConditionExpression": "#review = :review AND created_at BETWEEN :start AND :end",
            "ExpressionAttributeNames": {"#review": "review"},
            "ExpressionAttributeValues": {
                ":review": f"{REVIEWED}#{tenant}",
                ":start": start.isoformat(),
                ":end": f"{end.isoformat()}U",  # after any T of that day
            },
        }
        while True:
            answer = dynamo.query(self._client, **request)
            for item in answer["Items"]:
                verdict, review = verdict_of(item), reviews_of(item)[-1]
                seconds = (review.reviewed_at - verdict.created_at).total_seconds()
                by_panel = {
                    decision: quality_sample.read(item, decision)
                    for decision in (Decision.SAFE, Decision.UNSAFE)
                }
                yield _Decided(review.decision, max(0.0, seconds), by_panel)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _quality(decided: list[_Decided]) -> QualityEstimates:
    """The estimates from those that were drawn for the quality sample."""
    every = {
        panel: sum((one.by_panel[panel] for one in decided), Sampled())
        for panel in (Decision.SAFE, Decision.UNSAFE)
    }
    wrong = {
        panel: sum((one.by_panel[panel] for one in decided if one.decision is not panel), Sampled())
        for panel in every
    }
    return QualityEstimates(
        wrong=estimated(sum(wrong.values(), Sampled()), sum(every.values(), Sampled())),
        wrongly_unsafe=estimated(wrong[Decision.UNSAFE], every[Decision.UNSAFE]),
        wrongly_safe=estimated(wrong[Decision.SAFE], every[Decision.SAFE]),
    )
