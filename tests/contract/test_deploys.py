"""Old and new code together, in a deploy and after a roll back: what one sends, the other reads."""

import ast
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from quorum.bulk import machine as bulk
from quorum.core.models import Frozen
from quorum.vote.evaluation import AggregateRequest, VoteRequest

from tests import make
from tests.template import ROOT

PACKAGE = "layers/quorum/python"
STRICT = {
    # what callers send is refused where it has a field that nobody knows; a policy or a panel that
    # has one is not half followed
    "api/callers.py",
    "batch/queue.py",
    "bulk/requests.py",
    "chat/chat.py",
    "console/visits.py",
    "document/requests.py",
    "vote/kept_versions.py",
    "vote/panel.py",
    "vote/panels.py",
    "vote/policy.py",
    # an entry whose hash covers every field: one left out would look like a change
    "audit/trail.py",
    # what is built in this process, or packaged with it
    "api/http.py",
    "app/container.py",
    "app/settings.py",
    "aws/keys.py",
    "aws/sessions.py",  # a name, which has no fields
    "aws/versions.py",
    "batch/runs.py",
    "chat/conversations.py",
    "document/batches.py",
    "document/parsing.py",
    "core/model_entry.py",
    "ledger/costs.py",
    "routes/batches.py",
    "vote/coverage.py",
    "vote/discovery.py",
    "vote/policies.py",
    "vote/policy_shadows.py",
    "vote/review_entries.py",
    "vote/score_coverage.py",
}
"""Modules that read nothing which another version of our own code wrote."""
EVENTS: dict[str, type[Frozen]] = {
    "vote.json": VoteRequest,
    "vote_any_model.json": VoteRequest,
    "vote_embedded.json": VoteRequest,
    "aggregate.json": AggregateRequest,
}


KEYED_BY_NAMES = frozenset({"weights", "evidence", "scores", "attribute_scores", "metadata"})
"""Objects whose keys are names of voters, categories or a caller's own."""


def with_unknown_fields(value: Any) -> Any:
    """`value`, with a field that nobody knows in each object that has fields."""
    if isinstance(value, dict):
        known = {
            key: one if key in KEYED_BY_NAMES else with_unknown_fields(one)
            for key, one in value.items()
        }
        return known | {"of_a_later_version": {"a": [1]}}
    if isinstance(value, list):
        return [with_unknown_fields(one) for one in value]
    return value


def payloads() -> Iterator[tuple[type[Frozen], Any]]:
    """What today's functions send each other."""
    evaluation = make.evaluation()
    yield VoteRequest, VoteRequest(evaluation=evaluation).model_dump(mode="json")
    votes = (make.cast("gemini-2.5-flash"), make.abstention("deepseek-v3.2"))
    asked = AggregateRequest(
        evaluation=evaluation, votes=votes, voters=("gemini-2.5-flash", "deepseek-v3.2"), round=1
    )
    yield AggregateRequest, asked.model_dump(mode="json")


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_newer_code_is_read_without_what_is_new_in_it(name: str) -> None:
    event = json.loads((ROOT / "events" / name).read_text())
    model = EVENTS[name]
    read = model.model_validate(with_unknown_fields(event), extra="ignore")
    assert read == model.model_validate(event)


def reads(folder: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in `folder` that validates data, with its module."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr
                in ("model_validate", "model_validate_json", "validate_json", "validate_python")
            ):
                yield str(file.relative_to(folder)), node


def test_every_function_ignores_what_newer_code_added_to_its_event() -> None:
    found = list(reads(ROOT / "functions"))
    assert len(found) >= 5
    for module, call in found:
        assert [keyword.arg for keyword in call.keywords] == ["extra"], module


def test_what_our_own_code_stored_is_read_without_what_newer_code_added() -> None:
    strict = {
        module
        for module, call in reads(ROOT / PACKAGE / "quorum")
        if "extra" not in {keyword.arg for keyword in call.keywords}
    }
    assert strict <= STRICT


def previous() -> str:
    """The commit that landed before this one."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--quiet", "--verify", "HEAD^1"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(reason="the clone has no history: there is no code to compare with")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and the events as they were one commit ago."""
    folder = tmp_path_factory.mktemp("old")
    archive = ["git", "-C", str(ROOT), "archive", previous(), PACKAGE, "events"]
    packed = subprocess.run(archive, capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", EVENTS)
def test_todays_functions_read_what_the_code_before_them_sends(old: Path, name: str) -> None:
    event = json.loads((old / "events" / name).read_text())
    EVENTS[name].model_validate(event, extra="ignore")


def test_the_code_before_todays_reads_what_todays_functions_send(old: Path) -> None:
    sent = {model.__name__: payload for model, payload in payloads()}
    script = (
        "import json, sys\n"
        "from quorum.vote import evaluation\n"
        "for name, payload in json.load(sys.stdin).items():\n"
        "    getattr(evaluation, name).model_validate(payload, extra='ignore')\n"
        "print(evaluation.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        check=False,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        | {"PYTHONPATH": str(old / PACKAGE)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(old))


def test_a_step_of_a_bulk_run_is_read_without_what_newer_code_added() -> None:
    event = json.loads((ROOT / "events/bulk_prepare.json").read_text())
    assert bulk.step_of(with_unknown_fields(event)) == bulk.step_of(event)
