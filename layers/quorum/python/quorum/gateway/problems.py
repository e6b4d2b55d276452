"""The meaning of a gateway's errors, in all the forms they have. Pure.

Errors come as OpenAI's `{"error": {…}}`, as a list of such (Gemini), flat (older vLLM), as
`{"detail": …}` (DeepSeek, FastAPI), nested once more (proxies), as `base_resp` (MiniMax); with a
status, or inside an answer of status 200. Their messages may quote the content: they are searched
for the words of vendors' filters, and never shown.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from quorum.gateway import retry_after

_DEPTH = 4
"""Levels of nested errors that are searched."""
_MESSAGE_CHARACTERS = 2_000
_BAD_REQUEST, _DENIED, _TOO_LARGE, _UNPROCESSABLE, _THROTTLED = 400, 403, 413, 422, 429
_SERVER_ERRORS = 500
_OF_THE_KEY = frozenset({401, 402})
_OF_THE_LENGTH = frozenset({_BAD_REQUEST, _TOO_LARGE, _UNPROCESSABLE})
_OF_THE_PROMPT = frozenset({_BAD_REQUEST, _DENIED, 404, 406, _TOO_LARGE, _UNPROCESSABLE, 451})
_MESSAGES = ("message", "detail", "msg")
"""Fields that hold an error's message, also if the error is the whole body."""
_TELLING = frozenset(("error", "base_resp", "success", *_MESSAGES))
"""Fields by which an answer of status 200 may say that it failed, beside its `object`."""
_CODE = re.compile(r"[\w.:-]{1,64}")
_LETTERS = re.compile(r"[\W_]+")


class Kind(StrEnum):
    """The kind of an error, which decides what to do about it."""

    BLOCKED = "blocked"
    """A safety filter refused the prompt or the answer: a refusal, never a reason to try again."""
    TOO_LONG = "too_long"
    THROTTLED = "throttled"
    DOWN = "down"
    """The gateway or its model is down: another base URL may not be."""
    PASSING = "passing"
    """Worth another try at the same base URL."""
    REJECTED = "rejected"
    """This request is refused; others may be accepted."""
    DENIED = "denied"
    """Any request is refused until an operator repairs something: key, credit, rights, address."""


_KINDS = {
    _BAD_REQUEST: Kind.REJECTED,
    _UNPROCESSABLE: Kind.REJECTED,
    **dict.fromkeys((408, 409, 425), Kind.PASSING),
}
"""The meaning of a status by itself; any other below 500 is `DENIED`."""


class Problem(NamedTuple):
    """An error: `said` is the status and the gateway's short name of it, safe to show."""

    kind: Kind
    status: int
    said: str
    retry_after_seconds: float | None = None


_BLOCKED_CODE = re.compile(
    r"contentfilter|contentpolicy|responsibleai|datainspection|moderation|prohibitedcontent"
    r"|policyviolation|usagepolicy|invalidprompt|sensitive|safety|blocklist|guardrail|inappropriate"
    r"|jailbreak|flagged|contentblocked|promptblocked|contentexistsrisk|hooksfailed"
)
"""Codes and types, letters and digits only: OpenAI, Azure, Qwen, Zhipu, MiniMax, Gemini, …"""
_BLOCKED_CODES = frozenset({"1301", "1026", "1027"})
"""Zhipu's number for unsafe content; MiniMax's for input and for output."""
_BLOCKED_MESSAGE = re.compile(
    r"content exists risk|content management policy|responsibleaipolicy|content ?policy ?violation"
    r"|inappropriate content|prohibited content|considered high risk|our safety system"
    r"|safety_check|content violates|content blocked|content[_ ]filter|data_inspection_failed"
    r"|datainspectionfailed"
    r"|(?:violat\w*|against) (?:\w+ ){0,4}polic|blocked (?:by|due to|because of) (?:\w+ ){0,3}"
    r"(?:safety|filter|policy|moderation|guardrail)|flagged (?:by|as|for)|prohibited_content"
    r"|不安全或敏感|敏感内容",
    re.IGNORECASE,
)
_SURELY_BLOCKED_MESSAGE = re.compile(
    r"content exists risk|responsibleaipolicyviolation|contentpolicyviolation"
    r"|data_inspection_failed|datainspectionfailed",
    re.IGNORECASE,
)
"""Words of a refusal that count also if a proxy turns it into a server error."""
_OF_THE_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|project|team|user|api key)\b(?:\W+\w+){0,4}?\W+"
    r"(?:block|suspend|disabl|terminat|deactivat|ban|restrict)",
    re.IGNORECASE,
)
"""Words of a vendor that has shut a customer out: an operator must see to it, whatever the text."""
_REFUSED_KEY = re.compile(r"api key (?:not valid|expired|is invalid|not found)", re.IGNORECASE)
"""Gemini's words for a wrong key, which it answers with status 400."""
_TOO_LONG_CODE = re.compile(
    r"contextlength|stringabovemaxlength|exceedcontextsize|contextwindow|prompttoolong"
    r"|requesttoolarge|toomanytokens|maxtokensexceeded"
)
_TOO_LONG_MESSAGE = re.compile(
    r"(?:maximum|max|model's) context (?:length|size|window)|context (?:length|window) exceeded"
    r"|exceeds? (?:\w+ ){0,6}(?:context|token|length)|prompt is too long|too many (?:input )?tokens"
    r"|token count (?:\([^)]*\) )?exceeds",
    re.IGNORECASE,
)
_MINIMAX = {"1002": _THROTTLED, "1039": _THROTTLED, "1004": 401, "2049": 401, "1008": 402}
"""The status by the number in a `base_resp`."""
_THROTTLED_MESSAGE = re.compile(r"rate.?limit|too many requests|capacity", re.IGNORECASE)
"""Words of throttling, for errors inside an answer of status 200 that name no code."""
_NO_CREDIT = re.compile(r"insufficientquota|insufficientbalance|billing|creditbalance|arrearage")
_NAMED_STATUSES = (
    (re.compile(r"ratelimit|toomanyrequests|resourceexhausted|throttl"), _THROTTLED),
    (re.compile(r"authentication|invalidapikey|unauthori[sz]ed|unauthenticated"), 401),
    (re.compile(r"permissiondenied|forbidden"), 403),
    (re.compile(r"notfound"), 404),
    (re.compile(r"invalidrequest|invalidargument|badrequest|failedprecondition"), 400),
    (re.compile(r"overloaded|unavailable|servererror|internalerror|internal$|timeout"), 503),
)
"""The status by an error's code or type, for errors inside an answer of status 200."""


def parsed(body: bytes | str) -> Any:
    """The JSON in `body`; raises `ValueError` if it is not JSON or is nested too deeply.

    Bytes that are no text are read as U+FFFD, as in a stream.
    """
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        return parsed(bytes(body).decode(errors="replace") if not isinstance(body, str) else "")
    except RecursionError:
        raise ValueError("nested too deeply") from None


def of_status(status: int, body: bytes, headers: Mapping[str, str]) -> Problem:
    """The problem of an answer with any status but 200."""
    try:
        read = parsed(body)
    except ValueError:
        read = None
    return _problem(status, read, headers)


def inside(read: object) -> Problem | None:
    """The problem inside an answer of status 200; None if there is none."""
    error = read[0] if isinstance(read, list) and read else read
    if not isinstance(error, dict):
        return None
    if _failed(error):
        return _problem(None, read, {})
    return _of_choice(error.get("choices"))


def _failed(error: Mapping[str, Any]) -> bool:
    """Whether an answer of status 200 says that it failed."""
    if error.get("object") == "error":
        return True
    if _TELLING.isdisjoint(error):  # as in most answers, and chunks of them
        return False
    base = error.get("base_resp")
    failed = isinstance(base, dict) and base.get("status_code") not in (0, None)
    failed = failed or error.get("success") is False
    flat = "choices" not in error and any(_is_text(error.get(name)) for name in _MESSAGES)
    return bool(error.get("error")) or failed or flat


def _of_choice(choices: object) -> Problem | None:
    """The problem inside the first choice, where OpenRouter puts that of a vendor."""
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not choice.get("error"):
        return None
    return _problem(None, choice, {})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def in_event(read: object) -> Problem:
    """The problem in the data of an event named `error`."""
    return _problem(None, read, {})


def _problem(status: int | None, read: object, headers: Mapping[str, str]) -> Problem:
    errors = list(_errors(read))
    codes = [_letters(code) for error in errors for code in _names(error)]
    messages = " ".join(_messages(errors))[:_MESSAGE_CHARACTERS]
    known = _status_inside(errors, codes, messages) if status is None else status
    kind = _kind(known, codes, messages, reasons=any(_has_reasons(error) for error in errors))
    said = f"{known} {_code(read)}".strip()
    return Problem(kind, known, said, retry_after.seconds(headers, errors))


def _kind(status: int, codes: list[str], messages: str, *, reasons: bool) -> Kind:
    if status == _THROTTLED:
        unpaid = any(_NO_CREDIT.search(code) for code in codes)
        return Kind.DENIED if unpaid else Kind.THROTTLED
    refused = _refused(status, codes, messages, reasons=reasons)
    if refused is not None:
        return refused
    if status in _OF_THE_LENGTH and (
        status == _TOO_LARGE
        or any(_TOO_LONG_CODE.search(code) for code in codes)
        or _TOO_LONG_MESSAGE.search(messages)
    ):
        return Kind.TOO_LONG
    if status >= _SERVER_ERRORS:
        return Kind.DOWN
    return _KINDS.get(status, Kind.DENIED)


def _refused(status: int, codes: list[str], messages: str, *, reasons: bool) -> Kind | None:
    """Whether this prompt is refused by a filter, or the customer; a filter's code says most."""
    if status in _OF_THE_KEY:
        return Kind.DENIED
    if any(_BLOCKED_CODE.search(code) or code in _BLOCKED_CODES for code in codes):
        return Kind.BLOCKED
    if status < _SERVER_ERRORS and _is_denied(codes, messages):
        return Kind.DENIED
    return Kind.BLOCKED if _is_blocked(status, messages, reasons=reasons) else None


def _is_denied(codes: list[str], messages: str) -> bool:
    """Whether the customer is refused, by credit, by key or altogether, and not this prompt."""
    unpaid = any(_NO_CREDIT.search(code) for code in codes)
    return unpaid or bool(_OF_THE_ACCOUNT.search(messages) or _REFUSED_KEY.search(messages))


def _is_blocked(status: int, messages: str, *, reasons: bool) -> bool:
    """Whether a safety filter refused in words; in a server error only unmistakable ones count."""
    if status in _OF_THE_PROMPT and (reasons or _BLOCKED_MESSAGE.search(messages)):
        return True
    return _SURELY_BLOCKED_MESSAGE.search(messages) is not None


def _errors(read: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The objects of an error that may describe it, the outermost first."""
    if depth > _DEPTH:
        return
    if isinstance(read, list):
        for one in read[:_DEPTH]:
            yield from _errors(one, depth + 1)
    elif isinstance(read, dict):
        yield read
        for name in (
            "error",
            "innererror",
            "inner_error",
            "metadata",
            "detail",
            "base_resp",
            "message",
            "errors",
        ):
            yield from _errors(read.get(name), depth + 1)


def _names(error: Mapping[str, Any]) -> Iterator[str]:
    for name in ("code", "type", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield str(value)[:_MESSAGE_CHARACTERS]


def _messages(errors: list[Mapping[str, Any]]) -> Iterator[str]:
    for error in errors:
        for name in (*_MESSAGES, "error", "status_msg", "raw"):
            value = error.get(name)
            if isinstance(value, str):
                yield value[:_MESSAGE_CHARACTERS]


def _has_reasons(error: Mapping[str, Any]) -> bool:
    """Whether an error states why a content was flagged, as OpenRouter and Azure do."""
    return any(error.get(name) for name in ("flagged_input", "reasons", "content_filter_result"))


def _status_inside(errors: list[Mapping[str, Any]], codes: list[str], messages: str) -> int:
    for error in errors:
        if "status_msg" in error and str(error.get("status_code")) in _MINIMAX:
            return _MINIMAX[str(error["status_code"])]
        for name in ("code", "status", "status_code"):
            value = str(error.get(name))
            if value.isascii() and value.isdigit() and 400 <= int(value[:4]) < 600:  # noqa: PLR2004 - HTTP
                return int(value[:4])
    for pattern, status in _NAMED_STATUSES:
        if any(pattern.search(code) for code in codes):
            return status
    return _THROTTLED if _THROTTLED_MESSAGE.search(messages) else _SERVER_ERRORS


def _letters(code: str) -> str:
    return _LETTERS.sub("", code).casefold()


def _code(read: object) -> str:
    """The first short name among the errors, the envelope's last; a bare status does not count."""
    envelope, *errors = list(_errors(read)) or [{}]
    for error in (*errors, envelope):
        for name in ("code", "type", "status"):
            value = error.get(name)
            if isinstance(value, str) and not value.isdigit() and _CODE.fullmatch(value):
                return value
    return ""
