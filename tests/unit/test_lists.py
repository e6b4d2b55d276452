"""The lists of a policy: what an entry matches, what it does not, and which entry decides."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.core.models import Content
from quorum.core.rejection import rejection
from quorum.vote.lists import ENTRIES_LIMIT, Lists


def hit(text: str, language: str | None = None, **lists: Any) -> str | None:
    found = Lists.model_validate(lists).hit(Content(text=text, language=language))
    return None if found is None else f"{found.list}: {found.entry}"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("bet", "Bet now!"),
        ("bet", "you_bet (bet)"),
        ("BET", "bet"),
        ("lucky seven", "the Lucky  Seven\u200b casino"),
        ("bet", "ｂｅｔ"),
        ("bet", "b\u200bet"),
        ("gambl*", "GAMBLING"),
        ("*coin", "freecoin!"),
        ("*asin*", "a casino"),
        ("straße", "STRASSE 7"),
        ("도박", "도박은 나쁘다"),
        ("賭場", "新賭場開幕"),
        ("!!!", "now!!!"),
        ("1xbet", "at 1xBet"),
    ],
)
def test_an_entry_matches_whole_words_however_they_are_written(entry: str, text: str) -> None:
    assert hit(text, block=[entry]) == f"block: {entry}"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("bet", "better"),
        ("bet", "alphabet"),
        ("bet", "bet_now"),
        ("bet", "bet7"),
        ("gambl*", "ungambling"),
        ("*coin", "coins"),
        ("lucky seven", "lucky 77 seven"),
        ("कम", "कमी"),
    ],
)
def test_an_entry_does_not_match_inside_a_word(entry: str, text: str) -> None:
    assert hit(text, block=[entry]) is None


def test_a_block_entry_decides_before_a_review_entry() -> None:
    lists: Any = {"block": ["win"], "review": ["big"]}
    assert hit("big win", **lists) == "block: win"
    assert hit("big", **lists) == "review: big"
    assert hit("nothing", **lists) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the big win museum", None),
        ("the big win museum is a big win", "block: big win"),
        ("win museum", "review: museum"),
        ("big win", "block: big win"),
    ],
)
def test_an_allow_entry_exempts_what_it_matches_and_nothing_beside(
    text: str, found: str | None
) -> None:
    lists: Any = {"block": ["big win"], "review": ["museum"], "allow": ["big win museum"]}
    assert hit(text, **lists) == found


def test_an_entry_for_a_language_matches_texts_of_that_language_or_of_none_that_is_known() -> None:
    gift = {"block": [{"text": "gift", "languages": ["de"]}]}
    assert hit("ein gift", "de", **gift) == "block: gift"
    assert hit("a gift", "en", **gift) is None
    assert hit("gift", None, **gift) == "block: gift"


def test_what_is_allowed_is_blank_for_the_voter_rules() -> None:
    lists = Lists.model_validate({"allow": ["straße kill", "ship"]})
    content = Content(text="STRASSE KILL a ship, shipment")
    assert lists.without_allowed(content).text == "             a     , shipment"
    untouched = Content(text="nothing of it")
    assert lists.without_allowed(untouched) is untouched


def test_a_blank_is_where_the_match_is_even_after_letters_that_grow_without_case() -> None:
    lists = Lists.model_validate({"allow": ["ship"]})
    content = Content(text="ßßß ship")
    assert lists.without_allowed(content).text.split() == ["ßßß"]


WORDS = st.text(string.ascii_lowercase[:4], min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, max_size=12))
def test_exactly_the_listed_words_are_found(listed: list[str], words: list[str]) -> None:
    found = hit(" ".join(words) or "-", block=listed)
    assert (found is not None) == bool(set(listed) & set(words))


@pytest.mark.parametrize(
    ("lists", "field", "limit"),
    [
        ({"block": ["x" * 201]}, "block", 200),
        ({"block": [" "]}, "block", None),
        ({"block": ["*"]}, "block", None),
        ({"block": ["a*b"]}, "block", None),
        ({"block": [f"word{n}" for n in range(ENTRIES_LIMIT)], "allow": ["x"]}, None, 10_000),
        ({"block": ["a" * n for n in range(1, 10)]}, None, 8),
        ({"block": [{"text": "x", "languages": ["English"]}]}, "block", None),
    ],
    ids=lambda one: str(one)[:40],
)
def test_bad_lists_are_refused_with_field_and_limit(
    lists: dict[str, Any], field: str | None, limit: int | None
) -> None:
    with pytest.raises(ValidationError) as refused:
        Lists.model_validate(lists)
    found = rejection(refused.value)
    assert field is None or str(found.field).startswith(field)
    if limit is not None:
        assert found.limit == limit


def test_a_text_of_nothing_but_matches_is_searched_in_no_time() -> None:
    nested = ["a" * n for n in range(1, 9)]
    assert hit("a" * 32_000, block=nested) is None
