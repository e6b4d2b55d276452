r"""Patterns on a policy's lists: regular expressions that are searched in linear time. Pure.

They are written as RE2 takes them (https://github.com/google/re2/wiki/Syntax): an automaton without
backtracking, so there are no references back and no looking around. Beside a match stands no
letter, digit or underscore, unless the pattern itself matches it (`\pL*`) or that character is of
a script that writes no spaces between words; a pattern with a letter of such a script matches
anywhere. Case does not matter.

A search costs at most the length of the text times that of the compiled pattern, its program. So
programs are limited, one by one and together.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, StringConstraints

from quorum.core.fields import unicode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PATTERN_LIMIT = 200
"""Characters of one pattern."""
PATTERNS_LIMIT = 50
"""Patterns of the three lists together."""
PROGRAM_LIMIT = 5_000
"""Instructions of one pattern's program: a class such as `\\pL` has 1,200, a letter one."""
PROGRAMS_LIMIT = 20_000
"""Instructions of all patterns' programs together."""
UNION_LIMIT = 2_000
"""Instructions up to which patterns are looked for all at once before one by one."""
MATCHES_LIMIT = 10
"""Matches of one allow pattern in a text that are exempt."""
MEMORY_BYTES = 1024 * 1024
"""Bytes of one automaton at most; RE2 takes the slower of its two ways where it would need more."""

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters beside which any place may be the border of a word."""
_BESIDE = rf"[^\pL\pN\pM_]|{UNSPACED.pattern}"
_PROBES = ("", "a", " ")
"""Texts of which no pattern may match an empty part: it would match one in every text."""


def _a_pattern(pattern: str) -> str:
    """`pattern`; raises `ValueError` if RE2 cannot search it, or only in too much time."""
    own = _compiled(unicode_text(pattern))
    for probe in _PROBES:
        found = own.search(probe)
        if found is not None and found.start() == found.end():
            raise ValueError("must not match an empty text")
    if own.programsize > PROGRAM_LIMIT:
        raise ValueError(
            f"must have a program of at most {PROGRAM_LIMIT} instructions; it has "
            f"{own.programsize}: repeat less, or name fewer classes"
        )
    _bordered(pattern)
    return pattern


PatternText = Annotated[
    str, StringConstraints(min_length=1, max_length=PATTERN_LIMIT), AfterValidator(_a_pattern)
]


def program_sizes(patterns: "Iterable[str]") -> int:
    """The instructions of all `patterns` together."""
    return sum(_compiled(pattern).programsize for pattern in patterns)


def is_in(pattern: str, text: bytes) -> bool:
    """Whether `pattern` matches somewhere in `text` (UTF-8)."""
    found = _bordered(pattern).search(text)
    return found is not None and found.start(1) < found.end(1)


def any_of(patterns: "Iterable[str]") -> Any:
    """One automaton that matches where any of `patterns` might; None where RE2 has none for them.

    It does not look at the borders of words. Where it finds nothing, none of them matches, and a
    text has been read once instead of once a pattern.
    """
    try:
        found = _compiled("|".join(f"(?:{pattern})" for pattern in patterns))
    except ValueError:  # two have a group of the same name, or all together are too large
        return None
    return found if found.programsize <= UNION_LIMIT else None


def places(pattern: str, text: str) -> "Iterator[tuple[int, int]]":
    """Where `pattern` matches in `text`: starts and ends of its first matches."""
    bordered, at = _bordered(pattern), 0
    for _ in range(MATCHES_LIMIT):
        found = bordered.search(text, at)
        if found is None:
            return
        start, end = found.span(1)
        if start < end:
            yield start, end
        # What stands beside this match may stand beside the next one, too.
        at = max(end, found.start() + 1)


@cache
def _options() -> Any:
    import re2  # noqa: PLC0415 - most policies have no patterns

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    return options


def _compiled(pattern: str) -> Any:
    """The compiled pattern; raises `ValueError` with RE2's reason."""
    import re2  # noqa: PLC0415 - most policies have no patterns

    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        why = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"is no pattern that RE2 can search: {why}") from None


def _bordered(pattern: str) -> Any:
    """The pattern as its first group, between borders of words."""
    if UNSPACED.search(pattern):
        return _compiled(f"({pattern})")
    return _compiled(f"(?:^|{_BESIDE})({pattern})(?:$|{_BESIDE})")
