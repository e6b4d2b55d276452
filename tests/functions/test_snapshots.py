"""Environments restored from a snapshot: what was open, read or drawn before is gone."""

import importlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
import snapshot_restore_py
from awslambdaric import lambda_runtime_hooks_runner
from quorum.api import idempotency
from quorum.app.clients import Clients
from quorum.app.opened import opened_once
from quorum.aws import snapshots
from quorum.core.models import Frozen

from functions.vote import app as vote
from tests.functions import test_vote

ask, stand_in = test_vote.ask, test_vote.stand_in  # fixtures: a gateway voter and its gateway


@pytest.fixture(autouse=True)
def _hooks() -> Iterator[None]:
    """Forget the hooks that a test registers."""
    known = list(snapshot_restore_py.get_after_restore())
    yield
    snapshot_restore_py.get_after_restore()[:] = known


def restore() -> None:
    """Do what Lambda's own Python does after each restore, with its own code."""
    lambda_runtime_hooks_runner.run_after_restore()


def test_a_voter_whose_container_is_in_the_snapshot_votes_with_a_new_one(
    ask: test_vote.Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = ask(test_vote.living())
    before = vote.app()
    closed = list[str]()
    client = before.dynamodb.meta.client
    monkeypatch.setattr(client, "close", lambda: closed.append("DynamoDB"))
    assert before.gateway.is_open
    session, keys = object(), before.base_urls
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)

    restore()

    assert closed == ["DynamoDB"]
    assert not before.gateway.is_open
    assert boto3.DEFAULT_SESSION is not session
    other = ask(test_vote.living(tenant="beta"))
    assert (other["decision"], other["voter"]) == (cast["decision"], cast["voter"])
    assert vote.app() is not before
    assert vote.app().base_urls is not keys


def test_a_container_that_is_not_open_is_not_opened_by_a_restore() -> None:
    opened = list[Clients]()

    @opened_once
    def app() -> Clients:
        opened.append(Clients(Frozen()))
        return opened[-1]

    restore()
    assert opened == []
    assert app() is app() is opened[0]


def test_a_connection_that_cannot_be_closed_does_not_keep_its_container() -> None:
    class Broken(Clients):
        def close(self) -> None:
            raise OSError("the connection is gone")

    app = opened_once(lambda: Broken(Frozen()))
    before = app()
    restore()
    assert app() is not before


def test_environments_of_one_snapshot_draw_differently() -> None:
    snapshot = random.getstate()
    drawn = set()
    for _environment in range(3):
        random.setstate(snapshot)
        restore()
        drawn.add(random.random())
    assert len(drawn) == 3


def test_the_store_of_idempotency_keys_is_opened_anew(
    aws: Any, within: Callable[[str], None]
) -> None:
    within("ApiFunction")
    store = idempotency._store  # noqa: SLF001 - nothing else shows whether it is a new one
    before = store("VerdictsTable", "")
    assert store("VerdictsTable", "") is before
    restore()
    assert store("VerdictsTable", "") is not before


def test_where_lambdas_module_is_missing_there_is_no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(snapshot_restore_py.get_after_restore())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "snapshot_restore_py", None)
        importlib.reload(snapshots)
        snapshots.after_restore(lambda: None)
    importlib.reload(snapshots)
    assert snapshot_restore_py.get_after_restore() == [*before, (random.seed, (), {})]


HANDLER = """
import json, random
from quorum.app.clients import Clients
from quorum.app.opened import opened_once
from quorum.core.models import Frozen

app = opened_once(lambda: Clients(Frozen()))
before, drawn = app(), random.getstate()

def handler(event, context):
    found = {"anew": app() is not before, "seeded": random.getstate() != drawn}
    print(json.dumps(found), flush=True)
"""
"""A handler that does what none of ours does: at its start it opens its container."""


SENT = {
    "Content-Length": "2",
    "Content-Type": "application/json",
    "Lambda-Runtime-Aws-Request-Id": "one",
    "Lambda-Runtime-Client-Context": "{}",
    "Lambda-Runtime-Cognito-Identity": "{}",
    "Lambda-Runtime-Deadline-Ms": "4102444800000",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:one",
    "Lambda-Runtime-Trace-Id": "Root=1",
}


class RuntimeApi(BaseHTTPRequestHandler):
    """Lambda's side of a start from a snapshot: a restore, then an invocation."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path.removeprefix("/2018-06-01/runtime/"))
        self.send_response(200)
        for name, value in SENT.items():  # it crashes without one of them
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_given: Any) -> None:
        """Write no log."""


def test_lambdas_own_python_calls_the_hooks_after_a_restore_and_before_an_invocation(
    tmp_path: Path,
) -> None:
    (tmp_path / "app.py").write_text(HANDLER)
    with ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
        threading.Thread(target=server.serve_forever).start()
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
        }
        command = [sys.executable, "-m", "awslambdaric", "app.handler"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as runtime:
            assert runtime.stdout is not None
            printed = runtime.stdout.readline()  # or its end, if it could not start
            runtime.kill()
        server.shutdown()
    assert json.loads(printed) == {"anew": True, "seeded": True}, printed
    assert RuntimeApi.asked[:2] == ["restore/next", "invocation/next"]
