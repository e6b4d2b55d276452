"""`quorum listen`: events once each, as they come, signed and forwarded."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx
import pytest
from quorum.events.recent import EventPage
from quorum.events.schema import Event, EventType, SentTest, WebhookTest, event_id
from quorum.events.signature import new_secret
from standardwebhooks import Webhook
from typer.testing import CliRunner

from cli import listen
from cli.app import app
from cli.service import Service

WHEN = datetime(2026, 11, 27, 12, tzinfo=UTC)


def event(number: int) -> Event:
    kind = EventType.WEBHOOK_TEST
    data = SentTest(webhook=f"hook-{number}")
    return WebhookTest(id=event_id(kind, "acme", number), timestamp=WHEN, tenant="acme", data=data)


def deployed(*answers: EventPage | int) -> tuple[Service, list[dict[str, str]]]:
    """A deployment that gives these pages, or statuses, and what it was asked."""
    asked: list[dict[str, str]] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        given = left.pop(0)
        if isinstance(given, int):
            return httpx.Response(given, json={"error": {"code": "x", "message": "x"}})
        return httpx.Response(200, json=json.loads(given.model_dump_json()))

    transport = httpx.MockTransport(answer)
    return Service("http://quorum.test/v1", "k", transport=transport, pause_seconds=0), asked


def page(*events: Event, after: str) -> EventPage:
    return EventPage(events=events, next=after)


def test_events_come_once_each_from_where_the_page_before_ended() -> None:
    one, two = event(1), event(2)
    service, asked = deployed(page(one, after="a"), page(after="a"), page(one, two, after="b"))
    slept: list[float] = []
    found = list(islice(listen.events_from(service, WHEN, sleep=slept.append), 2))
    assert found == [one, two]
    assert asked == [{"since": WHEN.isoformat()}, {"next": "a"}, {"next": "a"}]
    assert slept == [listen.ASKING_SECONDS]


def test_a_deployment_that_is_away_for_a_while_is_asked_again_from_the_same_place() -> None:
    service, asked = deployed(page(after="a"), 503, 503, 503, page(event(1), after="b"))
    assert list(islice(listen.events_from(service, WHEN, sleep=lambda _: None), 1)) == [event(1)]
    assert asked[-1] == {"next": "a"}


def test_an_event_is_forwarded_as_a_webhook_would_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    secret, got = new_secret(), list[httpx.Request]()
    monkeypatch.setenv(listen.SECRET_VARIABLE, secret)

    def taken(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(200)

    client = httpx.Client(transport=httpx.MockTransport(taken))
    monkeypatch.setattr(httpx, "Client", lambda **_options: client)
    monkeypatch.setattr(listen, "connect", lambda _where, operator: operator)

    def coming(_service: Any, _since: datetime) -> Iterator[Event]:
        yield event(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(listen, "events_from", coming)
    done = CliRunner().invoke(app, ["listen", "--port", "8000"])
    assert done.exit_code == 0, done.output
    (request,) = got
    assert str(request.url) == "http://localhost:8000/"
    assert Webhook(secret).verify(request.content, dict(request.headers))["id"] == event(1).id
    assert json.loads(done.stdout)["id"] == event(1).id
    assert secret not in done.output


def test_two_places_to_forward_to_are_refused() -> None:
    done = CliRunner().invoke(app, ["listen", "--port", "8000", "--forward", "http://localhost/"])
    assert done.exit_code == 2
