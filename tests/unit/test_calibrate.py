import csv
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from quorum.vote import panel
from quorum.vote.policy import DEFAULT
from typer.testing import CliRunner

from analysis import calibration, evaluation, evidence, recorded
from analysis.calibration import Task
from analysis.evaluation import replay
from analysis.evidence import Design, Shrinkage
from analysis.plans import Losses, OutOfFold, heard, plan_of
from analysis.recorded import NONE, REVIEW, SAFE, UNSAFE, Recorded
from analysis.thresholds import (
    Scored,
    TargetOutOfReach,
    Targets,
    promised_thresholds,
    thresholds_losing_least,
)
from cli.app import app

COSTS = {"free": 0.0, "cheap": 1.0, "fair": 2.0, "dear": 20.0}


def made_up(rows: int, seed: int = 0, languages: tuple[str, ...] = ("en", "de")) -> Recorded:
    """Votes of a free voter with confidences, two cheap ones that err together, and a dear one."""
    random = np.random.default_rng(seed)
    spoken = np.array([languages[row % len(languages)] for row in range(rows)])
    unsafe = random.random(rows) < 0.5
    hard = random.random(rows) < np.where(spoken == "de", 0.35, 0.2)
    votes, sure = [], []
    signal = random.normal(np.where(unsafe, 1.0, -1.0), 1.2)
    votes.append(np.where(signal > 0, UNSAFE, SAFE))
    sure.append(1 / (1 + np.exp(-1.4 * np.abs(signal))))
    shared = random.random(rows) < 0.3
    for error in (0.08, 0.06):
        wrong = np.where(hard, shared, random.random(rows) < error)
        votes.append(np.where(unsafe ^ wrong, UNSAFE, SAFE))
        sure.append(np.full(rows, np.nan))
    wrong = random.random(rows) < np.where(hard, 0.12, 0.03)
    votes.append(np.where(unsafe ^ wrong, UNSAFE, SAFE))
    sure.append(np.full(rows, np.nan))
    decisions = np.column_stack(votes).astype(np.int8)
    decisions[random.random((rows, 4)) < 0.02] = NONE
    decisions[random.random((rows, 4)) < 0.02] = REVIEW
    return Recorded(
        languages=spoken,
        texts=("",) * rows,
        gold=np.where(unsafe, UNSAFE, SAFE).astype(np.int8),
        voters=tuple(COSTS),
        decisions=decisions,
        confidences=np.column_stack(sure),
    )


def shuffled(rows: Recorded, seed: int = 0) -> Recorded:
    gold = np.random.default_rng(seed).permutation(rows.gold)
    return Recorded(rows.languages, rows.texts, gold, rows.voters, rows.decisions, rows.confidences)


def right(answers: evaluation.Answers, rows: Recorded) -> float:
    return float((answers.forced == rows.gold).mean())


TASK = Task(costs=COSTS, budget=6.0)


def test_a_calibrated_panel_beats_the_dear_voter_within_its_budget_on_unseen_rows() -> None:
    learned, unseen = made_up(800), made_up(2000, seed=1)
    designed = calibration.design_alone(learned, TASK).panel
    spent = {voter: Decimal(str(dollars)) for voter, dollars in COSTS.items()}
    answers = replay(designed, unseen, spent)
    assert answers.dollars is not None
    assert answers.dollars.mean() <= TASK.budget
    dear = evaluation.alone("dear", unseen, spent)
    assert right(answers, unseen) > right(dear, unseen)
    assert designed.rounds[0] == ("free",)


def test_permuted_labels_score_at_chance_and_no_panel_is_learned_from_them() -> None:
    rows = shuffled(made_up(500))
    scores = OutOfFold(rows, Shrinkage(), 0).log_odds(rows.voters)
    assert abs(((scores >= 0) == (rows.gold == UNSAFE)).mean() - 0.5) < 0.07
    with pytest.raises(TargetOutOfReach, match="94%"):
        calibration.design_alone(rows, TASK)


def test_a_language_that_cannot_be_learned_is_left_to_a_person_and_the_others_are_not() -> None:
    rows = made_up(2000)
    here = np.flatnonzero(rows.languages == "de")
    gold = rows.gold.copy()
    gold[here] = np.random.default_rng(3).permutation(gold[here])
    hopeless = replace(rows, gold=gold)
    for task in (TASK, replace(TASK, targets=Targets(decided_accuracy=0.9), budget=30.0)):
        designed = calibration.design_alone(hopeless, task)
        assert designed.panel.reviewed_languages == ("de",)
        assert "at any coverage" in designed.refused["de"]
        answers = replay(designed.panel, hopeless, {})
        assert (answers.decisions[here] == REVIEW).all()
        others = np.flatnonzero(rows.languages == "en")
        decided = answers.decisions[others] != REVIEW
        assert decided.mean() > 0.5
        assert (answers.decisions[others] == gold[others])[decided].mean() > 0.9


def test_without_targets_no_language_is_decided_more_readily_than_all_together() -> None:
    designed = calibration.design_alone(made_up(1600), replace(TASK, budget=2.0)).panel
    pooled = designed.thresholds
    assert pooled is not None
    assert designed.thresholds_by_language.keys() == {"de"}, "the harder of the two"
    own = designed.thresholds_by_language["de"]
    assert (own.unsafe, own.safe) > (pooled.unsafe, pooled.safe)


def test_a_target_holds_in_each_language_not_on_average() -> None:
    learned, unseen = made_up(1600), made_up(4000, seed=5)
    task = replace(TASK, budget=30.0, targets=Targets(decided_accuracy=0.93))
    designed = calibration.design_alone(learned, task).panel
    answers = replay(designed, unseen, {})
    for language in ("de", "en"):
        here = np.flatnonzero((unseen.languages == language) & (answers.decisions != REVIEW))
        assert (answers.decisions[here] == unseen.gold[here]).mean() >= 0.92, language
    easier, harder = (designed.thresholds_of(language) for language in ("en", "de"))
    assert easier is not None
    assert harder is not None
    assert harder.unsafe > easier.unsafe


def test_a_panel_with_paid_voters_says_safe_only_after_one_of_them_unless_it_may() -> None:
    rows = made_up(800)
    careful = calibration.design_alone(rows, TASK).panel
    assert careful.clears == careful.voters[1:]
    trusting = calibration.design_alone(rows, replace(TASK, free_may_clear=True)).panel
    assert trusting.clears == ()
    alone = calibration.design_alone(rows, replace(TASK, costs={"free": 0.0})).panel
    assert alone.clears == ()
    paid = [rows.column(voter) for voter in careful.clears]
    silent = rows.decisions.copy()
    silent[:, paid] = NONE
    answers = replay(careful, replace(rows, decisions=silent), {})
    assert not (answers.decisions == SAFE).any()


def lost(designed: panel.Panel, rows: Recorded, losses: Losses) -> float:
    answers = replay(designed, rows, {voter: Decimal(str(cost)) for voter, cost in COSTS.items()})
    assert answers.dollars is not None
    return float((losses.decided(answers.decisions, rows.gold == UNSAFE) + answers.dollars).mean())


def test_a_panel_that_knows_what_reviews_and_mistakes_cost_costs_less_in_all() -> None:
    learned, unseen = made_up(700), made_up(2000, seed=7)
    usual = calibration.design_alone(learned, TASK).panel
    for losses in (Losses(20.0, 100.0, 100.0), Losses(2.0, 1000.0, 30.0)):
        task = replace(TASK, budget=100.0, losses=losses)
        weighing = calibration.design_alone(learned, task).panel
        assert lost(weighing, unseen, losses) < lost(usual, unseen, losses)


@pytest.mark.parametrize(
    ("losses", "unsafe", "safe"),
    [
        (Losses(review=0.05, miss=1.0, false_alarm=1.0), 0.95, 0.95),
        (Losses(review=0.05, miss=10.0, false_alarm=0.5), 0.9, 0.995),
        (Losses(review=5.0, miss=1.0, false_alarm=1.0), 0.5, 0.5),  # a review costs too much
        (Losses(review=5.0, miss=3.0, false_alarm=1.0), 0.25, 0.75),
    ],
)
def test_a_person_is_asked_where_that_costs_less_than_the_mistakes_to_expect(
    losses: Losses, unsafe: float, safe: float
) -> None:
    assert thresholds_losing_least(losses) == panel.Thresholds(unsafe=unsafe, safe=safe)


def test_a_rows_own_label_has_no_part_in_its_out_of_fold_score() -> None:
    rows = made_up(300)
    before = OutOfFold(rows, Shrinkage(), 0)
    fitted_on, held_out = before.repeats[0][0]
    gold = rows.gold.copy()
    gold[held_out] = np.where(gold[held_out] == SAFE, UNSAFE, SAFE)
    design = Design.of(rows, rows.voters)
    first = evidence.fit(design, rows.gold, fitted_on, Shrinkage()).log_odds(held_out)
    second = evidence.fit(design, gold, fitted_on, Shrinkage()).log_odds(held_out)
    assert (first == second).all()
    assert not set(fitted_on) & set(held_out)


def test_the_fitted_numbers_are_those_the_tally_computes_with() -> None:
    rows = made_up(400)
    design = Design.of(rows, rows.voters)
    fitted = evidence.fit(design, rows.gold, np.arange(len(rows)), Shrinkage())
    written = panel.load(
        {
            "name": "all-at-once",
            "rounds": [list(rows.voters)],
            "stop": "all",
            "quorum": 1,
            "thresholds": {"unsafe": 0.5, "safe": 0.5},
            "rule": {
                "kind": "calibrated",
                "stages": [evidence.stage(fitted).model_dump(mode="json")],
            },
        },
        voters=rows.voters,
    )
    scores = replay(written, rows, {}).scores
    expected = 1 / (1 + np.exp(-fitted.log_odds(np.arange(len(rows)))))
    answered = (rows.decisions != NONE).any(axis=1)
    assert np.abs(scores - expected)[answered].max() < 0.03


def test_the_fit_finds_the_minimum_another_solver_finds() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(60, 4))
    unsafe = (random.random(60) < 1 / (1 + np.exp(-matrix[:, 0] + matrix[:, 1]))).astype(float)
    bounded = np.array([True, True, False, False])
    penalty = np.eye(4) * 0.3
    found = evidence._minimum(matrix, np.ones(60), unsafe, penalty, bounded)  # noqa: SLF001 - the numerical core

    def loss(vector: np.ndarray) -> float:
        odds = matrix @ vector
        return float(np.logaddexp(0, odds).sum() - unsafe @ odds + vector @ penalty @ vector)

    from scipy.optimize import minimize  # noqa: PLC0415 - the other solver

    bounds = [(0, None), (0, None), (None, None), (None, None)]
    other = minimize(loss, np.full(4, 0.1), bounds=bounds, method="L-BFGS-B")
    assert loss(found) == pytest.approx(other.fun, abs=1e-3)
    assert found[1] == 0.0, "a suppressing voter is bounded, so that votes stay monotone"


def test_few_labels_in_a_language_take_the_pooled_numbers() -> None:
    rows = made_up(400)
    languages = rows.languages.copy()
    languages[:10] = "fr"
    few = Recorded(languages, rows.texts, rows.gold, rows.voters, rows.decisions, rows.confidences)
    designed = calibration.design_alone(few, TASK).panel
    assert isinstance(designed.rule, panel.Calibrated)
    assert set(designed.rule.stages[0].languages) == {"de", "en"}


# --- promises ------------------------------------------------------------------------------------


def scored(rows: int, seed: int) -> Scored:
    random = np.random.default_rng(seed)
    unsafe = random.random(rows) < 0.4
    signal = random.normal(np.where(unsafe, 1.5, -1.5), 1.3)
    scores = np.round(1 / (1 + np.exp(-1.5 * signal)), 3)
    return Scored(scores, unsafe, np.zeros(rows, dtype=bool))


POPULATION = scored(60_000, 99)


def broken(targets: Targets, draws: int = 200, rows: int = 400) -> dict[str, float]:
    """Over many draws of labels: how often decided accuracy misses its target, and mean losses."""
    scores, unsafe, _ = POPULATION
    failures, missed, reviewed = [], [], []
    refused = 0
    for seed in range(draws):
        try:
            limits = promised_thresholds(scored(rows, seed), targets)
        except TargetOutOfReach:  # nothing was promised; it counts, so that it stays rare
            refused += 1
            continue
        says_unsafe, says_safe = scores >= limits.unsafe, scores <= 1 - limits.safe
        decided = says_unsafe | says_safe
        accuracy = (says_unsafe == unsafe)[decided].mean()
        failures.append(accuracy < (targets.decided_accuracy or 0))
        middle = (limits.unsafe + 1 - limits.safe) / 2
        missed.append((scores < middle)[unsafe].mean())
        reviewed.append(1 - decided.mean())
    return {
        "accuracy_broken": float(np.mean(failures)),
        "missed": float(np.mean(missed)),
        "refused": refused / draws,
        "reviewed": float(np.mean(reviewed)),
    }


def test_a_promise_on_decided_accuracy_is_broken_in_at_most_one_draw_in_ten() -> None:
    found = broken(Targets(decided_accuracy=0.95), rows=900)
    assert found["accuracy_broken"] <= 0.1 + 0.05
    assert found["reviewed"] < 0.5, "the promise is not kept by deciding nothing"
    assert found["refused"] < 0.1


def test_promises_on_recall_and_review_hold_in_expectation() -> None:
    found = broken(Targets(recall=0.95))
    assert found["missed"] <= 0.05 + 0.003
    assert found["missed"] > 0.03, "not kept by calling everything unsafe"
    found = broken(Targets(review=0.08))
    assert found["reviewed"] <= 0.08 + 0.003
    assert found["reviewed"] > 0.05


@pytest.mark.parametrize(
    "targets",
    [
        Targets(decided_accuracy=0.9999),
        Targets(decided_accuracy=0.97, review=0.01),
        Targets(recall=0.9999),
        Targets(review=0.0),
    ],
)
def test_a_target_the_labels_cannot_show_is_refused(targets: Targets) -> None:
    with pytest.raises(TargetOutOfReach):
        promised_thresholds(scored(400, 0), targets)


def test_rows_that_may_not_be_safe_have_no_part_in_a_promise_on_what_is_decided() -> None:
    rows, wanted = scored(900, 1), Targets(decided_accuracy=0.95)
    mistakes = rows._replace(held=(rows.scores < 0.5) & rows.unsafe)
    assert promised_thresholds(mistakes, wanted).safe < promised_thresholds(rows, wanted).safe
    right = rows._replace(held=(rows.scores < 0.5) & ~rows.unsafe)
    with pytest.raises(TargetOutOfReach):
        promised_thresholds(right, wanted)
    with pytest.raises(TargetOutOfReach, match="too few"):
        promised_thresholds(rows._replace(held=rows.scores < 0.5), Targets(review=0.3))


def test_what_calibration_does_not_choose_is_kept_and_counted() -> None:
    rows, unseen = made_up(1200), made_up(2000, seed=3)
    free = rows.decisions[:, 0]
    usual = calibration.design_alone(rows, TASK).panel
    kept = calibration.Kept(escalates=("free", "absent"), quorum=3, default_language="de")
    careful = calibration.design_alone(rows, replace(TASK, kept=kept)).panel
    assert (careful.escalates, careful.quorum) == (("free",), min(3, len(careful.voters)))
    assert careful.default_language == "de"
    assert (usual.escalates, usual.quorum, usual.default_language) == ((), 1, None)
    answers = replay(careful, unseen, {})
    alarmed = np.isin(unseen.decisions[:, 0], (UNSAFE, REVIEW))
    assert not (answers.decisions[alarmed] == SAFE).any()
    assert (replay(usual, unseen, {}).decisions[alarmed] == SAFE).any()
    # The band is chosen knowing whom the panel cannot say safe of: what is decided stays right.
    decided = answers.decisions != REVIEW
    assert (answers.decisions == unseen.gold)[decided].mean() > 0.94
    assert (free == UNSAFE).any()


def test_a_plan_pays_for_what_an_escalating_voter_makes_it_ask() -> None:
    rows = made_up(500)
    rounds = (("free",), ("cheap",), ("dear",))
    searched = OutOfFold(rows, Shrinkage(), 0)
    usual = plan_of(searched, TASK.terms, rounds)
    guarded = plan_of(searched, replace(TASK.terms, escalating=("free",)), rounds)
    assert usual is not None
    assert guarded is not None
    assert guarded.worth < usual.worth
    for now in heard(searched, replace(TASK.terms, escalating=("free",)), rounds):
        asked = np.isin(rows.decisions[:, 0], (UNSAFE, REVIEW)) & (now.probability < 0.5)
        assert now.held[asked].all()
        assert (now.error[now.held] == 1).all()


# --- the command ---------------------------------------------------------------------------------


def written(rows: Recorded, path: Path) -> Path:
    names = recorded.DECISIONS
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["language", "text", "gold", *rows.voters, "free.confidence"])
        for row in range(len(rows)):
            votes = [str(names[code] or "") for code in rows.decisions[row]]
            writer.writerow(
                [rows.languages[row], "", names[rows.gold[row]], *votes, rows.confidences[row, 0]]
            )
    return path


def test_the_command_writes_a_panel_that_evaluate_confirms_on_unseen_rows(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps({voter: {"input": 10 * cost, "output": 0} for voter, cost in COSTS.items()})
    )
    learned = written(made_up(600), tmp_path / "learned.csv")
    unseen = written(made_up(1000, seed=5), tmp_path / "unseen.csv")
    out, found = tmp_path / "panel.json", tmp_path / "found.json"
    options = ["--prices", str(prices), "--reference", "dear"]
    arguments = ["calibrate", str(learned), "--out", str(out), "--json", *options]
    arguments += ["--budget", "0.3", "--labels-per-language", "200"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    promised = json.loads(result.stdout)
    result = CliRunner().invoke(
        app, ["evaluate", str(unseen), "--panel", str(out), "--out", str(found), *options]
    )
    assert result.exit_code == 0, result.output
    measured = json.loads(found.read_text())["overall"]["panel"]
    assert promised["measured_on"]["rows"] == 200
    assert measured["cost_vs_reference"]["value"] <= 0.3
    low, high = (promised["expected"]["accuracy"][side] for side in ("low", "high"))
    assert low - 0.03 <= measured["accuracy"]["value"] <= high + 0.03
    assert "expected" in json.loads(out.read_text())


@pytest.fixture
def priced(tmp_path: Path) -> list[str]:
    """The options that name the made-up voters' prices."""
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps({voter: {"input": 10 * cost, "output": 0} for voter, cost in COSTS.items()})
    )
    return ["--prices", str(prices), "--reference", "dear"]


def test_the_command_says_what_is_expected_by_language_and_in_all(
    tmp_path: Path, priced: list[str]
) -> None:
    learned = written(made_up(600), tmp_path / "learned.csv")
    arguments = ["calibrate", str(learned), "--out", str(tmp_path / "panel.json"), *priced]
    arguments += ["--review-cost", "0.05", "--miss-cost", "1", "--without", "fair"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert "total per 1000 usd" in result.output
    assert "decided accuracy" in " ".join(result.output.split())
    found = json.loads((tmp_path / "panel.json").read_text())
    assert "fair" not in [voter for voters in found["rounds"] for voter in voters]
    assert found["thresholds"] == {"unsafe": 0.95, "safe": 0.95}
    assert found["clears"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--review-cost", "0.05"], "--review-cost and --miss-cost go together"),
        (["--miss-cost", "1"], "--review-cost and --miss-cost go together"),
        (["--review-cost", "0.05", "--miss-cost", "0"], "a mistake costs more than 0"),
        (
            ["--review-cost", "0.05", "--miss-cost", "1", "--recall", "0.9"],
            "excludes --decided-accuracy",
        ),
        (["--without", "nobody"], "--without nobody: there are votes of free, cheap, fair, dear"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, priced: list[str], options: list[str], said: str
) -> None:
    learned = written(made_up(60), tmp_path / "learned.csv")
    arguments = ["calibrate", str(learned), "--out", str(tmp_path / "panel.json"), *priced]
    result = CliRunner().invoke(app, [*arguments, *options], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_models_dated_name_is_the_voter_it_is_an_alias_of(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(
        "language,text,gold,gpt-4.1-2025-04-14,gpt-4.1-2025-04-14.confidence,somebody\n"
        "en,a,safe,safe,0.9,unsafe\n"
    )
    rows = recorded.read(path)
    assert rows.voters == ("gpt-4.1", "somebody")
    assert rows.confidences[0, 0] == 0.9
    path.write_text("language,text,gold,gpt-4.1-2025-04-14,gpt-4.1\nen,a,safe,safe,unsafe\n")
    assert recorded.read(path).voters == ("gpt-4.1-2025-04-14", "gpt-4.1")


def test_the_command_keeps_the_rules_of_the_panel_in_whose_place_the_new_one_comes(
    tmp_path: Path, priced: list[str]
) -> None:
    rows = replace(made_up(600), voters=("rules", "gpt-4.1-nano", "fair", "dear"))
    learned = tmp_path / "learned.csv"
    written(rows, learned)
    learned.write_text(learned.read_text().replace("free.confidence", "rules.confidence", 1))
    arguments = ["calibrate", str(learned), "--no-embedded", "--labels-per-language", "200"]
    arguments += ["--reference", "gpt-4.1-nano", "--budget", "1", "--without", "dear"]
    arguments += ["--without", "fair"]
    found = {}
    for name, options in {"economy": [], "new": [], "kept": ["--keep", "economy"]}.items():
        out = tmp_path / f"{name}.json"
        result = CliRunner().invoke(app, [*arguments, "--out", str(out), *options])
        assert result.exit_code == 0, result.output
        found[name] = json.loads(out.read_text())
        assert ("never safe unless these say so: rules" in result.output) == (name != "new")
    assert found["economy"]["escalates"] == found["kept"]["escalates"] == ["rules"]
    assert found["economy"]["quorum"] == found["kept"]["quorum"] == 2
    assert "escalates" not in found["new"]
    for figures in ("expected", "thresholds"):
        assert found["economy"][figures] == found["kept"][figures]
    assert found["economy"]["expected"]["review_rate"] != found["new"]["expected"]["review_rate"]


def test_too_few_labels_are_refused(tmp_path: Path) -> None:
    learned = written(made_up(20), tmp_path / "few.csv")
    arguments = ["calibrate", str(learned), "--out", str(tmp_path / "panel.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output


def test_a_budget_is_held_with_the_prices_of_models_put_as_data(tmp_path: Path) -> None:
    learned, out = written(made_up(300), tmp_path / "learned.csv"), tmp_path / "panel.json"
    options = ["--reference", "dear", "--budget", "30%", "--json"]
    for voter, cost in COSTS.items():
        price = {"input": f"{10 * cost:f}", "output": "0", "as_of": "2026-11-01", "source": "ours"}
        entry = {"gateway_name": voter, "price": price}
        file = tmp_path / f"{voter}.json"
        file.write_text(json.dumps(entry | {"context_window": 8192, "tokens_per_second": 60}))
        options += ["--model", f"{voter}={file}"]
    result = CliRunner().invoke(app, ["calibrate", str(learned), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["expected"]["cost_vs_reference"]["value"] <= 0.3


def test_rows_without_a_language_teach_the_pooled_terms_and_none_of_their_own(
    tmp_path: Path,
) -> None:
    rows = made_up(300)
    unknown = np.where(np.arange(300) % 2 == 0, "", rows.languages)
    learned = written(replace(rows, languages=unknown), tmp_path / "learned.csv")
    out = tmp_path / "panel.json"
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps({voter: {"input": 10 * cost, "output": 0} for voter, cost in COSTS.items()})
    )
    options = ["--prices", str(prices), "--reference", "dear", "--budget", "100%"]
    result = CliRunner().invoke(app, ["calibrate", str(learned), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    panel = json.loads(out.read_text())
    assert all("" not in stage["languages"] for stage in panel["rule"]["stages"])
    assert "no language" in panel["description"]
    result = CliRunner().invoke(
        app, ["evaluate", str(learned), "--panel", str(out), "--prices", str(prices)]
    )
    assert result.exit_code == 0, result.output
    assert "no language (150 rows)" in result.output


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("10", "10 is 1,000% of the reference"),
        ("-0.1", "is not a share"),
        ("some", "is not a share"),
    ],
)
def test_a_budget_that_is_no_share_is_refused_with_what_to_write(
    tmp_path: Path, budget: str, said: str
) -> None:
    learned = written(made_up(60), tmp_path / "learned.csv")
    arguments = ["calibrate", str(learned), "--out", str(tmp_path / "panel.json")]
    result = CliRunner().invoke(app, [*arguments, "--budget", budget], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.stderr


GAMING, CHAT = "gaming@3f2a9c01b7de", "chat@0123456789ab"


@pytest.mark.parametrize(
    ("column", "option", "expected"),
    [
        (None, None, f"default@{DEFAULT.version}"),
        (None, GAMING, GAMING),
        ([GAMING], None, GAMING),
        ([GAMING, ""], None, GAMING),
        ([GAMING, CHAT], CHAT, CHAT),
        ([GAMING, CHAT], None, "several policies; choose one: chat@0123456789ab, gaming@"),
        ([GAMING], CHAT, "no row was voted on under chat@0123456789ab"),
        (None, "my rules!", "is no policy's name"),
    ],
    ids=str,
)
def test_a_calibrated_panel_names_the_policy_and_version_that_its_rows_were_voted_on_under(
    tmp_path: Path, column: list[str] | None, option: str | None, expected: str
) -> None:
    rows = made_up(600)
    learned = written(rows, tmp_path / "learned.csv")
    if column is not None:
        lines = learned.read_text(encoding="utf-8").splitlines()
        cells = ["policy", *(column[number % len(column)] for number in range(len(rows)))]
        learned.write_text(
            "\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)),
            encoding="utf-8",
        )
    prices, out = tmp_path / "prices.json", tmp_path / "panel.json"
    prices.write_text(
        json.dumps({voter: {"input": cost, "output": 0} for voter, cost in COSTS.items()})
    )
    command = ["calibrate", str(learned), "--out", str(out), "--prices", str(prices)]
    command += ["--reference", "dear", "--no-embedded", "--labels-per-language", "50"]
    command += [] if option is None else ["--policy", option]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "400"})
    if "@" in expected and " " not in expected:
        assert result.exit_code == 0, result.output
        assert json.loads(out.read_text())["calibrated_under"] == expected
    else:
        assert result.exit_code == 2
        assert expected in result.stderr


def test_a_budget_that_no_voter_fits_names_the_cheapest(tmp_path: Path) -> None:
    learned = written(made_up(60), tmp_path / "learned.csv")
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({voter: {"input": 10, "output": 0} for voter in COSTS}))
    arguments = ["calibrate", str(learned), "--out", str(tmp_path / "panel.json")]
    arguments += ["--prices", str(prices), "--reference", "dear", "--budget", "1%"]
    result = CliRunner().invoke(app, [*arguments, "--no-embedded"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "No panel can be designed: no voter fits the budget" in result.stderr
    assert "the cheapest" in result.stderr


def test_a_language_that_is_none_is_refused_by_its_row(tmp_path: Path) -> None:
    rows = made_up(60)
    odd = np.where(np.arange(60) == 7, "English (US)", rows.languages)
    learned = written(replace(rows, languages=odd), tmp_path / "learned.csv")
    result = CliRunner().invoke(app, ["evaluate", str(learned)], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "row 9: 'English (US)' is no code of a language" in result.stderr
