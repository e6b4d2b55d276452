"""The finish reasons of all vendors, as one enumeration. Pure."""

import re
from enum import StrEnum


class Finish(StrEnum):
    """The end of an answer; the values are the OpenAI API's words if it has one.

    `WHOLE` is a regular end, or none stated. Any other answer is not whole: `CUT` reached the limit
    of tokens; `FILTERED` was stopped by a safety filter; `CALLED` asks for a tool call; `FAILED` is
    a failure of the vendor, which may pass; `OTHER` is any other end.
    """

    WHOLE = "stop"
    CUT = "length"
    FILTERED = "content_filter"
    CALLED = "tool_calls"
    FAILED = "error"
    OTHER = "other"


_SEPARATORS = re.compile(r"[\W_]+")
_NAMED = {
    **dict.fromkeys(
        ("stop", "end turn", "stop sequence", "eos", "eos token", "complete", "completed", "done"),
        Finish.WHOLE,
    ),
    **dict.fromkeys(
        (
            "length",
            "max tokens",
            "max output tokens",
            "max length",
            "model length",
            "model context window exceeded",
        ),
        Finish.CUT,
    ),
    **dict.fromkeys(("tool calls", "tool call", "tool use", "function call"), Finish.CALLED),
}
_FAILURES = re.compile(
    r"^error$|resource|abort|cancel|overload|timeout|timed out|server|unavailable|internal|network"
)
"""Vendors' words for their own failures: DeepSeek's insufficient_system_resource, …"""
_FILTERS = re.compile(
    r"filter|safety|recitation|blocklist|prohibited|\bspii\b|sensitive|refusal|refused|moderation"
    r"|guardrail|blocked|toxic|inspection|policy|\brisk\b"
)
"""Words of vendors' safety filters: Azure and OpenAI (content_filter), Gemini (SAFETY, RECITATION,
BLOCKLIST, PROHIBITED_CONTENT, SPII, IMAGE_SAFETY), Anthropic (refusal), Zhipu (sensitive), Bedrock
(guardrail_intervened, content_filtered)."""


def finish(reason: object) -> Finish:
    """The meaning of a gateway's finish reason; spelling and text after a colon do not matter."""
    if reason is None:
        return Finish.WHOLE
    if not isinstance(reason, str):
        return Finish.OTHER
    spelled = _SEPARATORS.sub(" ", reason).strip().casefold()
    if not spelled:
        return Finish.WHOLE
    named = _NAMED.get(spelled)
    if named is not None:
        return named
    if _FILTERS.search(spelled):
        return Finish.FILTERED
    return Finish.FAILED if _FAILURES.search(spelled) else Finish.OTHER
