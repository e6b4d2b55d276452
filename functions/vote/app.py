"""Every gateway voter: one code base, deployed once per model, and once for all models as data."""

from typing import TYPE_CHECKING, Any

from quorum.app.opened import opened_once
from quorum.app.settings import VoteSettings
from quorum.app.voters import VoterContainer
from quorum.aws.boundary import guarded
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.vote import packed_voting, voting
from quorum.vote.evaluation import VoteRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.gateway.client import Gateway


@opened_once
def app() -> VoterContainer:
    """The container."""
    return VoterContainer(VoteSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> Any:
    """This model's vote on the content of the evaluation in `event`, or those on a pack."""
    if "evaluations" in event:
        model = registry.model(app().settings.voter)
        return packed(event, model, lambda: app().gateway, context)
    evaluation = VoteRequest.model_validate(event, extra="ignore").evaluation
    model = registry.model(app().settings.voter)
    policy = app().policy_versions.of(evaluation.tenant, evaluation.policy)
    ask = voting.ask_gateway(
        evaluation, policy, model, lambda: app().gateway, context.get_remaining_time_in_millis()
    )
    return voting.vote(evaluation, policy, model.name, app().vote_store, ask).model_dump(
        mode="json"
    )


@guarded
def any_model(event: dict[str, Any], context: "LambdaContext") -> Any:
    """The vote of the model that `event` names, which was put as data, or its votes on a pack."""
    if "evaluations" in event:
        entry = app().models.entry_of(event["voter"])
        return packed(event, entry.model, lambda: app().model_gateways.of(entry.entry), context)
    request = VoteRequest.model_validate(event, extra="ignore")
    evaluation, name = request.evaluation, request.voter or ""
    try:
        known = app().models.entry_of(name)
    except ModelUnknown:
        return voting.vanished(name).model_dump(mode="json")
    policy = app().policy_versions.of(evaluation.tenant, evaluation.policy)
    ask = voting.ask_gateway(
        evaluation,
        policy,
        known.model,
        lambda: app().model_gateways.of(known.entry),
        context.get_remaining_time_in_millis(),
    )
    return voting.vote(evaluation, policy, name, app().vote_store, ask).model_dump(mode="json")


def packed(
    event: dict[str, Any],
    model: registry.Model,
    gateway: "Callable[[], Gateway]",
    context: "LambdaContext",
) -> list[dict[str, Any] | None]:
    """The votes of `model` on the contents of a pack, in order; None where there is none."""
    remaining = context.get_remaining_time_in_millis()
    policy_of = app().policy_versions.of
    return packed_voting.answer(event, policy_of, model, app().vote_store, gateway, remaining)
