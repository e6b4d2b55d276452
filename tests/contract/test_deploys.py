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
from quorum.batch.queue import message_body
from quorum.bulk import machine as bulk
from quorum.bulk.requests import QueuedItem
from quorum.core.models import Frozen
from quorum.core.position import BatchPosition
from quorum.document.requests import QueuedDocument
from quorum.events import changes
from quorum.events.queue import QueuedDelivery, WebhookOf
from quorum.events.recent import Undelivered
from quorum.events.rules import EventRule
from quorum.events.sending import DeliveryFailure
from quorum.events.webhooks import Delivery, Webhook
from quorum.vote.evaluation import AggregateRequest, VoteRequest

from tests import make
from tests.template import ROOT
from tests.unit.test_event_changes import WHEN, item, verdict

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
    "core/embedded_voters.py",
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
        "print(json.dumps(evaluation.__file__))\n"
    )
    assert str(run_before(old, script, sent)).startswith(str(old))


def run_before(old: Path, script: str, given: Any) -> Any:
    """What a script prints that the code before today's runs, both in JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        | {"PYTHONPATH": str(old / PACKAGE)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- queues and tables ----


def written() -> dict[str, str]:
    """What today's code puts on queues and stores for events, by the name of what reads it."""
    decided = verdict("unsafe")
    (event,) = changes.events_of(None, item(decided))
    place = BatchPosition(batch="b1", index=3)
    to = WebhookOf(tenant="acme", name="hooks")
    put_off = QueuedDelivery(event=event, webhook=to, tries=2, due_at=WHEN, unchecked=True)
    secret = {"encrypted": "c2VjcmV0", "created_at": WHEN, "expires_at": WHEN}
    webhook = Webhook.model_validate(
        {
            "url": "https://hooks.example.com/",
            "types": ["review.decided"],
            "verdicts": [{"min_score": 0.5}],
            "secrets": [secret | {"expires_at": None}, secret],
            "created_at": WHEN,
            "changed_at": WHEN,
        }
    )
    failed = DeliveryFailure.TIMED_OUT
    told: dict[str, Any] = {"event_id": event.id, "type": event.type}
    document = QueuedDocument(tenant="acme", position=place, key="documents/1", is_text=True)
    return {
        "a delivery to the bus": QueuedDelivery(event=event).model_dump_json(),
        "a delivery to a webhook": QueuedDelivery(event=event, webhook=to).model_dump_json(),
        "a delivery that is put off": put_off.model_dump_json(),
        "an event": event.model_dump_json(),
        "a rule": EventRule().model_dump_json(),
        "a webhook": webhook.model_dump_json(),
        "a last delivery": Delivery(**told, at=WHEN, tries=3, failure=failed).model_dump_json(),
        "a dead letter": Undelivered(**told, failed_at=WHEN, failure=failed).model_dump_json(),
        "an item of a batch": message_body(
            QueuedItem(tenant="acme", position=place, content="text", metadata={"a": 1})
        ),
        "a document": message_body(document),
    }


READERS = """
from quorum.bulk.requests import QueuedItem
from quorum.document.requests import QueuedDocument
from quorum.events import schema
from quorum.events.queue import QueuedDelivery
from quorum.events.recent import Undelivered
from quorum.events.rules import EventRule
from quorum.events.webhooks import Delivery, Webhook

def lenient(model):
    return lambda text: model.model_validate_json(text, extra="ignore")

READ = {
    "a delivery to the bus": lenient(QueuedDelivery),
    "a delivery to a webhook": lenient(QueuedDelivery),
    "a delivery that is put off": lenient(QueuedDelivery),
    "an event": schema.read,
    "a rule": lenient(EventRule),
    "a webhook": lenient(Webhook),
    "a last delivery": lenient(Delivery),
    "a dead letter": lenient(Undelivered),
    "an item of a batch": QueuedItem.model_validate_json,
    "a document": QueuedDocument.model_validate_json,
}
"""
"""The readers of what is written, run by today's code and by the code before."""


def readers() -> dict[str, Any]:
    """Today's readers."""
    names: dict[str, Any] = {}
    exec(READERS, names)  # noqa: S102 the same lines are run by the code before
    found: dict[str, Any] = names["READ"]
    return found


def test_what_was_queued_and_stored_before_is_read_as_it_was() -> None:
    """The examples are of the first release that had events; later ones only add to the file."""
    examples = json.loads((Path(__file__).parent / "written_before.json").read_text())
    assert examples.keys() <= written().keys()
    for name, text in examples.items():
        read = json.loads(readers()[name](text).model_dump_json(exclude_unset=True))
        assert read == json.loads(text), name


def test_todays_queues_and_tables_are_read_by_the_code_before_and_back(old: Path) -> None:
    script = (
        f"{READERS}\n"
        "import json, sys\n"
        "found = {name: READ[name](text) for name, text in json.load(sys.stdin).items()}\n"
        "print(json.dumps({name: one.model_dump_json() for name, one in found.items()}))\n"
    )
    sent = written()
    for name, text in run_before(old, script, sent).items():
        readers()[name](text)


def test_a_step_of_a_bulk_run_is_read_without_what_newer_code_added() -> None:
    event = json.loads((ROOT / "events/bulk_prepare.json").read_text())
    assert bulk.step_of(with_unknown_fields(event)) == bulk.step_of(event)
