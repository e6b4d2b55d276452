"""Words spelled around a list, and innocent neighbours that must not become one."""

import time

import pytest
from embedded import rules, topics
from embedded.disguises import respelled
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.models import CastVote, Category, Content, Decision
from quorum.core.normalise import normalise


def _decision(text: str, language: str) -> Decision | None:
    vote = rules.vote(Content(text=text, language=language))
    return vote.decision if isinstance(vote, CastVote) else None


@pytest.mark.parametrize(
    "text",
    [
        # abbreviations, whole and in part
        *(
            "ㅂㅅ",
            "ㅄ",
            "ㅆㅂ",
            "ㅅㅂ 진짜",
            "ㅈㄹ하네",
            "ㅂ신아",
            "병ㅅ",
            "ㅈ같다",
            "ㅈ까라",
            "개ㅅㄲ",
        ),
        *("ㄱㅅㄲ", "ㅁㅊㄴ", "ㄴㄱㅁ", "ㅅㅂㄹㅁ", "ㅅ발", "지ㄹ한다", "ㅆㄹㄱ", "미ㅊ놈"),
        # half-width, decomposed and separated letters
        *(
            "ﾵﾲ",
            "ㅅㅣㅂㅏㄹ",
            "ㅂㅕㅇㅅㅣㄴ",
            "ㅈㅣ랄",
            "ㅈ ㅣ 랄",
            "\u1109\u1175\u1107\u1161\u11af",
        ),
        # digits and signs inside
        *(
            "시1발",
            "병1신",
            "지1랄하네",
            "존1나 짜증나",
            "븅1딱",
            "씨@발",
            "병.신",
            "씨!발놈",
            "개새1끼",
        ),
        *("ㅅ1ㅂ", "ㅂ@ㅅ", "시★발", "꺼1져", "닥2쳐", "이런씨.발"),
        # drawn out and repeated
        *(
            "시이이발",
            "씨이발",
            "시바아알",
            "지이랄",
            "시시시발",
            "ㅅㅅㅅㅂㅂㅂ",
            "개새애끼",
        ),
        *("벼엉신", "뷰웅신"),
        *("씨발놈아", "븅딱", "좆같네", "썅"),
        # more abbreviations, numbers that sound like a curse, Latin letters inside
        *(
            "ㄲㅈ",
            "니ㅇㅁ",
            "ㄷㅊ",
            "십팔놈아",
            "18새끼",
            "씨8놈",
            "시부럴",
            "느개비",
            "맘충",
            "씨bal",
        ),
    ],
)
def test_a_curse_is_found_however_it_is_typed(text: str) -> None:
    assert _decision(text, "ko") is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *("이 사건이 분쟁의 시발점이다", "시발역에서 내려요", "시발택시는 최초의 국산차다"),
        *("18일에 만나요", "고추장 18그램", "도시 발전 계획", "다시 발견했다", "동시 발생"),
        *("혹시 발표했나", "3시1분 출발", "오후3시1발차", "1시1반 모임", "5시 18분"),
        *("도시.발전 계획", "수시/발표 일정", "다시,발견했다", "솜씨발휘 대회"),
        *("날씨발표를 듣다", "글씨발이 좋다", "아저씨발이 크다", "도시이발소 앞"),
        *("제1회 병원2신관", "고1신발", "그래애 알았어", "네에 맞아요", "ㅋㅋㅋㅋ", "ㅎㅎㅎ"),
        *("ㅠㅠㅠ", "ㅇㅇ", "ㄱㅅ", "ㄴㄴ", "ㅊㅋㅊㅋ", "ㅇㅋ", "ㄱㄱ", "ㅂㅂ", "ㅎㅇ"),
        *("ㄷㄷ", "ㅇㅅㅇ", "ㅡㅡ", "ㄹㅇ", "가.나.다 순서", "1등 2등 3등", "자.이제 시작"),
        *("지금 신발 신고 있어", "18년 동안 일했다", "아저씨 8명", "시18분", "씨8 항공편"),
        *("맘충분해", "여어 오랜만", "우유우유", "시뻘건 노을", "한남충전소"),
    ],
)  # fmt: skip
def test_innocent_neighbours_do_not_become_a_curse(text: str) -> None:
    assert _decision(text, "ko") is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *(("sh1t", "en"), ("a$$h0le", "en"), ("f u c k off", "en"), ("b-i-t-c-h", "en")),
        *(("🅵🆄🅲🅺 off", "en"), ("fuuuuuck", "en"), ("sl@nteye", "en"), ("mi3rda", "es")),
        *(("tlqkf", "en"), ("shibal", "en"), ("rotorl", "en")),
        *(("ᴡᴛꜰ you b1tch", "en"), ("sсhеißе", "de")),
    ],
)
def test_latin_words_are_found_through_digits_signs_and_shapes(text: str, language: str) -> None:
    assert _decision(text, language) is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    ["a b0mb in the station", "a b.o.m.b in the station", "boooomb", "c0ca1ne", "B0MBS"],
)
def test_topics_are_found_in_disguise_as_well(text: str) -> None:
    assert topics.mentioned(normalise(text).text, "en")


def test_a_topic_in_disguise_goes_to_a_person() -> None:
    assert _decision("we put a b0mb there", "en") is Decision.NEEDS_REVIEW
    assert topics.mentioned("b0mb", "en") == (Category.ILLICIT_VIOLENT,)


@pytest.mark.parametrize(
    "text",
    [
        *("h264 and mp3", "b2b and 4k", "1st 2nd 3rd", "10/10", "@alex_1999", "COVID-19", "7:30"),
        *("I a m here", "John 3:16", "w3c", "room 101b", "version 2.0.1", "🇫🇷🇩🇪", "oh wow!!!"),
    ],
)
def test_numbers_names_and_flags_are_no_words(text: str) -> None:
    assert _decision(text, "en") is None
    assert not topics.mentioned(normalise(text).text, "en")


def test_what_hides_nothing_has_no_other_spelling() -> None:
    assert respelled("A quiet afternoon in the garden.") == ()
    assert respelled("오늘은 날씨가 좋아서 공원을 걸었습니다.") == ()


@given(st.text(alphabet="시씨이아바발알ㅅㅂㅏ1.!~ abs0@$ㅋ", max_size=40))
def test_respelling_a_respelled_text_ends(text: str) -> None:
    for spelling in respelled(normalise(text).text):
        assert len(spelling) <= len(text) * 3
        assert len(respelled(spelling)) <= 2


@pytest.mark.parametrize(
    "unit", ["시이", "시1", "a b ", "a@", "ㅅㅂ", "이", "a1", "1a", "🇦", "시.", "x", "시!"]
)
def test_respelling_is_quick_on_any_text(unit: str) -> None:
    started = time.perf_counter()
    respelled((unit * 32_768)[:32_768])
    assert time.perf_counter() - started < 2
