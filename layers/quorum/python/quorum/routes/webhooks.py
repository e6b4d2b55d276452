"""Routes about webhooks and events, which have a function of their own."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Depends, Request, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.app.events import WebhookContainer
from quorum.core.errors import Conflict, NotFound, TooLarge
from quorum.core.json_types import Moment
from quorum.events.recent import PAGE_LIMIT, EventPage
from quorum.events.redrive import SentAgain, Testing, UndeliveredList
from quorum.events.rules import EventRule
from quorum.events.webhooks import NewSecret, WebhookList, WebhookRequest, WebhookView
from quorum.routes.parameters import who

router = new_router()


def _opened(request: Request) -> WebhookContainer:
    container: WebhookContainer = request.context["container"]()
    return container


App = Annotated[WebhookContainer, Depends(_opened)]
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Path(pattern=NAME)]


@router.get("/webhooks", summary="List the tenant's webhooks", **gives(WebhookList))
def get_webhooks(app: App, caller: Calling) -> WebhookList:
    """The webhooks by name, without their secrets, with their last deliveries. For operators."""
    return app.webhooks.listed(caller.tenant)


@router.get(
    "/webhooks/<webhook>", summary="Read a webhook", **gives(WebhookView, Conflict, NotFound)
)
def get_webhook(webhook: Name, app: App, caller: Calling) -> WebhookView:
    """A webhook without its secret, and its last delivery. For operators."""
    return app.webhooks.view(caller.tenant, webhook)


@router.put(
    "/webhooks/<webhook>", summary="Put a webhook", **gives(NewSecret, Conflict, NotFound, TooLarge)
)
def put_webhook(
    webhook: Name, request: WebhookRequest, app: App, caller: Calling
) -> Response[NewSecret]:
    """Put a webhook; a new one has its `secret` in the answer, which is shown this once.

    Its URL is https and leads to a public host. For operators.
    """
    put = app.webhook_changes.put(caller.tenant, webhook, request, by=who(caller))
    return _unkept(put, HTTPStatus.OK)


@router.delete(
    "/webhooks/<webhook>", summary="Delete a webhook", **gives(WebhookView, Conflict, NotFound)
)
def delete_webhook(webhook: Name, app: App, caller: Calling) -> WebhookView:
    """The webhook that was deleted; what waits for it is not sent any more. For operators."""
    return app.webhook_changes.delete(caller.tenant, webhook, by=who(caller))


@router.post(
    "/webhooks/<webhook>/rotate",
    summary="Replace a webhook's secret",
    **gives(NewSecret, Conflict, NotFound, status=HTTPStatus.CREATED),
)
def post_webhook_rotation(webhook: Name, app: App, caller: Calling) -> Response[NewSecret]:
    """A new secret, shown this once. The one before signs beside it for 24 hours.

    So each message has two signatures for that time, and three after a second rotation within it;
    a third is refused until the oldest secret ends. For operators.
    """
    rotated = app.webhook_changes.rotate(caller.tenant, webhook, by=who(caller))
    return _unkept(rotated, HTTPStatus.CREATED)


@router.post(
    "/webhooks/<webhook>/test",
    summary="Test a webhook",
    **gives(Testing, Conflict, NotFound, status=HTTPStatus.ACCEPTED),
)
def post_webhook_test(webhook: Name, app: App, caller: Calling) -> Response[Testing]:
    """An event of type `webhook.test` is on its way to the webhook.

    What became of it is the webhook's `last_delivery`, a moment later. For operators.
    """
    app.webhook_changes.tested(caller.tenant, webhook, by=who(caller))
    testing = app.redrive.test(caller.tenant, webhook)
    return Response(HTTPStatus.ACCEPTED.value, "application/json", testing)


@router.get(
    "/webhooks/<webhook>/dead-letters",
    summary="List the events that a webhook did not take",
    **gives(UndeliveredList, Conflict, NotFound),
)
def get_dead_letters(webhook: Name, app: App, caller: Calling) -> UndeliveredList:
    """The oldest hundred events that were tried for a day, and why they failed. For operators."""
    app.webhooks.get(caller.tenant, webhook)
    return app.redrive.listed(caller.tenant, webhook)


@router.post(
    "/webhooks/<webhook>/redrive",
    summary="Send a webhook's dead letters again",
    **gives(SentAgain, Conflict, NotFound, status=HTTPStatus.ACCEPTED),
)
def post_webhook_redrive(webhook: Name, app: App, caller: Calling) -> Response[SentAgain]:
    """The oldest hundred events that the webhook did not take are sent again.

    `more` says whether there are others. For operators.
    """
    app.webhook_changes.redriven(caller.tenant, webhook, by=who(caller))
    redriven = app.redrive.redrive(caller.tenant, webhook)
    return Response(HTTPStatus.ACCEPTED.value, "application/json", redriven)


@router.get("/events", summary="List the tenant's events", **gives(EventPage))
def get_events(
    app: App,
    caller: Calling,
    since: Annotated[Moment | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=128)] = None,
) -> EventPage:
    """The events of the last three days, the oldest first. An event may be listed twice.

    `next` is always there: asked with it later, the list goes on. For operators.
    """
    return app.recent_events.page(caller.tenant, since=since, after=after, limit=limit)


@router.get(
    "/events/rule", summary="Read the tenant's rule of events", **gives(EventRule, Conflict)
)
def get_event_rule(app: App, caller: Calling) -> EventRule:
    """Which verdicts become events; until a rule is put, those that are not safe. For operators."""
    return app.webhooks.rule(caller.tenant)


@router.put("/events/rule", summary="Put the tenant's rule of events", **gives(EventRule, TooLarge))
def put_event_rule(request: EventRule, app: App, caller: Calling) -> EventRule:
    """Say which verdicts become events: those that one of the rules matches. For operators."""
    return app.webhook_changes.put_rule(caller.tenant, request, by=who(caller))


def _unkept(shown: NewSecret, status: HTTPStatus) -> Response[NewSecret]:
    """An answer that may hold a secret."""
    kept_nowhere = {"Cache-Control": "no-store"}
    return Response(status.value, "application/json", shown, headers=kept_nowhere)
