"""The route of the audit trail."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.audit.chain import Action
from quorum.audit.trail import PAGE_LIMIT, AuditFilter, AuditPage
from quorum.routes.parameters import App, From, To

router = new_router()

Named = Annotated[str | None, Query(min_length=1, max_length=128)]


@router.get(
    "/audit",
    summary="List the entries of the audit trail",
    **gives(AuditPage),
)
def get_audit(  # noqa: PLR0913, PLR0917 - a parameter for each filter
    app: App,
    caller: Calling,
    action: Annotated[Action | None, Query()] = None,
    by: Named = None,
    person: Named = None,
    subject: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
    start: From = None,
    end: To = None,
    order: Annotated[Literal["newest", "oldest"], Query()] = "newest",
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
    after: Annotated[str | None, Query(alias="next", pattern=r"^[0-9]{1,15}$")] = None,
) -> AuditPage:
    """Who changed what of the caller's tenant, when, before and after. For operators.

    `order=oldest` lists them as the chain has them, for its check. A page with a `next` may be
    short, or empty.
    """
    wanted = AuditFilter(action=action, by=by, person=person, subject=subject, start=start, end=end)
    return app.audit.page(
        caller.tenant,
        wanted,
        newest_first=order == "newest",
        limit=limit,
        after=None if after is None else int(after),
    )
