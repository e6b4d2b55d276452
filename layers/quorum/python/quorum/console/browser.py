"""Requests of browsers: forms, cookies, addresses, and whether our own page sent them. Pure."""

import base64
import binascii
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from quorum.core.errors import InvalidRequest, TooLarge
from quorum.core.models import Frozen

FORM_LIMIT = 512 * 1024
"""Bytes of a form: a text of full length, each character escaped as three, fits."""
FIELDS_LIMIT = 100
"""Fields of a form."""
_DIGITS = 18
"""Digits of a number in a form."""
ROOT = "/console"
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


class BrowserRequest(Frozen):
    """A request: `path` is that within the console, such as `review/3f2a`.

    `asked` are the parameters behind the path. `depth` counts the slashes after `/console`, from
    which links to other pages are made: they hold whatever a stage or a domain puts before.
    """

    method: str
    path: str
    depth: int
    asked: dict[str, str]
    form: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    cookies: dict[str, str]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """The request in API Gateway's event; raises `InvalidRequest` and `TooLarge`."""
        headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
        within = str(event["path"]).partition(ROOT)[2]
        return cls(
            method=str(event["httpMethod"]),
            path=within.strip("/"),
            depth=within.count("/"),
            asked={
                name: str(value)
                for name, value in (event.get("queryStringParameters") or {}).items()
            },
            form=_form(event),
            headers=headers,
            cookies=_cookies(headers.get("cookie", "")),
        )

    def url(self, path: str, **query: str | None) -> str:
        """The address of a page of the console, relative to this one."""
        up = f"{ROOT.strip('/')}/" if self.depth == 0 else "../" * (self.depth - 1) or "./"
        given = {name: value for name, value in query.items() if value}
        return f"{up}{path}" + (f"?{urlencode(given)}" if given else "")

    @property
    def is_by_script(self) -> bool:
        """Whether htmx asks: it takes the page that a redirect leads to, and where that is."""
        return "hx-request" in self.headers

    def led_to(self, url: str) -> Self:
        """The request that a browser sends next if this one is answered with a redirect to `url`.

        `url` is one that `url()` made.
        """
        slashes = "/" * (self.depth - self.path.count("/") - 1)
        to = urlsplit(urljoin(f"{ROOT}/{self.path}{slashes}", url))
        within = to.path.removeprefix(ROOT)
        return self.model_copy(
            update={
                "method": "GET",
                "path": within.strip("/"),
                "depth": within.count("/"),
                "asked": dict(parse_qsl(to.query)),
                "form": (),
            }
        )

    def field(self, name: str, default: str = "") -> str:
        """The field of the form with that name."""
        return dict(self.form).get(name, default)

    def number(self, name: str) -> int | str:
        """The whole number in a field of the form; what is none, as it was typed."""
        typed = self.field(name).strip()
        short = len(typed) <= _DIGITS and typed.isascii() and typed.isdigit()
        return int(typed) if short else typed

    def fields(self, name: str) -> tuple[str, ...]:
        """All fields of the form with that name."""
        return tuple(value for key, value in self.form if key == name)

    @property
    def is_local(self) -> bool:
        """Whether the browser speaks plain HTTP with this machine, as with the local stack."""
        host = urlsplit(f"//{self.headers.get('host', '')}").hostname or ""
        plain = self.headers.get("x-forwarded-proto", "http") != "https"
        return plain and (host in _LOCAL or f"[{host}]" in _LOCAL)

    @property
    def is_by_itself(self) -> bool:
        """Whether a page asks again by itself, without anybody at it."""
        return "quorum-background" in self.headers

    @property
    def is_our_own(self) -> bool:
        """Whether a page of ours sent it: by `Sec-Fetch-Site`, by `Origin` in older browsers."""
        site = self.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(self.headers.get("origin", ""))
        secure = origin.scheme == "https" or (origin.scheme == "http" and self.is_local)
        return secure and origin.netloc == self.headers.get("host")


def _form(event: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    body = str(event.get("body") or "")
    if len(body) > FORM_LIMIT * 2:
        raise _too_large()
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True).decode()
        if len(body.encode()) > FORM_LIMIT:
            raise _too_large()
        read = parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS_LIMIT, errors="strict")
    except (binascii.Error, ValueError) as error:
        message = "the form cannot be read"
        raise InvalidRequest(message, code="invalid_form", field="body") from error
    # Browsers end lines with two characters in forms, whatever was typed.
    return tuple((name, value.replace("\r\n", "\n")) for name, value in read)


def _too_large() -> TooLarge:
    message = f"the form is larger than {FORM_LIMIT} bytes"
    return TooLarge(message, code="body_too_large", field="body", limit=FORM_LIMIT)


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
