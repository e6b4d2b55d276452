"""`quorum keys` on the table of keys."""

import json
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from quorum.audit.trail import AuditFilter, AuditTrail
from quorum.aws.keys import Caller, Keys, hash_of
from typer.testing import CliRunner

from cli import deployment
from cli.app import app


@pytest.fixture
def keys(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Keys:
    outputs = {name: name for name in ("KeysTable", "KeyUseTable", "AuditTable")}
    monkeypatch.setattr(deployment, "outputs_of", lambda _where: outputs)
    monkeypatch.setattr(deployment, "dynamodb", lambda _where: aws)
    monkeypatch.setattr(deployment, "stack_name", lambda _where: "quorum")
    monkeypatch.setattr(deployment, "client", lambda _where, service: boto3.client(service))
    return Keys(aws, "KeysTable", "KeyUseTable")


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


def test_a_key_that_drops_unsupported_attributes_says_so_and_so_does_its_successor(
    keys: Keys,
) -> None:
    issued = json.loads(run("issue", "--tenant", "acme", "--drop-unsupported", "--json").stdout)
    assert issued["drop_unsupported_attributes"] is True
    assert "drops unsupported attributes" in " ".join(run("list").stdout.split())
    rotated = keys.caller(run("rotate", hash_of(issued["key"])[:12]).stdout.strip())
    assert rotated is not None
    assert rotated.drop_unsupported_attributes


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
        (["issue", "--tenant", "acme", "--scope", "rule"], 2, "scopes"),
        (["issue", "--tenant", "acme", "--role", "member", "--scope", "review"], 2, "operator"),
        (["issue", "--tenant", "acme", "--per-minute", "0"], 2, "requests_per_minute"),
        (["issue", "--tenant", "acme", "--origin", "*"], 2, "allowed_origin"),
        (["rotate", "0123456789ab"], 1, "no key with this id"),
    ],
)
def test_what_cannot_be_done_is_said(
    keys: Keys, arguments: list[str], code: int, says: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == code
    assert says in " ".join(done.output.replace("│", " ").split())
    assert list(keys.stored()) == []


def test_a_key_is_issued_with_scopes_limits_an_origin_and_an_end(keys: Keys) -> None:
    options = ["--scope", "moderate", "--per-minute", "60", "--per-month", "1000", "--days", "30"]
    origin = "https://forum.example.com"
    done = run("issue", "--tenant", "acme", *options, "--origin", origin, "--json")
    assert done.exit_code == 0, done.output
    issued = json.loads(done.stdout)
    caller = keys.caller(issued["key"])
    assert caller == Caller(
        tenant="acme",
        scopes=("moderate",),
        requests_per_minute=60,
        requests_per_month=1000,
        allowed_origin=origin,
    )
    (listed,) = json.loads(run("list", "--json").stdout)
    assert issued["key"].startswith(listed["prefix"])
    ends, begins = (datetime.fromisoformat(listed[at]) for at in ("expires_at", "issued_at"))
    assert ends == datetime.fromisoformat(issued["expires_at"])
    assert timedelta(days=30) - timedelta(minutes=1) < ends - begins <= timedelta(days=30)


def test_a_scope_of_operators_makes_an_operators_key(keys: Keys) -> None:
    caller = keys.caller(run("issue", "--tenant", "acme", "--scope", "review").stdout.strip())
    assert caller == Caller(tenant="acme", role="operator", scopes=("review",))


def test_a_key_is_replaced_by_one_with_the_same_rights(keys: Keys) -> None:
    old = keys.issue(Caller(tenant="acme", scopes=("chat",)), name="bot")
    done = run("rotate", hash_of(old)[:12])
    assert done.exit_code == 0, done.output
    new = keys.caller(done.stdout.strip())
    assert (keys.caller(old), new) == (None, Caller(tenant="acme", scopes=("chat",), name="bot"))
    assert keys.caller(run("rotate", done.stdout.strip(), "--overlap-hours", "1").stdout.strip())
    assert keys.caller(done.stdout.strip()) == new


def test_what_the_command_does_is_in_the_audit_trail_of_the_tenant(keys: Keys, aws: Any) -> None:
    first = run("issue", "--tenant", "acme", "--name", "bot").stdout.strip()
    second = run("rotate", first).stdout.strip()
    run("revoke", second)
    page = AuditTrail(aws, "AuditTable").page("acme", AuditFilter(), newest_first=False)
    assert [(str(entry.action), entry.by) for entry in page.entries] == [
        ("key.issued", "quorum keys"),
        ("key.changed", "quorum keys"),
        ("key.revoked", "quorum keys"),
    ]
    assert list(keys.stored()) == []


def test_a_key_has_a_panel_of_its_own_if_its_tenant_has_that_panel(keys: Keys) -> None:
    done = run("issue", "--tenant", "acme", "--panel", "embedded")
    caller = keys.caller(done.stdout.strip())
    assert caller == Caller(tenant="acme", panel="embedded")
    assert "before embedded" in " ".join(run("list").stdout.split())
    refused = run("issue", "--tenant", "acme", "--panel", "embeded")
    assert refused.exit_code == 2
    assert "panel" in refused.output
