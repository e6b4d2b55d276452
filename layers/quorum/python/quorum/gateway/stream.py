"""A streamed answer: chunks of a completion in server-sent events. Pure but for one clock.

Nothing that a gateway sends raises an error here.
"""

import time
from collections.abc import Mapping
from typing import Any

from quorum.gateway import problems, wire
from quorum.gateway.finish import Finish
from quorum.gateway.problems import Kind, Problem
from quorum.gateway.sse import Event, EventReader
from quorum.gateway.usage import Usage, usage


class Stream:
    """A stream of completion chunks as read so far.

    It is complete after `[DONE]` or a finish reason, if there was no problem before. An answer
    blocked by a filter is complete too, because nothing more of it will arrive.
    """

    def __init__(self) -> None:
        self._events = EventReader()
        self._pieces: list[str] = []
        self._finish: Finish | None = None
        self._chunks = 0
        self._choices = 0
        self._refusal = ""
        self._usage: Usage | None = None
        self._model: str | None = None
        self._done = False
        self.problem: str | None = None
        self.first_token_at: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole answer has arrived; its usage may still follow."""
        return self.problem is None and (self._done or self._finish is not None)

    @property
    def over(self) -> bool:
        """Whether nothing that may still arrive counts."""
        return self._done or self.problem is not None

    @property
    def answer(self) -> wire.Answer:
        """The answer so far."""
        return wire.Answer(
            text="".join(self._pieces),
            finish=self._finish or (Finish.FILTERED if self._said_nothing else Finish.WHOLE),
            refusal=self._refusal or None,
            logprobs=(),
            usage=self._usage,
            model=self._model,
        )

    @property
    def _said_nothing(self) -> bool:
        """Whether chunks arrived and none had a choice, which is all that a blocked prompt gets."""
        return self._done and self._chunks > 0 and self._choices == 0

    def feed(self, received: bytes) -> list[str]:
        """The pieces of text in `received`; data after `[DONE]` or a problem is ignored."""
        return self._take(self._events.feed(received))

    def close(self) -> list[str]:
        """The pieces in the rest that the end of the stream left; half an event is ignored."""
        whole = [event for event in self._events.close() if _is_whole(event)]
        pieces = self._take(whole)
        if self._usage is not None and not self._choices and self.problem is None:
            self._done = True  # its cost is known: nothing was to follow
        return pieces

    def _take(self, events: list[Event]) -> list[str]:
        before = len(self._pieces)
        for event in events:
            if self.over:
                break
            if event.data.strip() == "[DONE]":
                self._done = True
            else:
                self._read(event)
        if self._events.overlong and not self.over:
            self.problem = "an event is too long"
        if self.first_token_at is None and len(self._pieces) > before:
            self.first_token_at = time.monotonic()
        return self._pieces[before:]

    def _read(self, event: Event) -> None:
        try:
            chunk = problems.parsed(event.data)
        except ValueError:
            chunk = None
        failed = problems.in_event(chunk) if event.name == "error" else problems.inside(chunk)
        if failed is not None:
            self._fail(failed)
        elif isinstance(chunk, dict):
            self._add(chunk)
        else:
            self.problem = "an event cannot be read"

    def _fail(self, failed: Problem) -> None:
        if failed.kind is Kind.BLOCKED:
            self._finish, self._done = Finish.FILTERED, True
        else:
            self.problem = f"the gateway reported an error {failed.said}"

    def _add(self, chunk: Mapping[str, Any]) -> None:
        self._bill(chunk.get("usage"))
        if isinstance(groq := chunk.get("x_groq"), dict):
            self._bill(groq.get("usage"))
        if (name := chunk.get("model")) != self._model:
            self._model = wire.name_of(name) or self._model
        if wire.was_filtered(chunk):
            self._finish = Finish.FILTERED
        self._chunks += 1
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or (choice.get("index") or 0) != 0:
                continue
            self._choices += 1
            self._bill(choice.get("usage"))  # Moonshot's form
            delta = choice.get("delta") or choice.get("message")
            if isinstance(delta, dict):
                if piece := wire.text_of(delta.get("content")):
                    self._pieces.append(piece)
                self._refusal += wire.refusal_of(delta) or ""
            if wire.was_filtered(choice):
                self._finish = Finish.FILTERED
            elif choice.get("finish_reason") and self._finish is not Finish.FILTERED:
                self._finish = wire.ended_by(choice)

    def _bill(self, reported: object) -> None:
        """Keep the last usage that was reported; one without tokens takes no other's place."""
        if reported is None:  # as in every chunk but the last
            return
        found = usage(reported)
        if found is not None and (found.tokens.total or self._usage is None):
            self._usage = found


def _is_whole(event: Event) -> bool:
    """Whether an event at the end of a stream has all of its data."""
    if event.data.strip() == "[DONE]":
        return True
    try:
        problems.parsed(event.data)
    except ValueError:
        return False
    return True
