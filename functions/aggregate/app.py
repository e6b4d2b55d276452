"""After each round: tally, then record a settled verdict or name the next voters."""

from time import time
from typing import TYPE_CHECKING, Any

from quorum.app.opened import opened_once
from quorum.app.settings import AggregateSettings
from quorum.app.votes import AggregateContainer
from quorum.aws.boundary import guarded
from quorum.vote import telemetry
from quorum.vote.evaluation import AggregateRequest, RoundResult, conclude_round
from quorum.vote.shadow import shadowed
from quorum.vote.voting import with_stored_votes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> AggregateContainer:
    """The container."""
    return AggregateContainer(AggregateSettings.from_environment())


@guarded
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """The result of a round; a verdict is recorded first."""
    request = AggregateRequest.model_validate(event, extra="ignore")
    evaluation = request.evaluation
    policy = app().policy_versions.of(evaluation.tenant, evaluation.policy)
    votes = with_stored_votes(evaluation, request.complete(), policy, app().stored_votes)
    result = conclude_round(
        evaluation,
        votes,
        policy,
        round_number=request.round,
        now=time(),
    )
    return record(request, result).model_dump(mode="json")


def record(request: AggregateRequest, result: RoundResult) -> RoundResult:
    """The result, with its verdict as recorded; that of a trial is not recorded."""
    if result.verdict is None or request.evaluation.is_trial:
        return result
    evaluation = request.evaluation
    judged = shadowed(evaluation.tenant, result.verdict, app().panels)
    verdict = app().verdicts.record(
        evaluation.tenant, evaluation.content, judged, evaluation.position
    )
    telemetry.verdict_reached(verdict)
    return result.model_copy(update={"verdict": verdict})
