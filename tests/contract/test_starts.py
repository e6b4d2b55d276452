"""The figures of starts and memory, which name every function at its present size."""

import json
import re
from typing import Any

from bench.start import functions
from local.versions import ALIAS
from tests import template
from tests.template import ROOT

FIGURES = (
    (ROOT / "docs/benchmarks.md").read_text().partition("## Start-up")[2].partition("\n## ")[0]
)
DECISION = (ROOT / "docs/decisions/0035-starts-and-memory.md").read_text()
PAGE = (ROOT / "docs/deploy.md").read_text()
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


def with_snapshots() -> dict[str, Any]:
    return {name: block for name, block in template.functions().items() if "SnapStart" in block}


def test_the_functions_of_a_verdict_have_snapshots_where_they_are_asked_for_and_no_others() -> None:
    vote = template.resources("AWS::Serverless::StateMachine")["VoteMachine"]
    called = {name for name in template.functions() if f"{name}.Arn" in json.dumps(vote)}
    assert with_snapshots().keys() == called | {"AuthorizeFunction", "ApiFunction"}
    for block in with_snapshots().values():
        assert block["SnapStart"] == {
            "ApplyOn": {"Fn::If": ["Snapshots", "PublishedVersions", "None"]}
        }
        assert block["AutoPublishAlias"] == ALIAS  # only versions have snapshots
    parameter = template.template()["Parameters"]["SnapStart"]
    assert parameter["Default"] == "false"  # they cost money while nothing happens


def test_every_python_that_the_functions_may_run_on_has_snapshots() -> None:
    runtimes = template.template()["Parameters"]["PythonRuntime"]["AllowedValues"]
    assert all(int(runtime.removeprefix("python3.")) >= 12 for runtime in runtimes)


def test_the_documentation_counts_what_snapshots_cost() -> None:
    def cost(functions: dict[str, Any]) -> tuple[int, float, float]:
        gigabytes = sum(block["MemorySize"] for block in functions.values()) / 1_024
        return len(functions), gigabytes, gigabytes * KEPT_SECOND_USD * MONTH_SECONDS

    number, gigabytes, dollars = cost(template.functions())
    assert f"All {number} functions have {gigabytes:.1f} GB: ${dollars:.0f} " in DECISION
    number, gigabytes, dollars = cost(with_snapshots())
    assert f"{number} functions have {gigabytes:.1f} GB: **${dollars:.0f} a month**" in DECISION
    assert f"**${dollars:.0f} a month**" in PAGE
    assert f"twice, ${2 * round(dollars)}," in PAGE
