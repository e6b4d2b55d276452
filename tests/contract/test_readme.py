"""What the README promises: its figures are measured ones, and the Korean one says the same."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from quorum.vote.panel import packaged

from bench import results
from tests.template import ROOT

README = (ROOT / "README.md").read_text()
KOREAN = (ROOT / "README.ko.md").read_text()
FIGURE = re.compile(r"\$\d(?:[\d,.]*\d)?|\d(?:[\d,.]*\d)?(?= (?:%|m?s\b))|\d{1,3}(?:,\d{3})+")
"""An amount of dollars, a share, a time, or a number of thousands."""
MEASURED = ("Measured", "Cost")
"""The sections in which every figure comes from a page that they link to."""
MOST_LINES = 130
"""Lines: two screens, with their tables and examples."""


def section(page: str, name: str) -> str:
    return page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def figures(text: str) -> list[str]:
    return FIGURE.findall(text)


def blocks(page: str) -> list[str]:
    return re.findall(r"```\w+\n.*?```", page, re.DOTALL)


def prose(page: str) -> str:
    return re.sub(r"```.*?```", "", page, flags=re.DOTALL)


def links(page: str) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    return sorted(target for target in targets if not target.startswith(("#", "README")))


def unfounded(text: str, folder: Path) -> set[str]:
    """The figures of a text that stand in none of the pages that it links to."""
    pages = {folder / target.partition("#")[0] for target in links(text)}
    known = {figure for page in pages for figure in figures(page.read_text())}
    return set(figures(text)) - known


@pytest.mark.parametrize("name", MEASURED)
def test_every_figure_of_the_readme_stands_in_a_page_that_its_section_links_to(name: str) -> None:
    text = section(README, name)
    assert len(figures(text)) >= 4
    assert unfounded(text, ROOT) == set()


def test_a_figure_that_no_page_has_would_be_found() -> None:
    text = section(README, "Measured") + "It is right on 12.34 %."
    assert unfounded(text, ROOT) == {"12.34"}


@pytest.mark.parametrize("page", [README, KOREAN], ids=["English", "Korean"])
def test_the_time_that_the_client_adds_is_the_last_that_was_measured(page: str) -> None:
    client = results.load("gateway")["figures"]["client"]
    added = client["quorum.gateway"]["p50_ms"] - client["bare httpx"]["p50_ms"]
    (line,) = (line for line in page.splitlines() if " ms" in line)
    assert f"{added:.1f} ms" in line


@pytest.mark.parametrize("panel", ["default", "economy"])
def test_a_million_verdicts_cost_a_thousand_times_what_a_thousand_cost(panel: str) -> None:
    page = (ROOT / "docs/benchmarks.md").read_text()
    (measured,) = re.findall(rf"^\| `{panel}` \|.*\| (\d\.\d+) \|$", page, re.MULTILINE)
    deploying = (ROOT / "docs/deploy.md").read_text()
    assert f"${float(measured) * 1000:.0f}" in set(figures(README)) & set(figures(KOREAN))
    assert f"${float(measured) * 1000:.0f}" in figures(deploying)


def test_the_korean_readme_has_the_same_commands() -> None:
    assert blocks(KOREAN) == blocks(README)
    inline = [sorted(set(re.findall(r"`([^`\n]+)`", prose(page)))) for page in (KOREAN, README)]
    assert inline[0] == inline[1]


def test_the_korean_readme_has_the_same_figures_in_every_section() -> None:
    mine, theirs = (prose(page).split("\n## ") for page in (README, KOREAN))
    assert len(mine) == len(theirs)
    for section_, translated in zip(mine, theirs, strict=True):
        numbers = [sorted(re.findall(r"\d[\d,.-]*\d|\d", text)) for text in (section_, translated)]
        assert numbers[0] == numbers[1], section_.splitlines()[0]


def test_the_korean_readme_links_to_the_same_pages_and_has_tables_of_the_same_size() -> None:
    assert links(KOREAN) == links(README)
    sizes = [
        [line.count("|") for line in page.splitlines() if line.startswith("|")]
        for page in (README, KOREAN)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("page", [README, KOREAN], ids=["English", "Korean"])
def test_the_readme_is_two_screens(page: str) -> None:
    assert len(page.splitlines()) <= MOST_LINES


def test_the_picture_shows_every_decision_and_voter_and_loads_nothing() -> None:
    drawn = (ROOT / "docs/verdict.svg").read_text()
    shown = " ".join(ET.fromstring(drawn).itertext()).replace("\xa0", " ")  # noqa: S314 - our own
    words = {"safe", "unsafe", "needs_review", *packaged("embedded").voters}
    assert [word for word in words if word not in shown] == []
    thresholds = packaged("embedded").thresholds_of("en")
    assert thresholds is not None
    assert f"{thresholds.unsafe:.2f}" in shown  # drawn anew since the panel was calibrated
    assert not re.search(r"(?:href|src|url)\W+https?:", drawn)
