"""JSON as people write it by hand, made strict. Pure.

Google's APIs read names without quotes, texts in single quotes, a comma after the last entry, and a
byte order mark; the best-known example of a request to the Perspective API is written that way. All
else stays as it is, for the strict reader to refuse. A text is rewritten in one pass and in linear
time: json5 takes four hundred times as long for a comment of full length.
"""

import re

LIMIT = 262_144
"""Characters of a text that is rewritten: a text of full length with all of it escaped has half."""
_BYTE_ORDER_MARK = "\ufeff"
_TOKEN = re.compile(
    r"""
      "(?P<double>(?:[^"\\]++|\\.)*+)"
    | '(?P<single>(?:[^'\\]++|\\.)*+)'
    | ["'].*+                                 # a text that never ends, and all after it
    | (?<![\w$])(?P<name>[^\W\d][\w$]*+|\$[\w$]*+)(?=\s*+:)
    | [\[{]\s*+,                              # a comma after nothing
    | (?P<comma>,)(?=\s*+[\]}])
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPED_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_AS_STRICT = {"\\'": "'", '"': '\\"'}


def strict_form(text: str) -> str:
    """`text` as strict JSON, if it is JSON as people write it; a longer text is left as it is."""
    if len(text) > LIMIT:
        return text
    return _TOKEN.sub(_strict, text.removeprefix(_BYTE_ORDER_MARK))


def _strict(token: re.Match[str]) -> str:
    kind = token.lastgroup
    if kind in ("double", "single"):
        return f'"{_ESCAPED_OR_QUOTE.sub(_character, token[kind])}"'
    if kind == "name":
        return f'"{token[0]}"'
    return "" if kind == "comma" else token[0]


def _character(found: re.Match[str]) -> str:
    return _AS_STRICT.get(found[0], found[0])
