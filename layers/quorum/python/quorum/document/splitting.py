"""Splitting of a long text into pieces that fit a model. Pure.

A piece ends where a reader would pause: at a paragraph if one ends in its second half, else at a
sentence, a line, a word. A grapheme (one character to a reader: an emoji with its joiners, a flag,
a letter with its marks, a Hangul syllable in parts) is never cut.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import regex

from quorum.core.models import Frozen
from quorum.gateway import tokenizer

LEAST_TOKENS = 64
"""Tokens that a piece may hold at least, so that any ordinary grapheme fits. Only a letter with
dozens of stacked marks does not, and is cut between two of them rather than sent too long."""
_GRAPHEMES_TOGETHER = 32
"""Graphemes of a part if nothing separates words: few parts to count, small enough to fit."""
_CHARACTERS_TOGETHER = 8

_PARAGRAPH, _SENTENCE, _LINE, _WORD, _GRAPHEME = 4, 3, 2, 1, 0
"""Strengths of the border at a part's end."""

# Possessive patterns: nothing matched is given back or tried again, so that every text takes time
# in proportion to its length.
_MARKS = r"\p{GCB=Extend}*+"
_CLOSERS = rf"(?:[\p{{Pe}}\p{{Pf}}\"'»›]{_MARKS})*+"
_LINE_END = r"(?>\r\n|[\n\r\u2029])"
_PARAGRAPH_END = rf"{_LINE_END}(?:[^\S\r\n\u2029]*+{_LINE_END})++\s*+"
# These end a sentence by themselves, and the scripts that use them need no blank after them:
# CJK, Devanagari, Arabic, Urdu, Armenian, Ethiopic, Khmer, Burmese, Tibetan.
_FULL_STOP = rf"[。！？｡．।॥؟۔։።፧។៕။།]++{_MARKS}{_CLOSERS}"
# A Latin full stop needs a blank after it, and no lower-case letter after that ("approx. three").
_LATIN_STOP = rf"(?<![.!?…‼⁇⁈⁉])[.!?…‼⁇⁈⁉]++{_MARKS}{_CLOSERS}"
_ENDS = (
    (
        _SENTENCE,
        regex.compile(rf"{_FULL_STOP}\s*+|{_LATIN_STOP}\s++(?!\p{{Ll}})"),
    ),
    (_PARAGRAPH, regex.compile(_PARAGRAPH_END)),
)
_FINER = (
    (_LINE, regex.compile(r"(?>\r\n|[\n\r\u2028\u2029\u0085])")),
    (_WORD, regex.compile(r"\s++")),
    (_GRAPHEME, regex.compile(rf"\X{{1,{_GRAPHEMES_TOGETHER}}}")),
    (_GRAPHEME, regex.compile(r"\X")),
    (_GRAPHEME, regex.compile(rf"(?s:.){{1,{_CHARACTERS_TOGETHER}}}")),
)
"""The patterns that cut a sentence longer than a piece, tried in order."""
# A mark that extends the character before it belongs to it: there is no border between them
# (Unicode Standard Annex 29, rules GB9 and GB9a).
_EXTENSION = regex.compile(r"\p{GCB=Extend}|\p{GCB=ZWJ}|\p{GCB=SpacingMark}")
_STOPPED = regex.compile(rf"{_FULL_STOP}$")


class Piece(Frozen):
    """A piece: `text` is `whole[start:end]` of the whole text; `tokens` is its count."""

    index: int
    text: str
    start: int
    end: int
    tokens: int


class _Part(NamedTuple):
    """A stretch of text that is not cut further, with the strength of the border at its end."""

    start: int
    end: int
    tokens: int
    border: int


def pieces(
    text: str,
    *,
    most_tokens: int,
    overlap_tokens: int,
    count: Callable[[str], int] = tokenizer.count_text,
) -> list[Piece]:
    """The pieces of `text`, each of at most `most_tokens` as `count` counts them.

    Each begins with up to `overlap_tokens` of whole sentences (or words, if there are none) of the
    piece before it. Without overlap the joined pieces are exactly `text`. The text is counted about
    twice, however long it is. Raises `ValueError` for `most_tokens` below `LEAST_TOKENS`, or an
    overlap that is not less than half of it.
    """
    if most_tokens < LEAST_TOKENS:
        raise ValueError(f"most_tokens must be at least {LEAST_TOKENS}")
    if not 0 <= overlap_tokens < most_tokens / 2:
        raise ValueError("overlap_tokens must be less than half of most_tokens")
    parts = list(_parts(text, most_tokens, count))
    cut: list[Piece] = []
    first = fresh = 0
    while fresh < len(parts):
        first, last = _run(parts, first, fresh, most_tokens)
        while True:
            start, end = parts[first].start, parts[last - 1].end
            tokens = count(text[start:end])
            if tokens <= most_tokens:
                break
            # Joined parts seldom have more tokens than separate ones; then the piece holds fewer.
            if last - fresh > 1:
                last -= 1
            elif first < fresh:
                first = fresh
            else:
                raise ValueError(f"count returned {tokens} tokens for {end - start} characters")
        cut.append(Piece(index=len(cut), text=text[start:end], start=start, end=end, tokens=tokens))
        fresh, first = last, _overlap(parts, first, last, overlap_tokens)
    return cut


def joined(answers: Sequence[str], cut: Sequence[Piece]) -> str:
    """One text out of the answers to the pieces of a text cut without overlap.

    The blanks at a piece's ends are put back around its answer, whatever the model did with them.
    If the text had none between two sentences (Chinese, Japanese), one blank is inserted.
    """
    whole: list[str] = []
    for answer, piece in zip(answers, cut, strict=True):
        begun, ended = piece.text.lstrip(), piece.text.rstrip()
        before = piece.text[: len(piece.text) - len(begun)]
        after = piece.text[len(ended) :] if begun else ""
        whole.append(before + answer.strip() + after)
        if not after and piece is not cut[-1] and _STOPPED.search(ended):
            whole.append(" ")
    return "".join(whole)


def _parts(text: str, most_tokens: int, count: Callable[[str], int]) -> Iterator[_Part]:
    """The sentences of a text; those longer than a piece are cut further."""
    borders = {end: border for border, pattern in _ENDS for end in _ends(text, border, pattern)}
    borders[len(text)] = _PARAGRAPH
    for start, end in pairwise((0, *sorted(borders))):
        if start == end:
            continue
        tokens = count(text[start:end])
        if tokens <= most_tokens:
            yield _Part(start, end, tokens, borders[end])
        else:
            yield from _finer(text, _Part(start, end, tokens, borders[end]), 0, most_tokens, count)


def _ends(
    text: str, border: int, pattern: "regex.Pattern[str]", start: int = 0, end: int | None = None
) -> Iterator[int]:
    for found in pattern.finditer(text, start, end):
        if border == _GRAPHEME or not _EXTENSION.match(text, found.end()):
            yield found.end()


def _finer(
    text: str, long: _Part, step: int, most_tokens: int, count: Callable[[str], int]
) -> Iterator[_Part]:
    """The parts of a stretch that is too long, cut by the first pattern from `step` on that can."""
    inner, pattern = _FINER[step]
    ends = {*_ends(text, inner, pattern, long.start, long.end), long.end}
    for start, end in pairwise((long.start, *sorted(ends))):
        border = long.border if end == long.end else inner
        tokens = long.tokens if len(ends) == 1 else count(text[start:end])
        part = _Part(start, end, tokens, border)
        if tokens <= most_tokens or step + 1 == len(_FINER):
            yield part
        else:
            yield from _finer(text, part, step + 1, most_tokens, count)


def _run(parts: Sequence[_Part], first: int, fresh: int, most_tokens: int) -> tuple[int, int]:
    """The range of a piece's parts: some of `first` to `fresh` again, and at least `fresh`."""
    again = sum(part.tokens for part in parts[first:fresh])
    while first < fresh and again + parts[fresh].tokens > most_tokens:
        again -= parts[first].tokens
        first += 1
    last, filled = fresh, again
    while last < len(parts) and filled + parts[last].tokens <= most_tokens:
        filled += parts[last].tokens
        last += 1
    if last == len(parts):
        return first, last
    best = last
    for here in range(last - 1, fresh, -1):
        filled -= parts[here].tokens
        if filled < most_tokens / 2:
            break
        if parts[here - 1].border > parts[best - 1].border:
            best = here
    return first, best


def _overlap(parts: Sequence[_Part], first: int, last: int, overlap_tokens: int) -> int:
    """The first part of the piece after `first` to `last`: as far back as the overlap allows."""
    sentence = word = last
    left = overlap_tokens
    for here in range(last - 1, first, -1):
        left -= parts[here].tokens
        if left < 0:
            break
        if parts[here - 1].border >= _SENTENCE:
            sentence = here
        elif parts[here - 1].border >= _WORD:
            word = here
    return word if sentence == last else sentence
