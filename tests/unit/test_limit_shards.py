"""A large rate limit is kept in parts, and the parts are together no more than the limit."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from quorum.core.models import Tokens
from quorum.gateway.fair_share import SHARD_REQUESTS, SHARD_TOKENS, RateLimit
from quorum.gateway.limiter import Limiter
from quorum.ledger.shards import SHARDS

LARGE = RateLimit(requests_per_minute=90_000, tokens_per_minute=90_000_000)


@given(st.integers(1, 10**7), st.integers(1, 10**10))
def test_the_parts_of_a_limit_are_never_more_than_it_nor_too_small_for_a_call(
    requests: int, tokens: int
) -> None:
    limit = RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)
    part, number = limit.of_shard(), limit.shards
    assert 1 <= number <= SHARDS
    for whole, one, least in (
        (requests, part.requests_per_minute, SHARD_REQUESTS),
        (tokens, part.tokens_per_minute, SHARD_TOKENS),
    ):
        assert whole - number < one * number <= whole
        assert number == 1 or one >= least


def test_the_limits_of_a_deployment_that_names_none_are_one_line_each() -> None:
    assert RateLimit().shards == 1
    assert LARGE.shards == 15


def test_a_reservation_is_settled_in_the_part_it_was_made_in(usage: Any) -> None:
    limiter = Limiter(usage, "Usage", {"gpt-4.1": LARGE})
    made = [limiter.reserve("gpt-4.1", 400) for _ in range(40)]
    assert len({reservation.shard for reservation in made}) > 5
    items = {item["key"]: item for item in usage.Table("Usage").scan()["Items"]}
    for reservation in made:
        key = "bucket#gpt-4.1" + (f"~{reservation.shard}" if reservation.shard else "")
        assert key in items
        _, correction = limiter.settlement(reservation, Tokens(input=500))
        assert correction["Update"]["Key"] == {"key": key}
