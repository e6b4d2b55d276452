"""Replies to the last number, word and border."""

import json
import math
from typing import Any

import pytest
from quorum.core.errors import ModelRefused, ReplyUnreadable
from quorum.core.models import Category, Decision
from quorum.gateway.finish import Finish
from quorum.gateway.wire import TokenLogProbability
from quorum.vote.reply import REPLY_CHARACTERS, read, said, shorten

SAFE, UNSAFE, REVIEW = Decision.SAFE, Decision.UNSAFE, Decision.NEEDS_REVIEW
VOTE = '{"decision": "safe", "confidence": 0.9}'


def reply(**given: Any) -> str:
    return json.dumps({"decision": "safe"} | given)


# --- what is said of a reply that is none --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "finish_reason", "message"),
    [
        (VOTE, "tool_calls", "was not finished"),
        (VOTE, "error", "was not finished"),
        (VOTE, "something new", "was not finished"),
        (f"<think>hm</think>{VOTE}", "length", "was not finished"),
        ("x" * (REPLY_CHARACTERS + 1), "stop", "is too long for a vote"),
        (f'{VOTE} {{"decision": "unsafe"}}', "stop", "holds two decisions that differ"),
        (f'{VOTE} {{"decision": "fine"}}', "stop", "holds two decisions that differ"),
        ('{"decision": "fine"}', "stop", "holds no decision"),
        ('{"confidence": 0.9}', "stop", "holds no decision"),
        (f'{{"example": {VOTE}}}', "stop", "holds no decision"),
        (reply(flagged=True), "stop", "denies its own decision"),
        (f'{VOTE} {{"note": 1}}', "stop", "goes on after its decision"),
        ('{"reason" "x"}', "stop", "holds a broken object"),
        ("perhaps", "stop", "says more than its decision"),
        (f"perhaps {VOTE}", "stop", "says more than its decision"),
        (f"{VOTE} perhaps", "stop", "says more than its decision"),
        (f"Reason: mild\n{VOTE}", "stop", "says more than its object"),
        (f"{VOTE}\nConfidence: 0.8", "stop", "says more than its object"),
        ("", "stop", "holds no decision"),
    ],
)
def test_a_reply_that_is_no_vote_says_why(text: str, finish_reason: str, message: str) -> None:
    with pytest.raises(ReplyUnreadable) as unreadable:
        read(text, finish_reason=finish_reason)
    assert str(unreadable.value) == f"the reply {message}"
    assert unreadable.value.excerpt == shorten(text, 200)


@pytest.mark.parametrize(
    ("given", "message", "excerpt"),
    [
        ({"text": VOTE, "refusal": "No  \ud83d."}, "the model or its filter refused", "No �."),
        ({"text": VOTE, "finish_reason": "SAFETY"}, "the model or its filter refused", VOTE),
        ({"text": None, "finish_reason": "SAFETY"}, "the model or its filter refused", ""),
        ({"text": "I'm sorry, no."}, "the model refused in words", "I'm sorry, no."),
        (
            {"text": "<think>sorry?</think>I cannot judge this."},
            "the model refused in words",
            "<think>sorry?</think>I cannot judge this.",
        ),
    ],
)
def test_a_refusal_says_of_what_kind_it_is_and_keeps_the_models_words(
    given: dict[str, Any], message: str, excerpt: str
) -> None:
    with pytest.raises(ModelRefused) as refused:
        read(**given)
    assert (str(refused.value), refused.value.excerpt) == (message, excerpt)


def test_a_refusal_that_was_only_thought_is_none() -> None:
    with pytest.raises(ReplyUnreadable):
        read("<think>hm</think> perhaps. I'm sorry")
    with pytest.raises(ReplyUnreadable):
        read("<think>I'm sorry, I can't.</think>perhaps")


def test_a_reply_may_be_as_long_as_the_limit() -> None:
    padded = VOTE + " " * (REPLY_CHARACTERS - len(VOTE))
    assert read(padded).decision is SAFE
    with pytest.raises(ReplyUnreadable, match="too long"):
        read(padded + " ")


def test_thoughts_before_a_vote_are_skipped_and_their_cut_end_spoils_it() -> None:
    thought = f"<think>It says {VOTE}</think>" + reply(decision="unsafe")
    assert read(thought, finish_reason="stop").decision is UNSAFE
    assert read(VOTE, finish_reason="length").decision is SAFE
    with pytest.raises(ReplyUnreadable):
        read(thought, finish_reason="length")


# --- the decision --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decision", "stated"),
    [
        # The first of two numbers counts, whatever the spelling of their names.
        ('{"decision": "safe", "confidence": 0.9, "Confidence": 0.1}', SAFE, 0.9),
        # A final decision, whoever's it is called; and under the other names.
        ('{"my_final_verdict": "unsafe", "confidence": 0.9}', UNSAFE, 0.9),
        ('{"overall decision": "unsafe"}', UNSAFE, None),
        ('{"moderation-decision": "unsafe"}', UNSAFE, None),
        # Only numbers stood before the decision in an object that was cut: none can quote it.
        ('{"confidence": 0.9, "decision": "unsafe"', UNSAFE, 0.9),
        ('{"flagged": true, "decision": "unsafe"', UNSAFE, None),
        # Every name of a wrapper, and wrappers in wrappers, and lists of them.
        ('{"result": {"answer": {"decision": "unsafe", "confidence": 0.9}}}', UNSAFE, 0.9),
        ('{"output": [{"decision": "unsafe"}, {"decision": "unsafe"}]}', UNSAFE, None),
        ('{"Response": {"decision": "unsafe"}}', UNSAFE, None),
        ('{"moderation": {"vote": {"decision": "unsafe"}}}', UNSAFE, None),
        # A line beside an object repeats it; the object is the vote.
        ('{"decision": "unsafe", "confidence": 0.9}\nVerdict: unsafe', UNSAFE, 0.9),
        ('Verdict: unsafe\n{"decision": "unsafe", "confidence": 0.9}', UNSAFE, 0.9),
        # Of lines, the first number counts.
        ("decision: unsafe\nconfidence: 0.9\nconfidence: 0.1", UNSAFE, 0.9),
        ("My final decision: unsafe", UNSAFE, None),
        ("- **판정**： 유해", UNSAFE, None),
        # What an object quotes as an example says nothing of the vote.
        ('{"decision": "unsafe", "example": {"flagged": false}}', UNSAFE, None),
        ('{"decision": "unsafe", "reason": "safe"}', UNSAFE, None),
        # Flags that agree, and one beside a vote that neither can deny.
        ('{"decision": "unsafe", "is_safe": false}', UNSAFE, None),
        ('{"decision": "safe", "harmful": false}', SAFE, None),
        ('{"decision": "needs_review", "flagged": true, "safe": true}', REVIEW, None),
        ('{"decision": "needs_review", "suggested": "unsafe"}', REVIEW, None),
        ('{"decision": "safe", "also": "needs_review"}', SAFE, None),
        # Courtesy with a curly apostrophe.
        ("Here’s my answer:\n**Decision:** safe", SAFE, None),
        (f"Here’s my answer:\n{VOTE}\nI hope this helps!", SAFE, 0.9),
    ],
)
def test_a_vote_is_read_from_where_it_stands(
    text: str, decision: Decision, stated: float | None
) -> None:
    found = read(text)
    assert (found.decision, found.confidence_stated) == (decision, stated)


@pytest.mark.parametrize(
    "text",
    [
        '{"suggested_decision": "safe"}',
        '{"decision": "safe", "suggested_decision": "unsafe"}',
        '{"note": null, "decision": "safe"',
        '{"a": {"b": 1}, "decision": "safe"',
        '{"result": "it says", "answer": {"decision": "safe"}',
        '{"decision": "safe", "blocked": true}',
        '{"decision": "unsafe", "harmless": true}',
        '{"decision": "unsafe", "unsafe": false}',
        '{"decision": "safe", "corrected": "unsafe"}',
        '{"result": {"decision": "safe", "corrected": "unsafe"}}',
        'Thanks! {"decision": "safe"}',
        '{"decision": "safe"} Here is my answer.',
        "Thanks!\ndecision: safe",
        'Verdict: unsafe\n{"decision": "safe"}',
        'Verdict: fine\n{"decision": "safe"}',
    ],
)
def test_what_may_mean_something_else_is_no_vote(text: str) -> None:
    with pytest.raises(ReplyUnreadable):
        read(text)


def test_the_reason_is_the_first_one_and_only_words() -> None:
    assert read(reply(reason="mild", 이유="other")).reason == "mild"
    assert read(reply(reason=["mild"])).reason == ""
    assert read("decision: safe\nreason: mild\nreason: other").reason == "mild"
    assert read("decision: safe").reason == ""
    assert read("Safe.").reason == ""
    assert read(VOTE).reason == ""


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "probability"),
    [
        (0, 0.0),
        (1, 1.0),
        (1.0001, None),
        (-0.0001, None),
        (10, None),
        (10.5, 0.105),
        (11, 0.11),
        (100, 1.0),
        (100.5, None),
        (True, None),
        (None, None),
        ([0.9], None),
        ("0.9", 0.9),
        ("0,9", 0.9),
        ("90", 0.9),
        (" *`'0.9'`* ", 0.9),
        ("90%", 0.9),
        ("90 % ", 0.9),
        ("９０％", 0.9),
        ("100%", 1.0),
        ("0%", 0.0),
        ("101%", None),
        ("-1%", None),
        ("90% sure", None),
        ("%", None),
        ("9/10", 0.9),
        ("10/10", 1.0),
        ("0/10", 0.0),
        ("11/10", None),
        ("1/0", None),
        ("a/b", None),
        ("1/2/3", None),
        ("high", None),
        ("X0.9", None),
        ("", None),
        ("inf", None),
    ],
)
def test_a_number_is_a_probability_where_it_can_be_nothing_else(
    written: object, probability: float | None
) -> None:
    found = read(reply(confidence=written))
    assert found.confidence_stated == (None if probability is None else pytest.approx(probability))
    assert found.confidence == pytest.approx(0.5 if probability is None else probability)


@pytest.mark.parametrize(
    ("name", "written", "scores"),
    [
        ("categories", [{"name": "hate", "score": 0.7}], {Category.HATE: 0.7}),
        ("categories", [{"Category": "hate", "Score": "70%"}], {Category.HATE: 0.7}),
        ("category_scores", {"hate": 0.7, "spite": 0}, {Category.HATE: 0.7}),
        ("Category Scores", {"self harm": 0}, {Category.SELF_HARM: 0.0}),
        ("scores", {"hate": 0.2, "Hate": 0.7, "HATE": 0.5}, {Category.HATE: 0.7}),
        ("scores", {"spite": 0.9, "hate": "high", "violence": 0.1}, {Category.VIOLENCE: 0.1}),
        ("categories", ["hate", {"score": 0.9}, {"name": "hate"}, {"name": 1, "score": 1}], {}),
        ("categories", "hate", {}),
    ],
)  # fmt: skip
def test_the_scores_are_the_highest_of_each_category_that_is_known(
    name: str, written: object, scores: dict[Category, float]
) -> None:
    assert read(reply(**{name: written})).scores == scores


# --- what the tokens say -------------------------------------------------------------------------


def measured(*pieces: tuple[str, float]) -> float | None:
    """The measured confidence of the reply that these tokens spell, each with its logarithm."""
    tokens = [TokenLogProbability(piece.encode(), log) for piece, log in pieces]
    return read("".join(piece for piece, _ in pieces), logprobs=tokens).confidence_measured


def test_only_the_decisions_own_tokens_are_measured() -> None:
    half, tenth = math.log(0.5), math.log(0.1)
    quoted = measured(('{"decision": "', tenth), ("sa", half), ("fe", half), ('"}', tenth))
    assert quoted == pytest.approx(0.25)
    touching = measured(('{"decision": ', tenth), ('"s', half), ('afe"', half), ("}", tenth))
    assert touching == pytest.approx(0.25)
    word = measured((" \n", tenth), ("un", half), ("safe", half), ("  ", tenth))
    assert word == pytest.approx(0.25)
    line = measured(("Sure!\nDecision: ", tenth), ("safe", half), ("\nReason: mild", tenth))
    assert line == pytest.approx(0.5)
    thought = measured(
        ("<think>욕?</think>", tenth), ('{"결정": "', tenth), ("유해", half), ('"}', tenth)
    )
    assert thought == pytest.approx(0.5)
    beside = measured(
        ('{"decision": "', tenth), ("safe", half), ('"}', tenth), ("\nVerdict: safe", tenth)
    )
    assert beside == pytest.approx(0.5)  # fmt: skip


def test_a_certainty_may_be_rounded_up_by_a_thousandth() -> None:
    assert measured(('{"decision": "', 0.0), ("safe", 0.001), ('"}', 0.0)) == 1.0
    assert measured(('{"decision": "', 0.0), ("safe", 0.0011), ('"}', 0.0)) is None
    assert measured(('{"decision": "', 0.0), ("sa", 0.0011), ("fe", -9.0), ('"}', 0.0)) is None


def test_without_tokens_nothing_is_measured() -> None:
    assert read(VOTE, logprobs=[]).confidence_measured is None
    assert read(VOTE, logprobs=[]).confidence == 0.9


# --- a text on one line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("", 5, ""),
        (" a \n\t b ", 5, "a b"),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("abc def", 5, "abc…"),
        ("ab👨‍👩‍👧", 5, "ab…"),
        ("👨‍👩‍👧ab", 5, "…"),
        ("ab🇰🇷cde", 5, "ab🇰🇷…"),
    ],
)
def test_a_text_is_shortened_to_whole_characters_and_a_sign(
    text: str, limit: int, short: str
) -> None:
    assert shorten(text, limit) == short


@pytest.mark.parametrize(
    ("reason", "ended"), [("stop", Finish.WHOLE), ("length", Finish.CUT), ("left", Finish.OTHER)]
)
def test_a_reply_says_how_it_ended(reason: str, ended: Finish) -> None:
    assert said("safe", finish_reason=reason, refusal=None).ended is ended
