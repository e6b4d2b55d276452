"""`quorum env` and `make up` print what a shell needs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import deployment
from cli.app import app
from cli.gateway import GATEWAY_URL
from local import stack as local_stack
from local.stack import exports
from local.state import Stack
from tests import template

STACK = Stack(
    folder=Path("/nowhere"),
    port=4566,
    pid=1,
    started=0,
    outputs={"ApiId": "a1", "ChatApiId": "c1", "QueueUrl": "http://q/items"},
    key="qk_member",
    operator_key="qk_operator",
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(deployment, "local_stack", lambda: STACK)
    return CliRunner().invoke(app, ["env", *arguments])


def test_a_shell_that_reads_the_lines_has_addresses_and_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = run(monkeypatch).stdout
    told = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf "%s\\n" "$API" "$CHAT" "$KEY" "$OPERATOR_KEY"'],  # noqa: S607 - the shell of the machine
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [STACK.api, STACK.chat, "qk_member", "qk_operator"]
    assert json.loads(run(monkeypatch, "--json").stdout)["KEY"] == "qk_member"


def test_a_deployment_in_aws_tells_its_addresses_and_the_key_at_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = {"ApiUrl": "https://a", "ChatUrl": "wss://c", "QueueUrl": "https://q"}
    monkeypatch.setattr(deployment, "outputs_of", lambda _where: outputs)
    monkeypatch.setenv("QUORUM_API_KEY", "qk_mine")
    shown = run(monkeypatch, "--where", "prod").stdout
    assert shown.splitlines() == [
        "export API=https://a",
        "export CHAT=wss://c",
        "export QUEUE=https://q",
        "export KEY=qk_mine",
    ]


def test_values_are_quoted_for_the_shell() -> None:
    assert exports({"A": "it's; rm"}) == ["export A='it'\"'\"'s; rm'"]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("GATEWAY_API_KEY=sk-1\n", "GATEWAY_API_KEY", "sk-1"),
        ("export GATEWAY_API_KEY='sk-1'\n", "GATEWAY_API_KEY", "sk-1"),
        (
            '# a comment\nGATEWAY_BASE_URL="https://g/v1" # ours\n',
            "GATEWAY_BASE_URL",
            "https://g/v1",
        ),
    ],
)
def test_the_local_stack_reads_a_dotenv_file_as_every_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str, value: str
) -> None:
    monkeypatch.setattr(local_stack, "ROOT", tmp_path)
    monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(text)
    assert local_stack.dotenv()[name] == value
    monkeypatch.setenv(name, "wins")
    assert local_stack.dotenv()[name] == "wins"


def test_the_default_base_url_is_the_templates() -> None:
    parameters = template.template()["Parameters"]
    assert parameters["GatewayBaseUrl"]["Default"] == GATEWAY_URL
