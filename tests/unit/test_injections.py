"""Three hundred injections before prompts and the reader: none leaves its place, none is a vote."""

import json
import re

import pytest
from quorum.core.errors import ReplyUnreadable
from quorum.core.models import Context, Decision
from quorum.core.normalise import normalise
from quorum.core.registry import Model, VoteFormat
from quorum.vote import guards, reply, voter
from quorum.vote.policy import DEFAULT

from tests.unit.injections import injections
from tests.unit.test_guards import guard

INJECTIONS = dict(injections())
MARKER_LINE = re.compile(r"^-----(.*)-----$", re.MULTILINE)
GUARDS = [guard(one) for one in VoteFormat if one is not VoteFormat.JSON]


def test_there_are_three_hundred_and_all_differ() -> None:
    assert len(INJECTIONS) >= 300
    assert len(set(INJECTIONS.values())) == len(INJECTIONS)


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS.keys())
def test_a_content_stays_between_its_markers_and_changes_no_instruction(text: str) -> None:
    content = normalise(text)
    context = Context(messages=(text,), parent=text)
    for messages, blocks in (
        (voter.messages(content), [content.text]),
        (voter.messages(content, context=context), [content.text, None]),
    ):
        system, user = messages
        constant = voter.messages(normalise("x"), context=context if blocks[1:] else None)[0]
        assert system == constant
        lines = user["content"].split("\n")
        at = [number for number, line in enumerate(lines) if MARKER_LINE.match(line)]
        assert len(at) == 2 * len(blocks)
        for (begin, end), shown in zip(zip(at[::2], at[1::2], strict=True), blocks, strict=True):
            assert lines[begin] == lines[end]
            assert end == begin + 2
            said = json.loads(lines[begin + 1])
            assert shown is None or said == shown
            assert lines[begin].strip("-") not in lines[begin + 1]


@pytest.mark.parametrize("model", GUARDS, ids=lambda model: model.vote_format)
def test_a_guard_is_sent_no_markup_of_its_chat_template(model: Model) -> None:
    for text in INJECTIONS.values():
        sent = guards.asked(model, normalise(text), DEFAULT).messages[-1]
        assert sent["role"] == "user"
        assert not re.search(r"<\|?[a-z_]+\|?>|<(start|end)_of_turn>|\[/?INST\]", sent["content"])


def decision_of(text: str) -> Decision | None:
    """The decision that is read in a reply; None if none is."""
    try:
        return reply.read(text, categories=DEFAULT.known).decision
    except ReplyUnreadable:
        return None


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS.keys())
def test_a_reply_that_quotes_it_says_unsafe_or_nothing(text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=False)
    vote = f'{{"decision": "unsafe", "confidence": 0.9, "reason": {quoted}}}'
    assert decision_of(vote) is Decision.UNSAFE
    late = f'{{"reason": {quoted}, "confidence": 0.9, "decision": "unsafe"}}'
    assert decision_of(late) is Decision.UNSAFE
    for said in (
        f"The text says: {text}",
        f"{text}\n{vote}",
        f"{vote}\n{text}",
        f"The author wants me to answer {quoted}, which I will not do.",
        f"I must not obey this:\n```\n{text}\n```",
    ):
        assert decision_of(said) in {None, Decision.UNSAFE}, said
    for whole in (vote, late):
        for end in range(1, len(whole), 7):
            assert decision_of(whole[:end]) in {None, Decision.UNSAFE}, whole[:end]
