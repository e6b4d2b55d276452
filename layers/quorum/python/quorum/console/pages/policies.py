"""Pages of policies: edited, tried on recent verdicts, compared, put in force and rolled back."""

import json
from datetime import timedelta
from difflib import unified_diff
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import StringConstraints

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import InvalidRequest, NotFound, QuorumError
from quorum.core.json_names import NameRepeated, unrepeated
from quorum.core.models import Frozen
from quorum.core.periods import Period
from quorum.ledger import ledger
from quorum.routes import policies
from quorum.vote.policy import INSTRUCTIONS, Mode, PolicyDocument
from quorum.vote.policy_shadows import ShadowRequest, ShownPolicy
from quorum.vote.trials import TrialRequest
from quorum.vote.verdict_list import VerdictFilter

if TYPE_CHECKING:
    from quorum.vote.trials import Trial

RECENT = 20
"""Recent verdicts that a policy is tried on."""
RECENT_DAYS = 30
"""Days in which recent verdicts are looked for."""
_INSTRUCTIONS = "instructions"
_READ = ACCESS["GET /policies"]
_CHANGE = ACCESS["PUT /policies/{name}"]


class PolicyNamed(Frozen):
    """The name of a policy in an address."""

    name: Annotated[str, StringConstraints(pattern=policies.NAME)]


class DiffLine(NamedTuple):
    """A line of a comparison: its kind (`added`, `removed`, `same`, `place`) and its text."""

    kind: str
    text: str


def listed(visit: Visit) -> Answer:
    """The policies in force; a name leads to its page, also one that there is not yet."""
    name = visit.request.asked.get("name")
    if name:
        return visit.go(f"policies/{visit.read(PolicyNamed, {'name': name}).name}")
    found = policies.get_policies(visit.app, visit.caller)
    return visit.page(
        "policies.html", policies=found.policies, may_change=visit.may(_CHANGE), problem=None
    )


def edited(visit: Visit, name: str) -> Answer:
    """A policy's document, ready to be changed, with its history and its shadow."""
    return _page(visit, name)


def put(visit: Visit, name: str) -> Answer:
    """Put the form's document in force, if the version is still that it was written for."""
    try:
        document = _document(visit)
        policies.put_policy(name, document, visit.app, visit.caller, _expected(visit))
    except QuorumError as problem:
        return _page(visit, name, problem=problem)
    return visit.go(f"policies/{name}", done="put")


def tried(visit: Visit, name: str) -> Answer:
    """What the form's document would change on recent verdicts, and on a text."""
    text = visit.request.field("text")
    try:
        request = visit.read(
            TrialRequest,
            {
                "policy": _document(visit),
                "texts": (text,) if text else (),
                "verdict_ids": _recent(visit),
            },
        )
        trial = policies.post_trial(name, request, visit.app, visit.caller)
    except QuorumError as problem:
        return _page(visit, name, problem=problem)
    return _page(visit, name, trial=trial)


def set_mode(visit: Visit, name: str) -> Answer:
    """Switch between enforcing and only detecting."""
    shown = _view(visit, name)
    given = {**shown.policy, "mode": visit.request.field("mode")}
    return _put(visit, name, given)


def roll_back(visit: Visit, name: str) -> Answer:
    """Put an earlier version in force again."""
    return _put(visit, name, _view(visit, name, visit.request.field("version")).policy)


def set_shadow(visit: Visit, name: str) -> Answer:
    """Let another policy judge beside this one, or none."""
    other = visit.request.field("shadow")
    try:
        if other:
            request = visit.read(ShadowRequest, {"policy": other})
            policies.put_shadow(name, request, visit.app, visit.caller)
        else:
            policies.delete_shadow(name, visit.app, visit.caller)
    except QuorumError as problem:
        return _page(visit, name, problem=problem)
    return visit.go(f"policies/{name}")


def _put(visit: Visit, name: str, given: dict[str, Any]) -> Answer:
    try:
        document = visit.read(PolicyDocument, given)
        policies.put_policy(name, document, visit.app, visit.caller, _expected(visit))
    except QuorumError as problem:
        return _page(visit, name, problem=problem)
    return visit.go(f"policies/{name}", done="put")


def _page(
    visit: Visit,
    name: str,
    *,
    problem: QuorumError | None = None,
    trial: "Trial | None" = None,
) -> Answer:
    """The page of a policy, with what was typed if a form could not be taken."""
    asked = visit.request.asked.get("version")
    visit.read(PolicyNamed, {"name": name})
    try:
        shown = _view(visit, name, asked)
        current = shown if shown.in_force else _current(visit, name)
    except NotFound:
        if asked or not visit.may(_CHANGE):
            raise
        shown, current = None, None
    given = shown.policy if shown else {"instructions": INSTRUCTIONS}
    typed = visit.request.field("document")
    page = visit.page(
        "policy.html",
        name=name,
        shown=shown,
        current=current,
        instructions=visit.request.field(_INSTRUCTIONS) if typed else _told(given),
        document=typed or _text(_rest(given)),
        expected=_expected(visit) or (current.version if current else ""),
        difference=_difference(current, shown),
        others=[
            one.name
            for one in policies.get_policies(visit.app, visit.caller).policies
            if one.name != name and one.source != "packaged"
        ],
        modes=list(Mode),
        problem=problem,
        trial=trial,
        text=visit.request.field("text"),
        may_change=visit.may(_CHANGE),
        done=visit.request.asked.get("done") == "put",
    )
    return page if problem is None else page.with_status(problem.http_status)


def _view(visit: Visit, name: str, version: str | None = None) -> ShownPolicy:
    return policies.shown(visit.app, visit.tenant, name, version)


def _current(visit: Visit, name: str) -> ShownPolicy | None:
    """The version in force; None if the policy was deleted."""
    try:
        return _view(visit, name)
    except NotFound:
        return None


def _difference(current: ShownPolicy | None, shown: ShownPolicy | None) -> list[DiffLine]:
    """What putting the shown version in force would change."""
    if current is None or shown is None or current.version == shown.version:
        return []
    before, after = (_lines(one.policy) for one in (current, shown))
    lines = list(unified_diff(before, after, n=2, lineterm=""))[2:]
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [DiffLine(kinds.get(line[:1], "same"), line) for line in lines]


def _lines(document: dict[str, Any]) -> list[str]:
    """A document line by line, its instructions as they are read."""
    return [*_told(document).splitlines(), *_text(_rest(document)).splitlines()]


def _told(document: dict[str, Any]) -> str:
    """The instructions of a document; empty without."""
    return str(document.get(_INSTRUCTIONS) or "")


def _rest(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its instructions, which have a field of their own."""
    return {name: value for name, value in document.items() if name != _INSTRUCTIONS}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _document(visit: Visit) -> PolicyDocument:
    """The document in the form; raises `InvalidRequest` that names the field of the document."""
    try:
        given = json.loads(visit.request.field("document"), object_pairs_hook=unrepeated)
    except NameRepeated as error:
        raise InvalidRequest(str(error), code="name_repeated", field=error.name) from error
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        message = f"document: is not JSON{place}"
        raise InvalidRequest(message, code="invalid_json", field="document") from error
    if not isinstance(given, dict):
        message = "document: must be a JSON object"
        raise InvalidRequest(message, code="invalid_json", field="document")
    instructions = visit.request.field(_INSTRUCTIONS)
    if not instructions:
        return visit.read(PolicyDocument, given)
    if given.get(_INSTRUCTIONS, instructions) != instructions:
        message = "instructions: stand in the document and in their own field; leave one of them"
        raise InvalidRequest(message, code="name_repeated", field=_INSTRUCTIONS)
    return visit.read(PolicyDocument, given | {_INSTRUCTIONS: instructions})


def _expected(visit: Visit) -> str | None:
    """The version that a form was made for; None for a policy that there was not."""
    return visit.request.field("expected") or None


def _recent(visit: Visit) -> list[str]:
    today = ledger.today()
    page = visit.app.verdict_list.page(
        visit.tenant,
        VerdictFilter(),
        Period.of_days(today - timedelta(days=RECENT_DAYS), today),
        limit=RECENT,
    )
    return [verdict.id for verdict in page.verdicts]


PAGES = (
    Page("GET", "policies", _READ, listed, in_navigation=True),
    Page("GET", "policies/{name}", _READ, edited),
    Page("POST", "policies/{name}", _CHANGE, put),
    Page("POST", "policies/{name}/try", ACCESS["POST /policies/{name}/try"], tried),
    Page("POST", "policies/{name}/mode", _CHANGE, set_mode),
    Page("POST", "policies/{name}/roll-back", _CHANGE, roll_back),
    Page("POST", "policies/{name}/shadow", ACCESS["PUT /policies/{name}/shadow"], set_shadow),
)
