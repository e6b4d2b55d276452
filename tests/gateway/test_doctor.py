"""The doctor names what is wrong and what to do, and never a key."""

from collections.abc import Callable
from typing import Any

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.gateway.client import Gateway
from quorum.health.doctor import KeyState, Report, examine
from typer.testing import CliRunner

from cli.app import app
from fakes.gateway import Fault, ModelScenario, StandIn

MODELS = [model for model in registry.MODELS if model.kind == "gateway"]
GatewayOf = Callable[..., Gateway]
NOWHERE = "http://127.0.0.1:9/v1"


def examined(gateway: Gateway, seconds: float = 5.0) -> Report:
    return loop.run(examine(gateway, MODELS, seconds=seconds))


def test_all_is_well_and_measured(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(every_model=ModelScenario(latency_ms=30, tokens_per_second=400))
    report = examined(gateway(there))
    (base,) = report.base_urls
    assert report.healthy
    assert base.key is KeyState.VALID
    assert set(base.models_found) == {model.name for model in MODELS}
    assert base.measured_with == "gpt-4.1-nano"
    assert base.first_token_ms is not None
    assert base.first_token_ms >= 30
    assert base.tokens_per_second is not None
    assert base.tokens_per_second < 500
    assert base.latency_ms is not None


def test_a_key_that_is_refused_is_named_by_its_source(stand_in: Any, gateway: GatewayOf) -> None:
    (base,) = examined(gateway(stand_in(keys={"another": "tenant"}))).base_urls
    assert base.key is KeyState.INVALID
    assert "the key from GATEWAY_API_KEY" in base.advice
    assert "sk-made-up" not in base.model_dump_json()


def test_missing_models_are_listed(stand_in: Any, gateway: GatewayOf) -> None:
    report = examined(gateway(stand_in(missing_models=("gpt-4.1-nano", "claude-sonnet-4.5"))))
    (base,) = report.base_urls
    assert base.models_missing == ("gpt-4.1-nano", "claude-sonnet-4.5")
    assert base.measured_with is not None
    assert not report.healthy


def test_each_base_url_is_looked_at_by_itself(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    first, second = examined(gateway(NOWHERE, there)).base_urls
    assert "cannot be reached" in first.advice
    assert first.key is KeyState.UNKNOWN
    assert second.healthy


@pytest.mark.parametrize(
    ("status", "advice"),
    [(403, "may not list models"), (404, "/v1?"), (429, "limit"), (502, "502")],
)
def test_what_else_is_wrong_is_said_in_words(
    refusing: Callable[..., str], gateway: GatewayOf, status: int, advice: str
) -> None:
    assert advice in examined(gateway(refusing(status))).base_urls[0].advice


def test_a_model_that_is_listed_but_does_not_answer_is_named(
    stand_in: Any, gateway: GatewayOf
) -> None:
    report = examined(gateway(stand_in(rates={Fault.SERVER_ERROR: 1.0})))
    assert report.base_urls[0].advice.startswith("gpt-4.1-nano does not answer")


def _doctor(*there: StandIn, key: str) -> Any:
    urls = ",".join(one.base_url for one in there)
    environment = {"GATEWAY_BASE_URL": urls, "GATEWAY_API_KEY": key, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["doctor"], env=environment)


def test_the_command_reports_and_exits_0_only_if_all_is_well(stand_in: Any) -> None:
    there = stand_in(keys={"sk-good": "tenant"})
    good, bad = _doctor(there, key="sk-good"), _doctor(there, key="sk-bad")
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "gpt-4.1" in good.stdout
    assert "401" in bad.stdout
    assert "sk-bad" not in bad.stdout
