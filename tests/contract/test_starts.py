"""The figures of starts and memory, which name every function at its present size."""

import re

from bench.start import functions
from tests import template
from tests.template import ROOT

FIGURES = (
    (ROOT / "docs/benchmarks.md").read_text().partition("## Start-up")[2].partition("\n## ")[0]
)
DECISION = (ROOT / "docs/decisions/0035-starts-and-memory.md").read_text()
GATEWAY_VOTERS = "voters of a gateway"
"""How the decision names the functions that differ in their model alone."""
KEPT_SECOND_USD = 0.0000015046
"""Dollars of a GB-second of a snapshot, as the decision says."""
MONTH_SECONDS = 3_600 * 24 * 30


def sizes(text: str) -> dict[str, int]:
    """Megabytes by function, in tables whose first column names functions; the last one holds."""
    found: dict[str, int] = {}
    for names, size in re.findall(
        r"^\| ([A-Z][^|]*|voters[^|]*) \| ([\d,]+) \|", text, re.MULTILINE
    ):
        plain = re.sub(r" \(.*?\)", "", names)
        found |= dict.fromkeys(plain.split(", "), int(size.replace(",", "")))
    return found


def test_every_function_has_measured_starts_at_its_present_size() -> None:
    # one stands for all that differ in their model alone
    assert sizes(FIGURES) == {one.name.removesuffix("Function"): one.memory for one in functions()}


def test_the_decision_gives_every_function_its_size() -> None:
    expected = {
        GATEWAY_VOTERS
        if one.folder.name == "vote"
        else one.name.removesuffix("Function"): one.memory
        for one in functions()
    }
    assert sizes(DECISION) == expected


def test_the_decision_counts_what_snapshots_of_all_functions_would_cost() -> None:
    gigabytes = sum(block["MemorySize"] for block in template.functions().values()) / 1_024
    dollars = gigabytes * KEPT_SECOND_USD * MONTH_SECONDS
    said = f"All {len(template.functions())} functions have {gigabytes:.1f} GB: **${dollars:.0f} "
    assert said in DECISION
