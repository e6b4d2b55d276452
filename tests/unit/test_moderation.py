"""A streaming answer is judged by sentence, and withdrawn if it cannot be judged."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from quorum.chat import moderation
from quorum.chat.moderation import AnswerChecks, Moderation, Objection
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Content, Decision, Verdict
from quorum.vote import panel, policy
from quorum.vote.evaluation import conclude_without_votes

from tests import make

DEFAULT = panel.packaged("default")


def verdict(decision: str = "safe", votes: int = 3) -> Verdict:
    empty = conclude_without_votes(make.evaluation(), "made up", policy.DEFAULT, now=make.NOW)
    cast = [make.cast(voter, "safe") for voter in DEFAULT.voters[:votes]]
    return empty.model_copy(
        update={"decision": Decision(decision), "votes": tuple(cast), "cost_usd": Decimal("0.001")}
    )


class Judges:
    """Say `unsafe` of what holds a word, and remember what they were asked."""

    def __init__(self, word: str = "nonsense", decision: str = "unsafe", votes: int = 3) -> None:
        self.asked: list[str] = []
        self._word = word
        self._found = verdict(decision, votes)

    def __call__(self, content: Content) -> Verdict:
        self.asked.append(content.text)
        return self._found if self._word in content.text else verdict()


async def checked(judge: Callable[[Content], Verdict], *pieces: str, strict: bool = False) -> Any:
    moderated = Moderation(judge, DEFAULT, strict=strict)
    checks = AnswerChecks(moderated)
    running = asyncio.create_task(checks.run())
    for piece in pieces:
        checks.add(piece)
        while not (running.done() or checks.idle):  # noqa: ASYNC110 - it tells nobody when it is
            await asyncio.sleep(0.001)
    checks.close()
    await running
    return moderated


def objection(judge: Callable[[Content], Verdict], *pieces: str, strict: bool = False) -> Objection:
    with pytest.raises(Objection) as caught:
        asyncio.run(checked(judge, *pieces, strict=strict))
    return caught.value


def test_an_answer_is_judged_sentence_by_sentence_with_what_stood_before() -> None:
    judges = Judges()
    moderated = asyncio.run(checked(judges, "One", " two.", " Three", " four! ", "Five"))
    assert judges.asked == ["One two.", "One two. Three four!", "One two. Three four! Five"]
    assert moderated.checks == 3
    assert moderated.cost_usd == Decimal("0.003")


def test_sentences_end_in_other_scripts_as_well() -> None:
    judges = Judges()
    asyncio.run(checked(judges, "你好。", "こんにちは！", "नमस्ते।", "مرحبا؟", "끝"))
    assert len(judges.asked) == 5


def test_the_context_is_bounded_and_nothing_is_left_out() -> None:
    judges = Judges()
    text = "".join(f"Sentence number {number}. " for number in range(400))
    asyncio.run(checked(judges, text))
    longest = moderation.CHECK_CHARACTERS + moderation.CONTEXT_CHARACTERS
    assert all(len(asked) <= longest for asked in judges.asked)
    assert all(any(f" {number}." in asked for asked in judges.asked) for number in range(400))


def test_a_sentence_without_an_end_is_judged_all_the_same() -> None:
    judges = Judges()
    asyncio.run(checked(judges, "word " * 200))
    assert judges.asked


def test_white_space_needs_no_judge() -> None:
    judges = Judges()
    asyncio.run(checked(judges, " \n\n", "  "))
    assert judges.asked == []


def test_an_unsafe_sentence_is_objected_to() -> None:
    found = objection(Judges(), "All is well. ", "This is nonsense. ")
    assert found.why == "unsafe"
    assert found.verdict is not None


def test_what_waits_for_a_person_goes_on_unless_it_is_strict() -> None:
    moderated = asyncio.run(checked(Judges(decision="needs_review"), "This is nonsense."))
    assert moderated.for_review == 1
    found = objection(Judges(decision="needs_review"), "This is nonsense.", strict=True)
    assert found.why == "needs_review"


def test_a_review_for_want_of_voters_is_no_check_at_all() -> None:
    judges = Judges(decision="needs_review", votes=DEFAULT.quorum - 1)
    assert objection(judges, "This is nonsense.").why == "unchecked"


@pytest.mark.parametrize("failure", [StoreUnavailable("no"), ValueError("unforeseen")])
def test_a_check_that_cannot_be_had_is_an_objection(failure: Exception) -> None:
    def judge(_content: Content) -> Verdict:
        raise failure

    found = objection(judge, "Anything.")
    assert (found.why, found.verdict) == ("unchecked", None)
