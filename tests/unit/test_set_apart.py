"""Letters that are set apart: no list has a sentence without gaps, so a person is asked."""

import pytest
from embedded import rules
from embedded.disguises import set_apart
from quorum.core.models import CastVote, Content, Decision


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("k i l l  y o u r s e l f", True),
        ("I hope you see: d.i.e.y.o.u.d.o.g", True),
        ("죽 어 라 이 바 보", True),
        ("I am a B C D student", False),
        ("U.S.A. and U.K.", False),
        ("a b c d e", False),
        ("1 2 3 4 5 6 7 8", False),
        ("Thanks for the recipe.", False),
    ],
)
def test_six_letters_in_a_row_are_set_apart(text: str, apart: bool) -> None:
    assert set_apart(" ".join(text.split())) is apart


@pytest.mark.parametrize("text", ["k i l l  y o u r s e l f", "I  h o p e  y o u  d i e"])
def test_what_letters_set_apart_spell_is_left_to_a_person(text: str) -> None:
    vote = rules.vote(Content(text=text, language="en"))
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.NEEDS_REVIEW


def test_a_listed_word_in_letters_set_apart_is_still_unsafe() -> None:
    vote = rules.vote(Content(text="you f u c k e r", language="en"))
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.UNSAFE
