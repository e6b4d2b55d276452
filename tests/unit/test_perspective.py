"""The Perspective API's form: whatever is sent is read, or refused by its own errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.api.perspective import error_of
from quorum.api.problems import Problem, ProblemDetail
from quorum.core.errors import InvalidRequest
from quorum.vote.perspective import (
    NOT_SERVED,
    SERVED,
    STATUSES,
    AnalyzeCommentRequest,
    SuggestCommentScoreRequest,
)

NAMES = sorted({*SERVED, *NOT_SERVED, "RUDENESS", "", "TOXICITY@6", "SPAM@2", "INSULT@x"})
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
SCORES = st.fixed_dictionaries(
    {"summaryScore": st.fixed_dictionaries({"value": st.sampled_from([0, 0.5, 1])})}
)
BODIES = st.fixed_dictionaries(
    {"comment": st.fixed_dictionaries({"text": st.text(max_size=20)}) | JSON},
    optional={
        "requestedAttributes": st.dictionaries(st.sampled_from(NAMES), st.just({}) | JSON) | JSON,
        "attributeScores": st.dictionaries(st.sampled_from([*NAMES, *STATUSES]), JSON | SCORES)
        | JSON,
        "languages": st.lists(st.sampled_from(["en", "hi-Latn", "zh_Hant", "x", ""])) | JSON,
        "do_not_store": JSON,
        "spanAnnotations": st.booleans() | JSON,
        "dropUnsupportedAttributes": st.booleans() | JSON,
        "context": JSON,
        "clientToken": st.text() | JSON,
    },
)


@given(BODIES)
def test_a_body_is_read_or_refused_and_never_fails_otherwise(body: Any) -> None:
    try:
        request = AnalyzeCommentRequest.model_validate(body)
        served = request.served()
        request.require_script(served)
        content = request.content()
    except (ValidationError, InvalidRequest):
        return
    assert content.text == body["comment"]["text"]
    assert set(served) <= set(request.requested_attributes)
    assert {name.partition("@")[0] for name in served} <= set(SERVED)


@given(BODIES)
def test_a_suggestion_is_read_or_refused_and_never_fails_otherwise(body: Any) -> None:
    try:
        request = SuggestCommentScoreRequest.model_validate(body)
        decision, scores = request.decision(), request.scores()
    except (ValidationError, InvalidRequest):
        return
    fine = {name for name, status in STATUSES.items() if status == "safe"}
    assert (decision == "unsafe") is any(
        score >= 0.5 for name, score in scores.items() if name not in fine
    )


@pytest.mark.parametrize(
    ("status", "name"),
    [
        *((400, "INVALID_ARGUMENT"), (402, "RESOURCE_EXHAUSTED"), (403, "PERMISSION_DENIED")),
        *((404, "NOT_FOUND"), (413, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED")),
        *((500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (418, "UNKNOWN")),
    ],
)
def test_every_status_has_googles_name(status: int, name: str) -> None:
    problem = Problem(error=ProblemDetail(code="any", message="a message", field="x", limit=7))
    error = error_of(problem, status).error
    assert (error.code, error.status) == (status, name)
    assert error.message == "a message (limit: 7)"


def test_an_exceeded_quota_has_the_reason_that_clients_look_for() -> None:
    problem = Problem(error=ProblemDetail(code="throttled", message="slow down"))
    (detail,) = error_of(problem, 429).error.details
    assert detail["reason"] == "RATE_LIMIT_EXCEEDED"
