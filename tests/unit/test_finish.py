"""The ends of an answer, in the words of every vendor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway.finish import Finish, finish


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        (None, Finish.WHOLE),
        ("", Finish.WHOLE),
        ("stop", Finish.WHOLE),
        ("STOP", Finish.WHOLE),
        ("end_turn", Finish.WHOLE),
        ("eos_token", Finish.WHOLE),
        ("length", Finish.CUT),
        ("MAX_TOKENS", Finish.CUT),
        ("max_output_tokens", Finish.CUT),
        ("content_filter", Finish.FILTERED),
        ("SAFETY", Finish.FILTERED),
        ("IMAGE_SAFETY", Finish.FILTERED),
        ("Blocklist", Finish.FILTERED),
        ("content_filter: PROHIBITED_CONTENT", Finish.FILTERED),
        ("refusal", Finish.FILTERED),
        ("tool_calls", Finish.CALLED),
        ("function_call", Finish.CALLED),
        ("error", Finish.FAILED),
        ("insufficient_system_resource", Finish.FAILED),
        ("MALFORMED_FUNCTION_CALL", Finish.OTHER),
        ("OTHER", Finish.OTHER),
        ("aborted", Finish.FAILED),
        (7, Finish.OTHER),
        (["stop"], Finish.OTHER),
    ],
)
def test_every_vendors_word_has_one_meaning(reason: object, means: Finish) -> None:
    assert finish(reason) is means


@given(st.text() | st.integers() | st.none() | st.lists(st.text()))
def test_any_reason_at_all_means_something(reason: object) -> None:
    assert isinstance(finish(reason), Finish)
