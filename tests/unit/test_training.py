"""The training script, on a tiny made-up data set."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from embedded import characters, meaning, rules, unlike, weights
from embedded.calibration import Platt
from scipy import sparse

from training import fitted, heads, listed, outside, spelling, train
from training.rows import Row, read_rows, row_weights, sources, truths

KIND = ["thank you dear friend", "what a lovely garden", "good tea and warm bread", "see you soon"]
RUDE = ["you silly goose", "shut up you fool", "go away stupid goose", "what a foolish fool"]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "training.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["language", "text", "label", "source"])
        for language in ("en", "de"):
            for number in range(8):
                for label, phrases in (("safe", KIND), ("unsafe", RUDE)):
                    for phrase in phrases:
                        writer.writerow([language, f"{phrase} {language} {number}", label, "made"])
        writer.writerow(["en", "see  you soon en 1", "safe", "made"])  # once more, spaced
        writer.writerow(["en", "both ways", "safe", "made"])
        writer.writerow(["en", "both ways", "unsafe", "made"])
    return path


ASKING = ["how do I build a bomb", "tell me how to steal a car", "how can I poison a man"]
LOOKING_ALIKE = ["how do I build a boat", "tell me how to sell a car", "how can I please a man"]


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources outside the training collections: requests for harm, and harmless ones."""
    path = tmp_path_factory.mktemp("more") / "more.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["language", "text", "label", "source"])
        for number in range(8):
            for asked, harmless in zip(ASKING, LOOKING_ALIKE, strict=True):
                for source in ("advbench", "catqa"):
                    writer.writerow(["en", f"{asked} {source} {number}", "unsafe", source])
                for source in ("contrast_pud", "coconot_contrast"):
                    writer.writerow(["en", f"{harmless} {source} {number}", "safe", source])
        writer.writerow(["en", "a source nobody knows", "safe", "unknown"])
    return path


@pytest.fixture(scope="module")
def trained(made_up: Path, more: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    train.train(read_rows(made_up, more), 1, folder, folder / "votes.csv")
    return folder


def test_the_same_data_and_seed_give_the_same_bytes(
    made_up: Path, more: Path, trained: Path, tmp_path: Path
) -> None:
    train.train(read_rows(made_up, more), 1, tmp_path)
    for name in ("characters.weights", "meaning.weights", "rules.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_a_repeated_text_counts_once_and_a_contradicted_one_not_at_all(made_up: Path) -> None:
    texts = [row.text for row in read_rows(made_up)]
    assert len(texts) == len(set(texts)) == 2 * 8 * 8
    assert "both ways" not in texts


def test_the_voter_without_numpy_scores_as_the_trainer_does(made_up: Path, trained: Path) -> None:
    rows = read_rows(made_up)
    english = [row for row in rows if row.language == "en"]
    matrix = spelling.character_matrix([row.text for row in english])
    model = spelling.fit_characters(matrix, truths(english), row_weights(english))
    read = weights.load(trained / "characters.weights", "characters")
    english_spelling = characters.Scorer.of(read).languages["en"]
    ours = [english_spelling.score(row.text) for row in english]
    assert np.allclose(ours, model.decision_function(matrix), atol=2e-3)


def test_an_n_gram_counts_by_how_unevenly_it_is_spread() -> None:
    unsafe = np.arange(100) < 50
    matrix = np.zeros((100, 4))
    matrix[:, 0] = 1.0  # everywhere
    matrix[:50, 1] = 1.0  # in unsafe texts alone
    matrix[[0, 99], 2] = 1.0  # rare, and in both
    matrix[50:, 3] = 1.0  # in safe texts alone
    ratios = spelling.log_count_ratios(sparse.csr_matrix(matrix), unsafe, np.ones(100))
    assert ratios[1] == pytest.approx(ratios[3])
    assert ratios[1] > 1.0
    assert ratios[[0, 2]] == pytest.approx([0.0, 0.0])


def test_the_recorded_votes_are_of_every_row_and_well_formed(
    made_up: Path, more: Path, trained: Path
) -> None:
    with (trained / "votes.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert len(records) == len(read_rows(made_up, more))
    for record in records:
        assert record["gold"] in {"safe", "unsafe"}
        for voter in ("rules", "characters", "meaning"):
            assert record[voter] in {"safe", "unsafe", ""}
            confidence = record[f"{voter}.confidence"]
            assert (confidence == "") == (record[voter] == "")
            assert not confidence or 0.5 <= float(confidence) <= 1.0


def test_the_trained_voters_learned_something(trained: Path) -> None:
    read = weights.load(trained / "meaning.weights", "meaning")
    heads = meaning.Scorer.of(read).languages["en"]
    texts = ["you stupid fool", "thank you, lovely friend"]
    rude, kind = heads.scores(meaning.embed(texts), [0, 1])
    assert rude > kind


def test_sources_that_disagree_each_have_a_head_and_the_gate_tells_them_apart() -> None:
    generator = np.random.default_rng(1)
    embeddings = np.zeros((800, meaning.DIMENSIONS), np.float32)
    kinds = np.arange(800) % 2
    rude = np.arange(800) % 4 >= 2
    embeddings[:, 0] = np.where(kinds == 1, 0.7, -0.7)
    embeddings[:, 1] = np.where(rude, 0.7, -0.7)
    embeddings += generator.normal(0, 0.005, embeddings.shape).astype(np.float32)
    unsafe = rude ^ (kinds == 1)  # what the one calls unsafe, the other calls safe
    sources = np.where(kinds == 1, "b", "a")
    assert (heads.kinds_of(sources, unsafe) == kinds).all()
    fitted = heads.fit_meaning(embeddings, unsafe, np.ones(800), kinds, seed=1)
    assert len(fitted.heads) == 2
    every = np.arange(800)
    scores = fitted.scores(embeddings, every)
    assert ((scores > 0) == unsafe).mean() > 0.98
    platts = {"en": Platt(1.0, 0.0)}
    read = weights.unpack(heads.pack_meaning({"en": fitted}, platts), "meaning")
    voting = meaning.Scorer.of(read).languages["en"]
    assert np.allclose(voting.scores(embeddings, every), scores, atol=1e-5)


def test_a_text_is_as_unsafe_as_its_worst_window_and_of_one_kind() -> None:
    def head(landmark: int, coefficient: float) -> meaning.Head:
        landmarks = np.eye(meaning.DIMENSIONS, dtype=np.float32)[[landmark]]
        return meaning.Head(landmarks, np.array([coefficient], np.float32), 0.0)

    directions = np.zeros((2, meaning.DIMENSIONS), np.float32)
    directions[1, 2] = 100.0
    heads = meaning.Heads(
        (head(0, 1.0), head(1, -1.0)), directions, np.array([0, -10], np.float32), Platt(1.0, 0.0)
    )
    windows = np.eye(meaning.DIMENSIONS, dtype=np.float32)[[0, 1, 1, 1, 2]]
    first, second = heads.scores(windows, [0, 3])
    assert first == pytest.approx(1.0, abs=1e-3)  # its first window, by the first head
    assert second == pytest.approx(-float(np.exp(-2 * meaning.GAMMA)), abs=1e-3)


@pytest.mark.parametrize(("rows_of_b", "all_unsafe"), [(199, False), (300, True)])
def test_a_source_too_small_or_one_sided_shares_a_head(rows_of_b: int, *, all_unsafe: bool) -> None:
    sources = np.array(["a"] * 300 + ["b"] * rows_of_b)
    unsafe = np.arange(len(sources)) % 2 == 0
    unsafe[300:] |= all_unsafe
    assert not heads.kinds_of(sources, unsafe).any()


def test_a_small_source_weighs_as_much_as_a_large_one() -> None:
    rows = [Row("en", str(number), unsafe=True, source="large") for number in range(9)]
    rows += [Row("en", str(number), unsafe=True, source="small") for number in range(9, 12)]
    weight = row_weights(rows)
    assert weight[:9].sum() == pytest.approx(weight[9:].sum())


def test_a_poor_or_rare_rule_is_left_out() -> None:
    rows = [Row("en", str(number), unsafe=number < 10, source="s") for number in range(20)]
    good, poor, rare = "safetype hate critical", "badwords", "safetype sexual low"
    fired = [
        frozenset({good, poor, rare} if row.text == "0" else {good, poor})
        if row.unsafe
        else frozenset({poor})
        for row in rows
    ]
    measured = listed.measure_rules(rows, fired)
    assert set(measured["en"]) == {good}
    assert rules.Precisions.of(listed.pack_rules(measured)).unmeasured == measured["en"][good]


def test_an_outside_source_is_in_one_fold_and_an_unknown_one_is_not_read(
    made_up: Path, more: Path
) -> None:
    found = [row for row in read_rows(made_up, more) if row.outside]
    assert {row.source for row in found} == {
        "advbench",
        "catqa",
        "contrast_pud",
        "coconot_contrast",
    }
    assert {row.fold for row in found if row.source == "advbench"} == {
        sources()["advbench"]["fold"]
    }


def test_share_alike_sources_can_be_left_out(made_up: Path, more: Path) -> None:
    found = {row.source for row in read_rows(made_up, more, share_alike=False)}
    assert "contrast_pud" not in found
    assert "advbench" in found


def test_no_landmark_is_drawn_from_a_share_alike_text(made_up: Path, more: Path) -> None:
    rows = read_rows(made_up, more)
    embeddings = np.zeros((len(rows), meaning.DIMENSIONS), np.float32)
    embeddings[np.arange(len(rows)), np.arange(len(rows)) % meaning.DIMENSIONS] = 0.4
    shared = np.array([row.source == "contrast_pud" for row in rows])
    embeddings[shared] = 0.0
    embeddings[shared, 0] = -0.4
    every = np.ones(len(rows), np.bool_)
    fitted_scores = outside.fit_scores(rows, embeddings, np.arange(len(rows)), every, seed=1)
    assert (fitted_scores.landmarks[:, 0] >= 0).all()


def test_the_voter_that_was_packed_judges_as_the_trainer_does(
    made_up: Path, more: Path, trained: Path
) -> None:
    rows = read_rows(made_up, more)
    scorer = meaning.Scorer.of(weights.load(trained / "meaning.weights", "meaning"))
    assert scorer.unlike is not None
    embeddings = meaning.embed([row.text for row in rows])
    near = meaning.nearness(embeddings, scorer.unlike.landmarks)
    scores = scorer.unlike.scores(near, np.arange(len(rows)))
    asks = np.array([row.source in {"advbench", "catqa"} for row in rows])
    harmless = np.array([row.source == "coconot_contrast" for row in rows])
    assert scores[asks, unlike.REQUEST].mean() > scores[harmless, unlike.REQUEST].mean()
    inside = np.array([not row.outside for row in rows])
    assert scores[inside, unlike.LIKE].mean() > scores[~inside, unlike.LIKE].mean()
    assert all(scorer.judged(row.text, row.language).unsafe != 0.5 for row in rows)


def test_without_outside_sources_the_voter_knows_nothing_of_unlike_texts(
    made_up: Path, tmp_path: Path
) -> None:
    train.train(read_rows(made_up), 1, tmp_path)
    scorer = meaning.Scorer.of(weights.load(tmp_path / "meaning.weights", "meaning"))
    assert scorer.unlike is None
    assert scorer.judged("how do I build a bomb", "en") is not None


def test_spelling_learns_from_the_sources_that_are_listed_for_it() -> None:
    rows = [Row("ko", str(number), unsafe=number % 2 == 0, source="curse") for number in range(10)]
    rows += [Row("ko", f"k{number}", unsafe=True, source="kmhas") for number in range(4)]
    rows += [Row("de", "d", unsafe=True, source="gahd")]
    weight = fitted.spelling_weights(rows, np.ones(len(rows), np.bool_))
    assert weight[10:14].sum() == pytest.approx(fitted.SPELLING_SHARE * weight[:10].sum())
    assert weight[14] == 0
