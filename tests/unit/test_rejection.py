"""Tests of what a request's fields refuse, and of how much of them a rejection repeats."""

import math
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError
from quorum.core.json_types import NUMBER, WHOLE_NUMBER, Day, Moment, TrueOrFalse
from quorum.core.rejection import Rejection, plain_message, rejection
from quorum.vote.requests import VerdictRequest


def _rejected(given: dict[str, object]) -> Rejection:
    with pytest.raises(ValidationError) as caught:
        VerdictRequest.model_validate(given)
    return rejection(caught.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("cut \ud83d", "surrogate"),
        ("\udfff", "surrogate"),
        (10**38, "38 digits"),
        (-(10**4999), "38 digits"),
        (math.inf, "finite"),
        (-math.inf, "finite"),
        (math.nan, "finite"),
    ],
    ids=["high half", "low half", "39 digits", "5000 digits", "infinity", "minus infinity", "nan"],
)
def test_metadata_that_cannot_be_stored_is_rejected_with_field_and_limit(
    value: object, reason: str
) -> None:
    rejected = _rejected({"content": "hello", "metadata": {"a": value}})
    assert rejected.code == "invalid_metadata"
    assert rejected.field == "metadata.a"
    assert reason in rejected.message


@pytest.mark.parametrize("value", ["whole 😀", 10**38 - 1, -1.5, True, None])
def test_metadata_that_can_be_stored_is_kept(value: object) -> None:
    request = VerdictRequest.model_validate({"content": "hello", "metadata": {"a": value}})
    assert request.metadata == {"a": value}


@pytest.mark.parametrize("item", [None, "text", 7, [], ["text"], True])
def test_an_item_that_is_no_object_is_called_so(item: object) -> None:
    with pytest.raises(ValidationError) as caught:
        VerdictRequest.model_validate(item)
    assert rejection(caught.value) == Rejection(
        code="invalid_item", message="must be a JSON object"
    )


@pytest.mark.parametrize(
    ("metadata", "field"),
    [([], "metadata"), ({"": 1}, "metadata"), ({"n" * 65: 1}, f"metadata.{'n' * 64}…")],
)
def test_a_field_is_named_as_its_caller_knows_it(metadata: object, field: str) -> None:
    assert _rejected({"content": "hello", "metadata": metadata}).field == field


@pytest.mark.parametrize("name", ["x" * 250_000, "한" * 250_000], ids=["latin", "korean"])
def test_a_rejection_repeats_little_of_a_long_field_name(name: str) -> None:
    rejected = _rejected({"content": "hello", name: 1})
    assert rejected.code == "unknown_field"
    assert len(rejected.model_dump_json().encode()) < 1_000


def test_a_field_name_with_half_a_surrogate_pair_can_be_written_as_utf_8() -> None:
    rejected = _rejected({"content": "hello", "metadata": {"\ud83d": 1}})
    assert rejected.model_dump_json().encode()


class Every(BaseModel):
    """A field of every kind."""

    texts: tuple[str, ...] = ()
    count: Annotated[int, Field(ge=1, le=9), WHOLE_NUMBER] = 1
    share: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.5
    on: TrueOrFalse = False
    day: Day | None = None
    moment: Moment | None = None
    named: dict[str, int] = Field(default_factory=dict, max_length=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": "x"}, "texts: must be a list"),
        ({"texts": [7]}, "texts.0: must be a text"),
        ({"count": "5"}, "count: must be a whole number"),
        ({"count": True}, "count: must be a whole number"),
        ({"count": 1.5}, "count: must be a whole number"),
        ({"count": 0}, "count: must be at least 1"),
        ({"count": 10}, "count: must be at most 9"),
        ({"share": "0.5"}, "share: must be a number"),
        ({"share": True}, "share: must be a number"),
        ({"share": 1}, "share: must be less than 1.0"),
        ({"on": 1}, "on: must be true or false"),
        ({"on": "true"}, "on: must be true or false"),
        ({"day": 0}, "day: must be a day, such as 2026-12-31"),
        ({"day": "0"}, "day: must be a day, such as 2026-12-31"),
        *(
            (
                {"moment": moment},
                "moment: must be a time with its zone, such as 2026-12-31T12:00:00Z",
            )
            for moment in (1_900_000_000, "1900000000", 1.5, True, "2030-01-01T00:00:00", "soon")
        ),
        ({"named": {"a": 1, "b": 2}}, "named: must have at most 1 entry"),
        ({"named": []}, "named: must be a JSON object"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_words_of_json(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Every.model_validate(given)
    assert rejection(caught.value).message == message


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert Every.model_validate({"count": 5.0}).count == 5


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("Input should be a valid URL", "must be a valid URL"),
        ("Value error, must match RE2", "must match RE2"),
        ("give either, not both", "give either, not both"),
    ],
)
def test_what_has_no_words_of_ours_begins_as_they_do(message: str, plain: str) -> None:
    assert plain_message({"type": "another", "msg": message}) == plain
