"""`quorum train`: the embedded voters, from labels of one's own."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from embedded import characters, meaning, weights
from typer.testing import CliRunner

from cli.app import app
from cli.train import LEAST_OF_A_LABEL
from tests.template import ROOT
from training import installing

PACKAGES = (installing.QUORUM.parent, installing.VOTERS.parent)
SAID_IN_THE_TREE = """
import json
from embedded import characters, meaning
from quorum.core import registry
from quorum.core.models import Category, Content
from quorum.vote import coverage, score_coverage
from quorum.vote.panel import packaged
from quorum.vote.policy import Policy
from quorum.vote.policy_reading import read_through, uncovered
others = {name: {"enabled": False} for name in Category if name != "violence"}
policy = Policy.model_validate({"name": "mine", "categories": others})
content = Content(text="go away stupid goose", language="en")
votes = [voter.vote(content) for voter in (characters, meaning)]
print(json.dumps({
    "votes": [(vote.voter, vote.model, vote.decision, vote.scores) for vote in votes],
    "read": [vote.kind for vote in read_through(policy, votes)],
    "uncovered": uncovered(packaged("embedded"), policy),
    "scores": score_coverage.packaged().model_dump(mode="json"),
    "measured": [one.language for one in coverage.packaged().languages if one.trained_for],
    "voters": {one.language: one.voters for one in coverage.packaged().languages},
}))
"""

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


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the layers, which is installed into."""
    root = tmp_path / "tree"
    for package in (installing.QUORUM, installing.VOTERS):
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=left_out)
    monkeypatch.setattr(installing, "ROOT", root)
    return root


def run_in(tree: Path, *arguments: str) -> str:
    """What Python prints with the packages of that tree in place of these."""
    paths = [*(str(tree / package) for package in PACKAGES), str(ROOT)]
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def contents(tree: Path) -> dict[str, bytes]:
    names = [installing.VOTERS / name for name in installing.FILES]
    return {str(name): (tree / name).read_bytes() for name in (*names, *installing.WRITTEN)}


def test_voters_that_are_installed_vote_and_claim_nothing_that_they_were_not_taught(
    tmp_path: Path, tree: Path
) -> None:
    out = tmp_path / "trained"
    texts = labelled(tmp_path / "texts.csv")
    ran = CliRunner().invoke(app, ["train", str(texts), "--out", str(out), "--install"])
    assert ran.exit_code == 0, ran.output
    said: dict[str, Any] = json.loads(run_in(tree, "-c", SAID_IN_THE_TREE))
    of_files = installing.known(out).voters
    assert said["votes"] == [
        ["characters", f"characters@{of_files.characters.revision}", "unsafe", {}],
        ["meaning", f"meaning@{of_files.meaning.revision}", "unsafe", {}],
    ]
    # Under a policy of its own the panel is refused, and beside a language model they abstain.
    assert said["uncovered"] == "violence"
    assert said["read"] == ["abstention", "abstention"]
    assert said["scores"]["categories"] == {}
    assert said["scores"]["attributes"].keys() == {"toxicity"}
    assert said["measured"] == []
    assert said["voters"]["en"] == ["rules", "characters", "meaning"]
    assert said["voters"]["ko"] == ["rules", "meaning"]
    checks = "revision or voter_reads or files_say"
    page = str(ROOT / "tests/contract/test_template.py")
    assert "5 passed" in run_in(
        tree, "-m", "pytest", page, "-k", checks, "-p", "no:cacheprovider", "-v"
    )

    back = ["train", "--out", str(ROOT / installing.VOTERS), "--install"]
    assert contents(tree) != contents(ROOT)
    assert CliRunner().invoke(app, back).exit_code == 0
    assert contents(tree) == contents(ROOT)


@pytest.mark.parametrize("name", installing.FILES)
def test_nothing_is_installed_of_a_folder_with_a_damaged_file(
    tmp_path: Path, tree: Path, name: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(ROOT / installing.VOTERS, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    ran = CliRunner().invoke(app, ["train", "--out", str(folder), "--install"])
    assert ran.exit_code == 2
    assert contents(tree) == contents(ROOT)


def test_a_run_without_texts_says_what_is_missing(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["train", "--out", str(tmp_path)])
    assert ran.exit_code == 2
    assert "TEXTS.csv" in ran.output


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
