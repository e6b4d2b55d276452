"""The gateway client over a real socket: its answers, errors, retries and timeouts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import (
    GatewayRejected,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    PromptTooLong,
    VoteUnavailable,
)
from quorum.core.registry import Model
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.call import Completion
from quorum.gateway.client import Gateway
from quorum.gateway.deadline import Deadline
from quorum.vote.policy import DEFAULT

from fakes.gateway import Fault, ModelScenario, StandIn
from tests.gateway.conftest import Refusing

QUESTION = [{"role": "user", "content": "Is the sky blue?"}]
GPT, DEEPSEEK = registry.model("gpt-4.1"), registry.model("deepseek-v3.2")
CLAUDE = registry.model("claude-sonnet-4.5")
GatewayOf = Callable[..., Gateway]
NOWHERE = "http://127.0.0.1:9/v1"


def complete(
    gateway: Gateway, model: Model = GPT, *, seconds: float = 20.0, **options: Any
) -> Completion:
    options = {"max_output_tokens": 16} | options
    messages = options.pop("messages", QUESTION)
    deadline = Deadline.after(seconds)
    return loop.run(gateway.complete(model, messages, deadline=deadline, **options))


# ---- connection ----


def test_warm_invocations_reuse_one_connection(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    client = gateway(there)
    for _ in range(5):
        complete(client)
    assert there.count.requests == 5
    assert len(there.count.connections) == 1


def test_nothing_is_connected_before_the_first_call(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    gateway(there)
    assert there.count.connections == set()


def test_an_answer_says_which_model_and_base_url_it_came_from(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in()
    answer = complete(gateway(there), DEEPSEEK)
    assert (answer.model, answer.served_by) == ("deepseek-v3.2", there.base_url)
    assert (answer.attempts, answer.finish_reason) == (1, "stop")


# ---- retries ----


@pytest.mark.parametrize(
    "fault",
    [
        Fault.THROTTLED,
        Fault.TIMED_OUT,
        Fault.CONFLICT,
        Fault.SERVER_ERROR,
        Fault.BAD_GATEWAY,
        Fault.UNAVAILABLE,
        Fault.RESET,
        Fault.PAGE,
        Fault.CUT,
    ],
)
def test_what_may_pass_is_tried_again(stand_in: Any, gateway: GatewayOf, fault: Fault) -> None:
    there = stand_in(fault, Fault.NONE)
    answer = complete(gateway(there))
    assert answer.attempts == 2
    assert there.count.requests == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_cannot_pass_is_asked_once(
    refusing: Refusing, gateway: GatewayOf, status: int
) -> None:
    client = gateway(refusing(status), NOWHERE)
    with pytest.raises(GatewayRejected) as caught:
        complete(client)
    assert caught.value.status == status
    assert refusing.asked == 1


def test_retries_end_with_the_settings_attempts(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(*[Fault.SERVER_ERROR] * 9)
    with pytest.raises(ModelUnavailable, match="500 made_to_fail"):
        complete(gateway(there, max_attempts=3))
    assert there.count.requests == 3


@pytest.mark.parametrize("written", ["0.3", "date"])
def test_a_429_is_retried_no_sooner_than_it_says(
    stand_in: Any, gateway: GatewayOf, written: str
) -> None:
    if written == "date":  # whole seconds only: at least 0.3 s from here, wherever in a second
        written = format_datetime(datetime.now(UTC) + timedelta(seconds=1.3), usegmt=True)
    there = stand_in(Fault.THROTTLED, retry_after=written)
    answer = complete(gateway(there))
    assert answer.attempts == 2
    assert answer.latency_ms >= 290


def test_a_429_that_asks_for_more_time_than_there_is_says_how_long(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(Fault.THROTTLED, retry_after="30")
    with pytest.raises(ModelThrottled) as caught:
        complete(gateway(there), seconds=5)
    assert caught.value.retry_after_seconds == 30
    assert caught.value.served_by == there.base_url
    assert there.count.requests == 1


def test_a_429_without_retry_after_backs_off(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(Fault.THROTTLED, Fault.THROTTLED, retry_after=None)
    assert complete(gateway(there)).attempts == 3


def test_retrying_never_passes_the_callers_deadline(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(*[Fault.UNAVAILABLE] * 99)
    deadline = Deadline.after(1)
    may_postpone = gateway(there, max_attempts=99, backoff_seconds=0.1, backoff_cap_seconds=0.2)
    # The last attempt is refused, or on a busy machine cut off in the middle.
    with pytest.raises((ModelUnavailable, ModelTimedOut)):
        loop.run(may_postpone.complete(GPT, QUESTION, max_output_tokens=8, deadline=deadline))
    assert 1 < there.count.requests < 99
    assert Deadline.after(0).expires_at < deadline.expires_at + 2


def test_an_answer_that_comes_too_late_times_out_at_the_deadline(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(Fault.SLOW, slow_seconds=30)
    deadline = Deadline.after(0.3)
    with pytest.raises(ModelTimedOut):
        loop.run(gateway(there).complete(GPT, QUESTION, max_output_tokens=8, deadline=deadline))
    assert Deadline.after(0).expires_at < deadline.expires_at + 2


def test_with_no_time_left_nothing_is_sent(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    with pytest.raises(ModelTimedOut) as caught:
        complete(gateway(there), seconds=0)
    assert there.count.requests == 0
    assert caught.value.cost_usd == 0


# ---- failover ----


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.UNAVAILABLE, Fault.SERVER_ERROR])
def test_what_fails_at_one_base_url_goes_to_the_next(
    stand_in: Any, gateway: GatewayOf, fault: Fault
) -> None:
    first, second = stand_in(fault), stand_in()
    answer = complete(gateway(first, second))
    assert answer.served_by == second.base_url
    assert (first.count.requests, second.count.requests) == (1, 1)


def test_a_base_url_that_refuses_connections_is_passed_over(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in()
    assert complete(gateway(NOWHERE, there)).served_by == there.base_url


def test_a_gateway_that_is_not_there_is_said_to_be_out_of_reach(gateway: GatewayOf) -> None:
    with pytest.raises(ModelUnavailable, match=r"^the gateway could not be reached$"):
        complete(gateway(NOWHERE))


def test_a_base_url_that_hangs_leaves_half_the_time_to_the_next(
    stand_in: Any, gateway: GatewayOf
) -> None:
    hanging, there = stand_in(Fault.SLOW, slow_seconds=30), stand_in()
    answer = complete(gateway(hanging, there), seconds=1.5)
    assert answer.served_by == there.base_url
    assert answer.cost_estimated  # what the one that hangs may charge is in it


def test_a_caller_without_time_says_nothing_of_the_gateway(
    stand_in: Any, gateway: GatewayOf
) -> None:
    circuits = Circuits()
    there = stand_in(Fault.SLOW, slow_seconds=30)
    with pytest.raises(ModelTimedOut):
        complete(gateway(there, breaker=circuits), seconds=0.1)
    assert circuits.reports == []


def test_half_a_surrogate_pair_does_no_harm(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    complete(gateway(there), messages=[{"role": "user", "content": "half \ud83d"}])
    assert _asked(there)["messages"][0]["content"] == "half ?"


def test_a_429_waits_where_it_was_told_to(stand_in: Any, gateway: GatewayOf) -> None:
    first, second = stand_in(Fault.THROTTLED, retry_after="0"), stand_in()
    assert complete(gateway(first, second)).served_by == first.base_url
    assert second.count.requests == 0


class Circuits:
    """A breaker that remembers what it was told, and refuses what it is told to."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.reports: list[tuple[str, str, bool]] = []

    async def allows(self, base_url: str, _model: str) -> bool:
        return base_url not in self.down

    async def report(self, base_url: str, model: str, *, well: bool, again: bool = False) -> None:
        if not again:
            self.reports.append((base_url, model, well))


def test_a_base_url_whose_circuit_is_open_is_not_called(stand_in: Any, gateway: GatewayOf) -> None:
    first, second = stand_in(), stand_in()
    client = gateway(first, second, breaker=Circuits(first.base_url))
    assert complete(client).served_by == second.base_url
    assert first.count.requests == 0


def test_with_every_circuit_open_the_call_fails_at_once(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    with pytest.raises(ModelUnavailable, match="none is tried yet"):
        complete(gateway(there, breaker=Circuits(there.base_url)))
    assert there.count.requests == 0


def test_a_circuit_is_asked_about_only_when_its_base_url_is_next(
    stand_in: Any, gateway: GatewayOf
) -> None:
    class Asked(Circuits):
        asked: ClassVar[list[str]] = []

        async def allows(self, base_url: str, _model: str) -> bool:
            self.asked.append(base_url)
            return True

    first, second = stand_in(Fault.NONE, Fault.UNAVAILABLE), stand_in()
    client = gateway(first, second, breaker=Asked())
    complete(client)
    complete(client)
    assert Asked.asked == [first.base_url, first.base_url, second.base_url]


def test_a_503_that_asks_to_wait_is_not_waited_for_where_there_is_another(
    refusing: Refusing, stand_in: Any, gateway: GatewayOf
) -> None:
    down, there = refusing(503, headers={"retry-after": "60"}), stand_in()
    assert complete(gateway(down, there), seconds=10).served_by == there.base_url
    with pytest.raises(ModelUnavailable):
        complete(gateway(down), seconds=10)
    assert refusing.asked == 2


def test_the_breaker_hears_of_what_is_down_and_of_nothing_else(
    stand_in: Any, gateway: GatewayOf
) -> None:
    circuits = Circuits()
    there = stand_in(Fault.UNAVAILABLE, Fault.RESET, Fault.THROTTLED)
    complete(gateway(there, breaker=circuits))
    # the failures of one call are one
    assert [well for _, _, well in circuits.reports] == [False, True]
    assert {(url, model) for url, model, _ in circuits.reports} == {(there.base_url, "gpt-4.1")}


def test_base_urls_have_a_key_each_or_share_one() -> None:
    def keys(found: Any) -> list[tuple[str, str]]:
        return [(base.url, base.key.get_secret_value()) for base in found]

    one, two = "https://one.example/v1", "https://two.example/v1"
    assert keys(parse_base_urls(f"{one}/, {two}", "k")) == [(one, "k"), (two, "k")]
    assert keys(parse_base_urls(f"{one},{two}", "k1, k2")) == [(one, "k1"), (two, "k2")]
    named = {"two.example": "k2", "*": "k"}
    assert keys(parse_base_urls(f"{one},{two}", named)) == [(one, "k"), (two, "k2")]


@pytest.mark.parametrize(
    ("urls", "keys"),
    [
        ("", "k"),
        ("ftp://one.example", "k"),
        ("one.example", "k"),
        ("http://[::1", "k"),
        ("https://one.example:port", "k"),
        ("https://one.example:99999", "k"),
        ("https://\x00", "k"),
        ("https:///v1", "k"),
        ("https://one.example,https://one.example/", "k"),
        ("https://one.example,https://two.example", "k1,k2,k3"),
        ("https://one.example,https://two.example", {"one.example": "k"}),
        ("https://one.example", "two\nlines"),
        ("https://one.example", "schlüssel"),
        ("https://one.example", {"*": None}),
    ],
)
def test_a_base_url_that_is_none_or_has_no_key_is_refused(urls: str, keys: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, nothing may be built of it
        parse_base_urls(urls, keys)


def test_a_key_and_its_place_are_never_shown(stand_in: Any, gateway: GatewayOf) -> None:
    client = gateway(stand_in(keys={"another": "tenant"}))
    assert "sk-made-up" not in repr(client.settings)
    with pytest.raises(GatewayRejected, match="401") as caught:
        complete(client)
    assert "sk-made-up" not in repr(caught.value)
    assert "GATEWAY_API_KEY" not in repr(caught.value)


# ---- the adaptive timeout ----


def test_the_timeout_grows_with_tokens_and_shrinks_with_speed(
    stand_in: Any, gateway: GatewayOf
) -> None:
    waited = ModelScenario(latency_ms=1)
    there = stand_in(every_model=waited)
    complete(gateway(there))  # the stand-in's first count of tokens loads a vocabulary
    client = gateway(there)
    seconds: list[float] = []
    answer_whole = client._answer  # noqa: SLF001 - the timeout is its only trace

    async def recording(call: Any, base: Any, allowed: float) -> Completion:
        seconds.append(allowed)
        return await answer_whole(call, base, allowed)

    client._answer = recording  # type: ignore[method-assign, assignment] # noqa: SLF001 - as above
    complete(client, DEEPSEEK, seconds=600, max_output_tokens=1270)
    complete(client, DEEPSEEK, seconds=600, max_output_tokens=12700)
    complete(client, DEEPSEEK, seconds=3, max_output_tokens=12700)
    prompt = 12
    assert seconds[0] == pytest.approx((prompt + 1270) / 127 * 1.5 + 2, abs=0.2)
    assert seconds[1] < (prompt + 12700) / 127 * 1.5 + 2  # the first answer was faster than 127/s
    assert seconds[2] <= 3


# ---- what is asked for ----


def _asked(there: StandIn) -> dict[str, Any]:
    return there.bodies[-1]


def test_json_is_asked_for_as_strictly_as_the_model_supports(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in()
    client = gateway(there)
    complete(client, GPT, schema=DEFAULT.reply_schema, log_probabilities=True)
    by_schema = _asked(there)
    assert by_schema["response_format"]["json_schema"]["schema"] == DEFAULT.reply_schema
    assert by_schema["response_format"]["json_schema"]["strict"] is True
    assert by_schema["logprobs"] is True
    complete(client, DEEPSEEK, schema=DEFAULT.reply_schema)
    assert _asked(there)["response_format"] == {"type": "json_object"}
    complete(client, CLAUDE, schema=DEFAULT.reply_schema, log_probabilities=True)
    assert not {"response_format", "logprobs"} & set(_asked(there))


def test_reasoning_is_switched_off_where_that_can_be_said(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in()
    complete(gateway(there), registry.model("gemini-2.5-flash"))
    assert _asked(there)["reasoning_effort"] == "none"


def test_a_prompt_over_the_context_window_is_refused_before_it_is_sent(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there, coder = stand_in(), registry.model("deepseek-coder")
    client = gateway(there)
    fits = [{"role": "user", "content": "word " * 12_000}]
    complete(client, coder, messages=fits)
    with pytest.raises(PromptTooLong, match="deepseek-coder, 16000 tokens"):
        complete(client, coder, messages=[{"role": "user", "content": "word " * 17_000}])
    assert there.count.requests == 1


# ---- cost ----


def test_cost_is_the_gateways_usage_at_the_registrys_prices(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(caches_prompts=True)
    client = gateway(there)
    messages = [{"role": "system", "content": "Be brief. " * 50}, *QUESTION]
    first, second = complete(client, messages=messages), complete(client, messages=messages)
    assert (first.tokens.cached_input, second.tokens.cached_input > 100) == (0, True)
    assert second.cost_usd < first.cost_usd
    assert first.cost_usd + second.cost_usd == there.count.cost_usd
    assert not first.cost_estimated


def test_without_usage_the_tokens_are_counted_and_the_cost_is_marked(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(Fault.NO_USAGE)
    answer = complete(gateway(there))
    assert answer.cost_estimated
    assert answer.cost_usd == there.count.cost_usd  # its tokenizer is ours


def test_an_answer_cut_on_its_way_is_paid_as_well_as_the_one_after_it(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(Fault.CUT)
    answer = complete(gateway(there))
    assert answer.cost_estimated
    assert answer.cost_usd == there.count.cost_usd > 0  # its usage had begun to arrive


def test_a_failure_carries_what_it_cost(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(*[Fault.CUT] * 2)
    with pytest.raises(VoteUnavailable) as caught:
        complete(gateway(there, max_attempts=2))
    assert caught.value.tokens is not None
    assert caught.value.tokens.input > 0
    assert caught.value.cost_usd >= there.count.cost_usd > 0
    assert caught.value.cost_estimated


@pytest.mark.parametrize(
    "fault", [Fault.THROTTLED, Fault.UNAVAILABLE, Fault.RESET, Fault.PAGE], ids=str
)
def test_what_was_not_answered_costs_nothing(
    stand_in: Any, gateway: GatewayOf, fault: Fault
) -> None:
    there = stand_in(fault)
    with pytest.raises(VoteUnavailable) as caught:
        complete(gateway(there, max_attempts=1))
    assert caught.value.cost_usd == there.count.cost_usd == Decimal(0)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 5}, (9, 0, 5, 0)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (9, 4, 5, 3),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 8}, (9, 8, 5, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 114}, (9, 0, 105, 100)),
    ],
    ids=["plain", "OpenAI's details", "DeepSeek's cache", "reasoning only in the total"],
)
def test_usage_is_read_in_every_dialect(
    refusing: Callable[..., str], gateway: GatewayOf, usage: Any, tokens: tuple[int, ...]
) -> None:
    message = {"role": "assistant", "content": "yes"}
    answer = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    found = complete(gateway(refusing(200, json.dumps(answer)))).tokens
    assert (found.input, found.cached_input, found.output, found.reasoning) == tokens
