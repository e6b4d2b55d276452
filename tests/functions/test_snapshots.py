"""Environments restored from a snapshot: what was open, read or drawn before is gone."""

import importlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

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
