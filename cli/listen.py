"""`quorum listen`: a tenant's events as they come, printed and forwarded to a local port."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from os import environ
from typing import Annotated, Any

import httpx
import typer
from quorum.events.recent import EventPage
from quorum.events.schema import Event
from quorum.events.signature import headers, new_secret

from cli.deployment import Where
from cli.errors import DeploymentUnreachable
from cli.output import notes
from cli.service import Service, connect

SECRET_VARIABLE = "QUORUM_WEBHOOK_SECRET"  # noqa: S105 its name
ASKING_SECONDS = 1.5
"""Seconds between two looks for new events."""
FORWARD_SECONDS = 10.0
"""Seconds for the local server to answer, as a webhook has."""
REMEMBERED = 10_000
"""Events of which it is remembered that they came."""


def listen(
    forward: Annotated[
        str | None, typer.Option(help="the URL that events are posted to, signed")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="the same, to this port of this machine")
    ] = None,
    where: Where = "local",
) -> None:
    """Print a tenant's events as they come, a line of JSON each, and forward them. Ctrl-C ends it.

    For development: a deployment cannot reach this machine, so it is asked every second or two.
    They are signed as webhooks are, with the secret in QUORUM_WEBHOOK_SECRET or a new one, which is
    printed. Needs an operator's key.
    """
    if forward is not None and port is not None:
        raise typer.BadParameter("give either --forward or --port")
    url = f"http://localhost:{port}/" if port is not None else forward
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("--forward: must be a URL: http://localhost:8000/hook")
    secret = environ.get(SECRET_VARIABLE) or new_secret()
    service = connect(where, operator=True)
    notes.print("listening; Ctrl-C ends it" if url is None else f"forwarding to {url}")
    if url is not None and SECRET_VARIABLE not in environ:
        notes.print(f"signed with the secret {secret}")
    with (
        httpx.Client(timeout=FORWARD_SECONDS, trust_env=False) as client,
        suppress(KeyboardInterrupt),
    ):
        for event in events_from(service, datetime.now(UTC)):
            typer.echo(event.model_dump_json())
            if url is not None:
                notes.print(f"{event.type} → {forwarded(client, url, event, secret)}")


def events_from(
    service: Service, since: datetime, *, sleep: Callable[[float], Any] = time.sleep
) -> Iterator[Event]:
    """The tenant's events from a time on, each once, as they come; without an end.

    While the deployment is unreachable it is asked again; raises `DeploymentRefused` if it refuses.
    """
    seen: OrderedDict[str, None] = OrderedDict()
    query = {"since": since.isoformat()}
    while True:
        try:
            page = EventPage.model_validate(service.get("events", **query), extra="ignore")
        except DeploymentUnreachable as error:
            notes.print(str(error))
            sleep(ASKING_SECONDS)
            continue
        query = {"next": page.next}
        for event in page.events:
            if event.id not in seen:
                seen[event.id] = None
                yield event
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        if not page.events:
            sleep(ASKING_SECONDS)


def forwarded(client: httpx.Client, url: str, event: Event, secret: str) -> str:
    """Post an event, signed; returns the status, or what failed."""
    body = event.model_dump_json().encode()
    signed = headers([secret], event.id, int(time.time()), body)
    sent = {"content-type": "application/json", **signed}
    try:
        return str(client.post(url, content=body, headers=sent).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__
