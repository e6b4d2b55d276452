"""The training script, on a tiny made-up data set."""

import csv
from pathlib import Path

import numpy as np
import pytest
from embedded import characters, meaning, rules, weights

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
    head = meaning.Scorer.of(read).heads["en"]
    rude, kind = head.scores(meaning.embed(["you stupid fool", "thank you, lovely friend"]))
    assert rude > kind


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
