"""Long texts in pieces: nothing lost, nothing cut that a reader sees as one."""

from itertools import pairwise

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quorum.document.splitting import LEAST_TOKENS, Piece, joined, pieces
from quorum.gateway import tokenizer

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🇰🇷"
THUMB = "👍🏽"
ACCENTED = "e\u0301"
SYLLABLE = "\u1112\u1161\u11ab"  # 한, as three Hangul jamo
CONJUNCT = "क्ष"

WORDS = st.sampled_from(
    [
        *("The", "committee", "met", "in", "3.14", "Dr.", "end.", "Why?", '"Yes."', "etc. and"),
        *("회의는", "끝났다.", "다시", "열린다!", SYLLABLE * 3, "会議は終わった。", "「はい。」次"),
        *("हम मिले।", CONJUNCT, "انتهى الاجتماع؟", "ثم", "جديد۔", "ประชุมแล้ว", "会议结束了！然后"),
        *(FAMILY, FLAG, FLAG * 3, THUMB, ACCENTED * 4, "⁉️ ", "！\ufe0f", "\u0600", "\u200d"),
        *(
            " ",
            "  ",
            "\n",
            "\n\n",
            "\r\n",
            "\r\n\r\n",
            "\t",
            "\u2029",
            "\u3000",
            "\u0301",
            "x" * 90,
        ),
    ]
)
TEXTS = st.lists(WORDS, max_size=120).map("".join) | st.lists(WORDS, max_size=120).map(" ".join)
BYTES = [
    lambda text: len(text.encode()),  # no part of a text counts more or less by standing alone
    tokenizer.count_text,
]


def graphemes(text: str) -> set[int]:
    """Where a grapheme ends."""
    return {found.end() for found in regex.finditer(r"\X", text)} | {0}


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(LEAST_TOKENS, 200), st.sampled_from([0, 1]))
@example("a.\r\n\u0301b" + "x" * 300, 64, 0)
@example(FAMILY * 40, 64, 1)
def test_pieces_joined_are_the_text_and_no_grapheme_is_cut(
    text: str, most_tokens: int, counted: int
) -> None:
    count = BYTES[counted]
    cut = pieces(text, most_tokens=most_tokens, overlap_tokens=0, count=count)
    assert "".join(piece.text for piece in cut) == text
    ends = graphemes(text)
    for index, piece in enumerate(cut):
        assert piece.index == index
        assert piece.text == text[piece.start : piece.end]
        assert piece.tokens == count(piece.text) <= most_tokens
        assert piece.end in ends


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(LEAST_TOKENS, 200), st.integers(0, 31))
def test_with_overlap_nothing_is_left_out_and_every_piece_brings_something_new(
    text: str, most_tokens: int, overlap_tokens: int
) -> None:
    cut = pieces(text, most_tokens=most_tokens, overlap_tokens=overlap_tokens, count=BYTES[0])
    ends = graphemes(text)
    reached = 0
    for piece in cut:
        assert piece.start in ends
        assert reached - overlap_tokens <= piece.start <= reached < piece.end
        assert piece.tokens <= most_tokens
        reached = piece.end
    assert reached == len(text)


@given(st.text(max_size=400))
def test_any_text_at_all_comes_back_whole(text: str) -> None:
    cut = pieces(text, most_tokens=64, overlap_tokens=0)
    assert "".join(piece.text for piece in cut) == text


SENTENCES = {
    "Latin": "The committee met on Monday morning at the usual place, as agreed before. ",
    "Korean": "위원회는 월요일 아침에 늘 모이던 곳에서 모였다고 한다. ",
    "Japanese": "委員会は月曜日の朝にいつもの場所で開かれたとのことだ。",
    "Chinese": "委员会星期一早上在老地方开会了吗？",
    "Arabic": "هل اجتمعت اللجنة صباح يوم الاثنين في المكان المعتاد؟ ",
    "Hindi": "समिति की बैठक सोमवार सुबह हमेशा की जगह पर हुई। ",
    "with emoji": f"Everybody came, {FAMILY} and all, from {FLAG} as well {THUMB}! ",
}


@pytest.mark.parametrize("script", SENTENCES)
def test_every_script_is_cut_between_sentences_and_overlaps_in_whole_ones(script: str) -> None:
    sentence = SENTENCES[script]
    cut = pieces(sentence * 60, most_tokens=100, overlap_tokens=40)
    assert len(cut) > 5
    for before, piece in pairwise(cut):
        assert piece.start % len(sentence) == 0
        assert piece.end % len(sentence) == 0
        assert 0 < before.end - piece.start < before.end - before.start


def test_a_paragraph_border_is_better_than_a_later_sentence_border() -> None:
    text = "One two three four. " * 12 + "\n\n" + "Five six seven eight. " * 12
    first, *_ = pieces(text, most_tokens=100, overlap_tokens=0)
    assert first.text.endswith("\n\n")


def test_a_paragraph_border_too_early_is_not_waited_for() -> None:
    text = "Heading.\n\n" + "One two three four. " * 60
    first, *_ = pieces(text, most_tokens=100, overlap_tokens=0)
    assert first.tokens > 75


def test_a_sentence_is_not_ended_by_an_abbreviation_or_a_number() -> None:
    text = "It costs approx. three thousand or 3.14 per cent. " * 30
    cut = pieces(text, most_tokens=64, overlap_tokens=0)
    assert all(piece.text.endswith("cent. ") for piece in cut)


def test_where_there_are_no_sentences_words_stay_whole_and_overlap() -> None:
    cut = pieces("alpha beta gamma delta " * 100, most_tokens=64, overlap_tokens=10)
    for before, piece in pairwise(cut):
        assert before.text.endswith(" ")
        assert piece.start < before.end


def test_a_word_longer_than_a_piece_is_cut_between_graphemes() -> None:
    cut = pieces(
        (FAMILY + FLAG + SYLLABLE + CONJUNCT + "a" * 20) * 40, most_tokens=64, overlap_tokens=0
    )
    assert len(cut) > 10
    for piece in cut:
        assert not piece.text.startswith(("\u200d", "\u1161", "\u11ab", "\u094d"))


def test_a_pile_of_marks_no_reader_knows_is_cut_rather_than_sent_too_long() -> None:
    cut = pieces("z" + "\u0335\u0489" * 5_000, most_tokens=64, overlap_tokens=0)
    assert all(piece.tokens <= 64 for piece in cut)
    assert "".join(piece.text for piece in cut) == "z" + "\u0335\u0489" * 5_000


def test_a_book_is_counted_a_bounded_number_of_times() -> None:
    counted = calls = 0

    def count(text: str) -> int:
        nonlocal counted, calls
        counted, calls = counted + len(text), calls + 1
        return len(text.encode()) // 4 + 1

    page = "Somebody said something to somebody else about it. " * 60
    book = f"{page}\n\n" * 300
    cut = pieces(book, most_tokens=8_000, overlap_tokens=200, count=count)
    assert len(cut) > 20
    sentences = 300 * 60
    assert counted < 2.2 * len(book)
    assert calls < 1.2 * sentences


def test_so_is_a_text_without_a_single_border() -> None:
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return len(text.encode())

    pieces("x" * 1_000_000, most_tokens=10_000, overlap_tokens=100, count=count)
    assert counted < 4_000_000


@pytest.mark.parametrize(("most_tokens", "overlap_tokens"), [(63, 0), (100, 50), (100, -1)])
def test_sizes_that_cannot_work_are_refused(most_tokens: int, overlap_tokens: int) -> None:
    with pytest.raises(ValueError, match="tokens"):
        pieces("text", most_tokens=most_tokens, overlap_tokens=overlap_tokens)


def test_answers_are_joined_with_the_blanks_of_the_text() -> None:
    text = "Erster Satz. " * 20 + "\n\n" + "Zweiter Satz. " * 20
    cut = pieces(text, most_tokens=64, overlap_tokens=0)
    assert joined([f"\n {piece.text.strip()}" for piece in cut], cut) == text


def test_answers_to_a_text_without_blanks_are_joined_with_one() -> None:
    cut = [
        Piece(index=0, text="一。", start=0, end=2, tokens=2),
        Piece(index=1, text="二。", start=2, end=4, tokens=2),
    ]
    assert joined(["One.", "Two."], cut) == "One. Two."


@pytest.mark.parametrize(
    "odd", [".", "\n", " ", "\n ", "\u0301", "。", ".)", "\u200d", "\r\n/", "A"]
)
def test_no_text_is_so_odd_that_cutting_it_takes_for_ever(odd: str) -> None:
    text = odd * (150_000 // len(odd)) + "\u0301"
    cut = pieces(text, most_tokens=8_000, overlap_tokens=100, count=BYTES[0])
    assert cut[-1].end == len(text)
