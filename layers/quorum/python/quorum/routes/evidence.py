"""Routes about what a verdict rests on: replays, statements of reasons, appeals, reports."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from quorum.core.models import Verdict
from quorum.review.appeals import AppealRequest
from quorum.review.replay import Replay, Replaying, replayed
from quorum.review.statement_texts import Measure, Source, StatementLanguage
from quorum.review.statements import Statement, StatementOptions, statement_of
from quorum.review.transparency import TransparencyReport
from quorum.routes.parameters import App, From, To, days, who

router = new_router()

_TERRITORIES = frozenset(
    {
        *("AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT"),
        *("LV", "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO"),
    }
)
"""The countries of the EU and the EEA, as the transparency database writes them."""


@router.get(
    "/verdicts/<verdict_id>/replay",
    summary="Compute a verdict anew",
    **gives(Replay, NotFound),
)
def get_replay(verdict_id: str, app: App, caller: Calling) -> Replay:
    """Whether the stored votes still lead to the verdict, with the panel and policy of its time."""
    verdict = app.verdicts.get(caller.tenant, verdict_id)
    source = Replaying(app.kept_versions, app.policy_versions, app.verdicts.find)
    return replayed(source, caller.tenant, verdict)


@router.get(
    "/verdicts/<verdict_id>/statement",
    summary="Give the reasons for a restriction",
    **gives(Statement, NotFound, Conflict),
)
def get_statement(  # noqa: PLR0917 - a parameter for each thing that only the platform knows
    verdict_id: str,
    app: App,
    caller: Calling,
    language: Annotated[StatementLanguage, Query()] = "en",
    measure: Annotated[Measure, Query()] = "removed",
    source: Annotated[Source, Query()] = "voluntary",
    territory: Annotated[str | None, Query(pattern=r"^[A-Z]{2}(,[A-Z]{2}){0,29}$")] = None,
) -> Statement:
    """The statement of reasons for the author, and the record for the EU's transparency database.

    `territory` is where the restriction applies: country codes of the EU and the EEA, separated by
    commas.
    """
    countries = () if territory is None else tuple(territory.split(","))
    if not _TERRITORIES.issuperset(countries):
        raise InvalidRequest(
            "territory: must be countries of the EU or the EEA, such as DE,FR",
            code="invalid_territory",
            field="territory",
        )
    options = StatementOptions(language, measure, source, countries)
    return statement_of(app.verdicts.get(caller.tenant, verdict_id), options)


@router.post(
    "/verdicts/<verdict_id>/appeal",
    summary="Appeal against a decision",
    **gives(Verdict, NotFound, Conflict, TooLarge),
)
def post_appeal(verdict_id: str, request: AppealRequest, app: App, caller: Calling) -> Verdict:
    """The verdict with the appeal, which somebody decides who has not decided it before."""
    return app.appeals.make(caller.tenant, verdict_id, request, by=who(caller))


@router.get(
    "/transparency",
    summary="Report on a period's decisions",
    **gives(TransparencyReport),
)
def get_transparency(
    app: App, caller: Calling, start: From = None, end: To = None
) -> TransparencyReport:
    """Decisions, how many no person made, how many were wrong, and appeals. For operators."""
    return app.transparency.report(caller.tenant, *days(start, end))
