"""What the service and the documentation say of languages is what was measured."""

from quorum.vote import coverage
from quorum.vote.panel import packaged

from bench import languages
from tests.template import ROOT

COVERAGE = coverage.packaged()


def test_the_figures_are_of_the_packaged_panel() -> None:
    assert COVERAGE.panel_version == packaged("embedded").version


def test_every_language_that_a_voter_knows_is_listed_with_its_voters() -> None:
    assert {one.language: one.voters for one in COVERAGE.languages} == coverage.known()


def test_the_page_shows_the_table_of_the_figures() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert languages.table(COVERAGE) in page
    assert languages.with_table(page, languages.table(COVERAGE)) == page


def test_a_language_without_figures_is_left_to_a_person() -> None:
    for one in COVERAGE.languages:
        if one.trained_for is None and one.unseen_source is None:
            assert one.decided_by == "person", one.language


def test_the_panel_leaves_to_a_person_what_its_voters_would_decide_wrongly() -> None:
    assert packaged("embedded").reviewed_languages == languages.reviewed(COVERAGE)
    assert languages.anew(COVERAGE) == COVERAGE
    for one in COVERAGE.languages:
        if one.decided_by == "panel" and one.trained_for is None and one.unseen_source:
            assert (one.unseen_source.right or 0.0) >= languages.LEAST_RIGHT, one.language
