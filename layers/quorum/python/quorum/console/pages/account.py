"""Pages about the session: where it begins, and how it ends."""

from http import HTTPStatus

from quorum.console import shortcuts
from quorum.console.answers import Answer, redirect
from quorum.console.entrance import session_cookie, shortcuts_cookie
from quorum.console.pages.page import Page
from quorum.console.pages.review import give_all_back
from quorum.console.visits import Visit


def home(visit: Visit) -> Answer:
    """The first page of the navigation that the key may see."""
    return visit.go(next(one.path for one in visit.navigation if visit.may(one.needs)))


def sign_out(visit: Visit) -> Answer:
    """End this session; the browser forgets what it has of the console."""
    give_all_back(visit)
    visit.app.sessions.end(visit.signed_in)
    return _left(visit)


def sign_out_everywhere(visit: Visit) -> Answer:
    """End all sessions of the key."""
    give_all_back(visit)
    visit.app.sessions.end_all(visit.signed_in)
    return _left(visit)


def letters(visit: Visit) -> Answer:
    """The letters of the shortcuts, to be changed or turned off."""
    chosen = visit.look.shortcuts
    off = chosen == shortcuts.OFF
    return _letters(visit, shortcuts.USUAL if off else chosen, off=off)


def set_letters(visit: Visit) -> Answer:
    """Other letters for the shortcuts of this browser, or none."""
    form = visit.request
    given = "".join(form.field(action).strip().lower() or "-" for action in shortcuts.ACTIONS)
    chosen = shortcuts.USUAL if form.field("usual") else given
    if form.field("off") and not form.field("usual"):
        chosen = shortcuts.OFF
    elif not shortcuts.is_usable(chosen):
        return _letters(visit, given, wrong=True).with_status(HTTPStatus.BAD_REQUEST)
    return redirect(
        visit.request.url("shortcuts", done="1"), (shortcuts_cookie(visit.request, chosen),)
    )


def _letters(visit: Visit, chosen: str, *, off: bool = False, wrong: bool = False) -> Answer:
    return visit.page(
        "shortcuts.html",
        letters=dict(zip(shortcuts.ACTIONS, chosen, strict=False)),
        off=off,
        wrong=wrong,
        done=visit.request.asked.get("done") == "1",
    )


def _left(visit: Visit) -> Answer:
    gone = redirect(visit.request.url("sign-in"), (session_cookie(visit.request, "", 0),))
    return gone._replace(headers={**gone.headers, "Clear-Site-Data": '"cache", "storage"'})


PAGES = (
    Page("GET", "", (), home),
    Page("GET", "home", (), home),
    Page("GET", "shortcuts", (), letters),
    Page("POST", "shortcuts", (), set_letters),
    Page("POST", "sign-out", (), sign_out),
    Page("POST", "sign-out-everywhere", (), sign_out_everywhere),
)
