"""`quorum train`: the embedded voters, from labels of one's own."""

import csv
from pathlib import Path

import pytest
from embedded import characters, meaning, weights
from typer.testing import CliRunner

from cli.app import app
from cli.train import LEAST_OF_A_LABEL

KIND = ("thank you dear friend", "what a lovely garden", "warm bread and tea", "see you soon")
RUDE = ("you silly goose", "shut up you fool", "go away stupid goose", "what a foolish fool")


def labelled(path: Path, language: str = "en", unsafe: int = 40, safe: int = 40) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "toxic", "language"])
        for number in range(safe):
            writer.writerow([f"{KIND[number % 4]} {number}", "0", language])
        for number in range(unsafe):
            writer.writerow([f"{RUDE[number % 4]} {number}", "1", language])
        writer.writerow(["nobody has said", "", language])
    return path


def trained(texts: Path, out: Path) -> dict[str, bytes]:
    ran = CliRunner().invoke(app, ["train", str(texts), "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    return {file.name: file.read_bytes() for file in out.iterdir()}


def test_training_twice_gives_the_same_bytes_and_a_card_of_each_voter(tmp_path: Path) -> None:
    texts = labelled(tmp_path / "texts.csv")
    first = trained(texts, tmp_path / "one")
    assert first.keys() == {
        *("characters.weights", "meaning.weights", "rules.json", "votes.csv", "model-card.md")
    }
    assert first == trained(texts, tmp_path / "two")
    card = first["model-card.md"].decode()
    assert "80 texts of texts.csv" in card
    for voter in ("rules", "characters", "meaning"):
        assert f"## {voter}" in card
    assert "| en | trained for | 40 | 40 | 100% |" in card
    read = weights.load(tmp_path / "one" / "characters.weights", "characters")
    scorer = characters.Scorer.of(read)
    assert scorer.languages.keys() == {"en"}
    assert scorer.version in card
    read = weights.load(tmp_path / "one" / "meaning.weights", "meaning")
    assert meaning.Scorer.of(read).version in card


@pytest.mark.parametrize(
    ("language", "unsafe", "message"),
    [
        ("en", LEAST_OF_A_LABEL - 1, "29 unsafe"),
        ("", 40, "name its language"),
    ],
)
def test_too_few_labels_are_refused_before_anything_is_trained(
    tmp_path: Path, language: str, unsafe: int, message: str
) -> None:
    texts = labelled(tmp_path / "texts.csv", language, unsafe)
    ran = CliRunner().invoke(app, ["train", str(texts), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 2
    assert message in " ".join(ran.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
