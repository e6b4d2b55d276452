"""Texts that an attacker repeats: what reads them takes time in proportion to their length."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from embedded import characters, rules, senses
from embedded.disguises import respelled
from embedded.innocent import reworded
from quorum.core.models import Content

SHORT, LONG = 8_000, 32_000
"""Characters."""
MOST = 8
"""Times as long for a text of four times the length: 4 if linear, 16 if quadratic."""
LEAST_SECONDS = 0.005
"""Seconds that count at least for the short text: less is the clock's noise."""


def _seconds(step: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    step(text)
    return time.thread_time() - began


def _require_linear(step: Callable[[str], object], unit: str) -> None:
    step(unit)  # loads what it needs
    texts = [(unit * size)[:size] for size in (SHORT, LONG)]
    tries = ([_seconds(step, text) for text in texts] for _ in range(3))  # others use the machine
    assert any(long < MOST * max(short, LEAST_SECONDS) for short, long in tries)


@pytest.mark.parametrize(
    "unit", ["!1|@$", "!", "!|", "|", "야아", "예에", "ㅅㅣㅂㅏㄹ", "시.", "가!", "a b ", "a1!"]
)
def test_undoing_disguises_takes_linear_time(unit: str) -> None:
    _require_linear(respelled, unit)


@pytest.mark.parametrize("unit", ["ㅏ,", "ㅏ, ", "ha", "새끼 ", "을 뒤져"])
def test_rewording_takes_linear_time(unit: str) -> None:
    _require_linear(reworded, unit)


@pytest.mark.parametrize(
    ("language", "unit"),
    [
        *(("ko", "ㅅㅣㅂㅏㄹ"), ("ko", "적"), ("ko", "적 "), ("ko", "이"), ("ko", "새끼 ")),
        *(("ko", "라고"), ("ko", "개소리"), ("ko", "지 "), ("ko", "보스")),
        *(("en", "ass "), ("en", "cock "), ("en", "call "), ("en", "big breast ")),
        *(("en", "no a "), ("en", "stop calling "), ("en", '"a'), ("en", "kill the a ")),
        *(("de", "sau "), ("de", "hört auf "), ("es", "perra "), ("es", "decir ")),
        *(("ru", "сука "), ("zh", "“"), ("zh", "说"), ("zh", "说是"), ("zh", "杀")),
        *(("ar", "الكلب "), ("ar", "كلب"), ("hi", "कहना "), ("hi", "कुत्ता "), ("hi", "किसी से ")),
        *(("hi", "अ"), ("it", "culo "), ("fr", "n'a "), ("pt", "não é ")),
    ],
)
def test_leaving_out_passages_takes_linear_time(language: str, unit: str) -> None:
    _require_linear(partial(senses.without, language=language), unit)


@pytest.mark.parametrize("vote", [rules.vote, characters.vote], ids=["rules", "characters"])
@pytest.mark.parametrize("unit", ["!1|@$", "ㅅㅣㅂㅏㄹ", "you bitch "])
def test_a_vote_takes_linear_time(vote: Callable[[Content], object], unit: str) -> None:
    _require_linear(lambda text: vote(Content(text=text)), unit)
