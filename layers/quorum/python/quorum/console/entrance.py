"""What needs no session: signing in, and how pages look."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import get_args

from quorum.aws.sessions import SESSION_SECONDS
from quorum.console import shortcuts
from quorum.console.answers import Answer, redirect
from quorum.console.browser import BrowserRequest
from quorum.console.visits import Look, Visit
from quorum.console.words import LANGUAGES, Language, preferred

COOKIE = "__Host-quorum-session"
"""The session's cookie: browsers take it only with Secure, and without a domain."""
LOCAL_COOKIE = "quorum-session"
"""The same over plain HTTP on this machine."""
LOOK_COOKIE = "quorum-look"
SHORTCUTS_COOKIE = "quorum-shortcuts"
UNSENT_COOKIE = "quorum-unsent"
"""A form came when the session had ended: a page that is loaded anew says so, too."""
THEMES = ("auto", "light", "dark")
_YEAR = 31_536_000
_MINUTE = 60
_SIGNING_OUT = frozenset({"sign-out", "sign-out-everywhere"})
_KEY_LIMIT = 128
_PLACE = re.compile(r"[a-z0-9/_-]{0,200}")


def look_of(request: BrowserRequest) -> Look:
    """The look that the browser's cookies say, or the language that it prefers."""
    letters = shortcuts.read(request.cookies.get(SHORTCUTS_COOKIE, ""))
    language, _, theme = request.cookies.get(LOOK_COOKIE, "").partition(".")
    known: Language
    for known in get_args(Language):
        if language == known:
            return Look(known, theme if theme in THEMES else "auto", letters)
    return Look(preferred(request.headers.get("accept-language", "")), shortcuts=letters)


def cookie(request: BrowserRequest, name: str, value: str, seconds: int) -> str:
    """A cookie that no script reads and no other site sends."""
    secure = "" if request.is_local else "; Secure"
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def token_of(request: BrowserRequest) -> str:
    """The token in the cookie of the session; empty without one."""
    return request.cookies.get(LOCAL_COOKIE if request.is_local else COOKIE, "")


def shortcuts_cookie(request: BrowserRequest, letters: str) -> str:
    """The cookie of the letters of shortcuts; it is kept for a year."""
    return cookie(request, SHORTCUTS_COOKIE, letters, _YEAR)


def session_cookie(request: BrowserRequest, token: str, seconds: int = SESSION_SECONDS) -> str:
    """The cookie of a session; 0 seconds remove it."""
    return cookie(request, LOCAL_COOKIE if request.is_local else COOKIE, token, seconds)


def ask(visit: Visit, *, ended: bool = False, refused: bool = False) -> Answer:
    """The page that asks for a key, as a page of its own: no part of another page takes it in.

    It says if a form came too late, such as a decision whose next content is shown already.
    """
    request = visit.request
    sent = request.method == "POST" and not request.is_by_itself
    lost = ended and sent and request.path not in _SIGNING_OUT
    status = HTTPStatus.FORBIDDEN if refused else HTTPStatus.UNAUTHORIZED
    anew = {"HX-Refresh": "true"} if request.is_by_script else {}
    unsent = lost or UNSENT_COOKIE in request.cookies
    page = visit.page("sign_in.html", ended=ended, refused=refused, unsent=unsent)
    kept = (cookie(request, UNSENT_COOKIE, "1", _MINUTE),) if lost else ()
    return page._replace(status=status, headers=anew, cookies=kept)


def sign_in(visit: Visit) -> Answer:
    """A session for a key; the key itself is kept nowhere."""
    key = visit.request.field("key").strip()
    earlier = token_of(visit.request)
    start = visit.app.sessions.start
    session = start(key, instead_of=earlier) if 0 < len(key) <= _KEY_LIMIT else None
    if session is None:
        return ask(visit, refused=True)
    visit.app.keys.note_use(session.key.key_hash)
    cookies = [session_cookie(visit.request, session.token)]
    if UNSENT_COOKIE in visit.request.cookies:
        cookies.append(cookie(visit.request, UNSENT_COOKIE, "", 0))
    return redirect(visit.request.url("home"), tuple(cookies))


def set_look(visit: Visit) -> Answer:
    """The language and the theme of this browser."""
    language, theme = visit.request.field("language"), visit.request.field("theme")
    place = visit.request.field("place")
    to = place if _PLACE.fullmatch(place) and not place.startswith("/") else "home"
    look = f"{language if language in LANGUAGES else 'en'}.{theme if theme in THEMES else 'auto'}"
    kept = cookie(visit.request, LOOK_COOKIE, look, _YEAR)
    return redirect(visit.request.url(to or "home"), (kept,))


PAGES: Mapping[tuple[str, str], Callable[[Visit], Answer]] = MappingProxyType(
    {
        ("GET", "sign-in"): ask,
        ("POST", "sign-in"): sign_in,
        ("POST", "look"): set_look,
    }
)
"""Method and path → what answers it."""
