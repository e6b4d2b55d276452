"""Callers' JSON schemas: their limits, and validation of answers against them. Pure.

A schema is not trusted: it may refer neither outside itself nor back to itself, may not grow
without end when its references are followed, and its patterns are matched for a limited time.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from quorum.core.fields import unkeepable

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMA_BYTES = 16 * 1024
"""Bytes of a schema as JSON."""
SCHEMA_PARTS = 2_000
"""Objects and lists in a schema once its references are followed."""
PROBLEMS_LIMIT = 10
"""Problems of one answer that are reported."""
NUMBER_LIMIT = 2**63
"""Size of a number in a schema, whatever its sign: JSON readers everywhere take it."""
_PATTERN_SECONDS = 0.1
_UNKNOWN = "(a property the schema does not name)"
_REFUSED = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "patternProperties")
"""Keywords that refer elsewhere, or match names by the caller's patterns."""
_STRICT = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "description"}
    | {"title", "$schema"}
)
"""Keywords that every provider's strict mode accepts."""


def refused(schema: Mapping[str, Any]) -> str | None:
    """The reason why `schema` is refused; None if it is accepted."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only an extraction needs it
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - as above

    try:
        held = unkeepable(schema, number_limit=NUMBER_LIMIT)
        if held is not None:
            raise _Refused(f"holds {held}")  # noqa: TRY301 handled below, with the others
        if len(json.dumps(schema, ensure_ascii=False).encode(errors="replace")) > SCHEMA_BYTES:
            return f"has more than {SCHEMA_BYTES} bytes"
        Draft202012Validator.check_schema(schema)
        _grown(schema)
    except SchemaError as error:
        path = ".".join(str(part) for part in error.absolute_path)
        return f"is not a JSON schema (at {path or 'its top'})"
    except _Refused as error:
        return str(error)
    except RecursionError:
        return "is nested too deeply"
    if not _describes_object(schema):
        return 'must describe an object ("type": "object", with properties)'
    return None


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    """The parts of `value` that do not satisfy `schema`: each with its path and the rule.

    Quotes neither the value nor names in it that the schema does not have: those come from the
    document, and a model reads these problems as instructions.
    """
    known = set(_property_names(schema))
    return [
        f"{_place(error.absolute_path, known)}: does not satisfy {error.validator}"
        + (f" {json.dumps(error.validator_value)}" if _short(error.validator_value) else "")
        for error in islice(_validator(schema).iter_errors(value), PROBLEMS_LIMIT)
    ]


def _place(path: Iterable[str | int], known: Collection[str]) -> str:
    parts = (str(part) if isinstance(part, int) or part in known else _UNKNOWN for part in path)
    return ".".join(parts) or "the answer"


def _property_names(schema: Any) -> Iterator[str]:
    """Every name that a schema gives to a property, at any depth."""
    if isinstance(schema, list):
        for part in schema:
            yield from _property_names(part)
    elif isinstance(schema, Mapping):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, Mapping) else ()
        for part in schema.values():
            yield from _property_names(part)


def strict(schema: Mapping[str, Any]) -> bool:
    """Whether a provider's strict mode accepts `schema`: all names required, no others allowed."""
    if not set(schema) <= _STRICT:
        return False
    properties = schema.get("properties")
    if properties is not None and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(properties)
    ):
        return False
    parts = [*(properties or {}).values()]
    if "items" in schema:
        parts.append(schema["items"])
    if schema.get("type") == "object" and properties is None:
        return False
    return all(isinstance(part, Mapping) and strict(part) for part in parts)


def _describes_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" and bool(schema.get("properties"))


def _short(rule: Any) -> bool:
    return len(json.dumps(rule)) <= 100  # noqa: PLR2004 a line of text


class _Refused(Exception):
    """The reason why a schema is refused."""


def _grown(schema: Mapping[str, Any]) -> None:
    """Raise `_Refused` for a schema that refers elsewhere or to itself, or grows too large."""
    known: dict[str, int] = {}

    def parts(value: Any, within: tuple[str, ...]) -> int:
        if isinstance(value, list):
            counted = [parts(part, within) for part in value]
        elif isinstance(value, Mapping):
            if found := [name for name in _REFUSED if name in value]:
                raise _Refused(f"must not use {found[0]}")
            counted = [
                referred(part, within) if name == "$ref" else parts(part, within)
                for name, part in value.items()
            ]
        else:
            return 0
        if sum(counted) >= SCHEMA_PARTS:
            raise _Refused(f"has more than {SCHEMA_PARTS} parts")
        return 1 + sum(counted)

    def referred(target: Any, within: tuple[str, ...]) -> int:
        if not isinstance(target, str) or not target.startswith("#/"):
            raise _Refused("must not refer to anything but its own parts (#/…)")
        if target in within:
            raise _Refused("must not refer to itself")
        if target not in known:
            known[target] = parts(_part(schema, target), (*within, target))
        return known[target]

    parts(schema, ())


def _part(schema: Mapping[str, Any], pointer: str) -> Any:
    found: Any = schema
    for name in pointer.removeprefix("#/").split("/"):
        plain = name.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(plain)] if isinstance(found, list) else found[plain]
        except (LookupError, TypeError, ValueError) as error:
            raise _Refused("refers to a part it does not have") from error
    return found


def _validator(schema: Mapping[str, Any]) -> "Validator":
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only an extraction needs it
    from jsonschema.validators import extend  # noqa: PLC0415 - as above
    from referencing import Registry  # noqa: PLC0415 - as above

    may_postpone: Callable[..., Any] = extend(  # type: ignore[no-untyped-call] # its stubs say less
        Draft202012Validator, {"pattern": _pattern}
    )
    validator: Validator = may_postpone(schema, registry=Registry())
    return validator


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Exception]:
    """The rule `pattern` as in jsonschema, but a pattern that takes too long does not match."""
    import regex  # noqa: PLC0415 - as above
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415 - as above

    if not isinstance(instance, str):
        return
    try:
        matched = regex.search(pattern, instance, timeout=_PATTERN_SECONDS)
    except (TimeoutError, regex.error):
        matched = None
    if matched is None:
        yield ValidationError("does not match")


# ---- several answers to one schema -----------------------------------------------------------


def united(answers: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """One object out of those of consecutive pieces, and the paths where they disagree.

    A value wins over null and over a missing one, an earlier value over a later one. Lists are
    united in order, each element once; objects are united field by field.
    """
    merged: dict[str, Any] = {}
    conflicts: dict[str, None] = {}
    for answer in answers:
        _unite(merged, answer, "", conflicts)
    return merged, list(conflicts)


def _unite(
    merged: dict[str, Any], answer: Mapping[str, Any], path: str, conflicts: dict[str, None]
) -> None:
    for name, value in answer.items():
        here = f"{path}.{name}" if path else name
        known = merged.get(name)
        if _says_nothing(known):
            if not _says_nothing(value) or name not in merged:
                merged[name] = _copy(value)
        elif _says_nothing(value):
            continue
        elif isinstance(known, dict) and isinstance(value, Mapping):
            _unite(known, value, here, conflicts)
        elif isinstance(known, list) and isinstance(value, list):
            known += [element for element in value if element not in known]
        elif known != value:
            conflicts[here] = None


def _says_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))
