"""The console as a whole: from a request to its answer.

The order matters: a file needs nobody; a form must be our own before anything of it is read; then
the session, then the scope, then the page.
"""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws.telemetry import logger
from quorum.console import entrance
from quorum.console.answers import Answer
from quorum.console.browser import BrowserRequest
from quorum.console.entrance import look_of, token_of
from quorum.console.pages import PAGES, Page
from quorum.console.rendering import STATIC, Rendering
from quorum.console.visits import Look, NavigationEntry, Visit
from quorum.core.errors import FAILED, NotAllowed, NotFound, QuorumError
from quorum.core.scopes import require_one

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from quorum.app.console import ConsoleContainer

NAVIGATION = tuple(
    NavigationEntry(page.path, f"page.{page.path}", page.needs)
    for page in PAGES
    if page.in_navigation
)
FORM_TOKEN = "form_token"  # noqa: S105 the name of a field
_SAFE = "GET"


class _Found(NamedTuple):
    """The page of an address, and the parts of the address that vary."""

    page: Page
    parts: dict[str, str]


class Site:
    """The console: its pages, with the templates and files of a folder."""

    def __init__(self, folder: "Path") -> None:
        self._rendering = Rendering(folder)

    def answer(
        self,
        event: dict[str, Any],
        context: "LambdaContext",
        container: "Callable[[], ConsoleContainer]",
    ) -> dict[str, Any]:
        """The answer to a request of API Gateway's proxy integration."""
        look = Look()
        request: BrowserRequest | None = None
        try:
            request = BrowserRequest.of(event)
            look = look_of(request)
            file = self._file(request)
            if file is not None:
                return file.as_proxy()
            visit = Visit(container(), request, self._rendering, NAVIGATION, look, context)
            return _onward(visit, _answered(visit)).as_proxy()
        except QuorumError as error:
            if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.error("page refused", extra={"code": error.code, "why": str(error)})
            failure = error
        except Exception as error:  # noqa: BLE001 - a person waits for a page
            # The message may quote content, so only the kind of error is logged.
            logger.error("page failed", extra={"error": type(error).__name__})
            failure = QuorumError(FAILED)
        bare = BrowserRequest.of(event | {"body": None})
        visit = Visit(container(), request or bare, self._rendering, (), look, context)
        return _problem(visit, failure, event).as_proxy()

    def _file(self, request: BrowserRequest) -> Answer | None:
        """A file, which is for everybody; None for the address of a page."""
        if not request.path.startswith(f"{STATIC}/"):
            return None
        found = self._rendering.file(request.path)
        if found is None:
            raise NotFound("there is no such file", code="no_such_page")
        return found


def _answered(visit: Visit) -> Answer:
    request = visit.request
    if request.method != _SAFE and not request.is_our_own:
        raise foreign_form()
    open_to_all = entrance.PAGES.get((request.method, request.path))
    if open_to_all is not None:
        return open_to_all(visit)
    token = token_of(request)
    session = (
        visit.app.sessions.find(token, by_itself=visit.request.is_by_itself) if token else None
    )
    if session is None:
        return entrance.ask(visit, ended=bool(token))
    return _within(visit._replace(session=session))


def _onward(visit: Visit, answer: Answer) -> Answer:
    """The page that a form's answer leads to, where the browser asks for that: one request less.

    It is answered as if the browser had asked for it. `Content-Location` says where it is.
    """
    to = answer.headers.get("Location")
    if to is None or answer.cookies or not visit.request.is_by_script:
        return answer
    try:
        page = _answered(visit._replace(request=visit.request.led_to(to)))
    except QuorumError:
        return answer  # the form was answered: that the next page fails is for the next request
    return page._replace(headers={**page.headers, "Content-Location": to})


def _within(visit: Visit) -> Answer:
    """The answer to somebody who is signed in; what is refused is told within the frame."""
    request, session = visit.request, visit.signed_in
    try:
        if request.method != _SAFE and not session.made(request.field(FORM_TOKEN)):
            raise foreign_form()
        instead = _page_of_form(request)
        if instead is not None:
            return visit.go(instead)
        page, parts = _page_at(request)
        if page.needs:
            require_one(session.key.effective_scopes, page.needs)
            _count(visit)
        return page.show(visit, **parts)
    except NotAllowed as error:
        return _problem(visit, error, {})
    except QuorumError as error:
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return _problem(visit, error, {})


def _count(visit: Visit) -> None:
    """Count the request of a key with a limit. Signing out is never one too many."""
    key = visit.signed_in.key
    visit.app.key_limits.take(
        key.key_hash, per_minute=key.requests_per_minute, per_month=key.requests_per_month
    )


def _page_at(request: BrowserRequest) -> _Found:
    found = _match(request.method, request.path)
    if found is None:
        raise NotFound("there is nothing at this address", code="no_such_page")
    return found


def _match(method: str, path: str) -> _Found | None:
    for page in PAGES:
        match = re.fullmatch(page.pattern, path)
        if match is not None and method == page.method:
            return _Found(page, match.groupdict())
    return None


def _page_of_form(request: BrowserRequest) -> str | None:
    """The page that a form is on, where its own address is asked for, as by loading it anew."""
    form, page = _match("POST", request.path), _match(_SAFE, request.path)
    if request.method != _SAFE or form is None:
        return None
    if page is not None and len(page.parts) <= len(form.parts):
        return None
    path = request.path
    while path:
        path = path.rpartition("/")[0]
        if _match(_SAFE, path) is not None:
            return path
    return "home"


def foreign_form() -> NotAllowed:
    """The error about a form that was not one of ours, or not of this session."""
    return NotAllowed("the form is not one of this session", code="foreign_form")


def _problem(visit: Visit, error: QuorumError, event: dict[str, Any]) -> Answer:
    """The page about an error."""
    request_id = (event.get("requestContext") or {}).get("requestId")
    page = visit.page("problem.html", error=error, request_id=request_id)
    return page.with_status(error.http_status)
