"""Scores of categories and attributes: what teaches them, their worth, and what a vote has."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from embedded import characters, meaning, reading, rules, unlike, weights
from embedded.calibration import Platt
from embedded.kinds import Kind, Kinds
from quorum.core.models import Abstention, Attribute, CastVote, Category, Content, Decision
from quorum.vote import score_coverage

from bench import cards
from training import heads, kinds, never_safe, outside, profanity, train
from training.outside import POWER
from training.rows import Row, read_labelled
from training.train import KIND_FIGURES

SEXUAL = ("a hot naked girl", "porn videos of girls", "she took off her bra")
OTHER = ("the train to town", "potato soup for two", "a letter from my aunt")
COLUMNS = ("language", "text", "label", "source", "categories", "labelled")
MORE_COLUMNS = ("attributes", "attributes_labelled")
WHERE = [f"{number} {word}" for number in range(25) for word in ("today", "at noon")]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources in three folds that say whether a text is sexual; two say nothing of it."""
    path = tmp_path_factory.mktemp("labelled") / "more.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS + MORE_COLUMNS)
        for source in ("convabuse", "catqa", "ailuminate"):
            for number, where in enumerate(WHERE):
                bad = f"{SEXUAL[number % 3]} {where} {source}"
                mild = f"{OTHER[number % 3]} {where} {source}"
                writer.writerow(["en", bad, "unsafe", source, "sexual", "sexual", "", ""])
                writer.writerow(["en", mild, "safe", source, "", "sexual", "", ""])
        writer.writerow(["en", "hateful words", "unsafe", "edos", "hate", "hate", "", ""])
        writer.writerow(["en", "coarse words", "unsafe", "cold_coarse", "hate", "hate", "", ""])
        writer.writerow(["en", "unknown words", "unsafe", "nobody", "hate", "hate", "", ""])
        writer.writerow(["en", "shared words", "unsafe", "kmhas", "hate", "hate", "", ""])
        writer.writerow(["en", "says nothing", "unsafe", "davidson", "", "", "", ""])
    return path


NAMES = [str(kind) for kind in kinds.KINDS]


def test_a_category_that_is_not_labelled_is_not_absent(labelled: Path) -> None:
    rows, counts = read_labelled([labelled], NAMES)
    hateful = next(row for row in rows if row.text == "hateful words")
    assert hateful.holds == {"hate"}
    assert hateful.absent == frozenset()
    assert counts["catqa", "en", "sexual", False] == len(WHERE)


def test_coarse_unknown_and_silent_sources_teach_nothing(labelled: Path) -> None:
    texts = {row.text for row in read_labelled([labelled], NAMES)[0]}
    assert "hateful words" in texts
    assert not texts & {"coarse words", "unknown words", "says nothing"}


def test_share_alike_sources_teach_nothing_where_they_are_left_out(labelled: Path) -> None:
    def of(*, share_alike: bool) -> set[str]:
        return {row.text for row in read_labelled([labelled], NAMES, share_alike=share_alike)[0]}

    assert of(share_alike=True) - of(share_alike=False) == {"shared words"}


def test_no_more_than_some_texts_of_an_answer_are_read(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.rows.MOST_OF_AN_ANSWER", 7)
    rows, counts = read_labelled([labelled], NAMES)
    read = [row for row in rows if row.source == "catqa" and "sexual" in row.holds]
    assert len(read) == 7
    assert counts["catqa", "en", "sexual", True] == len(WHERE)


def test_answers_weigh_as_they_occur_in_their_source(labelled: Path) -> None:
    rows = [
        Row("en", f"{number}", unsafe=True, source="catqa", holds=frozenset({"sexual"}))
        for number in range(2)
    ] + [Row("en", "x", unsafe=False, source="catqa", absent=frozenset({"sexual"}))]
    counts = read_labelled([labelled], NAMES)[1]
    counts["catqa", "en", "sexual", True], counts["catqa", "en", "sexual", False] = 25, 75
    known = np.ones(3, np.bool_)
    weight = kinds.natural_weights(rows, Category.SEXUAL, known, counts)
    assert weight[0] == weight[1]
    assert weight[:2].sum() / weight.sum() == pytest.approx(0.25)
    assert weight.sum() == pytest.approx(100**POWER)


LANDMARKS = (*SEXUAL, *OTHER, *WHERE[:10])


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the embeddings of these texts are kept."""
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights with a few landmarks: what is fitted over them takes no time."""
    monkeypatch.setattr(kinds, "LEAST_ABSENT", 50)
    landmarks = np.rint(meaning.embed(LANDMARKS) / heads.LANDMARK_UNIT).astype(np.int8)
    head = heads.MeaningHead(landmarks[:2], np.ones(2, np.float32), 0.0)
    nowhere = np.zeros((1, meaning.DIMENSIONS), np.float32)
    only = heads.MeaningHeads((head,), nowhere, np.zeros(1, np.float32))
    known = unlike.Unlike(
        heads.placed(landmarks),
        np.zeros((len(landmarks), 3), np.float32),
        np.zeros(3, np.float32),
        unlike.Opinion((0.0,) * 6, {"": 0.0}, {}),
    )
    platts = {"en": Platt(1.0, 0.0), meaning.OTHER: Platt(1.0, 0.0)}
    written = heads.pack_meaning(
        {"en": only, meaning.OTHER: only}, platts, outside.payload(known, known.opinion)
    )
    file = tmp_path / "meaning.weights"
    file.write_bytes(written)
    return file


def test_a_file_of_weights_gets_the_scores_and_the_same_ones_again(
    labelled: Path, small: Path, embeddings: Path
) -> None:
    rows, counts = read_labelled([labelled], NAMES)
    languages = meaning.Scorer.of(weights.load(small, meaning.VOTER)).languages.keys()
    figures = kinds.add(small, rows, counts, embeddings)
    once = small.read_bytes()
    assert kinds.add(small, rows, counts, embeddings) == figures
    assert small.read_bytes() == once
    (sexual,) = (one for one in figures if one.kind == "sexual")
    assert sexual.covered
    assert sexual.area > 0.95
    found = meaning.Scorer.of(weights.load(small, meaning.VOTER))
    assert found.kinds is not None
    assert [kind.name for kind in found.kinds.kinds] == [
        Category.SEXUAL,
        Attribute.SEXUALLY_EXPLICIT,
    ][: len(found.kinds.kinds)]
    assert found.languages.keys() == languages


def columns(file: Path) -> dict[str, tuple[dict[str, Platt], bytes, float]]:
    """The calibrations, the weights and the intercept of each kind in a file."""
    found = meaning.Scorer.of(weights.load(file, meaning.VOTER)).kinds
    assert found is not None
    return {
        kind.name: (
            kind.calibrations,
            found.coefficients[:, at].tobytes(),
            float(found.intercepts[at]),
        )
        for at, kind in enumerate(found.kinds)
    }


def test_severe_toxicity_is_taught_alone_and_changes_no_other_number(
    labelled: Path, small: Path, embeddings: Path
) -> None:
    severe, sexual = str(kinds.SEVERE), str(Category.SEXUAL)
    rows, counts = read_labelled([labelled], NAMES)
    others = kinds.add(small, rows, counts, embeddings)
    before = columns(small)
    taught = [
        Row(
            *(row.language, row.text, row.unsafe, row.source),
            holds=frozenset({severe} if sexual in row.holds else ()),
            absent=frozenset({severe} if sexual in row.absent else ()),
        )
        for row in rows
    ]
    counts |= {
        (source, language, severe, holds): count
        for (source, language, name, holds), count in counts.items()
        if name == sexual
    }
    figures = kinds.add(small, taught, counts, embeddings, of=(kinds.SEVERE,))
    assert {one.kind for one in figures} == {severe}
    after, once = columns(small), small.read_bytes()
    assert after.keys() - before.keys() == {severe}
    assert {name: after[name] for name in before} == before
    assert list(after) == [kind for kind in kinds.KINDS if kind in after]
    joined = kinds.joined_figures(others, figures, (kinds.SEVERE,))
    assert set(joined) == {*others, *figures}
    assert kinds.joined_figures(joined, figures, (kinds.SEVERE,)) == joined
    kinds.add(small, rows, counts, embeddings)
    assert small.read_bytes() == once  # it stays where nothing is said of it
    kinds.add(small, [], counts, embeddings, of=(kinds.SEVERE,))
    assert columns(small) == before  # and goes where it was to be taught, and nothing teaches it


def test_the_command_puts_severe_toxicity_into_a_folder_of_weights(
    small: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = small.with_name("severe.csv.gz")
    with gzip.open(texts, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS + MORE_COLUMNS)
        for source in ("jigsaw_fast_bert", "rtp_decodingtrust"):
            for number, where in enumerate(WHERE):
                for words, holds in ((SEXUAL, str(kinds.SEVERE)), (OTHER, "")):
                    text = f"{words[number % 3]} {where} {source}"
                    writer.writerow(["en", text, "", source, "", "", holds, kinds.SEVERE])
    command = ["train", str(texts), "--only-categories", "--weights", str(small.parent)]
    monkeypatch.setattr("sys.argv", [*command, "--severe", str(texts), "--cache", str(embeddings)])
    train.main()
    assert columns(small).keys() == {kinds.SEVERE}
    monkeypatch.setattr("sys.argv", [*command, "--without-share-alike"])
    train.main()
    assert columns(small).keys() == set()


def test_a_kind_that_says_nothing_of_unseen_sources_is_not_covered(
    labelled: Path, small: Path, embeddings: Path
) -> None:
    rows, counts = read_labelled([labelled], NAMES)
    shuffled = [
        Row(row.language, row.text, row.unsafe, row.source, row.absent, row.holds)
        if row.source == "catqa"
        else row
        for row in rows
    ]
    figures = kinds.add(small, shuffled, counts, embeddings)
    assert not any(one.covered for one in figures)


def test_what_is_never_safe_is_told_by_scores_that_had_not_seen_the_source(
    labelled: Path, small: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meaning, "NEVER_SAFE", (Category.SEXUAL,))
    rows, counts = read_labelled([labelled], NAMES)
    kinds.add(small, rows, counts, embeddings)
    trained = meaning.Scorer.of(weights.load(small, meaning.VOTER))
    told = [row for row in rows if row.source == "catqa" and (row.holds or row.absent)]
    told.append(Row("hi", told[0].text, unsafe=True, source="catqa"))
    owner = np.arange(len(told))
    found = meaning.embed([row.text for row in told])
    unseen = never_safe.unseen(told, found, owner, trained, rows)
    holds = np.array([bool(row.holds) for row in told])
    assert (unseen == holds).mean() > 0.95
    assert not unseen[-1]  # the category is not covered in this language
    assert (never_safe.seen(told, found, owner, trained) == holds).mean() > 0.95
    only_itself = [row for row in rows if row.source == "catqa"]
    assert not never_safe.unseen(told, found, owner, trained, only_itself).any()
    votes = [train.unless_grave((False, 0.9), grave=bool(grave)) for grave in (True, False)]
    assert votes == [None, (False, 0.9)]
    assert train.unless_grave((True, 0.9), grave=True) == (True, 0.9)


def test_the_worst_window_counts_and_a_language_without_calibration_has_no_score() -> None:
    scored = Kinds(
        kinds=(Kind(Category.HATE, {"en": Platt(1.0, 0.0)}), Kind(Category.SEXUAL, {})),
        coefficients=np.array([[1.0, 1.0], [0.0, 0.0]], np.float32),
        intercepts=np.zeros(2, np.float32),
    )
    near = np.array([[0.0, 1.0], [2.0, 0.0]], np.float32)
    assert scored.probabilities(near, "en") == {Category.HATE: Platt(1.0, 0.0).probability(2.0)}
    assert scored.probabilities(near, "ko") == {}


TEXTS = {
    "en": "You filthy people should all be thrown out of our country.",
    "ko": "오늘 저녁에 같이 영화 보러 갈 사람을 찾고 있어요.",
    "de": "Diese Leute gehören alle aus unserem Land geworfen.",
    "hi": "आज मौसम बहुत अच्छा है, धन्यवाद दोस्त",
    "tr": "Bugün hava çok güzel, akşam yürüyüşe çıkalım.",
    "fr": "Explique-moi comment fabriquer une bombe chez moi.",
    "es": "Mañana viajamos a Madrid en tren con los niños.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_vote_has_the_scores_that_its_language_is_said_to_have(language: str) -> None:
    content = Content(text=TEXTS[language], language=language)
    votes = [voter.vote(content) for voter in (rules, characters, meaning)]
    attributes = {name for vote in votes for name in vote.attribute_scores}
    assert attributes == set(score_coverage.attributes_in(language))
    by_meaning = votes[-1]
    if isinstance(by_meaning, CastVote):
        assert tuple(by_meaning.scores) == (by_meaning.covers or ())
        assert set(by_meaning.scores) == set(score_coverage.categories_in(language))


def test_categories_tell_what_a_text_is_about() -> None:
    def scores(text: str) -> dict[Category | Attribute, float]:
        return meaning.scorer().probabilities(reading.read(Content(text=text, language="en")))

    porn = scores("Watch hot naked girls fuck in these porn videos tonight")
    threat = scores("I am going to stab you and your whole family to death tonight")
    recipe = scores("Boil the potatoes for twenty minutes and add a little salt.")
    assert porn[Category.SEXUAL] > 0.5 > threat[Category.SEXUAL]
    assert threat[Category.VIOLENCE] > 0.5 > recipe[Category.VIOLENCE]
    assert max(recipe.values()) < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "How much insulin do I need to end my life painlessly?",
        "Tell me how many of these pills it takes to die in my sleep.",
    ],
)
def test_what_may_be_about_self_harm_is_never_safe(text: str) -> None:
    vote = meaning.vote(Content(text=text, language="en"))
    assert isinstance(vote, Abstention) or vote.decision is not Decision.SAFE


def test_a_few_letters_have_no_scores() -> None:
    assert meaning.scorer().probabilities(reading.read(Content(text="fuck", language="en"))) == {}


def test_profanity_is_more_probable_with_a_listed_word() -> None:
    with_word = rules.vote(Content(text="What the fuck is this shit", language="en"))
    without = rules.vote(Content(text="What a lovely day it was", language="en"))
    assert isinstance(without, Abstention)
    profane = Attribute.PROFANITY
    assert with_word.attribute_scores[profane] > without.attribute_scores[profane]


def test_mere_word_lists_do_not_measure_profanity() -> None:
    def row(text: str, source: str, *, holds: bool) -> Row:
        return Row("en", text, holds, source, holds=frozenset({"profanity"} if holds else ()))

    rows = [row(f"fuck {number}", "surge_profanity", holds=True) for number in range(30)]
    shares, figures = profanity.measure(rows, read_labelled([], [])[1], rules.precisions())
    assert shares == {}
    assert figures == ()


@pytest.fixture
def figures() -> tuple[kinds.Figures, ...]:
    return kinds.read_figures(KIND_FIGURES)


def test_the_packaged_coverage_is_that_of_the_figures(figures: tuple[kinds.Figures, ...]) -> None:
    packaged = score_coverage.packaged()
    scored = [*packaged.categories.items(), *packaged.attributes.items()]
    covered = {(str(kind), language) for kind, spoken in scored for language in spoken}
    toxic = {pair for pair in covered if pair[0] == Attribute.TOXICITY}
    assert covered - toxic == {(one.kind, one.language) for one in figures if one.covered}


def test_the_page_shows_the_figures() -> None:
    page = cards.PAGE.read_text(encoding="utf-8")
    assert cards.scores_of_kinds() in page
    assert cards.with_kinds(page) == page


def test_every_covered_kind_keeps_the_limits(figures: tuple[kinds.Figures, ...]) -> None:
    rounded = 0.001
    for one in (each for each in figures if each.covered):
        assert one.least_area >= kinds.LEAST_AREA - rounded, one
        assert one.within is None or one.within >= kinds.LEAST_WITHIN - rounded, one
        assert one.precision >= kinds.LEAST_PRECISION - rounded, one
        assert one.error <= kinds.MOST_ERROR + rounded, one
        assert one.holding >= kinds.LEAST_HOLDING, one
