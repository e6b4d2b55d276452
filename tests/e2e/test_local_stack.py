"""`make up` and `make down`: what they promise. The life of the stack comes last of all tests."""

import os
import socket
import time
from pathlib import Path

import httpx
import pytest

from local import servers
from local import stack as stacks
from local.stack import start_stack, stop_stack
from local.state import Stack, StateDirectory
from tests.e2e.conftest import Api


@pytest.mark.last
def test_the_state_survives_down_and_up_and_a_busy_port_is_chosen_around(
    stack: Stack, api: Api, overrides: dict[str, str]
) -> None:
    verdict = api.judge("Thanks for the recipe, my kids loved it.", panel="embedded")
    bucket = {"Bucket": stack.resources["UploadsBucket"], "Key": "documents/kept"}
    stack.client("s3").put_object(**bucket, Body=b"a document that waits for a model")
    assert stop_stack(stack.folder)
    assert StateDirectory(stack.folder).running() is None
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((stack.host, stack.port))
        squatter.listen()
        second = start_stack(stack.folder, overrides)
        assert second.port != stack.port
        assert second.key == stack.key
        moved = Api(second, second.key)
        assert moved.get(f"verdicts/{verdict['id']}").json() == verdict
        kept = second.client("s3").get_object(**bucket)["Body"].read()
        assert kept == b"a document that waits for a model"
        # what is put on the queue now is judged, though a queue's name has the port in it
        items = [{"content": "Thanks for the recipe."}]
        batch = moved.post("batches", {"items": items, "panel": "embedded"}).json()["id"]
        patience = time.monotonic() + 60
        while moved.get(f"batches/{batch}").json()["state"] != "complete":
            assert time.monotonic() < patience
            time.sleep(0.5)
        again = start_stack(stack.folder, overrides)
        assert (again.pid, again.port, again.api) == (second.pid, second.port, second.api)


def test_down_stops_nothing_it_did_not_start(tmp_path: Path) -> None:
    assert stop_stack(tmp_path) is False
    # The pid written down now belongs to somebody else: this test.
    StateDirectory(tmp_path).write(Stack(folder=tmp_path, port=9, pid=os.getpid(), started=0))
    assert stop_stack(tmp_path) is False


def test_a_gateway_key_in_dotenv_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "ROOT", tmp_path)
    (tmp_path / ".env").write_text("# ours\nGATEWAY_API_KEY='sk-file'\nGATEWAY_BASE_URL=http://a\n")
    monkeypatch.setenv("GATEWAY_BASE_URL", "http://b")
    assert stacks.dotenv()["GATEWAY_API_KEY"] == "sk-file"
    assert stacks.dotenv()["GATEWAY_BASE_URL"] == "http://b"


def test_the_stand_in_for_the_gateway_starts_once_beside_the_stack_and_stops_with_it(
    tmp_path: Path,
) -> None:
    home = StateDirectory(tmp_path)
    began = Stack(folder=tmp_path, port=9, pid=0, started=0)
    first = servers.start_stand_in(home, began)
    try:
        models = httpx.get(f"http://127.0.0.1:{first.stand_in_port}/v1/models", trust_env=False)
        assert {"id", "object", "created", "owned_by"} <= models.json()["data"][0].keys()
        assert servers.start_stand_in(home, first) == first
        assert home.last() == first
    finally:
        stopped = servers.stop_stand_in(first)
    assert stopped.stand_in == 0
    patience = time.monotonic() + 20
    with socket.socket() as probe:
        while not probe.connect_ex(("127.0.0.1", first.stand_in_port)):
            assert time.monotonic() < patience
            time.sleep(0.1)
