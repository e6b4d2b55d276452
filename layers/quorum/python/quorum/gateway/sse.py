"""Server-sent events, read as in the WHATWG HTML standard (section 9.2.6). Pure.

Lines end in CR LF, LF or CR and nothing else: a splitter that also breaks lines at U+2028 would
cut a JSON string in two.
"""

import codecs
import re
from typing import NamedTuple

EVENT_BYTES = 4 * 1024 * 1024
"""Bytes of one event at most, and of one line."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """An event: its data, and its name, which is usually empty."""

    data: str
    name: str = ""


class EventReader:
    """Turns bytes as they arrive into complete events.

    `overlong` says that a line or an event exceeded `EVENT_BYTES`: then nothing more is read.
    """

    def __init__(self) -> None:
        self._unread: list[bytes] = []  # parts of a line whose end has not arrived
        self._unread_bytes = 0
        self._held = b""  # a CR that may be half of a CR LF
        self._data: list[str] = []
        self._data_bytes = 0
        self._name = ""
        self._begun = False
        self.overlong = False

    def feed(self, received: bytes) -> list[Event]:
        """The events that `received` completes; comments and empty data are not events."""
        received = self._held + received
        self._held = b""
        if not self._begun:
            if len(received) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(received):
                self._held = received
                return []
            self._begun = True
            received = received.removeprefix(codecs.BOM_UTF8)
        if received.endswith(b"\r"):
            received, self._held = received[:-1], b"\r"
        *lines, rest = _lines(received)
        if lines and self._unread:
            lines[0] = b"".join((*self._unread, lines[0]))
            self._unread, self._unread_bytes = [], 0
        events: list[Event] = []
        for line in lines:
            if line:
                self._field(line)
            else:
                events += self._dispatched()
        if rest:
            self._unread.append(rest)
            self._unread_bytes += len(rest)
        self.overlong = max(self._unread_bytes, self._data_bytes) > EVENT_BYTES or self.overlong
        return [] if self.overlong else events

    def close(self) -> list[Event]:
        """The event at the end of the stream that lacks its blank line, if there is one.

        The standard discards it, so the caller must be able to tell whether it was cut.
        """
        return self.feed(b"\n\n")

    def _dispatched(self) -> list[Event]:
        event = Event("\n".join(self._data), self._name)
        self._data, self._data_bytes, self._name = [], 0, ""
        return [event] if event.data else []

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", errors="replace")
        if name == b"data":
            self._data.append(text)
            self._data_bytes += len(value)
        elif name == b"event":
            self._name = text


def _lines(received: bytes) -> list[bytes]:
    """The lines, and at the end what has no line end yet."""
    # Where no CR is, as gateways send it, this takes a third of the time.
    return _LINE_END.split(received) if b"\r" in received else received.split(b"\n")
