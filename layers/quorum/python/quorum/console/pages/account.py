"""Pages about the session: where it begins, and how it ends."""

from quorum.console.answers import Answer, redirect
from quorum.console.entrance import session_cookie
from quorum.console.pages.page import Page
from quorum.console.visits import Visit


def home(visit: Visit) -> Answer:
    """The first page of the navigation that the key may see."""
    return visit.go(next(one.path for one in visit.navigation if visit.may(one.needs)))


def sign_out(visit: Visit) -> Answer:
    """End this session; the browser forgets what it has of the console."""
    visit.app.sessions.end(visit.signed_in)
    return _left(visit)


def sign_out_everywhere(visit: Visit) -> Answer:
    """End all sessions of the key."""
    visit.app.sessions.end_all(visit.signed_in)
    return _left(visit)


def _left(visit: Visit) -> Answer:
    gone = redirect(visit.request.url("sign-in"), (session_cookie(visit.request, "", 0),))
    return gone._replace(headers={**gone.headers, "Clear-Site-Data": '"cache", "storage"'})


PAGES = (
    Page("GET", "", (), home),
    Page("GET", "home", (), home),
    Page("POST", "sign-out", (), sign_out),
    Page("POST", "sign-out-everywhere", (), sign_out_everywhere),
)
