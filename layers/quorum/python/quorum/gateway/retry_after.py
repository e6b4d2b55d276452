"""The pause that a gateway asks for, in all the forms it may have. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h)?")
_UNITS = {None: 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}
_RETRY_INFO = "RetryInfo"
_LONGEST_SECONDS = 86_400.0
"""Seconds to wait at most, whatever a gateway asks for."""


def seconds(headers: Mapping[str, str], errors: Iterable[Mapping[str, Any]] = ()) -> float | None:
    """Seconds to wait, a day at most; None if none are stated readably.

    From the headers `retry-after-ms` (OpenAI) and `retry-after` (RFC 9110, 10.2.3: seconds or an
    HTTP date; also `20s`), else from Google's `RetryInfo` among an error's details.
    """
    wait = _said(headers, errors)
    return None if wait is None else min(wait, _LONGEST_SECONDS)


def _said(headers: Mapping[str, str], errors: Iterable[Mapping[str, Any]]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    written = headers.get("retry-after")
    if written is not None:
        known = _number(written)
        known = _duration(written) if known is None else known
        return _until(written) if known is None else known
    return next((wait for error in errors if (wait := _of_details(error)) is not None), None)


def _number(written: object) -> float | None:
    try:
        number = float(written) if isinstance(written, str) else math.nan
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _duration(written: object) -> float | None:
    found = _DURATION.fullmatch(written.strip()) if isinstance(written, str) else None
    return None if found is None else float(found[1]) * _UNITS[found[2]]


def _until(written: str) -> float | None:
    try:
        at = parsedate_to_datetime(written)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        left = (at - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, left)


def _of_details(error: Mapping[str, Any]) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(_RETRY_INFO):
            return _duration(detail.get("retryDelay"))
    return None
