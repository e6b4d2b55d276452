"""The queue of contents: each message is one content to be moderated."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import BeforeValidator, Json
from pydantic_core import PydanticCustomError

from quorum.batch.queue import Delivered, ItemQueue, Outcomes
from quorum.bulk.judging import Item, Judging
from quorum.bulk.requests import QueuedItem
from quorum.core.identifiers import item_id_of, verdict_id_of
from quorum.core.json_names import NameRepeated, require_unrepeated
from quorum.core.rejection import NAME_REPEATED
from quorum.core.unicode import whole_json
from quorum.vote.workflow import CLIENT_SECONDS

if TYPE_CHECKING:
    from quorum.gateway.deadline import Deadline

ENDING_SECONDS = 5.0
"""Seconds kept for what follows the last vote: alerts, messages that are put off, dead letters."""


def _whole(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    whole = whole_json(body.encode())
    try:
        require_unrepeated(whole)
    except NameRepeated as error:
        raise PydanticCustomError(
            NAME_REPEATED, "{name} stands twice in one object", {"name": error.name}
        ) from None
    except (ValueError, RecursionError):
        pass  # it is read next, and refused
    return whole


class QueuedRecord(SqsRecordModel):
    """An SQS record whose body is an item."""

    body: Annotated[Json[QueuedItem], BeforeValidator(_whole)]


def handle(
    queue: ItemQueue,
    records: Sequence[Mapping[str, Any]],
    judging: Judging,
    deadline: "Deadline",
) -> Outcomes:
    """Moderate the messages of one invocation; unsettled ones stay or are dead-lettered.

    One that could not end before the deadline is not begun: it stays, and comes again soon.
    """

    def items(delivered: Sequence[Delivered[QueuedItem]]) -> list[Item]:
        return [
            Item(_verdict_id(one.item, one.origin), one.item.tenant, one.item, one.item.position)
            for one in delivered
        ]

    def moderated(delivered: Sequence[Delivered[QueuedItem]]) -> list[Exception | None]:
        seconds = deadline.remaining() - CLIENT_SECONDS - ENDING_SECONDS
        outcomes = judging.moderate_all(items(delivered), seconds=seconds)
        return [outcomes[item.verdict_id] for item in items(delivered)]

    def given_up(delivered: Sequence[Delivered[QueuedItem]], reason: str) -> list[Exception | None]:
        outcomes = judging.given_up(items(delivered), reason)
        return [outcomes[item.verdict_id] for item in items(delivered)]

    return queue.deliver(records, QueuedRecord, moderated, given_up)


def _verdict_id(item: QueuedItem, origin: str) -> str:
    if item.position is not None:
        return item_id_of(item.tenant, item.position)
    return verdict_id_of(item.tenant, origin)
