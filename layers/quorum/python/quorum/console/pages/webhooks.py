"""The page of webhooks: where events go, what became of the last, and what was not taken."""

import re
from collections import Counter
from typing import Annotated

from pydantic import StringConstraints

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import QuorumError
from quorum.core.models import Frozen
from quorum.events.redrive import REDRIVE_LIMIT, UndeliveredList
from quorum.events.rules import SUBSCRIBED
from quorum.routes.parameters import who
from quorum.routes.webhooks import NAME

_NUMBER = re.compile(r"[0-9]{1,3}")


class WebhookNamed(Frozen):
    """The name of a webhook in a form."""

    webhook: Annotated[str, StringConstraints(pattern=NAME)]


def listed(visit: Visit) -> Answer:
    """The webhooks with their last deliveries and the events that they did not take."""
    return _page(visit)


def test(visit: Visit) -> Answer:
    """Send a test to a webhook; what became of it is its last delivery a moment later."""
    try:
        name = _name(visit)
        visit.app.webhook_steps.tested(visit.tenant, name, by=who(visit.caller))
        visit.app.redrive.test(visit.tenant, name)
    except QuorumError as problem:
        return _page(visit, problem)
    return visit.go("webhooks", tested=name)


def redrive(visit: Visit) -> Answer:
    """Send the dead letters of a webhook again."""
    try:
        name = _name(visit)
        visit.app.webhook_steps.redriven(visit.tenant, name, by=who(visit.caller))
        sent = visit.app.redrive.redrive(visit.tenant, name).sent
    except QuorumError as problem:
        return _page(visit, problem)
    return visit.go("webhooks", redriven=name, sent=str(sent))


def _name(visit: Visit) -> str:
    return visit.read(WebhookNamed, {"webhook": visit.request.field("webhook")}).webhook


def _page(visit: Visit, problem: QuorumError | None = None) -> Answer:
    webhooks = visit.app.webhooks.listed(visit.tenant).webhooks
    asked = visit.request.asked
    names = {one.name for one in webhooks}
    sent = asked.get("sent", "")
    page = visit.page(
        "webhooks.html",
        webhooks=webhooks,
        failures={one.name: _failures(visit, one.name) for one in webhooks},
        subscribed=len(SUBSCRIBED),
        most=REDRIVE_LIMIT,
        tested=asked.get("tested") if asked.get("tested") in names else None,
        redriven=asked.get("redriven") if asked.get("redriven") in names else None,
        sent=int(sent)
        if sent.isascii() and sent.isdigit() and len(sent) <= len(str(REDRIVE_LIMIT))
        else 0,
        problem=problem,
    )
    return page if problem is None else page.with_status(problem.http_status)


def _failures(visit: Visit, name: str) -> dict[str, int]:
    """How many events a webhook did not take, by why; of the oldest hundred."""
    found: UndeliveredList = visit.app.redrive.listed(visit.tenant, name)
    return dict(Counter(str(one.failure) for one in found.dead_letters).most_common())


PAGES = (
    Page("GET", "webhooks", ACCESS["GET /webhooks"], listed, in_navigation=True),
    Page("POST", "webhooks/test", ACCESS["POST /webhooks/{webhook}/test"], test),
    Page("POST", "webhooks/redrive", ACCESS["POST /webhooks/{webhook}/redrive"], redrive),
)
