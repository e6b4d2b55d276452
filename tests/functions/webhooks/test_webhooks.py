"""The routes of webhooks and events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from functions.webhooks import app as webhooks
from tests.functions.webhooks.conftest import (
    HOOK,
    OTHER,
    URL,
    Ask,
    Put,
    Way,
    change,
    stored,
)


def test_a_secret_is_shown_when_it_is_new_and_never_again(ask: Ask, put: Put, aws: Any) -> None:
    secret = put()["secret"]
    assert secret.startswith("whsec_")
    assert "secret" not in put(enabled=False)
    status, shown = ask("get_webhook.json")
    assert (status, shown["enabled"], shown["url"]) == (200, False, URL)
    _, listed = ask("get_webhooks.json")
    assert [one["name"] for one in listed["webhooks"]] == [HOOK]
    status, rotated = ask("post_webhook_rotation.json")
    assert status == 201
    assert rotated["secret"] != secret
    assert rotated["old_secret_until"] is not None
    kept = json.dumps(aws.Table("WebhooksTable").scan()["Items"], default=str)
    for one in (secret, rotated["secret"]):
        assert one.removeprefix("whsec_") not in kept
        assert one not in json.dumps([listed, shown])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"types": ["webhook.test"]}, None),
        ({"types": []}, "types"),
        ({"verdicts": [{}]}, None),
        ({"verdicts": [{"min_score": 2}]}, "verdicts.0.min_score"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_with_its_field(
    ask: Ask, changed: dict[str, Any], field: str | None
) -> None:
    status, answer = ask("put_webhook.json", {"url": URL} | changed)
    assert status == 400, answer
    assert field is None or answer["error"]["field"] == field
    assert "169.254" not in json.dumps(answer)


def test_a_tenant_has_twenty_webhooks_at_most(ask: Ask) -> None:
    for number in range(21):
        names = {"webhook": f"hook-{number}"}
        path = f"/webhooks/hook-{number}"
        status, answer = ask("put_webhook.json", pathParameters=names, path=path)
        assert (status == 200) is (number < 20), answer
    assert answer["error"]["limit"] == 20


@pytest.mark.parametrize(
    "name",
    [
        *("get_webhook.json", "delete_webhook.json", "post_webhook_rotation.json"),
        *("post_webhook_test.json", "get_dead_letters.json", "post_webhook_redrive.json"),
    ],
)
def test_another_tenants_webhook_is_not_found(ask: Ask, put: Put, name: str) -> None:
    put()
    status, answer = ask(name, tenant=OTHER)
    assert (status, answer["error"]["code"]) == (404, "webhook_not_found")
    assert ask(name)[0] < 300


def test_every_change_is_in_the_audit_trail_without_secrets(ask: Ask, put: Put, aws: Any) -> None:
    put()
    for name in ("post_webhook_rotation.json", "post_webhook_test.json", "put_event_rule.json"):
        assert ask(name)[0] < 300
    assert ask("delete_webhook.json")[0] == 200
    entries = [str(one["entry"]) for one in aws.Table("AuditTable").scan()["Items"]]
    actions = sorted(json.loads(one)["action"] for one in entries)
    assert actions == [
        *("event_rule.put", "webhook.deleted", "webhook.put", "webhook.rotated", "webhook.tested")
    ]
    assert "SECRET" not in json.dumps(entries)
    assert "whsec_" not in json.dumps(entries)
    assert ask("get_webhook.json")[0] == 404


def test_a_secret_signs_for_its_whole_day_and_a_rotation_that_would_end_one_early_is_refused(
    way: Way,
) -> None:
    clock = way.clock
    webhooks.app().clock = lambda: clock.now
    first = way.put()["secret"]
    begin = clock.now
    second = way.ask("post_webhook_rotation.json")[1]["secret"]
    clock.now += 60
    rotated = way.ask("post_webhook_rotation.json")[1]
    until = datetime.fromtimestamp(clock.now, UTC) + timedelta(days=1)
    assert datetime.fromisoformat(rotated["old_secret_until"]) == until
    way.publish(change(None, stored()))
    way.deliver()
    _, body, headers = way.receivers.sent[-1]
    for secret in (first, second, rotated["secret"]):
        Webhook(secret).verify(body, headers)
    status, answer = way.ask("post_webhook_rotation.json")
    when = datetime.fromtimestamp(begin, UTC) + timedelta(days=1)
    assert (status, answer["error"]["code"], answer["error"]["limit"]) == (
        *(409, "too_many_secrets", 3),
    )
    assert when.isoformat(timespec="seconds") in answer["error"]["message"]
    clock.now = begin + 24 * 3_600 + 1
    assert way.ask("post_webhook_rotation.json")[0] == 201


@pytest.mark.parametrize("cursor", ["x", "2026-11-27T12:00:00.000000+00:00", "dead#", "'"])
def test_a_made_up_cursor_is_refused(ask: Ask, cursor: str) -> None:
    status, answer = ask("get_events.json", queryStringParameters={"next": cursor})
    assert (status, answer["error"]["field"]) == (400, "next")
