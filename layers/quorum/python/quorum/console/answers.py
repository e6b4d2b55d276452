"""Answers of the console: pages, redirects and files, with the headers that every answer has."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # With `no-referrer` the Origin of a form would be "null".
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
"""The headers of every answer."""
KEPT_NOWHERE = "no-store"
KEPT_FOR_EVER = "public, max-age=31536000, immutable"
"""A file's address has the hash of what is in it."""


class Answer(NamedTuple):
    """An answer: status, body and its type, what browsers may keep, and headers of its own."""

    status: HTTPStatus
    body: str
    media_type: str = "text/html; charset=utf-8"
    kept: str = KEPT_NOWHERE
    headers: Mapping[str, str] = MappingProxyType({})
    cookies: tuple[str, ...] = ()

    def with_status(self, status: int) -> "Answer":
        """The same answer with another status."""
        return self._replace(status=HTTPStatus(status))

    def as_proxy(self) -> dict[str, Any]:
        """The answer as API Gateway expects it."""
        sent = {
            "Content-Type": self.media_type,
            "Cache-Control": self.kept,
            **HEADERS,
            **self.headers,
        }
        headers = {name: [value] for name, value in sent.items()}
        if self.cookies:
            headers["Set-Cookie"] = list(self.cookies)
        return {
            "statusCode": self.status.value,
            "multiValueHeaders": headers,
            "body": self.body,
            "isBase64Encoded": False,
        }


def redirect(url: str, cookies: tuple[str, ...] = ()) -> Answer:
    """See another page, by GET."""
    return Answer(HTTPStatus.SEE_OTHER, "", headers={"Location": url}, cookies=cookies)
