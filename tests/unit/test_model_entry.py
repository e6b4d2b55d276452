"""Models as data: what an entry may say, and the model that it makes."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from quorum.core.errors import InvalidRequest
from quorum.core.model_entry import ModelEntry
from quorum.core.registry import VoteFormat
from quorum.gateway.model_hosts import ModelHosts

PRICE = {"input": "0.20", "output": "0.60", "as_of": "2026-11-01", "source": "our own cost"}
LEAST: dict[str, Any] = {
    "gateway_name": "llama-3.3-70b",
    "price": PRICE,
    "context_window": 8192,
    "tokens_per_second": 60,
}
GUARD = LEAST | {"vote_format": "llama_guard", "category_codes": {"S1": ["violence"], "S8": []}}


def nested(depth: int, kind: type) -> Any:
    """A list of lists, or an object of objects, `depth` of them one in another."""
    value: Any = kind()
    for _ in range(depth):
        value = [value] if kind is list else {"in": value}
    return value


def entry(**changes: Any) -> ModelEntry:
    return ModelEntry.model_validate(json.loads(json.dumps(LEAST | changes)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gateway_name": ""}, "gateway_name"),
        ({"gateway_name": "two words"}, "gateway_name"),
        ({"owned_by": "<b>"}, "owned_by"),
        ({"base_url": "https://a host/"}, "base_url"),
        ({"key": "secret"}, "key"),
        ({"base_url": "https://host/v1", "key": "*"}, "key"),
        ({"price": PRICE | {"input": "-0.01"}}, "input"),
        ({"price": PRICE | {"output": "100001"}}, "output"),
        ({"price": PRICE | {"input": ["0.20", None, "0.20"]}}, "input"),
        ({"price": PRICE | {"input": [0, [1, 2], 0]}}, "input"),
        ({"price": PRICE | {"cached_input": "NaN"}}, "cached_input"),
        ({"price": {"input": 1, "output": 1, "as_of": "2026-11-01"}}, "source"),
        ({"price": {"input": 1, "output": 1, "source": "a page"}}, "as_of"),
        ({"context_window": 511}, "context_window"),
        ({"tokens_per_second": 0}, "tokens_per_second"),
        ({"token_factor": 11}, "token_factor"),
        ({"token_error": -0.1}, "token_error"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 0}, "tokens_per_minute"),
        ({"reply_format": "yaml"}, "reply_format"),
        ({"request_fields": {"model": "another"}}, "request_fields.model"),
        ({"request_fields": {"messages": []}}, "request_fields.messages"),
        ({"request_fields": {f"field_{number}": 1 for number in range(17)}}, "request_fields"),
        ({"request_fields": {"seed": float("inf")}}, "request_fields"),
        ({"request_fields": {"stop": nested(8, list)}}, "request_fields"),
        ({"request_fields": {"stop": nested(8, dict)}}, "request_fields"),
        ({"request_fields": {"stop": nested(600, list)}}, "request_fields"),
        ({"request_fields": {"stop": nested(600, dict)}}, "request_fields"),
        ({"request_fields": {"stop": "x" * 4_000}}, "request_fields"),
        ({"request_fields": {"seed": 10**4_001}}, "request_fields"),
        ({"price": PRICE | {"input": "1e-400"}}, "input"),
        ({"price": PRICE | {"output": "0.0000000000001"}}, "output"),
        ({"price": PRICE | {"reasoning": "0." + "123456789" * 5}}, "reasoning"),
        ({"max_tokens_field": "limit"}, "max_tokens_field"),
        ({"vote_format": "llama_guard"}, "category_codes"),
        ({"vote_format": "qwen3guard"}, "category_codes"),
        ({"category_codes": {"S1": ["violence"]}}, "category_codes"),
        ({"vote_format": "shieldgemma", "category_codes": {"Yes": ["hate"]}}, "category_codes"),
        (GUARD | {"category_codes": {"S1": ["hate"], "s1 ": ["sexual"]}}, "category_codes"),
        (GUARD | {"category_codes": {"S1": ["Not A Name"]}}, "category_codes"),
        ({"name": "mine"}, "name"),
        ({"votes": False}, "votes"),
    ],
    ids=lambda case: json.dumps(case)[:60] if isinstance(case, dict) else case,
)
def test_an_entry_that_cannot_be_used_is_refused_with_its_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        entry(**changes)
    first = refusal.value.errors()[0]
    named = [str(part) for part in first["loc"]] + [str(first.get("ctx", {}).get("field", ""))]
    assert field in named


def test_what_an_entry_takes_at_its_limits_is_read_back_from_what_is_stored() -> None:
    full = entry(
        request_fields={"stop": nested(7, list), "user": "é" * 3_900},
        price=PRICE | {"input": "0.000000000001", "output": "100000"},
    )
    assert ModelEntry.model_validate_json(json.dumps(full.document())) == full


def test_an_entry_is_written_without_defaults_and_reads_back_the_same() -> None:
    full = entry(
        description="a guard",
        base_url="https://host/v1",
        key="mine",
        request_fields={"chat_template_kwargs": {"enable_thinking": False}},
        requests_per_minute=60,
        **{name: GUARD[name] for name in ("vote_format", "category_codes")},
    )
    assert ModelEntry.model_validate_json(json.dumps(full.document())) == full
    assert set(entry().document()) == set(LEAST)
    assert entry().version != full.version


def test_an_entry_makes_a_model_that_votes_like_any_other() -> None:
    model = entry(**{name: GUARD[name] for name in ("vote_format", "category_codes")}).model("mine")
    assert (model.name, model.kind, model.votes) == ("mine", "gateway", True)
    assert (model.gateway_name, model.vote_format) == ("llama-3.3-70b", VoteFormat.LLAMA_GUARD)
    assert model.category_codes == {"S1": ("violence",), "S8": ()}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"base_url": "https://host/v1"}, False),
        ({"max_tokens_field": "max_completion_tokens"}, False),
        ({"price": PRICE | {"input": "9"}}, True),
        ({"requests_per_minute": 5}, True),
    ],
    ids=str,
)
def test_votes_are_reused_until_the_entry_asks_another_model(
    changes: dict[str, Any], *, same: bool
) -> None:
    assert (entry(**changes).model("mine").revision == entry().model("mine").revision) is same


# ---- hosts ---------------------------------------------------------------------------------------

LISTED = "models.example.com, gpu.example.com:8443,http://127.0.0.1:8080,http://local,[fd00::1]:443"


@pytest.mark.parametrize(
    "url",
    [
        "https://models.example.com/v1",
        "https://MODELS.example.com./v1",
        "https://models.example.com:443",
        "https://gpu.example.com:8443/v1",
        "http://127.0.0.1:8080/v1",
        "http://local/v1",
        "https://[fd00::1]/v1",
    ],
)
def test_a_host_that_the_deployment_names_is_allowed(url: str) -> None:
    ModelHosts(LISTED).require(url)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://models.example.com/v1", "host_not_allowed"),
        ("https://models.example.com:8443/v1", "host_not_allowed"),
        ("https://gpu.example.com/v1", "host_not_allowed"),
        ("https://evil-models.example.com/v1", "host_not_allowed"),
        ("https://models.example.com.evil.net/v1", "host_not_allowed"),
        ("https://example.com/v1", "host_not_allowed"),
        ("http://127.0.0.1/v1", "host_not_allowed"),
        ("https://127.0.0.1:8080/v1", "host_not_allowed"),
        ("http://localhost:8080/v1", "host_not_allowed"),
        ("http://127.1:8080/v1", "host_not_allowed"),
        ("http://2130706433:8080/v1", "host_not_allowed"),
        ("http://0x7f000001:8080/v1", "host_not_allowed"),
        ("http://[::1]:8080/v1", "host_not_allowed"),
        ("http://[::ffff:127.0.0.1]:8080/v1", "host_not_allowed"),
        ("http://169.254.169.254/latest", "host_not_allowed"),
        ("http://10.0.0.7/v1", "host_not_allowed"),
        ("https://models.example.com@evil.net/v1", "invalid_base_url"),
        ("https://evil.net#models.example.com/v1", "invalid_base_url"),
        ("https://evil.net?models.example.com", "invalid_base_url"),
        ("https://evil.net\\@models.example.com/v1", "invalid_base_url"),
        ("https://models.example.com/v1?key=1", "invalid_base_url"),
        ("https://models.example.com/v1/../admin", "invalid_base_url"),
        ("https://models.example.com/%2e%2e", "invalid_base_url"),
        ("https://models.example.com:99999/v1", "invalid_base_url"),
        ("https://mödels.example.com/v1", "invalid_base_url"),
        ("ftp://models.example.com", "invalid_base_url"),
        ("file:///etc/passwd", "invalid_base_url"),
        ("models.example.com/v1", "invalid_base_url"),
        ("https://", "invalid_base_url"),
        ("", "invalid_base_url"),
    ],
)
def test_no_other_address_is_asked(url: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ModelHosts(LISTED).require(url)
    assert (refusal.value.code, refusal.value.field) == (code, "base_url")


@pytest.mark.parametrize("listed", ["", " , ", "*", "https://", "*.example.com"])
def test_a_list_that_names_no_host_allows_none(listed: str) -> None:
    assert not ModelHosts(listed).allows("https://models.example.com/v1")
