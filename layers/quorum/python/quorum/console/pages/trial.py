"""The page where a text is tried: rounds, votes, why the panel stopped, and the cost."""

import json
import shlex
from hashlib import sha256
from time import sleep
from typing import Any
from uuid import uuid4

from quorum.api.access import ACCESS
from quorum.api.idempotency import IN_PROGRESS, answer_once
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import Conflict
from quorum.core.models import Verdict
from quorum.routes import catalogue, policies, verdicts
from quorum.routes.parameters import panel_of
from quorum.vote.requests import VerdictRequest

ONCE = "once"
"""The field of a form by which it is known when it is sent again; each form has its own."""
LOOK_SECONDS = 0.5
"""Seconds between two looks for the verdict on the first sending of a form."""
LEAST_MILLISECONDS = 2_000
"""Milliseconds of its time that an invocation keeps to answer in."""
_NEEDS = ACCESS["POST /verdicts"]


def form(visit: Visit) -> Answer:
    """The empty form."""
    return _page(visit, {})


def judge(visit: Visit) -> Answer:
    """The verdict on the form's text. The text is in the answer, and in no address."""
    given, request = _given(visit), _request(visit)
    verdict = _judged_once(visit, request)
    return _page(visit, given, verdict=verdict, curl=_curl(given))


def so_far(visit: Visit) -> Answer:
    """The votes on the form's text that are there already, while its verdict is waited for."""
    app, caller = visit.app, visit.caller
    request = _request(visit)
    panel = panel_of(app, caller, request.panel)
    policy = app.policies.chosen(caller.tenant, request.policy)
    votes = app.workflow.votes_so_far(caller.tenant, request.to_content(), panel, policy)
    return visit.page(
        "votes.html",
        rounds=panel.rounds,
        voters=len(panel.voters),
        votes={vote.voter: vote for vote in votes},
    )


def _request(visit: Visit) -> VerdictRequest:
    return visit.read(VerdictRequest, _given(visit))


def _given(visit: Visit) -> dict[str, str]:
    """The fields of the form that are not empty."""
    given = {name: visit.request.field(name) for name in ("content", "panel", "policy")}
    return {name: value for name, value in given.items() if value}


def _judged_once(visit: Visit, request: VerdictRequest) -> Verdict:
    """The verdict; a form that is sent twice waits for its first verdict, and pays once.

    Raises `Conflict` if that takes longer than this invocation has.
    """
    text = request.model_dump_json()
    sent = sha256(f"{visit.request.field(ONCE)}\n{text}".encode()).hexdigest()
    asked = {"tenant": visit.tenant, "key": f"try-{sent}", "request": text}

    def judged() -> dict[str, Any]:
        return {
            "verdict": verdicts.post_verdict(request, visit.app, visit.caller).model_dump_json()
        }

    table = visit.app.settings.verdicts_table
    while True:
        try:
            answer = answer_once(table, asked, judged, context=visit.context)
            return Verdict.model_validate_json(answer["verdict"], extra="ignore")
        except Conflict as error:
            waits = error.code == IN_PROGRESS
            if not waits or visit.context.get_remaining_time_in_millis() < LEAST_MILLISECONDS:
                raise
        sleep(LOOK_SECONDS)


def _page(visit: Visit, given: dict[str, str], **result: object) -> Answer:
    names = {
        "panels": [one.panel.name for one in catalogue.get_panels(visit.app, visit.caller).panels],
        "policies": [one.name for one in policies.get_policies(visit.app, visit.caller).policies],
    }
    fresh = {"given": given, "verdict": None, "curl": "", "once": uuid4().hex}
    return visit.page("try.html", **fresh | names | result)


def _curl(given: dict[str, str]) -> str:
    """The same request from a shell; the key is the reader's own."""
    body = shlex.quote(json.dumps(given, ensure_ascii=False))
    return f'curl -s "$API/verdicts" -H "x-api-key: $KEY" -d {body}'


PAGES = (
    Page("GET", "try", _NEEDS, form, in_navigation=True),
    Page("POST", "try", _NEEDS, judge),
    Page("POST", "try/votes", _NEEDS, so_far),
)
