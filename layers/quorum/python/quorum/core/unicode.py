"""Unicode as it can be stored and sent. Pure."""

import re

_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"""\\(?:
        u(?:(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})
           |(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})
        )
        |.
    )""",
    re.DOTALL | re.VERBOSE,
)
"""An escape in a string of JSON: both halves of a surrogate pair, a single half, or any other."""


def whole_json(text: bytes) -> bytes:
    """JSON text without a byte order mark, its escaped halves of surrogate pairs as U+FFFD.

    JavaScript writes a half where it cuts a text inside an emoji, and JSON readers refuse it.
    """
    plain = text.removeprefix(_BOM)
    if b"\\ud" not in plain and b"\\uD" not in plain:
        return plain
    return _ESCAPE.sub(lambda found: found[0] if found["half"] is None else rb"\ufffd", plain)


def without_surrogates(text: str) -> str:
    """`text` with half a surrogate pair as U+FFFD, and both halves of one as their character.

    A JSON string may hold half a pair; UTF-8, in which everything is stored and sent, may not.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def queue_text(text: str) -> str:
    """JSON text as SQS takes it: the two characters for which it refuses a request are escaped."""
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
