"""Labels of data sets mean safe or unsafe, or are refused before anything is paid."""

import csv
from pathlib import Path
from typing import Any

import pytest
from quorum.core.models import Decision
from typer.testing import CliRunner

from analysis import gold, recorded
from cli import record
from cli.app import app

SAFE, UNSAFE = Decision.SAFE, Decision.UNSAFE


@pytest.mark.parametrize(
    ("label", "decision"),
    [
        ("safe", SAFE), ("Unsafe", UNSAFE), ("0", SAFE), ("1", UNSAFE), ("1.0", UNSAFE),
        (0, SAFE), (1, UNSAFE), (True, UNSAFE), (False, SAFE), ("TRUE", UNSAFE), ("false", SAFE),
        ("toxic", UNSAFE), ("Non-Toxic", SAFE), (" yes ", UNSAFE), ("no", SAFE), ("", None),
        (None, None),
    ],
)  # fmt: skip
def test_a_label_means(label: object, decision: Decision | None) -> None:
    assert gold.decision_of(label) is decision


@pytest.mark.parametrize("label", ["2", "0.73", "maybe", "needs_review", "-1"])
def test_any_other_label_is_refused(label: str) -> None:
    with pytest.raises(gold.LabelUnknown, match="safe or unsafe"):
        gold.decision_of(label)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (("text", "gold", "label"), "gold"), (("Label", "text"), "Label"),
        (("text", "Toxic"), "Toxic"), (("text", "colour"), None),
    ],
)  # fmt: skip
def test_the_column_of_labels_is_found(columns: tuple[str, ...], found: str | None) -> None:
    assert gold.column_in(columns) == found


def record_rows(folder: Path, name: str, text: str) -> Any:
    texts, out = folder / name, folder / "votes.csv"
    texts.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["record", str(texts), "--out", str(out)])
    if done.exit_code:
        return done
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "text,toxic\n=1+1 you fool,1\nGood morning,0\n"),
        ("t.csv", "content;label\n=1+1 you fool;toxic\nGood morning;safe\n"),
        ("t.csv", "id,text,gold\n1\n2,=1+1 you fool,true\n3,Good morning,false\n"),
        (
            "t.jsonl",
            '{"text": "=1+1 you fool", "label": 1}\n{"text": "Good morning", "label": 0}\n',
        ),
    ],
)
def test_what_is_recorded_is_evaluated_whatever_its_labels_were(
    tmp_path: Path, name: str, text: str
) -> None:
    rows = record_rows(tmp_path, name, text)
    assert [row["gold"] for row in rows] == ["unsafe", "safe"]
    assert rows[0]["text"] == "'=1+1 you fool"  # no formula where a spreadsheet opens it
    again = recorded.read(tmp_path / "votes.csv")
    assert again.texts == ("=1+1 you fool", "Good morning")
    assert [recorded.DECISIONS[code] for code in again.gold] == [UNSAFE, SAFE]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("text,gold\nGood morning,safe\nYou fool,0.73\n", "line 3, column gold"),
        ("text,colour\nGood morning,red\n", "gold or label or toxic"),
        ("comment,gold\nGood morning,safe\n", "no column is called text or content"),
        ('text,gold\n"Good morning,safe\n', "line 2"),
        ("text,gold\n", "no row has a text"),
    ],
)
def test_labels_that_mean_nothing_are_refused_before_anybody_votes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.setattr(record, "moderator_of", None)
    done = record_rows(tmp_path, "t.csv", text)
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split())


def test_recorded_votes_may_be_labelled_with_numbers(tmp_path: Path) -> None:
    votes = tmp_path / "v.csv"
    votes.write_text("language,text,label,ada\nen,a,1,unsafe\nen,b,0,safe\nen,c,,safe\n")
    found = recorded.read(votes)
    assert found.voters == ("ada",)
    assert [recorded.DECISIONS[code] for code in found.gold] == [UNSAFE, SAFE, None]
