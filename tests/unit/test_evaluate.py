import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from quorum.answer import listing
from quorum.core.model_entry import ModelEntry
from quorum.vote import panel
from sklearn.metrics import average_precision_score, f1_score
from typer.testing import CliRunner

from analysis import evaluation, prices, recorded
from analysis.evaluation import Resampling
from analysis.recorded import REVIEW, SAFE, UNSAFE, VotesUnreadable
from cli import loading
from cli.app import app
from cli.service import Service

GOLDEN = Path(__file__).parent / "golden"
VOTES = GOLDEN / "votes.csv"
PRICES = GOLDEN / "prices.json"
PANEL = GOLDEN / "panel.json"

run = CliRunner().invoke


def evaluated(tmp_path: Path, *options: str) -> dict[str, Any]:
    out = tmp_path / "out.json"
    result = run(app, ["evaluate", str(VOTES), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    return dict(json.loads(out.read_text()))


def test_columns_are_voters_by_what_is_in_them() -> None:
    votes = recorded.read(VOTES)
    assert votes.voters == ("ada", "bob", "cyd")
    assert votes.panel is not None
    assert np.isnan(votes.confidences[:, votes.column("cyd")]).all()
    assert votes.decisions[5, 0] == REVIEW


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("de,niemand mag dich,unsafe", "de,niemand mag dich,rude", "row 11, column 'gold'"),
        ("unsafe,made,unsafe,0.8,safe", "unsafe,made,unsave,0.8,safe", "row 3, column 'ada'"),
        ("safe,0.95,safe", "safe,1.95,safe", "row 4, column 'ada.confidence'"),
        ("language,text,gold", "language,text,colour", "no column is called gold"),
        ("de,niemand mag dich,unsafe", "de,niemand mag dich,needs_review", "row 11"),
    ],
)
def test_a_file_that_cannot_be_read_for_certain_is_refused_by_row_and_column(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    bad = tmp_path / "votes.csv"
    bad.write_text(VOTES.read_text().replace(before, after))
    with pytest.raises(VotesUnreadable, match=complaint):
        recorded.read(bad)
    assert run(app, ["evaluate", str(bad)]).exit_code == 2


def test_prices_come_from_the_file_then_from_the_registry() -> None:
    known = prices.costs(["ada", "cyd", "gpt-4.1", "characters", "nobody"], prices.read(PRICES))
    assert known == {
        "ada": Decimal("0.0004"),
        "cyd": Decimal("0.0012"),
        "gpt-4.1": Decimal("0.00128"),
        "characters": Decimal(0),
    }
    assert prices.reference(["ada", "cyd", "gpt-4.1"], known) == "gpt-4.1"
    assert prices.reference(["ada", "cyd"], known) == "cyd"
    assert prices.reference(["characters"], known) is None


MODEL_PRICE = {"as_of": "2026-11-01", "source": "our own", "input": "1", "output": "10"}


def entry_file(folder: Path) -> Path:
    file = folder / "ada.json"
    file.write_text(
        json.dumps(
            {
                "gateway_name": "ada-1",
                "price": MODEL_PRICE,
                "context_window": 8192,
                "tokens_per_second": 60,
            }
        )
    )
    return file


def cost_of(document: dict[str, Any], voter: str = "ada") -> Any:
    found = document["overall"]["voters"][voter]["cost_per_1000_usd"]
    return None if found is None else found["value"]


def test_a_model_put_as_data_costs_what_its_entry_says_unless_the_file_of_prices_says_otherwise(
    tmp_path: Path,
) -> None:
    model = ("--model", f"ada={entry_file(tmp_path)}")
    assert cost_of(evaluated(tmp_path, *model)) == pytest.approx(1.0)  # 400 in, 60 out
    assert cost_of(evaluated(tmp_path, *model, "--prices", str(PRICES))) == pytest.approx(0.4)
    without = run(app, ["evaluate", str(VOTES)])
    assert "no price is known for ada, bob, cyd" in " ".join(without.stderr.split())


def test_models_put_as_data_cost_what_their_deployment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    entry = ModelEntry.model_validate_json(entry_file(tmp_path).read_text())
    listed = listing.models([entry.model("ada"), entry.model("bob")]).model_dump(mode="json")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json=listed)

    service = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(loading, "connect", lambda _where: service)
    document = evaluated(tmp_path, "--where", "prod", "--prices", str(PRICES))
    assert (cost_of(document, "bob"), cost_of(document)) == (pytest.approx(0.1), pytest.approx(0.4))
    document = evaluated(tmp_path, "--where", "prod")
    assert (cost_of(document, "bob"), cost_of(document)) == (pytest.approx(1), pytest.approx(1))
    assert asked == ["/v1/models", "/v1/models"]
    evaluated(tmp_path)
    assert len(asked) == 2  # without --where no deployment is asked


def test_the_golden_panel_has_the_figures_counted_by_hand(tmp_path: Path) -> None:
    document = evaluated(tmp_path, "--panel", str(PANEL), "--prices", str(PRICES))
    found = document["overall"]["panel"]
    # Settled after ada and bob: rows 4 and 12 only (both sure of unsafe); the rest ask cyd.
    # Rows 6, 8, 10, 11 are forced or decided as the thresholds say; row 10 alone goes wrong.
    assert found["calls_per_1000"]["value"] == pytest.approx(1000 * (12 * 3 - 2) / 12)
    dollars = 1000 * (12 * 0.0005 + 10 * 0.0012) / 12
    assert found["cost_per_1000_usd"]["value"] == pytest.approx(dollars)
    assert found["cost_vs_reference"]["value"] == pytest.approx(dollars / 1.2)
    assert document["reference"] == "cyd"
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]
    assert (
        document["panel"]["version"]
        == panel.load(PANEL.read_text(), voters=["ada", "bob", "cyd"]).version
    )
    assert set(document["languages"]) == {"de", "en"}
    alone = document["overall"]["voters"]["ada"]
    assert alone["accuracy"]["value"] == pytest.approx(10 / 12)
    assert alone["decided_accuracy"]["value"] == pytest.approx(9 / 11)
    assert alone["review_rate"]["value"] == pytest.approx(1 / 12)
    assert alone["cost_vs_reference"]["value"] == pytest.approx(1 / 3)


def test_without_a_panel_the_recorded_one_is_measured(tmp_path: Path) -> None:
    found = evaluated(tmp_path)["overall"]["panel"]
    assert found["review_rate"]["value"] == pytest.approx(1 / 12)
    assert found["decided_accuracy"]["value"] == pytest.approx(10 / 11)
    assert found["accuracy"]["value"] == pytest.approx(10 / 12)
    assert found["auprc"]["value"] > 0.9
    assert found["cost_vs_reference"] is None


def test_a_voter_without_a_price_has_no_cost_and_neither_has_its_panel(tmp_path: Path) -> None:
    document = evaluated(tmp_path, "--panel", str(PANEL))
    assert document["overall"]["panel"]["cost_per_1000_usd"] is None
    assert document["overall"]["panel"]["calls_per_1000"]["value"] > 0


def test_the_figures_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    gold = random.choice([SAFE, UNSAFE], 300).astype(np.int8)
    scores = np.round(np.clip(0.3 * (gold == UNSAFE) + random.random(300) * 0.7, 0, 1), 1)
    decisions = np.where(scores >= 0.5, UNSAFE, SAFE).astype(np.int8)
    answers = evaluation.Answers("x", decisions, decisions, scores, None, None)
    languages = np.array(["en"] * 300)
    found = evaluation.figures(answers, gold, Resampling.within(languages, 200, 0), None)
    assert found["f1"] is not None
    assert found["auprc"] is not None
    assert found["f1"].value == pytest.approx(f1_score(gold == UNSAFE, decisions == UNSAFE))
    expected = average_precision_score(gold == UNSAFE, scores)
    assert found["auprc"].value == pytest.approx(expected)
    assert found["auprc"].low < expected < found["auprc"].high


def test_resampling_keeps_every_language_at_its_size() -> None:
    languages = np.array(["en"] * 7 + ["de"] * 3)
    weights = Resampling.within(languages, 50, 0).weights
    assert (weights[:, :7].sum(axis=1) == 7).all()
    assert (weights[:, 7:].sum(axis=1) == 3).all()


def test_the_report_names_its_plots_and_they_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    evaluated(tmp_path, "--panel", str(PANEL), "--prices", str(PRICES), "--report", str(folder))
    text = (folder / "report.md").read_text()
    for plot in ("frontier", "coverage", "reliability", "confusion"):
        assert f"({plot}.png)" in text
        assert (folder / f"{plot}.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_whose_voter_has_no_column_is_refused_with_the_field() -> None:
    result = run(app, ["evaluate", str(VOTES), "--panel", "default"])
    assert result.exit_code == 2
    assert "rounds.0.0" in result.output


def test_a_diff_shows_the_verdicts_that_change_and_no_text(tmp_path: Path) -> None:
    stricter = json.loads(PANEL.read_text())
    stricter["thresholds"]["safe"] = 0.95
    other = tmp_path / "stricter.json"
    other.write_text(json.dumps(stricter))
    result = run(app, ["panel", "diff", str(PANEL), str(other), str(VOTES)])
    assert result.exit_code == 0, result.output
    assert "safe → needs_review" in result.output
    assert "lovely" not in result.output
    same = run(app, ["panel", "diff", str(PANEL), str(PANEL), str(VOTES)])
    assert "0 of 12 verdicts would change" in same.output


@pytest.mark.parametrize(("columns", "between"), [(80, "\n"), (100, " "), (150, " ")])
def test_accuracy_is_shown_with_its_interval_which_is_wide_on_few_rows(
    tmp_path: Path, columns: int, between: str
) -> None:
    options = ["--panel", str(PANEL)]
    result = run(app, ["evaluate", str(VOTES), *options], env={"COLUMNS": str(columns)})
    found = evaluated(tmp_path, *options)["overall"]["panel"]
    lines = result.stdout.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("panel"))
    shown = lines[row] + (lines[row + 1] if between == "\n" else "")
    for name in ("accuracy", "decided_accuracy"):
        one = found[name]
        assert f"{one['value']:.1%}" in shown
        assert f"({100 * one['low']:.1f} to {100 * one['high']:.1f})" in shown
        assert one["high"] - one["low"] > 0.2
    assert all(len(line) <= columns for line in lines)
    assert "…" not in result.stdout


@pytest.mark.parametrize(("right", "rows"), [(6, 6), (0, 6), (300, 300)])
def test_a_share_of_all_rows_or_of_none_is_not_certain(right: int, rows: int) -> None:
    gold = np.full(rows, UNSAFE, dtype=np.int8)
    decisions = np.where(np.arange(rows) < right, UNSAFE, SAFE).astype(np.int8)
    answers = evaluation.Answers(
        "one", decisions, decisions, decisions.astype(np.float64), None, None
    )
    drawn = Resampling.within(np.full(rows, "en"), 100, 0)
    found = evaluation.figures(answers, gold, drawn, None)
    for name in ("accuracy", "decided_accuracy", "recall", "review_rate", "let_through"):
        one = found[name]
        assert one is not None
        assert one.value in {0, 1}
        assert one.high - one.low == pytest.approx(3.84 / (rows + 3.84), rel=0.01)


def test_rows_without_a_label_are_left_out_of_figures(tmp_path: Path) -> None:
    with VOTES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][2] = ""
    unlabelled = tmp_path / "votes.csv"
    with unlabelled.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    assert len(recorded.read(unlabelled).labelled()) == 11
    assert run(app, ["evaluate", str(unlabelled)]).exit_code == 0
