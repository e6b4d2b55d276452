"""The reason why one item of many was not taken, in the words of the API. Pure."""

from typing import Any

from pydantic import Field, ValidationError

from quorum.core.models import Frozen, is_none


class Rejection(Frozen):
    """Why an item was not taken: which field, and what of it. Never quotes content."""

    code: str
    message: str
    field: str | None = Field(default=None, exclude_if=is_none)
    limit: Any = Field(default=None, exclude_if=is_none)


_LIMITS = (
    *("max_length", "min_length", "le", "ge", "lt", "gt", "pattern", "expected"),
    *("decimal_places", "max_digits"),
)


def rejection(error: ValidationError, *, skip: int = 0) -> Rejection:
    """The first thing wrong with an item that stands `skip` levels down in what was validated."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"][skip:]) or None
    kind = str(first["type"])
    limit = next((first["ctx"][name] for name in _LIMITS if name in first.get("ctx", {})), None)
    code = (
        "unknown_field"
        if kind == "extra_forbidden"
        else f"invalid_{(field or 'item').split('.')[0]}"
    )
    if kind.startswith("json"):
        code, field = "invalid_json", None
    message = str(first["msg"]).removeprefix("Value error, ")
    return Rejection(
        code=code,
        message=f"{field}: {message}"
        if field
        else ("not JSON" if code == "invalid_json" else message),
        field=field,
        limit=limit,
    )
