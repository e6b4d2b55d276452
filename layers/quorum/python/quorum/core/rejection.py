"""The reason why one item of a batch was rejected, in the form of the API. Pure."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationError
from pydantic.alias_generators import to_snake

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
_PLAIN = MappingProxyType(
    {
        "missing": "is missing",
        "extra_forbidden": "there is no such field",
        **dict.fromkeys(
            ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
            "must be a JSON object",
        ),
        **dict.fromkeys(
            ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
            "must be a list",
        ),
        **dict.fromkeys(("string_type", "string_unicode"), "must be a text"),
        **dict.fromkeys(
            ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
            "must be a whole number",
        ),
        **dict.fromkeys(
            ("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "must be a number"
        ),
        **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
        **dict.fromkeys(
            (
                *("date_type", "date_parsing"),
                *("date_from_datetime_parsing", "date_from_datetime_inexact"),
            ),
            "must be a day, such as 2026-12-31",
        ),
        **dict.fromkeys(
            (
                *("datetime_type", "datetime_parsing", "datetime_from_date_parsing"),
                *("datetime_object_invalid", "timezone_aware"),
            ),
            "must be a time with its zone, such as 2026-12-31T12:00:00Z",
        ),
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "must have at most {max_length} characters",
        "string_pattern_mismatch": "must match {pattern}",
        "too_short": "must have at least {min_length} entries",
        "too_long": "must have at most {max_length} entries",
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "finite_number": "must be a finite number",
        **dict.fromkeys(("enum", "literal_error"), "must be {expected}"),
        "decimal_max_places": "must have at most {decimal_places} decimal places",
        "decimal_max_digits": "must have at most {max_digits} digits",
    }
)
"""Messages in place of pydantic's, which name types of Python, by type of the error."""
_SUBJECT = re.compile(r"^(Value error, |(Input|String|Value|Data|Decimal input) should )")
"""The beginning of those of pydantic's messages that are left."""
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


def plain_message(error: Mapping[str, Any]) -> str:
    """What is wrong, of one of pydantic's errors, in words that every reader of JSON knows."""
    told = _PLAIN.get(str(error["type"]))
    if told is not None:
        message = told.format(**error.get("ctx", {}))
        return message.replace(" 1 characters", " 1 character").replace(" 1 entries", " 1 entry")
    return _SUBJECT.sub(lambda found: "" if "error" in found[0] else "must ", str(error["msg"]))


def _code(field: str) -> str:
    """The code of an invalid field, in snake case also where the field or header is not."""
    return f"invalid_{to_snake(field.split('.', maxsplit=1)[0])}"


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
    code = "unknown_field" if kind == "extra_forbidden" else _code(field or "item")
    if kind == NAME_REPEATED:
        return name_repeated(NameRepeated(str(first["ctx"]["name"])))
    if kind.startswith("json"):
        return Rejection(code="invalid_json", message="not JSON", limit=limit)
    message = plain_message(first)
    if kind == "too_long" and limit == 0:
        message = "is not supported; leave it out"
    return Rejection(
        code=code, message=f"{field}: {message}" if field else message, field=field, limit=limit
    )
