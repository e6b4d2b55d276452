"""The page where a text is tried: rounds, votes, why the panel stopped, and the cost."""

import json
import shlex

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.routes import catalogue, policies, verdicts
from quorum.vote.requests import VerdictRequest

_NEEDS = ACCESS["POST /verdicts"]


def form(visit: Visit) -> Answer:
    """The empty form."""
    return _page(visit, {})


def judge(visit: Visit) -> Answer:
    """The verdict on the form's text. The text is in the answer, and in no address."""
    given = {name: visit.request.field(name) for name in ("content", "panel", "policy")}
    given = {name: value for name, value in given.items() if value}
    request = visit.read(VerdictRequest, given)
    verdict = verdicts.post_verdict(request, visit.app, visit.caller)
    return _page(visit, given, verdict=verdict, curl=_curl(given))


def _page(visit: Visit, given: dict[str, str], **result: object) -> Answer:
    names = {
        "panels": [one.panel.name for one in catalogue.get_panels(visit.app, visit.caller).panels],
        "policies": [one.name for one in policies.get_policies(visit.app, visit.caller).policies],
    }
    return visit.page("try.html", **{"given": given, "verdict": None, "curl": ""} | names | result)


def _curl(given: dict[str, str]) -> str:
    """The same request from a shell; the key is the reader's own."""
    body = shlex.quote(json.dumps(given, ensure_ascii=False))
    return f'curl -s "$API/verdicts" -H "x-api-key: $KEY" -d {body}'


PAGES = (
    Page("GET", "try", _NEEDS, form, in_navigation=True),
    Page("POST", "try", _NEEDS, judge),
)
