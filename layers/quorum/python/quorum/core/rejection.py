"""The reason why one item of a batch was rejected, in the form of the API. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from quorum.core.json_names import NameRepeated
from quorum.core.models import Frozen, is_none


class Rejection(Frozen):
    """The reason for rejecting an item, with the faulty field. Never quotes content."""

    code: str
    message: str
    field: str | None = Field(default=None, exclude_if=is_none)
    limit: Any = Field(default=None, exclude_if=is_none)


_LIMITS = (
    *("max_length", "min_length", "le", "ge", "lt", "gt", "pattern", "expected"),
    *("decimal_places", "max_digits", "limit"),
)


ALTERNATIVE = "|"
"""What the tag of an alternative of a union begins with: it is no part of a field's path."""
_KEY = "[key]"
"""What pydantic adds to the path of a name that is invalid: the name's own part says it."""
_PLAIN = {
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}
"""Messages in place of pydantic's, which name types of Python."""
NAME_REPEATED = "name_repeated"
"""Code of an item, and type of pydantic's error, where an object has a name twice."""
FIELD_PART_LIMIT = 64
"""Characters repeated of one field's name: a caller may send a name of any length."""


def shown(part: str | int) -> str:
    """The part of a field's path, short enough to store and without lone surrogates."""
    name = str(part)
    if len(name) > FIELD_PART_LIMIT:
        name = name[:FIELD_PART_LIMIT] + "…"
    return name.encode(errors="replace").decode()


def name_repeated(error: NameRepeated) -> Rejection:
    """The rejection of an item in which an object has a name twice."""
    field = shown(error.name)
    message = f"{field}: stands twice in one object; only one of the two could count"
    return Rejection(code=NAME_REPEATED, message=message, field=field)


def rejection(error: ValidationError, *, skip: int = 0) -> Rejection:
    """The first error of an item that is `skip` levels down in the validated data."""
    return rejection_of(error.errors(include_input=False, include_url=False)[0], skip=skip)


def rejection_of(first: Mapping[str, Any], *, skip: int = 0) -> Rejection:
    """One of pydantic's errors, of an item that is `skip` levels down in the validated data.

    A check of several fields names the one to change in the error's context.
    """
    path = [
        part
        for part in first["loc"][skip:]
        if part not in {"", _KEY} and not str(part).startswith(ALTERNATIVE)
    ]
    path += [named] if isinstance(named := first.get("ctx", {}).get("field"), str) else []
    field = ".".join(map(shown, path)) or None
    kind = str(first["type"])
    limit = next((first["ctx"][name] for name in _LIMITS if name in first.get("ctx", {})), None)
    code = (
        "unknown_field"
        if kind == "extra_forbidden"
        else f"invalid_{(field or 'item').split('.')[0]}"
    )
    if kind == NAME_REPEATED:
        return name_repeated(NameRepeated(str(first["ctx"]["name"])))
    if kind.startswith("json"):
        return Rejection(code="invalid_json", message="not JSON", limit=limit)
    message = _PLAIN.get(kind) or str(first["msg"]).removeprefix("Value error, ")
    if kind == "too_long" and limit == 0:
        message = "is not supported; leave it out"
    return Rejection(
        code=code, message=f"{field}: {message}" if field else message, field=field, limit=limit
    )
