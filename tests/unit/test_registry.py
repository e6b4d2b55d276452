"""The models: names, prices, limits."""

from decimal import Decimal

import pytest
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.core.models import Tokens
from quorum.core.registry import Price

GATEWAY_MODELS = [model for model in registry.MODELS if model.kind == "gateway"]


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek-v3", "deepseek-v3.2"])
def test_aliases_are_one_model(name: str) -> None:
    assert registry.model(name).name == "deepseek-v3.2"


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ModelUnknown, match=r"gpt-5.*known models: .*claude-sonnet-4\.5.*gpt-4\.1"):
        registry.model("gpt-5")


def test_every_model_of_the_published_panel_is_known() -> None:
    published = (
        "gpt-4.1 gpt-4.1-mini gpt-4.1-nano gemini-2.5-flash gemini-2.5-flash-lite deepseek-v3.2"
        " deepseek-coder claude-sonnet-4.5"
    )
    assert {model.name for model in GATEWAY_MODELS} >= set(published.split())


def test_no_two_models_share_a_name() -> None:
    names = [name for model in registry.MODELS for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("model", GATEWAY_MODELS, ids=lambda model: model.name)
def test_a_gateway_model_says_all_that_calling_it_takes(model: registry.Model) -> None:
    assert model.gateway_name
    assert model.context_window >= 16_000
    assert model.tokens_per_second > 0
    assert 1.0 <= model.token_factor < 1.5
    assert Decimal(0) < model.price.input < model.price.output
    assert model.price.cached_input is not None
    assert model.price.cached_input < model.price.input
    assert model.price.source
    assert model.price.as_of.year >= 2025


def test_each_kind_of_token_has_its_own_price() -> None:
    price = Price(
        input=Decimal(2),
        cached_input=Decimal("0.5"),
        output=Decimal(8),
        reasoning=Decimal(3),
        as_of=registry.MODELS[0].price.as_of,
        source="made up",
    )
    tokens = Tokens(input=1000, cached_input=400, output=100, reasoning=30)
    # 600 × 2 + 400 × 0.5 + 70 × 8 + 30 × 3, in millionths of a dollar
    assert price.cost(tokens) == Decimal("0.00205")


def test_tokens_without_a_price_of_their_own_cost_as_much_as_their_kind() -> None:
    price = Price(
        input=Decimal(2),
        output=Decimal(8),
        as_of=registry.MODELS[0].price.as_of,
        source="made up",
    )
    tokens = Tokens(input=1000, cached_input=400, output=100, reasoning=30)
    assert price.cost(tokens) == Decimal("0.0028")


def test_cost_is_exact_to_the_last_digit() -> None:
    deepseek = registry.model("deepseek-v3.2").price
    one = deepseek.cost(Tokens(input=1, cached_input=1))
    assert one == Decimal("0.000000028")
    assert sum([one] * 1_000_000) == Decimal("0.028")
