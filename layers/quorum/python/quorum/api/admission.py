"""The admission of a request, before it is read: scope, origin, and the limits of its key.

What is learned is told in headers. `RateLimit-Limit`, `-Remaining` and `-Reset` are those of the
IETF draft (draft-ietf-httpapi-ratelimit-headers, up to version 07), the form that clients and
proxies read today; later versions put the same into one structured field. `X-RateLimit-…-Requests`
are OpenAI's, which its clients know. Seconds are whole and rounded up.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from quorum.api.access import ACCESS, WITHOUT_KEY
from quorum.api.callers import caller_of, key_hash_of
from quorum.api.perspective import refusal_of_key
from quorum.aws.keys import REFUSED
from quorum.core.errors import NotAllowed, NotFound, RateLimited
from quorum.core.scopes import require_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.aws.key_limits import KeyLimits
    from quorum.aws.keys import Caller

RATE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "RateLimit-Limit": "The requests of the limit that is nearer: of a minute, or of a month.",
        "RateLimit-Remaining": "The requests that are left of it.",
        "RateLimit-Reset": "Seconds until all of them are left again.",
        "X-RateLimit-Limit-Requests": "As `RateLimit-Limit`, under the name OpenAI's clients know.",
        "X-RateLimit-Remaining-Requests": "As `RateLimit-Remaining`.",
        "X-RateLimit-Reset-Requests": "As `RateLimit-Reset`, with its unit: `12s`.",
    }
)
"""The headers of answers to a key that has a limit, and their meaning."""
RETRY_AFTER = "Retry-After"


class Admission:
    """One request's admission; `headers` are those of its answer, whatever that is."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self.headers: dict[str, str] = {}

    def check(self, opened: "Callable[[], KeyLimits]") -> None:
        """Let the request in; that of a key with a limit is counted, by the `opened` counts.

        Raises `NotFound` for a route that is not listed, `NotAllowed` for a missing scope or a
        wrong origin, `RateLimited`, `StoreUnavailable` if the request cannot be counted, and what
        Google says of a key that API Gateway's authorizer left to be refused here.
        """
        route = f"{self._event['httpMethod']} {self._event['resource']}"
        if route in WITHOUT_KEY:
            return
        refused = self._event["requestContext"]["authorizer"].get(REFUSED)
        if refused is not None:
            self.headers["Access-Control-Allow-Origin"] = "*"  # as API Gateway's own refusals
            raise refusal_of_key(refused)
        caller = caller_of(self._event)
        self._require_origin(caller)
        if route not in ACCESS:
            raise NotFound("there is nothing at this address", code="no_such_route")
        if ACCESS[route]:
            require_one(caller.effective_scopes, ACCESS[route])
        if caller.requests_per_minute is None and caller.requests_per_month is None:
            return
        try:
            left = opened().take(
                key_hash_of(self._event),
                per_minute=caller.requests_per_minute,
                per_month=caller.requests_per_month,
            )
        except RateLimited as error:
            self.headers |= _rate(error.limit, 0, _whole(error.retry_after_seconds))
            raise
        if left is not None:
            self.headers |= _rate(*left)

    def _require_origin(self, caller: "Caller") -> None:
        """Refuse another origin than the key's; a browser may read the answer of its own."""
        if caller.allowed_origin is None:
            return
        sent = {name.lower(): value for name, value in (self._event.get("headers") or {}).items()}
        if sent.get("origin") != caller.allowed_origin:
            raise NotAllowed(
                "this key may only be sent by pages of its own origin",
                code="origin_not_allowed",
                field="Origin",
                limit=caller.allowed_origin,
            )
        exposed = (RETRY_AFTER, *RATE_HEADERS)
        self.headers |= {
            "Access-Control-Allow-Origin": caller.allowed_origin,
            "Access-Control-Expose-Headers": ", ".join(exposed),
            "Vary": "Origin",
        }


def _rate(limit: int, remaining: int, reset_seconds: int) -> dict[str, str]:
    values = (str(limit), str(remaining), str(reset_seconds))
    told = (*values, *values[:2], f"{reset_seconds}s")
    return dict(zip(RATE_HEADERS, told, strict=True))


def _whole(seconds: float) -> int:
    return int(-(-seconds // 1))
