"""The page of benchmarks shows what was measured: tables and plots follow from the JSON."""

import json
from pathlib import Path

import pytest
from quorum.batch.counters import UNSPREAD_ITEMS

from bench import growth, page, results
from bench.plots import PLOTS, fingerprint

PAGE = page.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", page.SECTIONS)
def test_the_tables_are_those_of_the_json(name: str) -> None:
    assert page.with_section(PAGE, name, page.section(name)) == PAGE


@pytest.mark.parametrize("name", PLOTS)
def test_the_plot_shows_this_json_and_the_page_shows_the_plot(name: str) -> None:
    drawn = (results.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert fingerprint(name) in drawn
    assert f"benchmarks/{name}.svg" in PAGE


def test_every_file_of_figures_is_shown() -> None:
    assert {path.stem for path in results.FOLDER.glob("*.json")} == set(page.SECTIONS)


@pytest.mark.parametrize("name", page.SECTIONS)
def test_the_json_names_command_date_machine_and_versions(name: str) -> None:
    measured = results.load(name)
    assert {"machine", "versions", "figures"} <= measured.keys()
    written = json.dumps(measured["figures"])
    assert '"command": "python -m bench.' in written
    assert '"load_before"' in written


def test_figures_of_earlier_runs_keep_their_machine_and_versions_and_the_page_names_them(
    tmp_path: Path,
) -> None:
    run = {"command": "python -m bench.x", "date": "2026-11-01", "load_before": 0.1}
    figures = {"first": {"run": run}, "second": {"each": {"run": run}}, "third": [1]}
    before = results.described(figures, {"httpx": "0.1"})
    results.write("x", before, tmp_path)
    assert results.earlier("x", {"httpx": "0.1"}, tmp_path) == figures

    now = results.earlier("x", {"httpx": "0.2"}, tmp_path)
    marked = run | {"machine": before["machine"], "versions": before["versions"]}
    assert now == {"first": {"run": marked}, "second": {"each": {"run": marked}}, "third": [1]}
    results.write("x", results.described(now, {"httpx": "0.2"}), tmp_path)
    assert results.earlier("x", {"httpx": "0.3"}, tmp_path) == now

    assert "of 2026-11-01 with" not in page.ran([run])
    said = page.ran([run | {"date": "2026-11-02"}, marked])
    assert f"; of 2026-11-01 with {page.where(marked)})" in said
    assert said.count("httpx 0.1") == 1
    assert results.earlier("y", {}, tmp_path) == {}


def test_nothing_that_was_measured_grows_faster_than_linearly() -> None:
    figures = results.load(growth.NAME)["figures"]
    assert growth.too_fast(figures) == []
    assert figures["by"]["batch"]["sizes"][-1] == UNSPREAD_ITEMS  # more are uploaded
    for name in ("upload", "reviewers' queue", "command line"):
        assert figures["by"][name]["sizes"][-1] == 100_000


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for nothing"):
        page.with_section(PAGE, "nothing", "a table")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (1, "One new process for each figure."),
        (3, "The fastest of 3 new processes for each figure."),
    ],
)
def test_the_page_says_of_how_many_starts_a_figure_is_the_fastest(runs: int, said: str) -> None:
    measured = results.load("start")
    for one in measured["figures"].values():
        one["runs"] = runs
    assert said in "".join(page.start(measured))
