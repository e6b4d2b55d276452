"""The pages of labels: what they say, and a proposal on its way into force."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from quorum.audit.trail import AuditFilter
from quorum.console.pages import labels as pages
from quorum.review import proposals

from analysis import recorded
from tests.console.conftest import Client, Issue, Store
from tests.functions.test_learning import OWN, PANEL, SHADOW, drifted, labels, put, value

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer


@pytest.fixture
def ssm(container: "ConsoleContainer", monkeypatch: pytest.MonkeyPatch) -> Any:
    """SSM with the drifted panel in force, and labels of the tenant."""
    client = boto3.client("ssm")
    put(client, f"/quorum/panels/{PANEL}", drifted())
    monkeypatch.setattr(proposals.Labels, "latest", lambda _self, _tenant: labels())
    return client


def test_a_proposal_is_made_looked_at_tried_and_put_in_force_by_a_person(
    ada: Client, ssm: Any, container: "ConsoleContainer"
) -> None:
    ada.get("labels")
    assert "220 labels stand for 220 verdicts" in ada.text
    assert "No proposals" in ada.text
    ada.post("labels/propose", {"panel": PANEL, "policy": "default"})
    assert ada.status == 200
    (made,) = container.proposals.page("acme").proposals
    assert f"{made.from_version} → {made.version}" in ada.text
    assert "Right of what is decided" in ada.text
    assert value(ssm, SHADOW) is None
    ada.post(f"labels/{made.id}/shadow")
    assert value(ssm, SHADOW) is not None
    assert "Put in force" in ada.text
    ada.post(f"labels/{made.id}/promote")
    assert "In force" in ada.text
    promoted = value(ssm, OWN)
    assert promoted is not None
    assert promoted.version == made.version
    entries = container.audit.page("acme", AuditFilter(subject=f"panel/{PANEL}")).entries
    assert {(one.by, one.person) for one in entries} == {("ada", "ada")}


def test_a_refused_step_is_told_on_the_page_it_was_made_from(
    ada: Client, ssm: Any, container: "ConsoleContainer"
) -> None:
    ada.get("labels")
    ada.post("labels/propose", {"panel": "default"})
    assert (ada.status, "scores are no probabilities" in ada.text) == (400, True)
    ada.get("labels")
    ada.post("labels/propose", {"panel": PANEL})
    (made,) = container.proposals.page("acme").proposals
    put(ssm, OWN, drifted().model_copy(update={"description": "another"}))
    ada.post(f"labels/{made.id}/shadow")
    assert (ada.status, "make another proposal" in ada.text) == (409, True)
    ada.post(f"labels/{made.id}/withdraw")
    assert "Withdrawn" in ada.text
    assert ada.get("labels/0123456789abcdef0123").status == 404


def test_a_reviewer_sees_labels_and_proposals_and_puts_none(
    client: Client, issue: Issue, ssm: Any, container: "ConsoleContainer"
) -> None:
    client.sign_in(issue("grace", scopes=("review",)))
    client.get("labels")
    assert client.status == 200
    assert "labels/propose" not in client.body
    client.get("review")
    assert client.post("labels/propose", {"panel": PANEL}).status == 403
    assert container.proposals.page("acme").proposals == ()


def test_labels_are_downloaded_as_the_command_exports_them(
    ada: Client, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for minutes, (name, text) in enumerate((("later", "=cmd()"), ("sooner", "욕설입니다"))):
        store(name, minutes, text=text)
        ada.get(f"review/{name}")
        ada.post(f"review/{name}/decide", {"decision": "unsafe"})
    assert "labels/export.csv" in ada.get("labels").body
    ada.get("labels/export.csv")
    assert (ada.status, ada.header("Content-Type")) == (200, "text/csv; charset=utf-8")
    assert ada.header("Cache-Control") == "no-store"
    assert re.search(r'"quorum-labels-[\d-]+\.csv"$', ada.header("Content-Disposition"))
    file = tmp_path / "labels.csv"
    file.write_text(ada.body, encoding="utf-8", newline="")
    found = recorded.read(file)
    assert found.texts == ("욕설입니다", "=cmd()")
    assert {recorded.DECISIONS[code] for code in found.gold} == {"unsafe"}
    assert "'=cmd()" in ada.body  # no formula for a spreadsheet
    monkeypatch.setattr(pages, "EXPORT_BYTES", 300)
    assert 'csv"' in ada.get("labels/export.csv").header("Content-Disposition")
    assert "-latest-1.csv" in ada.header("Content-Disposition")
    assert "욕설입니다" not in ada.body
