"""The operators' pages: batches, policies, panels and models, and keys."""

import asyncio
import json
import re
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from quorum.audit.chain import Action, AuditEntry, Change, faults
from quorum.audit.trail import AuditFilter
from quorum.aws.keys import hash_of
from quorum.console.pages import audit
from quorum.ledger import ledger

from functions.console import app as console
from tests.console.conftest import ATTACK, BATCH, Client, Issue, Store, new_batch

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer


@pytest.fixture
def queues(aws: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The queue of contents and its dead letters."""
    sqs = boto3.client("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("items", "dead")}
    monkeypatch.setenv("ITEMS_QUEUE", urls["items"])
    monkeypatch.setenv("DEAD_LETTERS", urls["dead"])
    monkeypatch.setenv("DOCUMENTS_QUEUE", urls["items"])
    console.app.cache_clear()
    return urls


def test_batches_are_listed_newest_first_a_page_at_a_time(
    ada: Client, container: "ConsoleContainer"
) -> None:
    names = [f"{number:032x}" for number in range(23)]
    now = container.clock()
    for number, name in enumerate(names):
        container.batches._clock = lambda at=now + number: at  # type: ignore[misc] # noqa: SLF001 each is a second later
        new_batch(container, name)
    new_batch(container, "f" * 32, tenant="other")
    ada.get("batches")
    first = re.findall(r'href="[./]*batches/([0-9a-f]{32})"', ada.body)
    assert first == names[:2:-1]
    (following,) = re.findall(r'href="[./]*(batches\?next=[^"]+)"', ada.body)
    ada.get(following)
    assert re.findall(r'href="[./]*batches/([0-9a-f]{32})"', ada.body) == names[2::-1]
    assert "f" * 32 not in ada.body
    assert ada.get("batches?next=nonsense").status == 400


def test_a_batch_shows_its_progress_and_its_dead_letters(
    ada: Client, container: "ConsoleContainer"
) -> None:
    new_batch(container)
    ada.get(f"batches/{BATCH}")
    assert ada.status == 200
    assert 'hx-trigger="every 3s"' in ada.body
    assert '<progress aria-labelledby="progress" max="100" value="50.0">' in ada.body
    assert ATTACK in ada.text
    assert "<script>alert" not in ada.body


def test_dead_letters_are_redriven_and_a_batch_is_cancelled(
    ada: Client, container: "ConsoleContainer", queues: dict[str, str]
) -> None:
    new_batch(container)
    body = json.dumps(
        {"tenant": "acme", "position": {"batch": BATCH, "index": 1}, "content": "one"}
    )
    boto3.client("sqs").send_message(QueueUrl=queues["dead"], MessageBody=body)
    ada.get(f"batches/{BATCH}")
    ada.post(f"batches/{BATCH}/redrive")
    assert "on their way again" in ada.text
    sent = boto3.client("sqs").receive_message(QueueUrl=queues["items"])["Messages"]
    assert json.loads(sent[0]["Body"])["position"] == {"batch": BATCH, "index": 1}
    assert container.batches.record("acme", BATCH).dead == 0
    ada.post(f"batches/{BATCH}/cancel")
    assert "Cancelled" in ada.text
    assert 'hx-trigger="every' not in ada.body


@pytest.mark.parametrize("path", [f"batches/{BATCH}", f"batches/{BATCH}/redrive"])
def test_another_tenants_batch_is_not_there(
    ada: Client, container: "ConsoleContainer", path: str
) -> None:
    new_batch(container, tenant="other")
    ada.get("batches")
    found = ada.post(path) if path.endswith("redrive") else ada.get(path)
    assert found.status == 404


def put(client: Client, name: str, document: dict[str, Any], expected: str = "") -> Client:
    """Put a policy by the form of its page."""
    client.get(f"policies/{name}")
    return client.post(f"policies/{name}", {"document": json.dumps(document), "expected": expected})


def in_force(container: "ConsoleContainer", name: str = "gaming") -> dict[str, Any]:
    return container.policies.view("acme", name).policy


def test_a_policy_is_written_changed_compared_and_rolled_back(
    ada: Client, container: "ConsoleContainer"
) -> None:
    assert "no policy of this name" in ada.get("policies?name=gaming").text
    put(ada, "gaming", {"instructions": "Insults between players are safe."})
    assert "is in force" in ada.text
    first = container.policies.view("acme", "gaming").version
    put(ada, "gaming", {"instructions": "Insults are unsafe."}, expected=first)
    assert in_force(container)["instructions"] == "Insults are unsafe."
    ada.get(f"policies/gaming?version={first}")
    assert "+Insults between players are safe." in ada.text
    second = container.policies.view("acme", "gaming").version
    ada.post("policies/gaming/roll-back", {"version": first, "expected": second})
    assert container.policies.view("acme", "gaming").version == first
    entries = container.audit.page(
        "acme", AuditFilter(action=Action.POLICY_PUT), newest_first=True, limit=9, after=None
    ).entries
    assert [entry.after["version"] for entry in entries] == [first, second, first]
    assert {entry.by for entry in entries} == {"ada"}


def test_instructions_are_edited_and_compared_as_lines_and_stand_in_one_place(
    ada: Client, container: "ConsoleContainer"
) -> None:
    lines = "Insults are unsafe.\nQuotes of songs are safe."
    ada.get("policies/gaming")
    form = {"instructions": lines.replace("\n", "\r\n"), "document": '{"mode": "detect_only"}'}
    ada.post("policies/gaming", form)
    assert in_force(container) == {"instructions": lines, "mode": "detect_only"}
    first = container.policies.view("acme", "gaming").version
    assert unescape(ada.body).count(f"{lines}</textarea>") == 1
    form["instructions"] = "Insults are unsafe."
    ada.post("policies/gaming", form | {"expected": first})
    ada.get(f"policies/gaming?version={first}")
    assert "+Quotes of songs are safe." in ada.text
    assert " Insults are unsafe." in ada.text
    ada.post("policies/gaming", form | {"document": '{"instructions": "Others."}'})
    assert (ada.status, "leave one of them" in ada.text) == (400, True)


def test_a_change_that_somebody_made_meanwhile_is_not_overwritten(
    ada: Client, container: "ConsoleContainer"
) -> None:
    put(ada, "gaming", {"instructions": "One."})
    first = container.policies.view("acme", "gaming").version
    put(ada, "gaming", {"instructions": "Two."}, expected=first)
    put(ada, "gaming", {"instructions": "Three."}, expected=first)
    assert ada.status == 412
    assert "Three." in ada.text
    assert in_force(container)["instructions"] == "Two."


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "is not JSON, line 1"),
        ("[]", "must be a JSON object"),
        ('{"instructions": "a", "instructions": "b"}', "stands twice"),
        ('{"colour": "red"}', "colour"),
        ('{"instructions": ""}', "instructions"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_document_that_cannot_be_taken_stays_in_the_form_with_what_is_wrong(
    ada: Client, container: "ConsoleContainer", document: str, said: str
) -> None:
    ada.get("policies/gaming")
    for place in ("policies/gaming", "policies/gaming/try"):
        ada.post(place, {"document": document, "text": "a text"})
        assert (ada.status, said in ada.text) == (400, True), ada.text[:500]
        assert document[:100] in ada.text
    assert [one.name for one in container.policies.in_force("acme").policies] == ["default"]


@pytest.mark.parametrize("name", ["..", "-x", "a" * 65])
def test_a_name_that_no_policy_may_have_is_refused(ada: Client, name: str) -> None:
    assert ada.get(f"policies/{name}").status in {400, 404}
    assert ada.get(f"policies?name={name}").status == 400


def test_a_policy_is_switched_to_detecting_and_back_and_gets_a_shadow(
    ada: Client, container: "ConsoleContainer"
) -> None:
    for name in ("gaming", "strict"):
        put(ada, name, {"instructions": f"Be {name}."})
    ada.get("policies/gaming")
    for mode, said in (("detect_only", "all are allowed"), ("enforce", "are enforced")):
        version = container.policies.view("acme", "gaming").version
        ada.post("policies/gaming/mode", {"mode": mode, "expected": version})
        assert (in_force(container).get("mode", "enforce"), said in ada.text) == (mode, True)
    ada.post("policies/gaming/shadow", {"shadow": "strict"})
    assert "<option selected>strict" in ada.body
    ada.post("policies/gaming/shadow", {"shadow": ""})
    assert "<option selected>strict" not in ada.body


def test_a_policy_is_tried_on_recent_verdicts_before_it_is_in_force(
    ada: Client, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1", said="unsafe", scores={"harassment": 0.9})
    store("verdict-2", said="safe")
    ada.get("policies/default")
    document = {"categories": {"harassment": {"action": "needs_review"}}}
    ada.post("policies/default/try", {"document": json.dumps(document)})
    assert ada.status == 200, ada.text
    assert re.search(r"Changed\s*1 / 2", ada.text), ada.text
    assert [one.source for one in container.policies.in_force("acme").policies] == ["packaged"]


def test_a_key_with_no_right_to_change_reads_policies_only(client: Client, issue: Issue) -> None:
    client.sign_in(issue(scopes=("review",)))
    client.get("policies/default")
    assert (client.status, "readonly" in client.body) == (200, True)
    assert "Put in force" not in client.text
    assert client.post("policies/default", {"document": "{}"}).status == 403
    assert client.get("policies/none").status == 404


def test_a_key_is_issued_shown_once_replaced_and_revoked(
    ada: Client, container: "ConsoleContainer"
) -> None:
    ada.get("keys")
    ada.post(
        "keys",
        {
            "name": ATTACK,
            "scope": ["moderate", "review"],
            "requests_per_minute": "60",
            "drop_unsupported_attributes": "1",
        },
    )
    (key,) = re.findall(r'id="new-key">([^<]+)<', ada.body)
    assert ada.header("Cache-Control") == "no-store"
    stored = container.keys.find(hash_of(key))
    assert stored is not None
    assert (stored.name, stored.requests_per_minute) == (ATTACK, 60)
    assert (stored.drop_unsupported_attributes, stored.review_is_flagged) == (True, False)
    assert "<script>alert" not in ada.body
    assert key not in ada.get("keys").body
    ada.post(f"keys/{stored.id}/rotate", {"overlap_hours": "0"})
    (newer,) = re.findall(r'id="new-key">([^<]+)<', ada.body)
    assert container.keys.find(hash_of(key)) is None
    replaced = container.keys.find(hash_of(newer))
    assert replaced is not None
    ada.post(f"keys/{replaced.id}/revoke")
    assert container.keys.find(hash_of(newer)) is None
    assert ada.status == 200


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "", "scope": ["moderate"]}, "name"),
        ({"name": "a"}, "scopes"),
        ({"name": "a", "scope": ["moderate"], "expires_on": "2020-01-01"}, "expires_at"),
        ({"name": "a", "scope": ["moderate"], "expires_on": "soon"}, "expires_on"),
        (
            {"name": "a", "scope": ["moderate"], "requests_per_minute": "many"},
            "requests_per_minute",
        ),
        (
            {"name": "a", "scope": ["review"], "allowed_origin": "https://example.com"},
            "allowed_origin",
        ),
        ({"name": "a", "scope": ["moderate"], "panel": "none-such"}, "none-such"),
    ],
)
def test_a_key_that_cannot_be_issued_says_why(
    ada: Client, container: "ConsoleContainer", form: dict[str, Any], said: str
) -> None:
    before = len(container.keys.of_tenant("acme"))
    ada.get("keys")
    ada.post("keys", form)
    assert (ada.status, said in ada.text) == (400, True), ada.text
    assert len(container.keys.of_tenant("acme")) == before


def test_no_key_gives_more_than_it_has_and_none_of_another_tenant_is_touched(
    client: Client, issue: Issue, container: "ConsoleContainer"
) -> None:
    issue("theirs", tenant="other")
    (theirs,) = container.keys.of_tenant("other")
    client.sign_in(issue(scopes=("operate",)))
    client.get("keys")
    assert client.post("keys", {"name": "a", "scope": ["chat"]}).status == 403
    for step in ("rotate", "revoke"):
        client.get("keys")
        assert client.post(f"keys/{theirs.id}/{step}", {"overlap_hours": "0"}).status == 404
    client.get("keys")
    assert client.post("keys/..%2f/revoke").status == 404
    assert [key.name for key in container.keys.of_tenant("other")] == ["theirs"]


def test_panels_show_what_is_expected_of_them_and_models_their_prices(ada: Client) -> None:
    ada.get("panels")
    assert ada.status == 200
    for name in ("economy", "embedded", "default", "gemini-2.5-flash"):
        assert name in ada.text
    assert "Decisions of reviewers show here" in ada.text
    plot = re.search(r"<svg class=\"plot\".*?</svg>", ada.body, re.DOTALL)
    assert plot is not None
    assert "economy" in plot[0]
    assert "nothing is expected of them: default, embedded" in ada.text


def test_the_agreement_of_voters_comes_from_what_people_decided(ada: Client, store: Store) -> None:
    store("verdict-1")
    ada.post("review/begin")
    ada.post("review/verdict-1/decide", {"decision": "unsafe"})
    ada.get("panels")
    assert re.search(r"gpt-4.1 1 0.0% 0.0% – [0-9.]+%", ada.text), ada.text


def test_health_shows_open_circuits_waits_queues_and_what_was_spent(
    ada: Client, container: "ConsoleContainer", queues: dict[str, str]
) -> None:
    url = container.settings.gateway_base_url.split(",")[0].rstrip("/")
    for _ in range(5):
        asyncio.run(container.breaker.report(url, "deepseek-v3.2", well=False))
    for _ in range(40):
        container.limiter.reserve("gpt-4.1", 30_000, patience_seconds=3_600)
    boto3.client("sqs").send_message(QueueUrl=queues["dead"], MessageBody="{}")
    ada.get("health")
    assert ada.status == 200, ada.text
    assert re.search(r"deepseek-v3.2 Open: not called since 20", ada.text), ada.text
    assert re.search(r"gemini-2.5-flash Closed: calls go through 0.0 s", ada.text)
    assert float(re.findall(r"gpt-4.1 Closed: calls go through ([0-9.]+) s", ada.text)[0]) > 60
    assert re.search(r"Dead letters of everybody 1 0", ada.text), ada.text
    assert "no alarms here" in ada.text


def test_alarms_that_went_off_come_first(ada: Client, container: "ConsoleContainer") -> None:
    cloudwatch = boto3.client("cloudwatch")
    stack = container.settings.panels_path.strip("/")
    for name in (f"{stack}-Errors-1", f"{stack}-Waits-2", "other-Errors-1"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            MetricName="Errors",
            Namespace="Quorum",
            Period=60,
            Statistic="Sum",
            Threshold=1,
        )
    cloudwatch.set_alarm_state(AlarmName=f"{stack}-Waits-2", StateValue="ALARM", StateReason="x")
    ada.get("health")
    assert re.search(r"Waits-2 Alarm .* Errors-1 ", ada.text), ada.text
    assert "other-Errors" not in ada.text


def test_costs_are_shown_by_day_model_and_decision_and_by_tenant_to_the_deployments_operator(
    client: Client, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1", said="unsafe")
    store("verdict-2", said="safe", tenant="other")
    today = ledger.today()
    container.dynamodb.Table(container.settings.usage_table).put_item(
        Item={
            "key": ledger.usage_key(today, "gpt-4.1", "acme"),
            "entry": ledger.day_entry(today),
            "calls": 1,
            "cost_usd": Decimal("0.25"),
        }
    )
    client.sign_in(issue()).get("costs")
    assert client.status == 200, client.text
    assert re.search(r"By decision .* Unsafe 1 ", client.text), client.text
    assert re.search(r"By model .* gpt-4.1 \$0.25", client.text), client.text
    assert "By tenant" not in client.text
    client.post("sign-out")
    client.sign_in(issue("owner", role="deployment_operator")).get("costs")
    assert re.search(r"By tenant .* acme \$0.25", client.text), client.text
    assert re.search(r"By decision Verdict Verdicts Cost Safe 1 ", client.text), client.text


def test_the_audit_trail_is_downloaded_as_the_chain_has_it(
    ada: Client, container: "ConsoleContainer", monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        change = Change(action=Action.KEY_ISSUED, by="ada", subject=f"key/{number}")
        container.audit.record("acme", change)
    container.audit.record("other", Change(action=Action.KEY_ISSUED, by="eve", subject="key/x"))
    (link,) = re.findall(
        r'href="([^"]+export[^"]+)" download hx-boost="false"', ada.get("audit").body
    )
    ada.send("GET", ada.address(link))
    chain = [AuditEntry.model_validate_json(line) for line in ada.body.splitlines()]
    assert list(faults(chain)) == []
    assert [entry.subject for entry in chain] == ["key/0", "key/1", "key/2"]
    assert ada.header("Content-Disposition") == 'attachment; filename="quorum-audit-1-3.jsonl"'
    assert ada.get("audit/export.jsonl?subject=key/1").body.count("\n") == 1
    monkeypatch.setattr(audit, "EXPORT_BYTES", len(ada.body) * 5 // 2)
    ada.get("audit/export.jsonl")
    assert "quorum-audit-1-2-and-more.jsonl" in ada.header("Content-Disposition")
    assert ada.get("audit/export.jsonl?next=2").body.count("\n") == 1
