"""The fields of every request take JSON's own kinds: neither "1" nor true is a number."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from functions.api.app import routes as api
from functions.estimate.app import routes as estimate
from functions.webhooks.app import routes as webhooks
from tests import openapi
from tests.template import ROOT

GOOGLES = {"AttributeParameters", "SuggestedScore", "SuggestedSpan"}
"""In Google's JSON a number may be written as text."""


def within(annotation: Any, found: dict[str, type[BaseModel]]) -> None:
    """Collect the models that an annotation holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation.__name__ in found:
            return
        found[annotation.__name__] = annotation
        for field in annotation.model_fields.values():
            within(field.annotation, found)
    for part in get_args(annotation):
        within(part, found)


def kinds(annotation: Any) -> Iterator[type]:
    """The numbers and truth values that an annotation allows."""
    if annotation in (int, float, bool):
        yield annotation
    for part in get_args(annotation):
        if isinstance(part, type) or get_origin(part):
            yield from kinds(part)


def fields() -> Iterator[Any]:
    """Each number or truth value of a request, with values of another kind."""
    found: dict[str, type[BaseModel]] = {}
    for resolver in (api, estimate, webhooks):
        for route in (*resolver._static_routes, *resolver._dynamic_routes):  # noqa: SLF001 there is no public one
            for body in route.dependant.body_params:
                within(body.field_info.annotation, found)
    for name, model in found.items():
        for field, info in model.model_fields.items():
            allowed = set(kinds(info.annotation))
            if not allowed:
                continue
            held: Any = info.annotation
            for one in info.metadata:
                held = Annotated[held, one]
            wrong: tuple[Any, ...] = ("true", 1) if bool in allowed else ("1", True)
            wrong = wrong[1:] if name in GOOGLES else wrong
            yield pytest.param(held, wrong, id=f"{name}.{field}")


@pytest.mark.parametrize(("annotation", "wrong"), [*fields()])
def test_a_number_or_a_truth_value_is_not_made_of_another_kind(
    annotation: Any, wrong: tuple[Any, ...]
) -> None:
    for value in wrong:
        with pytest.raises(ValidationError):
            TypeAdapter(annotation).validate_python(value)


def test_the_limits_of_numbers_are_described_in_the_words_of_json_schema() -> None:
    written = (ROOT / "docs/openapi.json").read_text()
    assert not re.findall(r'"(?:ge|gt|le|lt|multiple_of)":', written)
    key = openapi.described()["components"]["schemas"]["KeyRequest"]["properties"]
    limits = {"type": "integer", "minimum": 1, "maximum": 60_000}
    assert limits in key["requests_per_minute"]["anyOf"]
