"""A model's reply, read as a vote. Pure.

Models answer with plain JSON, fenced JSON, trailing commas, single quotes, Korean decisions,
percentages, or half an object. All of that is read. A reply that cannot be read *for certain*
raises `ReplyUnreadable`: nothing is guessed, and nothing that a reply quotes is taken for its vote:

* the vote is the whole reply: one object or a few that agree, or lines such as `decision: safe`.
  Only these may stand around it: thoughts between `<think>` and `</think>` at the very beginning,
  code fences, and polite words from a closed list (`Here is my answer:`). Anything else may quote
  the content, give an example of the format, or change the decision;
* two decisions that differ, anywhere in the reply, are no decision;
* a decision cut in half (`"uns`) is no decision, and a number cut in half no number; in an object
  that was cut off, a decision after a text may be part of that text;
* an object that cannot be read makes the whole reply unreadable, because what looks like an answer
  inside it may be the content, quoted.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorum.core.errors import ModelRefused, ReplyUnreadable
from quorum.core.models import DETAIL_LIMIT, REASON_LIMIT, Category, Decision, Frozen, Probability
from quorum.core.unicode import without_surrogates
from quorum.gateway.finish import Finish, finish
from quorum.gateway.wire import TokenLogProbability
from quorum.vote.objects import Broken, Object, objects

PARSER_VERSION = 3
"""Raise it whenever a reply may be read differently: older votes are then not reused."""
UNSTATED_CONFIDENCE = 0.5
"""The confidence of a vote that states none: even odds."""

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

_WRAPPERS = frozenset({"result", "answer", "output", "response", "moderation", "vote"})
"""Names under which an object may hold the vote as another object."""
_ADJECTIVES = frozenset({"final", "my", "overall", "moderation"})
_FLAGS = {
    **dict.fromkeys(("flagged", "unsafe", "is unsafe", "harmful", "is harmful", "blocked"), True),
    **dict.fromkeys(("safe", "is safe", "allowed", "harmless", "is harmless"), False),
}
"""Names whose true says unsafe (True) or safe (False)."""

REPLY_CHARACTERS = 65_536
"""Characters of a reply at most: a vote has a few hundred, and its thoughts a few thousand."""

_THINKING = re.compile(
    r"(?:\s*<(think|thinking|thought|reasoning)>.*?</\1>)+", re.DOTALL | re.IGNORECASE
)
_UNSEEN = " \t\r\n\u200b\u2060\ufeff"
"""What may stand at the edges of a reply: it shows nothing."""
ENDS = (
    *("</s>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>"),
    "<end_of_turn>",
)
"""What models end an answer with, where a server does not take it away."""
_SPACE = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[\s_\-]+")
_A_LINE = re.compile(r"[^\r\n]+")
_KEYS = "|".join(sorted(_DECISION_KEYS | _CONFIDENCE_KEYS | _REASON_KEYS))
_LINE = re.compile(
    rf"[\s*#_`•-]*(?:(?:my|the|final|overall)\s+)*(?P<key>{_KEYS})"
    r"[\s*_`]*[:：=]\s*(?P<value>.+)",
    re.IGNORECASE,
)
_LEADING = frozenset(
    re.findall(
        r"\S+",
        """a an and answer apologies as assessment below certainly course decision evaluation final
        following follows for here here's is it json judgement judgment moderation my object of okay
        ok output please provided requested response result results s so sorry sure the this verdict
        vote wait you your
        다음은 다음과 같습니다 아래는 답변 답변은 답변입니다 응답 응답입니다 결과 결과는 결과입니다
        판정 판정은 판정입니다 최종 요청하신 네 입니다""",
    )
)
"""The words that may stand before a vote. None of them can quote, deny or decide."""
_CLOSING = frozenset(
    re.findall(
        r"\S+",
        """any anything assistance bye else further have help helps hope i if is it let me need
        questions thank thanks this you 감사합니다""",
    )
)
"""The words that may stand after a vote."""
_PUNCTUATION = re.compile(r"[\s.,:;!*#_`~\[\]()。，：！…–—-]+")
_REFUSING = re.compile(
    r"\W*(?:unfortunately\W+)?(?:(?:i['’]m |i am )?(?:very |so )?sorry\b"
    r"|(?:i|we) (?:can(?:['’]t|not)|am unable|are unable|won['’]t|will not)\b|i['’]m unable\b"
    r"|(?:i|we) (?:must |have to )?(?:apologi[sz]e|decline)\b|as an ai\b"
    r"|죄송(?:합니다|하지만)|(?:이|그|해당) (?:요청|내용)[은에]? (?:도와|답변|응답)"
    r"|抱歉|对不起|對不起|我(?:无法|無法|不能)|申し訳(?:ありません|ございません)|すみません"
    r"|lo siento\b|(?:je suis )?désolée?\b|es tut mir leid\b|tut mir leid\b|mi dispiace\b"
    r"|(?:sinto muito|desculpe)\b|(?:извините|простите|к сожалению)\b)",
    re.IGNORECASE,
)
_LOG_PROBABILITY_ROUNDING = 1e-3
"""How far above 0, the logarithm of certainty, a rounded log-probability may be."""
_PERCENT_FROM = 10
"""A bare number up to ten may be marks out of ten; above ten it can only be a percentage."""
_HUNDRED = 100


class ReadReply(Frozen):
    """A vote that was read for certain.

    `confidence` is the measured one where the model gave log-probabilities, else the stated one,
    else `UNSTATED_CONFIDENCE`. All are probabilities of the decision, in [0, 1]. `covers` are the
    categories that a guard model knows of; None where it was told them all.
    """

    decision: Decision
    confidence: Probability
    confidence_stated: Probability | None = None
    confidence_measured: Probability | None = None
    scores: dict[str, Probability]
    covers: tuple[str, ...] | None = None
    reason: str = ""


def read(
    text: str | None,
    *,
    finish_reason: str | None = None,
    refusal: str | None = None,
    logprobs: Sequence[TokenLogProbability] | None = None,
    categories: Iterable[str] = tuple(Category),
) -> ReadReply:
    """The vote in a reply.

    `finish_reason` and `refusal` are the gateway's fields of those names; `logprobs` the tokens of
    `text` in order; `categories` the names that scores may have. Raises `ModelRefused` if the model
    or its safety filter would not answer, and `ReplyUnreadable` if no answer is certain. Both carry
    the first 200 characters of the reply as `excerpt`, to be kept only where content may be kept.
    """
    raw, start, _, unfinished = said(text, finish_reason=finish_reason, refusal=refusal)
    try:
        final, decision = _only_answer(raw, start, unfinished=unfinished)
    except _Uncertain as uncertain:
        if _REFUSING.match(raw, start):
            raise ModelRefused("the model refused in words", excerpt=excerpt(raw)) from None
        raise ReplyUnreadable(f"the reply {uncertain}", excerpt=excerpt(raw)) from None
    measured = measured_confidence(raw, final.decision_at, logprobs)
    stated = final.confidence
    return ReadReply(
        decision=decision,
        confidence=next(
            (known for known in (measured, stated) if known is not None), UNSTATED_CONFIDENCE
        ),
        confidence_stated=stated,
        confidence_measured=measured,
        scores=_scores(final.scores, categories),
        reason=shorten(final.reason, REASON_LIMIT),
    )


class Said(NamedTuple):
    """A reply as it came: its text, the end of its thoughts in it, and how it ended.

    Nothing in an `unfinished` one counts.
    """

    raw: str
    start: int
    ended: Finish
    unfinished: bool


def said(text: str | None, *, finish_reason: str | None, refusal: str | None) -> Said:
    """The reply as the gateway gave it; raises `ModelRefused` if the model would not answer."""
    ended = finish(finish_reason)
    raw = without_surrogates(text or "")
    if refusal or ended is Finish.FILTERED:
        raise ModelRefused(
            "the model or its filter refused", excerpt=excerpt(without_surrogates(refusal or raw))
        )
    begin = len(raw) - len(raw.lstrip(_UNSEEN))
    thoughts = _THINKING.match(raw, begin)
    start = thoughts.end() if thoughts is not None else begin
    unfinished = ended in _UNFINISHED or (thoughts is not None and ended is Finish.CUT)
    return Said(raw, start, ended, unfinished)


def shorten(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` code points, cut only between graphemes.

    A letter with its marks, a flag or an emoji family is one grapheme, and is kept whole or left
    out.
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


def excerpt(text: str) -> str:
    """The start of a reply, for debugging where content may be kept."""
    return shorten(text, DETAIL_LIMIT)


class _Uncertain(Exception):
    """Why a reply is no vote, as the end of a sentence about it; quotes nothing."""


_UNFINISHED = frozenset({Finish.FAILED, Finish.CALLED, Finish.OTHER})
"""Ways to end after which nothing in a reply counts."""


class _Answer(NamedTuple):
    """A decision in a reply; `decision` is None for a word that is not one of ours.

    An answer that is not `certain` cannot be the vote, but contradicts a vote that differs from it.
    """

    decision: Decision | None
    decision_at: tuple[int, int]
    confidence: float | None
    scores: Any
    reason: str
    certain: bool


@dataclass(slots=True)
class _Reading:
    """The answers in a reply, in order, and hints at a decision that are not answers."""

    answers: list[_Answer] = field(default_factory=list)
    hints: set[Decision] = field(default_factory=set)


def _only_answer(raw: str, start: int, *, unfinished: bool) -> tuple[_Answer, Decision]:
    """The answer in a reply after its thoughts, and its decision; raises `_Uncertain`."""
    if unfinished:
        raise _Uncertain("was not finished")
    if len(raw) > REPLY_CHARACTERS:
        raise _Uncertain("is too long for a vote")
    reading = _read(" " * start + _without_end(raw[start:]))
    decisions = {answer.decision for answer in reading.answers}
    if len(decisions) > 1:
        raise _Uncertain("holds two decisions that differ")
    final = reading.answers[-1] if reading.answers else None
    if final is None or final.decision is None or not final.certain:
        raise _Uncertain("holds no decision")
    denying = {Decision.SAFE: Decision.UNSAFE, Decision.UNSAFE: Decision.SAFE}
    if denying.get(final.decision) in reading.hints:
        raise _Uncertain("denies its own decision")
    return final, final.decision


def _without_end(text: str) -> str:
    """`text` without the signs of its end, of which a model writes one or two."""
    for _ in range(3):
        text = text.rstrip(_UNSEEN)
        text = next((text.removesuffix(end) for end in ENDS if text.endswith(end)), text)
    return text


def _read(text: str) -> _Reading:
    """All decisions in `text`; raises `_Uncertain` if anything else stands beside them."""
    reading = _Reading()
    outside: list[str] = []
    position = 0
    try:
        for found, (start, end) in objects(text):
            outside.append(text[position:start])
            position = end
            before = len(reading.answers)
            _read_object(found, reading, certain=True)
            if before and len(reading.answers) == before:
                raise _Uncertain("goes on after its decision")
    except Broken:
        raise _Uncertain("holds a broken object") from None
    if not outside:
        _read_lines(text, reading)
        return reading
    for piece in outside:
        _read_beside(piece, reading, _LEADING)
    _read_beside(text[position:], reading, _CLOSING)
    # The object is the answer; the lines beside it must agree.
    reading.answers.sort(key=lambda answer: answer.certain)
    return reading


def _read_object(found: Object, reading: _Reading, *, certain: bool) -> None:
    """Add the decisions and hints of an object, and of the objects inside it, to `reading`."""
    named: dict[str, Any] = {}
    for key, value in found.items:
        named.setdefault(_spelled(key), value.content)
    text_before = False
    for key, value in found.items:
        name = _spelled(key)
        words = set(name.split())
        sure = certain and (found.closed or not text_before)
        if words & _DECISION_KEYS:
            reading.answers.append(
                _Answer(
                    decision=_decision(value.content) if value.complete else None,
                    decision_at=value.span,
                    confidence=_probability(_first(named, _CONFIDENCE_KEYS)),
                    scores=_first(named, _CATEGORIES_KEYS),
                    reason=reason if isinstance(reason := _first(named, _REASON_KEYS), str) else "",
                    certain=sure and words <= _DECISION_KEYS | _ADJECTIVES,
                )
            )
        elif certain and name not in _REASON_KEYS and (hint := _hint(name, value.content)):
            reading.hints.add(hint)
        _read_inside(value.content, reading, certain=sure and name in _WRAPPERS)
        text_before = text_before or not isinstance(value.content, int | float)


def _read_inside(content: object, reading: _Reading, *, certain: bool) -> None:
    if isinstance(content, Object):
        _read_object(content, reading, certain=certain)
    elif isinstance(content, list):
        for element in content:
            _read_inside(element, reading, certain=certain)


def _hint(name: str, value: object) -> Decision | None:
    """The decision that `"flagged": true` or `"corrected": "unsafe"` hints at, if any."""
    if isinstance(value, bool) and name in _FLAGS:
        return Decision.UNSAFE if value is _FLAGS[name] else Decision.SAFE
    return _decision(value)


def _read_lines(text: str, reading: _Reading) -> None:
    """Add the decision of a text without objects to `reading`.

    The text is a decision, or lines such as `decision: safe` after polite words; raises
    `_Uncertain` at anything else.
    """
    if (whole := _decision(text)) is not None:
        reading.answers.append(_Answer(whole, _span_of_word(text), None, None, "", certain=True))
        return
    named: dict[str, str] = {}
    decided: list[tuple[Decision | None, tuple[int, int]]] = []
    for key, value, span in _lines(text, _LEADING):
        if key in _DECISION_KEYS:
            decided.append((_decision(value), span))
        else:
            named.setdefault(key, value)
    confidence = _probability(_first(named, _CONFIDENCE_KEYS))
    reason = _first(named, _REASON_KEYS) or ""
    reading.answers += [
        _Answer(decision, span, confidence, None, reason, certain=True)
        for decision, span in decided
    ]


def _read_beside(text: str, reading: _Reading, courtesies: frozenset[str]) -> None:
    """Read a text beside an object: polite words, or a decision again; else `_Uncertain`."""
    for key, value, span in _lines(text, courtesies):
        if key not in _DECISION_KEYS:
            raise _Uncertain("says more than its object")
        reading.answers.append(_Answer(_decision(value), span, None, None, "", certain=False))


def _lines(text: str, courtesies: frozenset[str]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Key, value and the value's span of each line `key: value`; others must be polite words."""
    for line in _A_LINE.finditer(text):
        entry = _LINE.fullmatch(line[0])
        if entry is not None:
            start, end = entry.span("value")
            place = line.start() + start, line.start() + end
            yield _spelled(entry["key"]), entry["value"], place
            continue
        words = _PUNCTUATION.sub(" ", line[0].replace("’", "'")).casefold().split()
        if not courtesies.issuperset(words):
            raise _Uncertain("says more than its decision")


def _span_of_word(text: str) -> tuple[int, int]:
    return len(text) - len(text.lstrip()), len(text.rstrip())


def _spelled(name: str) -> str:
    """A key or word without case, Unicode form, separators and outer punctuation."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _SEPARATORS.sub(" ", folded).strip(" .,:;!*`'\"“”()[]。").strip()


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name)


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


def _scores(value: object, categories: Iterable[str]) -> dict[str, float]:
    """Scores of those `categories`, from a list of {name, score} or a mapping."""
    named: list[tuple[object, object]] = []
    if isinstance(value, Object):
        named = [(key, inner.content) for key, inner in value.items]
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, Object):
                entry = {_spelled(key): inner.content for key, inner in element.items}
                named.append((entry.get("name", entry.get("category")), entry.get("score")))
    known = {_plain(category): category for category in categories}
    scores: dict[str, float] = {}
    for name, score in named:
        category = known.get(_plain(_spelled(name))) if isinstance(name, str) else None
        probability = _probability(score)
        if category is not None and probability is not None:
            scores[category] = max(probability, scores.get(category, 0.0))
    return scores


def measured_confidence(
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
    position = 0
    logs: list[float] = []
    for token in logprobs:
        after = position + len(token.token)
        if position < end and after > start:
            logs.append(token.log_probability)
        position = after
    if not logs or not all(log <= _LOG_PROBABILITY_ROUNDING for log in logs):  # NaN is not either
        return None
    return min(1.0, math.exp(sum(logs)))
