"""What a model answered, read as a vote: or refused to be read.

Pure. Models answer with plain JSON, fenced JSON, JSON between prose, several objects, trailing
commas, single quotes, Korean decisions, percentages, or half an object. All of that is read; what
cannot be read *for certain* raises `ReplyUnreadable`. Nothing is ever guessed:

* two decisions that differ, anywhere in the reply, are no decision;
* a decision cut in half (`"uns`) is no decision; a number cut in half is no number;
* an object that cannot be read makes the whole reply unreadable: what looks like an answer further
  inside it may be the content, quoted.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from quorum.core.errors import ModelRefused, ReplyUnreadable
from quorum.core.models import DETAIL_LIMIT, REASON_LIMIT, Category, Decision, Frozen, Probability
from quorum.gateway.wire import TokenLogProbability

PARSER_VERSION = 1
"""To be raised whenever a reply may be read otherwise than before: votes read so are not reused."""
UNSTATED_CONFIDENCE = 0.5
"""The confidence of a vote that gives none: it claims no more than a coin."""

_DECISION_KEYS = frozenset({"decision", "verdict", "결정", "판정", "판단"})
_CONFIDENCE_KEYS = frozenset({"confidence", "확신도", "신뢰도"})
_CATEGORIES_KEYS = frozenset({"categories", "category_scores", "scores", "category"})
_REASON_KEYS = frozenset({"reason", "rationale", "explanation", "이유", "사유"})

_DECISIONS = {
    **dict.fromkeys(
        ("safe", "allow", "allowed", "안전", "안전함", "안전합니다", "허용"), Decision.SAFE
    ),
    **dict.fromkeys(
        (
            "unsafe",
            "not safe",
            "remove",
            "removed",
            "유해",
            "유해함",
            "유해합니다",
            "안전하지 않음",
        ),
        Decision.UNSAFE,
    ),
    **dict.fromkeys(
        ("needs review", "need review", "needsreview", "검토 필요", "검토필요", "검토가 필요함"),
        Decision.NEEDS_REVIEW,
    ),
}
_CATEGORIES = {re.sub(r"[\W_]+", " ", category): category for category in Category}

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[\s_\-]+")
_LOOKS_LIKE_AN_OBJECT = re.compile(r"\{\s*[\"'“”]|\{\s*\w+\s*:")
_LINE = re.compile(
    rf"^\W*(?P<key>{'|'.join(sorted(_DECISION_KEYS | _CONFIDENCE_KEYS))})"
    r"\W*?[:：=]\s*(?P<value>.+)$",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSING = re.compile(
    r"^\W*(?:(?:i['’]m |i am )?(?:very )?sorry\b|(?:i|we) (?:can(?:['’]t|not)|am unable|won['’]t)\b"
    r"|as an ai\b|죄송(?:합니다|하지만))",
    re.IGNORECASE,
)
_ENDS_IN_A_NUMBER = re.compile(r"[\d.eE+-]$")
_PERCENT_FROM = 10
"""A bare number up to ten may be marks out of ten; above ten it can only be a percentage."""
_HUNDRED = 100


class ReadReply(Frozen):
    """A reply read for certain.

    `confidence` is the measured one where the model gave log-probabilities, else the stated one,
    else `UNSTATED_CONFIDENCE`. All are probabilities of the decision, in [0, 1].
    """

    decision: Decision
    confidence: Probability
    confidence_stated: Probability | None = None
    confidence_measured: Probability | None = None
    scores: dict[Category, Probability]
    reason: str = ""


def read(
    text: str | None,
    *,
    finish_reason: str | None = None,
    refusal: str | None = None,
    logprobs: Sequence[TokenLogProbability] | None = None,
) -> ReadReply:
    """The vote in a reply.

    `finish_reason` and `refusal` are the gateway's fields of those names; `logprobs` the tokens
    of `text` in order. Raises `ModelRefused` when the model or its safety filter would not answer
    and `ReplyUnreadable` when there is no answer that is certain; both carry the first 200
    characters of the reply as `excerpt`, to be kept only where content may be kept.
    """
    if refusal or finish_reason == "content_filter":
        raise ModelRefused(
            "the model or its filter refused", excerpt=_excerpt(refusal or text or "")
        )
    raw = text or ""
    answer = _THINKING.sub(lambda match: " " * len(match[0]), raw)
    found = list(_answers(answer))
    if not found and _REFUSING.match(answer):
        raise ModelRefused("the model refused in words", excerpt=_excerpt(raw))
    decisions = {candidate.decision for candidate in found}
    decision = decisions.pop() if len(decisions) == 1 else None
    if decision is None:
        problem = "two decisions that differ" if len(decisions) > 1 else "no decision"
        raise ReplyUnreadable(f"the reply holds {problem}", excerpt=_excerpt(raw))
    final = found[-1]
    measured = _measured(raw, final.decision_at, logprobs)
    stated = final.confidence
    return ReadReply(
        decision=decision,
        confidence=next(
            (known for known in (measured, stated) if known is not None), UNSTATED_CONFIDENCE
        ),
        confidence_stated=stated,
        confidence_measured=measured,
        scores=final.scores,
        reason=shorten(final.reason, REASON_LIMIT),
    )


def shorten(text: str, limit: int) -> str:
    """`text` on one line in at most `limit` code points, never cutting a character a reader sees.

    A letter with its marks, a flag or an emoji family is one grapheme and stays whole or goes.
    """
    line = _SPACE.sub(" ", text).strip()
    if len(line) <= limit:
        return line
    import regex  # noqa: PLC0415 - slow to import, and most reasons are short

    kept = 0
    for grapheme in regex.finditer(r"\X", line):
        if grapheme.end() > limit - 1:
            break
        kept = grapheme.end()
    return f"{line[:kept].rstrip()}…"


def _excerpt(text: str) -> str:
    return shorten(text, DETAIL_LIMIT)


class _Answer(NamedTuple):
    decision: Decision | None  # None: a decision was given that is none of ours
    decision_at: tuple[int, int]
    confidence: float | None
    scores: dict[Category, float]
    reason: str


def _answers(text: str) -> Iterator[_Answer]:
    objects = list(_objects(text))
    for pairs in objects:
        yield from _answers_in(pairs)
    if not objects:
        yield from _answers_in_lines(text)


def _answers_in(pairs: "_Object") -> Iterator[_Answer]:
    """An answer for every decision in the object or in the objects inside it."""
    named: dict[str, Any] = {}
    for key, value in pairs.items:
        named.setdefault(_spelled(key), value.content)
        yield from _answers_inside(value.content)
    for key, value in pairs.items:
        if _spelled(key) in _DECISION_KEYS:
            yield _Answer(
                decision=_decision(value.content) if value.complete else None,
                decision_at=value.span,
                confidence=_probability(_first(named, _CONFIDENCE_KEYS)),
                scores=_scores(_first(named, _CATEGORIES_KEYS)),
                reason=reason if isinstance(reason := _first(named, _REASON_KEYS), str) else "",
            )


def _answers_inside(content: object) -> Iterator[_Answer]:
    if isinstance(content, _Object):
        yield from _answers_in(content)
    elif isinstance(content, list):
        for element in content:
            yield from _answers_inside(element)


def _answers_in_lines(text: str) -> Iterator[_Answer]:
    """Without any JSON: a reply that is a decision, or `decision: …` lines."""
    whole = _decision(text)
    if whole is not None:
        yield _Answer(whole, _span_of_word(text), None, {}, "")
        return
    lines = list(_LINE.finditer(text))
    confidence = next(
        (
            _probability(line["value"])
            for line in lines
            if _spelled(line["key"]) in _CONFIDENCE_KEYS
        ),
        None,
    )
    for line in lines:
        if _spelled(line["key"]) in _DECISION_KEYS:
            yield _Answer(_decision(line["value"]), line.span("value"), confidence, {}, "")


def _span_of_word(text: str) -> tuple[int, int]:
    return len(text) - len(text.lstrip()), len(text.rstrip())


def _spelled(name: str) -> str:
    """A key or word without case, Unicode form, separators and outer punctuation."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _SEPARATORS.sub(" ", folded).strip(" .,:;!*`'\"“”()[]。").strip()


def _first(named: Mapping[str, Any], keys: frozenset[str]) -> Any:
    return next(
        (value for key, value in named.items() if key in keys or key.replace(" ", "_") in keys),
        None,
    )


def _decision(value: object) -> Decision | None:
    return _DECISIONS.get(_spelled(value)) if isinstance(value, str) else None


def _probability(value: object) -> float | None:
    """0.9, "0.9", "90%", 90, "9/10" → 0.9; None for anything that may mean something else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _probability_in_words(unicodedata.normalize("NFKC", value).strip(" .*`\"'"))
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if 0 <= value <= 1:
        return float(value)
    return value / _HUNDRED if _PERCENT_FROM < value <= _HUNDRED else None


def _probability_in_words(value: str) -> float | None:
    number, sign, rest = value.partition("%")
    over, slash, whole = value.partition("/")
    try:
        if sign and not rest.strip():
            share = float(number) / _HUNDRED
        elif slash:
            share = float(over) / float(whole)
        else:
            return _probability(float(value.replace(",", ".")))
    except (ValueError, ZeroDivisionError):
        return None
    return share if 0 <= share <= 1 else None


def _scores(value: object) -> dict[Category, float]:
    """Scores of the categories we know, from a list of {name, score} or a mapping."""
    named: list[tuple[object, object]] = []
    if isinstance(value, _Object):
        named = [(key, inner.content) for key, inner in value.items]
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, _Object):
                entry = {_spelled(key): inner.content for key, inner in element.items}
                named.append((entry.get("name", entry.get("category")), entry.get("score")))
    scores: dict[Category, float] = {}
    for name, score in named:
        category = (
            _CATEGORIES.get(re.sub(r"[\W_]+", " ", _spelled(name)))
            if isinstance(name, str)
            else None
        )
        probability = _probability(score)
        if category is not None and probability is not None:
            scores[category] = max(probability, scores.get(category, 0.0))
    return scores


def _measured(
    text: str, decision_at: tuple[int, int], logprobs: Sequence[TokenLogProbability] | None
) -> float | None:
    """The probability of the decision's tokens, together: exp(Σ log p) over those in the span.

    Tokens are matched by their bytes: a token may be half of a Hangul syllable. None when the
    tokens do not spell the text, because then nothing says which of them is the decision.
    """
    if not logprobs:
        return None
    if b"".join(token.token for token in logprobs) != text.encode():
        return None
    start = len(text[: decision_at[0]].encode())
    end = start + len(text[decision_at[0] : decision_at[1]].encode())
    position, total, seen = 0, 0.0, False
    for token in logprobs:
        after = position + len(token.token)
        if position < end and after > start:
            total, seen = total + token.log_probability, True
        position = after
    return min(1.0, math.exp(total)) if seen else None


# ---- objects, as models write them ----------------------------------------------------------
# json and pydantic_core read what is JSON; replies are often nearly so. This reads what has one
# meaning only and says which values were cut off, which no repairing library does.


class _Value(NamedTuple):
    content: Any  # str, int, float, bool, None, list or _Object
    span: tuple[int, int]  # of the text between the quotes, for a string
    complete: bool


class _Object(NamedTuple):
    items: list[tuple[str, _Value]]


class _NotAnObject(Exception):
    """The braces hold something else."""


_CLOSING = {'"': '"', "'": "'", "“": "”"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?")
_WORD = re.compile(r"\w+")
_DEPTH_LIMIT = 16


def _objects(text: str) -> Iterator[_Object]:
    """The outermost objects of the text, in order; an unreadable one makes all unreadable."""
    position = text.find("{")
    while position != -1:
        reader = _Reader(text, position)
        try:
            yield reader.object(0)
        except _NotAnObject:
            if _LOOKS_LIKE_AN_OBJECT.match(text, position):
                raise ReplyUnreadable(
                    "the reply holds a broken object", excerpt=_excerpt(text)
                ) from None
            reader.position = position + 1
        position = text.find("{", reader.position)


class _Reader:
    """Reads one object; the end of the text ends whatever is open, and marks it incomplete."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position

    def object(self, depth: int) -> _Object:
        if depth > _DEPTH_LIMIT:
            raise _NotAnObject
        self.position += 1
        items: list[tuple[str, _Value]] = []
        while True:
            character = self._next()
            if character in ("}", ""):
                self.position += 1
                return _Object(items)
            if character == ",":
                self.position += 1
                continue
            key = self._key()
            if self._next() == "":
                return _Object(items)
            if self._next() not in (":", "："):
                raise _NotAnObject
            self.position += 1
            if self._next() == "":
                items.append((key, _Value(None, (self.position, self.position), complete=False)))
                return _Object(items)
            items.append((key, self._value(depth)))
            if self._next() not in (",", "}", ""):
                raise _NotAnObject

    def _next(self) -> str:
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1
        return self.text[self.position : self.position + 1]

    def _key(self) -> str:
        if self._next() in _CLOSING:
            return str(self._string().content)
        word = _WORD.match(self.text, self.position)
        if word is None:
            raise _NotAnObject
        self.position = word.end()
        return word[0]

    def _value(self, depth: int) -> _Value:
        start, character = self.position, self._next()
        if character in _CLOSING:
            return self._string()
        if character == "{":
            inner = self.object(depth + 1)
            return _Value(inner, (start, self.position), complete=True)
        if character == "[":
            return _Value(self._list(depth + 1), (start, self.position), complete=True)
        return self._number_or_word()

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEPTH_LIMIT:
            raise _NotAnObject
        self.position += 1
        elements: list[Any] = []
        while (character := self._next()) not in ("]", ""):
            if character == ",":
                self.position += 1
                continue
            elements.append(self._value(depth).content)
            if self._next() not in (",", "]", ""):
                raise _NotAnObject
        self.position += 1
        return elements

    def _number_or_word(self) -> _Value:
        number = _NUMBER.match(self.text, self.position)
        word = _WORD.match(self.text, self.position)
        start = self.position
        if number is not None:
            self.position = number.end()
            complete = number.end() < len(self.text) or not _ENDS_IN_A_NUMBER.search(number[0])
            if not complete:
                return _Value(None, number.span(), complete=False)
            literal = number[0] if number[0].endswith("%") else float(number[0])
            return _Value(literal, number.span(), complete=True)
        if word is None:
            raise _NotAnObject
        self.position = word.end()
        if word[0].lower() in _WORDS:
            return _Value(_WORDS[word[0].lower()], word.span(), complete=True)
        return _Value(word[0], (start, word.end()), complete=word.end() < len(self.text))

    def _string(self) -> _Value:
        closing = _CLOSING[self.text[self.position]]
        start = self.position = self.position + 1
        letters: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == closing and self._closes(closing):
                self.position += 1
                return _Value("".join(letters), (start, self.position - 1), complete=True)
            if character == "\\":
                letters.append(self._escape())
                continue
            letters.append(character)
            self.position += 1
        return _Value("".join(letters), (start, self.position), complete=False)

    def _closes(self, closing: str) -> bool:
        """An apostrophe inside a single-quoted string (`'it's bad'`) does not close it."""
        after = self.text[self.position + 1 : self.position + 2]
        return closing != "'" or not after.isalnum()

    def _escape(self) -> str:
        escaped = self.text[self.position + 1 : self.position + 2]
        if escaped != "u":
            self.position += 2
            return _ESCAPES.get(escaped, escaped)
        units = re.match(r"(?:\\u[0-9a-fA-F]{4})+", self.text[self.position :])
        if units is None:
            self.position += 2
            return ""
        self.position += units.end()
        codes = bytes.fromhex(units[0].replace("\\u", ""))
        return codes.decode("utf-16-be", errors="replace")
