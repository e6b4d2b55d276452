"""Routes about reviews: what waits for a person, claims, decisions and labels."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import ProblemDetail, gives
from quorum.core.errors import Conflict, NotFound, QuorumError, TooLarge
from quorum.core.models import CategoryName, Frozen, Identifier, Verdict
from quorum.review.claims import Claimed
from quorum.review.requests import (
    ClaimRequest,
    DecideRequest,
    EscalateRequest,
    Named,
    Order,
    Origin,
    QueueFilter,
    ReviewerRequest,
    SkipRequest,
)
from quorum.review.waiting import PAGE_LIMIT, QueueCounts, QueuePage, WaitingContent
from quorum.routes.parameters import App, who
from quorum.vote.requests import ReviewRequest
from quorum.vote.reviews import PAGE_LIMIT as LABELS_LIMIT
from quorum.vote.reviews import LabelPage
from quorum.vote.severity import Severity

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

router = new_router()

After = Annotated[str | None, Query(alias="next", max_length=512)]


class Given(Frozen):
    """A content that the reviewer no longer holds."""

    verdict_id: str


class Decided(Frozen):
    """One decision of several: the verdict with it, or why it was not stored."""

    verdict_id: str
    verdict: Verdict | None = None
    error: ProblemDetail | None = None


class DecidedAll(Frozen):
    """What became of each decision, in their order."""

    decisions: tuple[Decided, ...]


@router.get(
    "/reviews",
    summary="List what waits for a person",
    **gives(QueuePage),
)
def get_reviews(  # noqa: PLR0913, PLR0917 - a parameter for each filter
    app: App,
    caller: Calling,
    order: Annotated[Order, Query()] = "oldest",
    severity: Annotated[Severity | None, Query()] = None,
    category: Annotated[CategoryName | None, Query()] = None,
    language: Annotated[str | None, Query(pattern=r"^[a-z]{2,3}$")] = None,
    policy: Annotated[Named | None, Query()] = None,
    panel: Annotated[Named | None, Query()] = None,
    batch: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$")] = None,
    origin: Annotated[Origin | None, Query()] = None,
    reviewer: Annotated[Identifier | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
    after: After = None,
) -> QueuePage:
    """Contents that wait, with those texts that are still kept. For operators.

    `reviewer` leaves out what that person may not take now. A page with a `next` may be short, or
    empty.
    """
    wanted = QueueFilter(
        severity=severity,
        category=category,
        language=language,
        policy=policy,
        panel=panel,
        batch=batch,
        origin=origin,
        reviewer=reviewer,
    )
    return app.waiting.page(caller.tenant, wanted, order, limit=limit, after=after)


@router.get(
    "/reviews/counts",
    summary="Count what waits for a person",
    **gives(QueueCounts),
)
def get_counts(app: App, caller: Calling) -> QueueCounts:
    """How much waits, how much of it is claimed, and since when. For operators."""
    return app.waiting.counts(caller.tenant)


@router.post(
    "/reviews/claim",
    summary="Claim the next contents",
    **gives(Claimed, TooLarge),
)
def post_claim_next(request: ClaimRequest, app: App, caller: Calling) -> Claimed:
    """The next contents that match, which nobody else can decide for ten minutes. For operators.

    What the reviewer holds already is among them, and held on to.
    """
    return app.claims.take_next(caller.tenant, request, by=who(caller))


@router.post(
    "/reviews/<verdict_id>/claim",
    summary="Claim a content, or extend the claim",
    **gives(WaitingContent, NotFound, Conflict, TooLarge),
)
def post_claim(
    verdict_id: str, request: ReviewerRequest, app: App, caller: Calling
) -> WaitingContent:
    """The content, which nobody else can decide for ten minutes from now. For operators."""
    return app.claims.take(caller.tenant, verdict_id, request.reviewer, by=who(caller))


@router.post(
    "/reviews/<verdict_id>/release",
    summary="Give a content back",
    **gives(Given, NotFound, Conflict, TooLarge),
)
def post_release(verdict_id: str, request: ReviewerRequest, app: App, caller: Calling) -> Given:
    """Anybody may claim it again, this reviewer too. For operators."""
    app.claims.release(caller.tenant, verdict_id, request.reviewer, by=who(caller))
    return Given(verdict_id=verdict_id)


@router.post(
    "/reviews/<verdict_id>/skip",
    summary="Leave a content to somebody else",
    **gives(Given, NotFound, Conflict, TooLarge),
)
def post_skip(verdict_id: str, request: SkipRequest, app: App, caller: Calling) -> Given:
    """The content waits for anybody but this reviewer. For operators."""
    app.claims.leave(caller.tenant, verdict_id, request.reviewer, request.reason, by=who(caller))
    return Given(verdict_id=verdict_id)


@router.post(
    "/reviews/<verdict_id>/escalate",
    summary="Pass a content on to a second person",
    **gives(Given, NotFound, Conflict, TooLarge),
)
def post_escalate(verdict_id: str, request: EscalateRequest, app: App, caller: Calling) -> Given:
    """The content waits, with the note, for anybody but this reviewer. For operators."""
    app.claims.escalate(caller.tenant, verdict_id, request.reviewer, request.note, by=who(caller))
    return Given(verdict_id=verdict_id)


@router.post(
    "/reviews/<verdict_id>/undo",
    summary="Take a decision back",
    **gives(Verdict, NotFound, Conflict, TooLarge),
)
def post_undo(verdict_id: str, request: ReviewerRequest, app: App, caller: Calling) -> Verdict:
    """The verdict; the content waits again, claimed by this reviewer. For operators.

    For 30 seconds after the reviewer's own decision.
    """
    return app.reviews.undo(caller.tenant, verdict_id, request.reviewer, by=who(caller))


@router.post(
    "/reviews/decide",
    summary="Decide contents that the reviewer has claimed",
    **gives(DecidedAll, TooLarge),
)
def post_decisions(request: DecideRequest, app: App, caller: Calling) -> DecidedAll:
    """What became of each decision; one that is refused keeps no other. For operators.

    A decision is for all verdicts on the same content.
    """
    return DecidedAll(
        decisions=tuple(
            _decided(app, caller.tenant, request, index, who(caller))
            for index in range(len(request.decisions))
        )
    )


@router.post(
    "/verdicts/<verdict_id>/review",
    summary="Review a verdict",
    **gives(Verdict, NotFound, Conflict, TooLarge),
)
def post_review(verdict_id: str, request: ReviewRequest, app: App, caller: Calling) -> Verdict:
    """The verdict with the review; the panel's own decision stays as it was. For operators.

    Refused while another reviewer has claimed the content.
    """
    review = request.to_review(datetime.now(UTC))
    return app.reviews.add(caller.tenant, verdict_id, review, by=who(caller))


@router.get(
    "/labels",
    summary="List what people have decided",
    **gives(LabelPage),
)
def get_labels(
    app: App,
    caller: Calling,
    limit: Annotated[int, Query(ge=1, le=LABELS_LIMIT)] = LABELS_LIMIT,
    after: After = None,
) -> LabelPage:
    """Contents that people decided, with their votes, in the order they came in. For operators."""
    return app.reviews.labels(caller.tenant, limit=limit, after=after)


def _decided(
    app: "ApiContainer", tenant: str, request: DecideRequest, index: int, by: str
) -> Decided:
    """What became of one decision."""
    decision = request.decisions[index]
    review = decision.to_review(request.reviewer, datetime.now(UTC))
    try:
        verdict = app.reviews.add(tenant, decision.verdict_id, review, by=by, by_claim=True)
    except (Conflict, NotFound) as refusal:
        return Decided(verdict_id=decision.verdict_id, error=_problem(refusal))
    return Decided(verdict_id=decision.verdict_id, verdict=verdict)


def _problem(refusal: QuorumError) -> ProblemDetail:
    return ProblemDetail(
        code=refusal.code, message=refusal.told, field=refusal.field, limit=refusal.limit
    )
