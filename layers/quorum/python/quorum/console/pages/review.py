"""Pages of reviewers: what waits, one content at a time, decisions, and breaks."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus

from quorum.api.access import ACCESS
from quorum.aws.telemetry import logger
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from quorum.core.models import Category
from quorum.review.claims import AHEAD_SECONDS
from quorum.review.requests import (
    ClaimRequest,
    DecideRequest,
    EscalateRequest,
    QueueFilter,
    ReviewerRequest,
    SkipRequest,
)
from quorum.review.waiting import WaitingContent
from quorum.routes import reviews
from quorum.routes.parameters import who
from quorum.vote.severity import Severity

BREAK_MINUTES = 50
"""Minutes of reviewing after which a break is suggested."""
NOTHING = "review/next/nothing"
"""The page that says why there is no next content."""
NEXT = "next"
"""The field of a form that names the content whose page the browser has already."""
_NEEDS = ACCESS["POST /reviews/claim"]
_FILTERS = ("order", "severity", "category", "language", "origin", "policy", "panel", "batch")


def start(visit: Visit) -> Answer:
    """How much waits, the first of it, and where to begin. Nothing is claimed by looking."""
    wanted = _chosen(visit)
    order = visit.read(ClaimRequest, {"reviewer": visit.signed_in.reviewer, **wanted}).order
    matching = visit.read(QueueFilter, {k: v for k, v in wanted.items() if k != "order"})
    counts = visit.app.waiting.counts(visit.tenant)
    page = visit.app.waiting.page(
        visit.tenant, matching, order, limit=10, after=visit.request.asked.get("next")
    )
    return visit.page(
        "review.html",
        counts=counts,
        rows=page.reviews,
        next=page.next,
        wanted=wanted,
        order=order,
        severities=list(Severity),
        categories=list(Category),
        **_pace(visit),
    )


def begin(visit: Visit) -> Answer:
    """Claim the next content, and go to it."""
    return _next(visit, _chosen_in_form(visit))


def item(visit: Visit, verdict_id: str) -> Answer:
    """A content that is claimed by being opened, hidden until it is asked for."""
    session = visit.signed_in
    request = ReviewerRequest(reviewer=session.reviewer)
    try:
        content = reviews.post_claim(verdict_id, request, visit.app, visit.caller)
    except Conflict as refusal:
        return _lost(visit, refusal)
    return visit.page("item.html", **_shown(visit, content))


def ahead(visit: Visit, verdict_id: str) -> Answer:
    """The page of the content after this one, hidden, which the browser keeps until it is wanted.

    It is claimed for a short time. `Quorum-Until` says when that ends, `Content-Location` where the
    page is. A claim that ends later is of a page where the content is open: it is not for this page
    to give back, and has no `Quorum-Until`.
    """
    wanted = _chosen_in_form(visit)
    request = visit.read(ClaimRequest, {**_me(visit), **wanted})
    by = who(visit.caller)
    claimed = visit.app.claims.take_ahead(visit.tenant, request, verdict_id, by=by)
    content = next(iter(claimed.claims), None)
    if content is None or content.claim is None:
        return Answer(HTTPStatus.NO_CONTENT, "")
    place = visit.request.url(f"review/{content.verdict_id}", **wanted)
    there = visit._replace(request=visit.request.led_to(place))
    until = int(content.claim.until.timestamp())
    short = {"Quorum-Until": f"{until}"} if until - visit.app.clock() <= AHEAD_SECONDS else {}
    page = there.page("item.html", **_shown(there, content))
    return page._replace(headers={"Content-Location": place, **short})


def decide(visit: Visit, verdict_id: str) -> Answer:
    """Store a decision and go on to the next content."""
    form, session = visit.request, visit.signed_in
    decision = {
        "verdict_id": verdict_id,
        "decision": form.field("decision"),
        "categories": form.fields("category") if form.field("decision") == "unsafe" else (),
        "note": form.field("note"),
    }
    request = visit.read(DecideRequest, {"reviewer": session.reviewer, "decisions": [decision]})
    (made,) = reviews.post_decisions(request, visit.app, visit.caller).decisions
    if made.error is not None:
        return _lost(visit, Conflict(made.error.message, code=made.error.code), sent=True)
    visit.app.sessions.note_decision(session)
    try:
        return _next(visit, _chosen_in_form(visit), undo=verdict_id, said=form.field("decision"))
    except StoreUnavailable as error:  # what was decided is stored: an error would deny it
        logger.warning("no next content was claimed", extra={"why": str(error)})
        return visit.go("review", **_chosen_in_form(visit))


def leave(visit: Visit, verdict_id: str) -> Answer:
    """Leave a content to somebody else."""
    request = visit.read(SkipRequest, {**_me(visit), "reason": visit.request.field("reason")})
    return _after(visit, lambda: reviews.post_skip(verdict_id, request, visit.app, visit.caller))


def escalate(visit: Visit, verdict_id: str) -> Answer:
    """Pass a content on, with a note."""
    request = visit.read(EscalateRequest, {**_me(visit), "note": visit.request.field("note")})
    return _after(
        visit, lambda: reviews.post_escalate(verdict_id, request, visit.app, visit.caller)
    )


def release(visit: Visit, verdict_id: str) -> Answer:
    """Give a content back and stop."""
    request = ReviewerRequest(reviewer=visit.signed_in.reviewer)
    try:
        reviews.post_release(verdict_id, request, visit.app, visit.caller)
    except Conflict as refusal:
        return _lost(visit, refusal)
    return visit.go("review", **_chosen_in_form(visit))


def give_back(visit: Visit, verdict_id: str) -> Answer:
    """Give back a content that was claimed ahead and not opened since."""
    until = visit.request.number("until")
    if not isinstance(until, int):
        raise InvalidRequest("until: must be a time", code="invalid_time", field="until")
    claims, me = visit.app.claims, visit.signed_in.reviewer
    try:
        claims.release(visit.tenant, verdict_id, me, by=who(visit.caller), until=until)
    except Conflict:
        logger.info("a claim was not given back: it has ended or is in use")
    return Answer(HTTPStatus.NO_CONTENT, "")


def give_all_back(visit: Visit) -> None:
    """Give back what is open, and what was claimed ahead, of somebody who signs out.

    Signing out never fails for it: such a claim ends by itself.
    """
    form, me = visit.request, visit.signed_in.reviewer
    held: dict[str, int | None] = {}
    ahead, ends = form.field("ahead"), form.number("until")
    if _ID.fullmatch(ahead) and isinstance(ends, int):
        held[ahead] = ends
    if opened := _ITEM.fullmatch(form.field("place")):
        held[opened[1]] = None
    for verdict_id, until in held.items() if visit.may(_NEEDS) else ():
        try:
            visit.app.claims.release(
                visit.tenant, verdict_id, me, by=who(visit.caller), until=until
            )
        except (Conflict, NotFound, StoreUnavailable) as error:
            logger.info("a claim was not given back", extra={"error": type(error).__name__})


def undo(visit: Visit, verdict_id: str) -> Answer:
    """Take the last decision back; the content is there again."""
    request = ReviewerRequest(reviewer=visit.signed_in.reviewer)
    try:
        reviews.post_undo(verdict_id, request, visit.app, visit.caller)
    except Conflict as refusal:
        return _lost(visit, refusal)
    return visit.go(f"review/{verdict_id}", **_chosen_in_form(visit))


def rest(visit: Visit) -> Answer:
    """Begin a break: minutes are counted anew afterwards."""
    visit.app.sessions.note_break(visit.signed_in)
    return visit.go("review")


def _after(visit: Visit, step: Callable[[], object]) -> Answer:
    """The next content after a step with this one."""
    try:
        step()
    except Conflict as refusal:
        return _lost(visit, refusal, sent=True)
    return _next(visit, _chosen_in_form(visit))


def _next(visit: Visit, wanted: Mapping[str, str], **undo: str) -> Answer:
    """Claim the next content and go to it, or to the page that says why there is none."""
    following = visit.request.field(NEXT)
    if _ID.fullmatch(following) and _opened(visit, following):
        return visit.go(f"review/{following}", **wanted, **undo)
    request = visit.read(ClaimRequest, {**_me(visit), **wanted})
    claimed = reviews.post_claim_next(request, visit.app, visit.caller)
    if claimed.claims:
        return visit.go(f"review/{claimed.claims[0].verdict_id}", **wanted, **undo)
    why = "held" if claimed.held else "excluded" if claimed.excluded else None
    free_at = None if claimed.free_at is None else claimed.free_at.strftime("%H:%M")
    return visit.go(NOTHING, **wanted, **undo, why=why, free_at=free_at)


def _opened(visit: Visit, verdict_id: str) -> bool:
    """Whether the content that was claimed ahead is this reviewer's still: its page is shown."""
    request = ReviewerRequest(**_me(visit))
    try:
        reviews.post_claim(verdict_id, request, visit.app, visit.caller)
    except (Conflict, NotFound):
        return False
    return True


def nothing(visit: Visit) -> Answer:
    """Why there was no next content. A page of its own, so that loading it anew sends no form."""
    asked = visit.request.asked
    free_at = asked.get("free_at", "")
    return visit.page(
        "nothing.html",
        why=asked.get("why"),
        free_at=free_at if _TIME.fullmatch(free_at) else None,
        wanted=_chosen(visit),
        **_undoable(visit),
        **_pace(visit),
    )


def _lost(visit: Visit, refusal: Conflict, *, sent: bool = False) -> Answer:
    """The page about a content that is no longer this reviewer's.

    `sent` if a decision on it was: the browser may show the next content already, which is not it.
    """
    page = visit.page("lost.html", refusal=refusal, wanted=_chosen_in_form(visit), sent=sent)
    return page.with_status(HTTPStatus.CONFLICT)


_ID = re.compile(r"[\w-]{1,128}")
"""The id of a verdict in an address, which becomes part of the address of a form."""
_ITEM = re.compile(rf"review/({_ID.pattern})")
_TIME = re.compile(r"[0-2][0-9]:[0-5][0-9]")


def _shown(visit: Visit, content: WaitingContent) -> dict[str, object]:
    """What the page of a content shows; the content itself only where it is asked for."""
    asked = visit.request.asked
    text = content.content
    return {
        "content": content,
        "length": None if text is None else len(text),
        "shown": asked.get("show") == "1" or text is None,
        "ahead_seconds": AHEAD_SECONDS,
        "wanted": _chosen(visit),
        "categories": list(Category),
        **_undoable(visit),
        **_pace(visit),
    }


def _undoable(visit: Visit) -> dict[str, str | None]:
    """The decision before, as the address names it, for its bar."""
    said, undo = visit.request.asked.get("said"), visit.request.asked.get("undo")
    return {
        "undo": undo if undo and _ID.fullmatch(undo) else None,
        "said": said if said in {"safe", "unsafe"} else None,
    }


def _pace(visit: Visit) -> dict[str, object]:
    minutes = visit.signed_in.reviewing_minutes(visit.app.clock())
    return {"minutes": minutes, "break_due": minutes >= BREAK_MINUTES}


def _me(visit: Visit) -> dict[str, str]:
    return {"reviewer": visit.signed_in.reviewer}


def _chosen(visit: Visit) -> dict[str, str]:
    """The order and the filter in the address."""
    asked = visit.request.asked
    return {name: asked[name] for name in _FILTERS if asked.get(name)}


def _chosen_in_form(visit: Visit) -> dict[str, str]:
    """The order and the filter that a form carries along."""
    found = {name: visit.request.field(f"queue_{name}") for name in _FILTERS}
    return {name: value for name, value in found.items() if value}


PAGES = (
    Page("GET", "review", _NEEDS, start, in_navigation=True),
    Page("GET", NOTHING, _NEEDS, nothing),
    Page("POST", "review/begin", _NEEDS, begin),
    Page("POST", "review/rest", _NEEDS, rest),
    Page("GET", "review/{verdict_id}", _NEEDS, item),
    Page("POST", "review/{verdict_id}/ahead", _NEEDS, ahead),
    Page("POST", "review/{verdict_id}/give-back", _NEEDS, give_back),
    Page("POST", "review/{verdict_id}/decide", _NEEDS, decide),
    Page("POST", "review/{verdict_id}/skip", _NEEDS, leave),
    Page("POST", "review/{verdict_id}/escalate", _NEEDS, escalate),
    Page("POST", "review/{verdict_id}/release", _NEEDS, release),
    Page("POST", "review/{verdict_id}/undo", _NEEDS, undo),
)
