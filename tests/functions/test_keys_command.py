"""`quorum keys` on the table of keys."""

import json
from typing import Any

import pytest
from quorum.aws.keys import Caller, Keys, hash_of
from typer.testing import CliRunner

from cli import deployment
from cli.app import app


@pytest.fixture
def keys(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Keys:
    table = aws.Table("KeysTable")
    monkeypatch.setattr(deployment, "table", lambda _where, output: table if output else None)
    return Keys(table)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", *arguments], env={"COLUMNS": "80"})


def test_a_key_is_issued_to_stdout_alone_and_opens_its_tenant(keys: Keys) -> None:
    done = run("issue", "--tenant", "acme", "--role", "operator", "--name", "reviewers")
    assert done.exit_code == 0, done.output
    assert keys.caller(done.stdout.strip()) == Caller(
        tenant="acme", role="operator", name="reviewers"
    )


def test_keys_are_listed_by_tenant_without_the_keys(keys: Keys) -> None:
    secret = keys.issue(Caller(tenant="zeta"), name="shop")
    keys.issue(Caller(tenant="acme", role="deployment_operator"))
    shown = run("list").stdout
    assert shown.index("acme") < shown.index("zeta")
    assert "deployment_operator" in shown
    assert secret not in shown
    (listed,) = json.loads(run("list", "--tenant", "zeta", "--json").stdout)
    assert (listed["tenant"], listed["name"], listed["role"]) == ("zeta", "shop", "member")
    assert listed["issued_at"].startswith("20")


def test_a_key_that_flags_reviews_says_so(keys: Keys) -> None:
    done = run("issue", "--tenant", "acme", "--flag-review", "--json")
    issued = json.loads(done.stdout)
    assert issued["review_is_flagged"] is True
    caller = keys.caller(issued["key"])
    assert caller is not None
    assert caller.review_is_flagged
    (listed,) = json.loads(run("list", "--json").stdout)
    assert listed["review_is_flagged"] is True


def test_a_key_issued_before_names_were_stored_is_listed(keys: Keys, aws: Any) -> None:
    item = {"key_hash": "ab" * 32, "tenant": "old", "role": "member"}
    aws.Table("KeysTable").put_item(Item=item)
    assert [key.name for key in keys.stored()] == [""]
    assert "abababababab" in run("list").stdout


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_revoked_key_opens_nothing(keys: Keys, by: str) -> None:
    kept, gone = keys.issue(Caller(tenant="acme")), keys.issue(Caller(tenant="acme"))
    done = run("revoke", gone if by == "key" else hash_of(gone)[:12])
    assert done.exit_code == 0, done.output
    assert keys.caller(gone) is None
    assert keys.caller(kept) is not None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["revoke", "0123456789ab"], 1, "no key with this id"),
        (["revoke", "01"], 2, "at least 8 digits"),
        (["issue", "--tenant", "no spaces please"], 2, "tenant"),
        (["issue", "--tenant", "acme", "--role", "king"], 2, "king"),
    ],
)
def test_what_cannot_be_done_is_said(
    keys: Keys, arguments: list[str], code: int, says: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == code
    assert says in " ".join(done.output.replace("│", " ").split())
    assert list(keys.stored()) == []
