"""The doctor names what is wrong and what to do, and never a key."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.health.doctor import KeyState, Report, examine
from typer.testing import CliRunner

from cli import deployment
from cli.app import app
from fakes.gateway import Fault, ModelScenario, StandIn
from local import state
from local.state import Stack
from tests import template

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


def test_a_model_that_is_not_needed_is_not_asked(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in()
    report = loop.run(examine(gateway(there), MODELS, needed=["gemini-2.5-flash", "gpt-4.1"]))
    assert report.base_urls[0].measured_with == "gemini-2.5-flash"
    assert {model for model, _ in there.count.billed} == {"gemini-2.5-flash"}


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


def test_the_owners_of_the_models_are_shown_and_a_stand_in_says_that_it_invents(
    stand_in: Any,
) -> None:
    shown = _doctor(stand_in(), key="sk")
    assert "invented" in shown.stdout


def test_only_the_models_that_are_needed_have_to_be_served(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there = stand_in(missing_models=("claude-sonnet-4.5", "gpt-4.1"))
    for needed, healthy in ((("deepseek-v3.2", "rules"), True), (("gpt-4.1", "rules"), False)):
        report = loop.run(examine(gateway(there), MODELS, needed=needed, seconds=5.0))
        assert report.healthy is healthy
    (base,) = report.base_urls
    assert base.advice == "not served: gpt-4.1; use a panel without, or another base URL"
    assert "deepseek-v3.2" in base.models_served


def test_a_model_is_found_under_the_name_that_requests_send(
    refusing: Callable[..., str], gateway: GatewayOf
) -> None:
    names = ("deepseek-chat", "gpt-4.1", "smollm2")
    listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
    where = refusing(200, json.dumps(listed), {"content-type": "application/json"})
    report = loop.run(examine(gateway(where), MODELS, needed=["deepseek-v3.2"], seconds=5.0))
    (base,) = report.base_urls
    assert base.models_found == ("gpt-4.1",)
    assert base.models_served == names
    assert "deepseek-v3.2 (served as deepseek-chat, which requests do not send)" in base.advice


@pytest.mark.parametrize(
    ("panel", "code", "says"),
    [
        ("default", 1, "gpt-4.1 (not served)"),
        ("embedded", 0, "no gateway model"),
        ("nobody", 2, "neither a file nor a packaged panel"),
    ],
)
def test_the_command_exits_by_what_its_panel_needs_and_shows_what_is_served(
    stand_in: Any, panel: str, code: int, says: str
) -> None:
    there = stand_in(missing_models=("gpt-4.1",))
    environment = {"GATEWAY_API_KEY": "sk-1", "COLUMNS": "80"}
    arguments = ["doctor", "--base-url", there.base_url, "--panel", panel]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == code, done.output
    assert says in " ".join(done.output.replace("│", " ").split())
    assert code == 2 or "deepseek-v3.2" in done.output


@pytest.mark.parametrize(("panel", "code"), [("default", 1), ("embedded", 0)])
def test_without_a_key_the_command_says_where_to_put_one_and_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, panel: str, code: int
) -> None:
    monkeypatch.delenv("GATEWAY_API_KEY", raising=False)
    environment = {"GATEWAY_BASE_URL": NOWHERE, "COLUMNS": "80"}
    done = CliRunner().invoke(app, ["doctor", "--panel", panel], env=environment)
    assert done.exit_code == code, done.output
    said = " ".join(done.stderr.split())
    assert "No gateway key is set. Set GATEWAY_API_KEY" in said
    assert "GatewaySecret" in said
    assert "`make up GATEWAY=stand-in` needs no key." in said
    assert "cannot be reached" not in done.output


@pytest.mark.parametrize(
    ("needed", "advice"),
    [("gpt-4.1", "there is no key in the deployment's secret: put one there."), ("rules", "")],
)
def test_a_deployment_whose_secret_is_as_the_template_made_it_has_no_key(
    needed: str, advice: str
) -> None:
    secret = template.template()["Resources"]["GatewaySecret"]["Properties"]["SecretString"]
    urls = parse_base_urls(NOWHERE, secret, key_source="the deployment's secret")
    gateway = Gateway(GatewaySettings(base_urls=urls))
    (base,) = loop.run(examine(gateway, MODELS, needed=[needed])).base_urls
    assert (base.key, base.advice) == (KeyState.MISSING, advice)


def test_without_a_base_url_the_product_s_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def examined(gateway: Gateway, *_: Any, **__: Any) -> Report:
        asked.extend(base.url for base in gateway.base_urls)
        return Report(base_urls=())

    monkeypatch.setattr("cli.doctor.examine", examined)
    monkeypatch.delenv("GATEWAY_BASE_URL", raising=False)
    assert CliRunner().invoke(app, ["doctor"], env={"GATEWAY_API_KEY": "sk-1"}).exit_code == 0
    assert asked == ["https://api.holysheep.ai/v1"]


def test_without_a_key_the_stand_in_of_the_local_stack_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stand_in: Any
) -> None:
    there = stand_in(keys={"stand-in": "local"})
    port = urlsplit(there.base_url).port or 0
    stack = Stack(folder=tmp_path, port=1, pid=1, started=0, stand_in=1, stand_in_port=port)
    monkeypatch.setattr(deployment, "local_stack", lambda: stack)
    monkeypatch.setattr(state, "runs", lambda *_: True)
    for name in ("GATEWAY_BASE_URL", "GATEWAY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert f"the stand-in at {there.base_url}" in done.stderr
    assert "from the stand-in" in done.stdout
    assert "No gateway key is set. Set" not in done.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The base URL of a server that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_a_gateway_that_never_answers_takes_the_time_that_it_is_given_for_each_base_url(
    silent: str, gateway: GatewayOf
) -> None:
    begun = time.monotonic()
    report = examined(gateway(silent, f"{silent}/again"), seconds=0.5)
    assert time.monotonic() - begun < 5
    assert [base.advice.startswith("no answer in time") for base in report.base_urls] == [True] * 2


def test_what_runs_after_a_command_ended_its_threads_has_threads_anew() -> None:
    assert loop.run(asyncio.to_thread(int)) == 0
    assert loop.end(5)
    assert loop.run(asyncio.to_thread(int)) == 0
