"""`quorum chat`: talk to a model; its answer is streamed to the terminal."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import typer
from rich.console import Console
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, InvalidURI
from websockets.sync.client import connect

from analysis.counts import counted
from cli.deployment import Where, chat_of
from cli.errors import DeploymentRefused, DeploymentUnreachable, ExitCode
from cli.output import SafeConsole

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

Message = dict[str, Any]

ANSWER_SECONDS = 330.0
"""Seconds to wait for an answer: a little more than the 300 s of the streaming function."""
FRAME_CHARACTERS = 32 * 1024
"""Characters of a frame at most: API Gateway ends the connection on one of more bytes."""
ENDS = frozenset({"complete", "cancelled", "withdrawn", "error"})


class Conversation:
    """One conversation over an open connection; `settings` are sent with every prompt."""

    def __init__(self, connection: "ClientConnection", settings: Mapping[str, Any]) -> None:
        self._connection = connection
        self._settings = {name: value for name, value in settings.items() if value is not None}
        self._conversation: str | None = None
        self._request_id = ""

    def ask(self, prompt: str) -> Iterator[Message]:
        """Send `prompt`; yields the messages of its answer to the last. No token comes twice.

        Raises `TimeoutError` when no message arrives, and websockets' `ConnectionClosed`.
        """
        self._request_id = uuid4().hex
        asked: Message = {"action": "chat", "prompt": prompt, "request_id": self._request_id}
        if self._conversation is not None:
            asked["conversation"] = self._conversation
        self._connection.send(frames(json.dumps(asked | self._settings)))
        yield from self._heard()

    def cancel(self) -> Iterator[Message]:
        """Cancel the current answer; yields the messages that still arrive of it."""
        cancel = {"action": "cancel", "request_id": self._request_id}
        self._connection.send(json.dumps(cancel))
        yield from self._heard()

    def _heard(self) -> Iterator[Message]:
        heard = -1
        while True:
            message: Message = json.loads(self._connection.recv(timeout=ANSWER_SECONDS))
            if message["request_id"] != self._request_id:
                continue  # belongs to an answer that was cancelled
            if message["type"] == "token":
                if message["index"] <= heard:
                    continue
                heard = message["index"]
            yield message
            if message["type"] in ENDS:
                self._conversation = message.get("conversation") or self._conversation
                return


def frames(message: str) -> Iterator[str]:
    """The frames of a message in ASCII, as JSON is written: a long one is sent in several."""
    for start in range(0, len(message), FRAME_CHARACTERS):
        yield message[start : start + FRAME_CHARACTERS]


def chat(
    prompt: Annotated[str | None, typer.Argument(help="ask this and exit; none: a session")] = None,
    where: Where = "local",
    system: Annotated[str | None, typer.Option(help="the system prompt")] = None,
    model: Annotated[
        str | None, typer.Option(help="the model that answers; see `GET /models`")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, max=2.0)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="tokens of an answer")] = None,
    *,
    panel: Annotated[str | None, typer.Option(help="the panel that moderates")] = None,
    moderate: Annotated[
        bool, typer.Option("--moderate", help="judge the prompt and the answer")
    ] = False,
) -> None:
    """Ask a model. Ctrl-C stops an answer; at the prompt it ends the session."""
    wanted = {"prompt": True, "answer": True} | ({"panel": panel} if panel else {})
    settings = {
        "system": system,
        "model": model,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "moderate": wanted if moderate else None,
    }
    console = SafeConsole(highlight=False)
    url, key = chat_of(where)
    with connected(url, key) as connection:
        conversation = Conversation(connection, settings)
        if prompt is None:
            return session(console, conversation)
        complete = answered(console, conversation, prompt)
        raise typer.Exit(ExitCode.COMPLETE if complete else ExitCode.ERROR)


@contextmanager
def connected(url: str, key: str) -> "Iterator[ClientConnection]":
    """A connection to the chat at `url`.

    Raises `DeploymentRefused` if the key is not accepted, and `DeploymentUnreachable` if no
    connection can be made or it ends before the block does.
    """
    host = urlsplit(url).netloc
    try:
        with connect(url, additional_headers={"x-api-key": key}) as connection:
            yield connection
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise DeploymentUnreachable(f"The chat at {host} answered {status}.") from None
        raise DeploymentRefused(
            f"The chat at {host} answered {status}. Is it this deployment's key?", status
        ) from None
    except InvalidURI:
        raise typer.BadParameter(
            f"{url} is not the URL of a chat: that begins with wss://"
        ) from None
    except (OSError, ConnectionClosed, InvalidMessage) as lost:  # a TimeoutError is an OSError
        raise DeploymentUnreachable(
            f"The connection to the chat at {host} failed ({lost or type(lost).__name__})."
        ) from None


def session(console: Console, conversation: Conversation) -> None:
    """Ask prompt after prompt, until the end of the input or Ctrl-C."""
    if console.is_interactive:
        console.print(
            "Ctrl-C stops an answer; Ctrl-D, or Ctrl-C here, ends the session.", style="dim"
        )
    while True:
        try:
            prompt = console.input("[bold]you[/] ")
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if prompt.strip():
            answered(console, conversation, prompt)


def answered(console: Console, conversation: Conversation, prompt: str) -> bool:
    """Show the answer as it arrives, then its cost; returns whether it is complete."""
    try:
        last = show(console, conversation.ask(prompt))
    except KeyboardInterrupt:
        last = show(console, conversation.cancel())
    console.print()
    console.print(ending(last), style="dim", markup=False)
    return bool(last["type"] == "complete")


def show(console: Console, messages: Iterator[Message]) -> Message:
    """Print the tokens; returns the message that ends them."""
    for message in messages:
        if message["type"] != "token":
            return message
        console.print(message["content"], end="", markup=False, soft_wrap=True)
    raise TypeError("an answer has an end")


def ending(last: Message) -> str:
    """One line: how the answer ended, and its cost."""
    parts = {
        "complete": [str(last.get("model"))],
        "cancelled": ["cancelled"],
        "withdrawn": [f"withdrawn: {last.get('reason')}", *last.get("categories", ())],
        "error": [f"{last.get('code')}: {last.get('message')}"],
    }[last["type"]]
    if "usage" in last:
        about = "about " if last["cost_estimated"] else ""
        parts += [counted(last["usage"]["total_tokens"], "token"), f"{about}${last['cost_usd']}"]
    if last.get("cached"):
        parts.append(f"from the cache, saved ${last['saved_usd']}")
    if last.get("moderation"):
        parts.append(f"judged for ${last['moderation']['cost_usd']}")
    if last.get("dropped_turns"):
        parts.append(f"the {last['dropped_turns']} oldest turns were left out")
    return " · ".join(parts)
