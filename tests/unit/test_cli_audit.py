"""`quorum audit`: the chain is listed, exported, and checked with what was noted elsewhere."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.audit.chain import Action, AuditEntry, Change, entry_after
from typer.testing import CliRunner

from cli import audit
from cli.app import app
from cli.service import Service


def chain(length: int) -> list[AuditEntry]:
    made: list[AuditEntry] = []
    for number in range(length):
        change = Change(action=Action.POLICY_PUT, by="ops", subject=f"policy/{number}")
        at = datetime(2026, 11, 20, 12, number, tzinfo=UTC)
        made.append(entry_after("acme", made[-1] if made else None, change, at))
    return made


Deploy = Callable[[list[AuditEntry]], list[dict[str, str]]]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """A deployment with these entries, in pages of two; returns what it was asked."""

    def deploy(entries: list[AuditEntry]) -> list[dict[str, str]]:
        asked: list[dict[str, str]] = []

        def answer(request: httpx.Request) -> httpx.Response:
            query = dict(request.url.params)
            asked.append(query)
            start = int(query.get("next", 0))
            ordered = entries if query.get("order") == "oldest" else entries[::-1]
            shown = [json.loads(one.model_dump_json()) for one in ordered[start : start + 2]]
            after = str(start + 2) if start + 2 < len(entries) else None
            return httpx.Response(200, json={"entries": shown, "next": after})

        one = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
        monkeypatch.setattr(audit, "connect", lambda _where, operator: one if operator else None)
        return asked

    return deploy


def run(*arguments: str, columns: int | None = None) -> Any:
    environment = None if columns is None else {"COLUMNS": str(columns)}
    return CliRunner().invoke(app, ["audit", *arguments], env=environment)


def test_the_latest_entries_are_listed_first(deployed: Deploy) -> None:
    asked = deployed(chain(5))
    done = run("list", "--limit", "3", "--by", "ops", "--json")
    assert [one["number"] for one in json.loads(done.stdout)] == [5, 4, 3]
    assert asked[0] == {"by": "ops"}
    table = run("list").stdout
    assert "policy/4" in table
    assert "12:04:00" in table


def test_a_narrow_terminal_shows_fewer_columns_and_cuts_no_cell(deployed: Deploy) -> None:
    change = Change(
        action=Action.POLICY_SHADOW_REMOVED,
        by="deployment-operator",
        person="somebody@example.com",
        subject=f"verdict/{'0123456789abcdef' * 2}",
        before={"version": "0123456789abcdef"},
        after={"decision": "unsafe", "categories": ("hate", "harassment")},
    )
    first = chain(1)[0]
    deployed([first, entry_after("acme", first, change, first.at)])
    shown = run("list", columns=80).stdout
    assert "…" not in shown
    assert "deployment-operat" in shown  # folded, not cut
    assert "2026-11-20 12:00:00" in shown
    assert "policy_shadow.removed" in shown
    assert "A wider terminal also shows:" in shown
    wide = run("list", columns=220).stdout
    assert "categories hate harassment" in wide
    assert "A wider terminal" not in wide


def test_an_exported_chain_can_be_checked_without_the_deployment(
    deployed: Deploy, tmp_path: Path
) -> None:
    entries = chain(5)
    deployed(entries)
    out = tmp_path / "audit.jsonl"
    assert run("export", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o077 == 0
    done = run("check", "--file", str(out))
    assert (done.exit_code, done.stdout.strip()) == (0, f"5:{entries[-1].hash}")


def test_a_chain_is_checked_where_it_is(deployed: Deploy) -> None:
    entries = chain(5)
    deployed(entries)
    done = run("check", "--head", f"3:{entries[2].hash}")
    assert (done.exit_code, done.stdout.strip()) == (0, f"5:{entries[-1].hash}")


def test_a_tampered_a_missing_and_a_moved_entry_are_found(deployed: Deploy) -> None:
    for entries, said in (
        (
            [*chain(3)[:2], chain(3)[2].model_copy(update={"by": "nobody"})],
            "entry 3 was changed after it was written",
        ),
        ([chain(3)[0], chain(3)[2]], "entry 2 is missing"),
        ([chain(3)[1], chain(3)[0], chain(3)[2]], "entry 1 is missing"),
    ):
        deployed(entries)
        done = run("check")
        assert done.exit_code == 1
        assert said in done.stdout


def test_a_chain_whose_end_was_cut_off_lacks_the_entry_that_was_noted(deployed: Deploy) -> None:
    entries = chain(5)
    deployed(entries[:3])
    assert run("check").exit_code == 0
    done = run("check", "--head", f"5:{entries[4].hash}")
    assert done.exit_code == 1
    assert "noted earlier" in done.stdout


def test_a_file_that_is_no_chain_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("{}\n")
    done = run("check", "--file", str(file))
    assert done.exit_code == 1
    assert "Line 1 of" in done.stderr
