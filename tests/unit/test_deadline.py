"""One deadline for everything done for a vote."""

import pytest
from quorum.gateway.deadline import Deadline


def test_a_lambda_keeps_half_a_second_to_say_what_happened() -> None:
    assert Deadline.of_lambda(10_000).remaining() == pytest.approx(9.5, abs=0.2)


def test_the_sooner_of_the_lambdas_and_the_requests_counts() -> None:
    assert Deadline.of_lambda(10_000, 3).remaining() == pytest.approx(3, abs=0.2)
    assert Deadline.of_lambda(2_000, 3).remaining() == pytest.approx(1.5, abs=0.2)


def test_what_is_over_has_no_time_left() -> None:
    assert Deadline.of_lambda(100).remaining() == 0
    assert Deadline.after(1) < Deadline.after(5)
