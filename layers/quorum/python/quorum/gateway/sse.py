"""Server-sent events, as the WHATWG HTML standard reads them (section 9.2.6). Pure.

Lines end in CR LF, LF or CR and nothing else: a line splitter that also knows U+2028 would cut a
JSON string in two.
"""

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Takes bytes as they arrive and gives the data of each event that is complete."""

    def __init__(self) -> None:
        self._unread = b""
        self._data: list[str] = []
        self._begun = False

    def feed(self, received: bytes) -> list[str]:
        """The data of the events that `received` completes; comments and other fields are none.

        An event without its closing blank line is never given: it may have been cut.
        """
        unread = self._unread + received
        if not self._begun:
            if len(unread) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(unread):
                self._unread = unread
                return []
            self._begun = True
            unread = unread.removeprefix(_BYTE_ORDER_MARK)
        held = b""
        if unread.endswith(b"\r"):  # perhaps half of a CR LF
            unread, held = unread[:-1], b"\r"
        *lines, rest = _LINE_END.split(unread)
        self._unread = rest + held
        events: list[str] = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append("\n".join(self._data))
                self._data.clear()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", errors="replace"))
