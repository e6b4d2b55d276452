"""The training script, on a tiny made-up data set."""

import csv
from pathlib import Path

import numpy as np
import pytest
from embedded import characters, meaning, rules, weights
from embedded.calibration import Platt

from training import train

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


@pytest.fixture(scope="module")
def trained(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    train.train(made_up, 1, folder, folder / "votes.csv")
    return folder


def test_the_same_data_and_seed_give_the_same_bytes(
    made_up: Path, trained: Path, tmp_path: Path
) -> None:
    train.train(made_up, 1, tmp_path)
    for name in ("characters.weights", "meaning.weights", "rules.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_a_repeated_text_counts_once_and_a_contradicted_one_not_at_all(made_up: Path) -> None:
    texts = [row.text for row in train.read_rows(made_up)]
    assert len(texts) == len(set(texts)) == 2 * 8 * 8
    assert "both ways" not in texts


def test_the_voter_without_numpy_scores_as_the_trainer_does(made_up: Path, trained: Path) -> None:
    rows = train.read_rows(made_up)
    english = [row for row in rows if row.language == "en"]
    matrix = train.character_matrix([row.text for row in english])
    model = train.fit_characters(matrix, train.truths(english), train.row_weights(english))
    read = weights.load(trained / "characters.weights", "characters")
    spelling = characters.Scorer.of(read).languages["en"]
    ours = [spelling.score(row.text) for row in english]
    assert np.allclose(ours, model.decision_function(matrix), atol=2e-3)


def test_the_recorded_votes_are_of_every_row_and_well_formed(made_up: Path, trained: Path) -> None:
    with (trained / "votes.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert len(records) == len(train.read_rows(made_up))
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
    assert (train.kinds_of(sources, unsafe) == kinds).all()
    fitted = train.fit_meaning(embeddings, unsafe, np.ones(800), kinds, seed=1)
    assert len(fitted.heads) == 2
    every = np.arange(800)
    scores = fitted.scores(embeddings, every)
    assert ((scores > 0) == unsafe).mean() > 0.98
    platts = {"en": Platt(1.0, 0.0)}
    read = weights.unpack(train.pack_meaning({"en": fitted}, platts), "meaning")
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
    assert not train.kinds_of(sources, unsafe).any()


def test_a_small_source_weighs_as_much_as_a_large_one() -> None:
    rows = [train.Row("en", str(number), unsafe=True, source="large") for number in range(9)]
    rows += [train.Row("en", str(number), unsafe=True, source="small") for number in range(9, 12)]
    weight = train.row_weights(rows)
    assert weight[:9].sum() == pytest.approx(weight[9:].sum())


def test_a_poor_or_rare_rule_is_left_out() -> None:
    rows = [train.Row("en", str(number), unsafe=number < 10, source="s") for number in range(20)]
    good, poor, rare = "safetype hate critical", "badwords", "safetype sexual low"
    fired = [
        frozenset({good, poor, rare} if row.text == "0" else {good, poor})
        if row.unsafe
        else frozenset({poor})
        for row in rows
    ]
    measured = train.measure_rules(rows, fired)
    assert set(measured["en"]) == {good}
    assert rules.Precisions.of(train.pack_rules(measured)).unmeasured == measured["en"][good]
