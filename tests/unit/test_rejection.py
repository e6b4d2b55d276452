"""Tests of what a request's fields refuse, and of how much of them a rejection repeats."""

import math

import pytest
from pydantic import ValidationError
from quorum.core.rejection import Rejection, rejection
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
