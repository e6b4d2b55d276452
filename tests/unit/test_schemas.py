"""Schemas of callers: which are accepted, and what answers lack of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.document import schemas


def described(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(3_000):
    DEEP = {"type": "array", "items": DEEP}

DOUBLING: dict[str, Any] = described(a={"$ref": "#/$defs/d0"}) | {
    "$defs": {
        f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(40)
    }
    | {"d40": {"type": "string"}}
}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "must describe an object"),
        ({"type": "string"}, "must describe an object"),
        (described(a={"type": "colour"}), "is not a JSON schema (at properties.a"),
        (described(a={"$ref": "https://example.com/schema.json"}), "anything but its own parts"),
        (described(a={"$ref": "file:///etc/passwd"}), "anything but its own parts"),
        (described(a={"$ref": "#/$defs/none"}), "a part it does not have"),
        (
            described(a={"$ref": "#/$defs/a"}) | {"$defs": {"a": {"$ref": "#/$defs/a"}}},
            "refer to itself",
        ),
        (described(a={"$dynamicRef": "#x"}), "must not use $dynamicRef"),
        (described() | {"patternProperties": {"(a+)+$": {}}}, "must not use patternProperties"),
        (described(a={"enum": ["x" * 20_000]}), "has more than 16384 bytes"),
        (described(a={"enum": ["\ud800"]}), "half a character"),
        (described(**{"\udfff": {}}), "half a character"),
        (described(a={"maximum": 10**5_000}), "a number that is not between"),
        (described(a={"maximum": float("inf")}), "a number that is not between"),
        (described(a={"maximum": float("nan")}), "a number that is not between"),
        (DOUBLING, "has more than 2000 parts"),
    ],
)
def test_a_schema_that_is_not_taken_says_why(schema: dict[str, Any], why: str) -> None:
    assert why in str(schemas.refused(schema))


def test_a_schema_nested_without_end_is_refused() -> None:
    assert schemas.refused(described(a=DEEP)) is not None


def test_an_ordinary_schema_is_taken() -> None:
    schema = described(
        day={"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        sides={"type": "array", "items": {"$ref": "#/$defs/side"}},
    ) | {"$defs": {"side": {"type": "string"}}}
    assert schemas.refused(schema) is None
    assert schemas.problems(schema, {"day": "2026-11-21", "sides": ["a"]}) == []
    assert schemas.problems(schema, {"day": "today", "sides": [1]}) == [
        r'day: does not satisfy pattern "^\\d{4}-\\d\\d-\\d\\d$"',
        'sides.0: does not satisfy type "string"',
    ]


def test_problems_never_quote_the_answer() -> None:
    schema = described(a={"type": "integer"}, b={"enum": ["x"]}) | {"additionalProperties": False}
    answer = {"a": "secret", "b": "secret", "c": "secret"}
    assert "secret" not in " ".join(schemas.problems(schema, answer))
    assert len(schemas.problems(schema, answer)) == 3


def test_a_pattern_that_takes_for_ever_does_not_match() -> None:
    schema = described(a={"type": "string", "pattern": "^(a+)+$"})
    assert schemas.problems(schema, {"a": "a" * 200 + "b"}) != []


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (described(a={"type": "string"}), False),
        (
            described(a={"type": "string"}) | {"required": ["a"], "additionalProperties": False},
            True,
        ),
        (described(a={"type": "string"}) | {"required": [], "additionalProperties": False}, False),
        (
            described(a={"type": "string", "pattern": "x"})
            | {"required": ["a"], "additionalProperties": False},
            False,
        ),
        (
            described(a={"type": "array", "items": {"type": "object"}})
            | {"required": ["a"], "additionalProperties": False},
            False,
        ),
    ],
)
def test_strict_mode_is_asked_for_only_where_every_provider_takes_it(
    schema: dict[str, Any],
    strict: bool,
) -> None:
    assert schemas.strict(schema) is strict


def test_what_the_pieces_say_is_united_and_where_they_disagree_is_told() -> None:
    united, conflicts = schemas.united(
        [
            {"name": None, "sum": 3, "sides": ["a"], "at": {"city": "Seoul"}},
            {"name": "Kim", "sum": 3, "sides": ["a", "b"], "at": {"city": None, "day": 1}},
            {"name": "Lee", "sum": None, "sides": None, "at": {"city": "Busan"}},
        ]
    )
    assert united == {
        "name": "Kim",
        "sum": 3,
        "sides": ["a", "b"],
        "at": {"city": "Seoul", "day": 1},
    }
    assert conflicts == ["name", "at.city"]


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=2), VALUES, max_size=4))
def test_an_object_united_with_itself_says_what_it_said(one: dict[str, Any]) -> None:
    alone, none = schemas.united([one])
    twice, conflicts = schemas.united([one, one])
    assert twice == alone
    assert conflicts == none == []
