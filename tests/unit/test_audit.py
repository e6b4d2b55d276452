"""`make audit`: what pip-audit's report says, and that silence is not taken for good news."""

import json

import pytest

from local import audit
from local.audit import NOTHING, Audited

KNOWN = {"name": "httpx", "version": "0.28.1", "vulns": []}
WEAK = {
    "name": "jinja2",
    "version": "3.1.0",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1.6"], "aliases": [], "description": "x"}],
}
SKIPPED = {"name": "korcen", "skip_reason": "Dependency not found on PyPI"}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_weak_package_is_named_with_the_version_that_mends_it() -> None:
    said, code = audit.told([audit.read(report(KNOWN, WEAK)), audit.read(report(WEAK))])
    assert said == "jinja2 3.1.0: GHSA-1, mended in 3.1.6\npip-audit: 1 findings"
    assert code == audit.FOUND


def test_nothing_found_says_which_packages_the_database_does_not_know() -> None:
    said, code = audit.told([audit.read(report(KNOWN, SKIPPED))])
    assert said.split("\n") == [
        "pip-audit: 0 findings",
        "pip-audit: the database does not know korcen",
    ]
    assert code == 0


@pytest.mark.parametrize(
    "reports", [[], [""], ["Traceback"], [report(SKIPPED)], [report(SKIPPED), "{}"]]
)
def test_a_database_that_cannot_be_reached_is_no_clean_result(reports: list[str]) -> None:
    said, code = audit.told(map(audit.read, reports))
    assert "cannot be reached" in said
    assert code == audit.NOT_REACHED


def test_a_report_that_is_none_says_nothing() -> None:
    assert audit.read("no JSON") == NOTHING == Audited(0, (), ())
