"""The command line's side of a chat."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import chat
from cli.app import app
from cli.chat import Conversation, ending

Message = dict[str, Any]
PAID: Message = {
    "usage": {"total_tokens": 1_234},
    "cost_usd": "0.01",
    "cost_estimated": False,
}


class Connection:
    """Answers every prompt with the same messages, in the name of its request."""

    def __init__(self, *messages: Message) -> None:
        self.sent: list[Message] = []
        self._messages = messages
        self._waiting: list[Message] = []

    def send(self, frames: Iterable[str]) -> None:
        self.sent.append(json.loads("".join(frames)))
        named = {"request_id": self.sent[-1]["request_id"]}
        self._waiting += [named | message for message in self._messages]

    def recv(self, timeout: float) -> str:
        assert timeout > 0
        return json.dumps(self._waiting.pop(0))


def token(index: int, content: str) -> Message:
    return {"type": "token", "index": index, "content": content}


def conversation(*messages: Message, **settings: Any) -> tuple[Conversation, Connection]:
    connection = Connection(*messages)
    return Conversation(connection, settings), connection  # type: ignore[arg-type] # it sends and receives


def test_a_prompt_goes_on_with_the_conversation_and_its_settings() -> None:
    end = {"type": "complete", "conversation": "one"}
    talk, connection = conversation(token(0, "Hi"), end, model="gpt-4.1", system=None)
    list(talk.ask("Hello?"))
    list(talk.ask("And?"))
    first, second = connection.sent
    assert first["model"] == "gpt-4.1"
    assert "system" not in first
    assert "conversation" not in first
    assert (second["prompt"], second["conversation"]) == ("And?", "one")
    assert first["request_id"] != second["request_id"]


def test_a_token_that_comes_twice_and_anothers_are_not_shown() -> None:
    another = token(0, "no") | {"request_id": "another"}
    end = {"type": "complete", "conversation": "one"}
    talk, _ = conversation(token(0, "a"), token(0, "a"), another, token(1, "b"), end)
    heard = [one["content"] for one in talk.ask("Hello?") if one["type"] == "token"]
    assert heard == ["a", "b"]


def test_the_answer_under_way_can_be_cancelled() -> None:
    talk, connection = conversation({"type": "cancelled"})
    list(talk.ask("Hello?"))
    (last,) = talk.cancel()
    assert last["type"] == "cancelled"
    asked, cancel = connection.sent
    assert cancel == {"action": "cancel", "request_id": asked["request_id"]}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (
            {"type": "complete", "model": "gpt-4.1", "dropped_turns": 2} | PAID,
            "gpt-4.1 · 1,234 tokens · $0.01 · the 2 oldest turns were left out",
        ),
        (
            {"type": "complete", "model": "gpt-4.1", "cached": True, "saved_usd": "0.02"} | PAID,
            "gpt-4.1 · 1,234 tokens · $0.01 · from the cache, saved $0.02",
        ),
        (
            {"type": "cancelled"} | PAID | {"cost_estimated": True},
            "cancelled · 1,234 tokens · about $0.01",
        ),
        (
            {
                "type": "withdrawn",
                "reason": "unsafe",
                "categories": ["hate"],
                "moderation": {"cost_usd": "0.003"},
            },
            "withdrawn: unsafe · hate · judged for $0.003",
        ),
        ({"type": "error", "code": "throttled", "message": "later"}, "throttled: later"),
    ],
)
def test_how_an_answer_ended_is_one_line(last: Message, said: str) -> None:
    assert ending(last) == said


def test_a_chat_that_cannot_be_reached_is_one_sentence_and_exit_code_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUORUM_API_KEY", "qk_one")

    def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(chat, "connect", refuse)
    done = CliRunner().invoke(app, ["chat", "hello", "--where", "wss://chat.example/v1"])
    assert done.exit_code == 4
    assert "The connection to the chat at chat.example failed" in done.stderr
    assert "Traceback" not in done.output
