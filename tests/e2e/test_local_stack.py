"""`make up` and `make down`: what they promise, on a stack of this file's own."""

import socket
from pathlib import Path

import pytest

from local import stack as stacks
from local.stack import Home, lower_stack, raise_stack
from tests.e2e.conftest import Api

OVERRIDES = {"DefaultPanel": "embedded"}


def test_the_state_survives_down_and_up_and_a_busy_port_is_chosen_around(tmp_path: Path) -> None:
    first = raise_stack(tmp_path, OVERRIDES)
    verdict = Api(first, first.key).judge("Thanks for the recipe, my kids loved it.")
    assert lower_stack(tmp_path)
    assert Home(tmp_path).running() is None
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        second = raise_stack(tmp_path, OVERRIDES)
        try:
            assert second.port != first.port
            assert second.key == first.key
            kept = Api(second, second.key).get(f"verdicts/{verdict['id']}")
            assert kept.json() == verdict
            again = raise_stack(tmp_path, OVERRIDES)
            assert (again.pid, again.port, again.api) == (second.pid, second.port, second.api)
        finally:
            lower_stack(tmp_path)


def test_down_stops_nothing_it_did_not_start(tmp_path: Path) -> None:
    assert lower_stack(tmp_path) is False
    # The pid written down now belongs to somebody else: this test.
    import os  # noqa: PLC0415 only here

    stale = stacks.Stack(folder=tmp_path, port=9, pid=os.getpid(), started=0)
    Home(tmp_path).write(stale)
    assert lower_stack(tmp_path) is False


def test_a_gateway_key_in_dotenv_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "ROOT", tmp_path)
    (tmp_path / ".env").write_text("# ours\nGATEWAY_API_KEY='sk-file'\nGATEWAY_BASE_URL=http://a\n")
    monkeypatch.setenv("GATEWAY_BASE_URL", "http://b")
    assert stacks.dotenv()["GATEWAY_API_KEY"] == "sk-file"
    assert stacks.dotenv()["GATEWAY_BASE_URL"] == "http://b"
