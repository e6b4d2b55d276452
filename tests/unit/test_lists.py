"""The lists of a policy: what an entry matches, what it does not, and which entry decides."""

import string
import timeit
from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.core.models import Content
from quorum.core.rejection import rejection
from quorum.vote.lists import ENTRIES_LIMIT, Lists
from quorum.vote.patterns import MATCHES_LIMIT, PATTERNS_LIMIT, PROGRAMS_LIMIT


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
        ({"block": ["\ufdfa" * 12]}, "block", 200),
        ({"block": [" "]}, "block", None),
        ({"block": ["*"]}, "block", None),
        ({"block": ["a*b"]}, "block", None),
        ({"block": [f"word{n}" for n in range(ENTRIES_LIMIT)], "allow": ["x"]}, None, 10_000),
        ({"block": ["a" * n for n in range(1, 10)]}, None, 8),
        ({"block": ["z", *("a" * n for n in (9, 3, 1, 5, 7, 2, 8, 4, 6)), "ba", "b"]}, None, 8),
        ({"block": [{"text": "x", "languages": ["English"]}]}, "block", None),
        ({"block": ["a", {"pattern": "x" * 201}]}, "block.1.pattern", 200),
        ({"review": [{"pattern": "(a"}]}, "review.0.pattern", None),
        ({"allow": [{"pattern": r"(a)\1"}]}, "allow.0.pattern", None),
        ({"allow": [{"pattern": "(?=a)b"}]}, "allow.0.pattern", None),
        ({"allow": [{"pattern": "a)|(b"}]}, "allow.0.pattern", None),
        ({"allow": [{"pattern": r"\Qa"}]}, "allow.0.pattern", None),
        ({"block": [{"pattern": "a*"}]}, "block.0.pattern", None),
        ({"block": [{"pattern": r"\b"}]}, "block.0.pattern", None),
        ({"block": [{"pattern": "x{1001}"}]}, "block.0.pattern", None),
        ({"block": [{"pattern": r"(\pL{1,40} ){1,20}"}]}, "block.0.pattern", None),
        ({"block": [{"pattern": "[^a]{900}z"}]}, "block.0.pattern", None),
        (
            {"block": [{"pattern": f"x{n}"} for n in range(PATTERNS_LIMIT + 1)]},
            None,
            PATTERNS_LIMIT,
        ),
        ({"block": [{"pattern": rf"\pL{{3}}{n}"} for n in range(9)]}, None, PROGRAMS_LIMIT),
        ({"block": [{"pattern": "x", "text": "x"}]}, "block.0.text", None),
        ({"block": [{"pattern": "x", "languages": ["English"]}]}, "block.0.languages.0", None),
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


def test_entries_that_end_one_another_are_counted_along_each_chain_only() -> None:
    chain = ["a" * n for n in range(1, 9)]
    Lists.model_validate({"block": ["b", *chain, *(f"{n}baa" for n in range(50)), "ba"]})


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        (lambda n: {"pattern": rf"(\pL{{1,4}}){n}"}, True),
        (lambda n: "\ufdfa" * 196 + f"{n:04}", True),
        (lambda n: "ab" * 98 + f"{n:04}", False),
    ],
    ids=["patterns", "entries that grow", "entries of full length"],
)
def test_ten_thousand_costly_entries_are_checked_in_seconds(
    entry: Callable[[int], Any], *, refused: bool
) -> None:
    given = {"block": [entry(n) for n in range(ENTRIES_LIMIT)]}
    started = perf_counter()
    with pytest.raises(ValidationError) if refused else nullcontext():
        Lists.model_validate(given)
    assert perf_counter() - started < 10


def test_a_text_of_nothing_but_matches_is_searched_in_no_time() -> None:
    nested = ["a" * n for n in range(1, 9)]
    assert hit("a" * 32_000, block=nested) is None


# ---- patterns ----


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("b[e3]t(ting)?", "place a B3T!"),
        ("b[e3]t(ting)?", "betting"),
        (r"free\W+spins", "100 Free -- SPINS"),
        (r"\d{4}[ -]?\d{4}", "call 1234-5678."),
        ("l+u+c+k+y+ ?7", "LLLuuucky 7"),
        ("k[äa]se", "Der KÄSE."),
        ("b.t", "ｂ３ｔ"),
        ("bet", "b\u200bet"),
        ("bet", "bet"),
        ("bet", "abet a bet"),
        ("x? ?bet", "ax bet"),
        ("a( b)?", "a bc"),
        ("賭.場", "新賭大場開幕"),
        ("bet", "新bet新"),
        (r"\pL*bet\pL*", "alphabetic"),
        ("bet", "bet bet bet"),
        ("(?i)BET|win", "so win"),
    ],
)
def test_a_pattern_matches_whole_words_however_they_are_written(pattern: str, text: str) -> None:
    assert hit(text, block=[{"pattern": pattern}]) == f"block: {pattern}"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("b[e3]t(ting)?", "better"),
        ("bet", "alphabet"),
        ("bet", "bet7"),
        ("bet", "bet_now"),
        ("bet", "ébet"),
        ("कम", "कमी"),
        (r"\d{4}", "12345"),
        ("free.spins", "freespins"),
    ],
)
def test_a_pattern_does_not_match_inside_a_word(pattern: str, text: str) -> None:
    assert hit(text, block=[{"pattern": pattern}]) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the gambling act 2005", None),
        ("the GAMBLING ACT 1968", None),
        ("the gambling act 2005 and gambling", r"block: gambl\w+"),
        ("free gambling act 2005 spins", None),
        ("free - spins", "review: free[ -]+spins"),
        ("gambling acts", r"block: gambl\w+"),
        ("a forbidden word", "block: forbidden"),
    ],
)
def test_an_allowed_pattern_exempts_what_it_matches_from_words_and_patterns(
    text: str, found: str | None
) -> None:
    lists: Any = {
        "block": [{"pattern": r"gambl\w+"}, "forbidden"],
        "review": [{"pattern": "free[ -]+spins"}],
        "allow": [{"pattern": r"gambling act \d{4}"}, "forbidden city"],
    }
    assert hit(text, **lists) == found
    assert hit("the forbidden city", **lists) is None


def test_what_a_pattern_allows_is_blank_for_the_voter_rules() -> None:
    lists = Lists.model_validate({"allow": [{"pattern": "shi[pt]s?"}]})
    content = Content(text="ßß 賭 SHIPS, ship it; shipment")
    assert lists.without_allowed(content).text == "ßß 賭      ,      it; shipment"


def test_a_pattern_for_a_language_matches_texts_of_that_language() -> None:
    lists: Any = {"block": [{"pattern": "gift.?", "languages": ["de"]}]}
    assert hit("ein Gifts", "de", **lists) == "block: gift.?"
    assert hit("two gifts", "en", **lists) is None


def test_of_an_allowed_pattern_so_many_matches_are_exempt_and_no_more() -> None:
    lists: Any = {"block": ["bet"], "allow": [{"pattern": "b.t"}]}
    assert hit("bet " * MATCHES_LIMIT, **lists) is None
    assert hit("bet " * (MATCHES_LIMIT + 1), **lists) == "block: bet"


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, max_size=12))
def test_a_pattern_of_letters_finds_what_a_word_finds(listed: list[str], words: list[str]) -> None:
    text = " ".join(words) or "-"
    by_pattern = hit(text, block=[{"pattern": word} for word in listed])
    assert (by_pattern is None) == (hit(text, block=listed) is None)


ANY_PATTERN = st.sampled_from(
    ["lucky", "luck[iy]", "fr(?:e)e", r"\d{3}", "(?P<a>win)", "(?P<a>bet)s?"]
)


@given(
    st.lists(ANY_PATTERN, min_size=1, max_size=5),
    st.lists(st.sampled_from(["lucky", "unlucky7", "free", "1234", "123", "win", "Bets"])),
)
def test_patterns_together_find_what_the_first_of_them_finds_alone(
    patterns: list[str], words: list[str]
) -> None:
    text = f"so {' '.join(words)}"
    alone = (hit(text, block=[{"pattern": one}]) for one in patterns)
    expected = next((found for found in alone if found is not None), None)
    assert hit(text, block=[{"pattern": one} for one in patterns]) == expected


HANGING = ["(a|a)*b", "(a+)+$b", "(a|b)*a(a|b){150}", "([a-z]+)*!x", "(.{1,20}){1,9}x"]


@pytest.mark.parametrize("pattern", HANGING)
def test_no_pattern_hangs_a_function(pattern: str) -> None:
    lists: dict[str, Any] = {
        "block": [{"pattern": pattern}],
        "allow": [{"pattern": pattern + "y"}],
    }
    checked = Lists.model_validate(lists)
    for text in ("a" * 32_000, "ab" * 16_000, "xyz " * 8_000):
        started = perf_counter()
        checked.hit(Content(text=text))
        assert perf_counter() - started < 5


def test_ten_thousand_entries_with_patterns_among_them_cost_a_text_less_than_a_millisecond() -> (
    None
):
    patterns = [{"pattern": rf"w[o0]rd{n}s?\d*"} for n in range(PATTERNS_LIMIT)]
    words = [f"forbidden{n}" for n in range(ENTRIES_LIMIT - PATTERNS_LIMIT)]
    lists = Lists.model_validate({"block": [*words, *patterns]})
    content = Content(text="nothing of it is on any list. " * 33)
    assert lists.hit(content) is None
    fastest = min(timeit.repeat(lambda: lists.hit(content), number=1, repeat=50))
    assert fastest < 0.001
