"""The state machines by the rules of the Amazon States Language.

cfn-lint's schema lets a misspelt field and a task without a resource pass. So the rules are here,
by the specification (states-language.net/spec.html) and the Developer Guide's page about Map:
fields of each type of state, and where a machine leads. AWS's language service and a validator of
others need Node.js, and are asked where there is one.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.template import ROOT

Machine = dict[str, Any]

COMMON = {"Type", "Comment", "QueryLanguage"}
LEADS = {"Next", "End"}
JSONPATH = {"InputPath", "OutputPath"}
JSONATA = {"Output", "Assign"}
RESULTS = {"ResultPath", "ResultSelector", "Parameters"}
HANDLED = {"Retry", "Catch"}
TASK = {"Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"}
MAP = {"ItemProcessor", "MaxConcurrency", "ItemReader", "ItemSelector", "ItemBatcher"}
MAP |= {"ResultWriter", "Label", "ToleratedFailurePercentage", "ToleratedFailureCount"}
FIELDS = {
    ("Task", "JSONPath"): LEADS | JSONPATH | RESULTS | HANDLED | TASK,
    ("Task", "JSONata"): LEADS | JSONATA | HANDLED | TASK | {"Arguments"},
    ("Pass", "JSONPath"): LEADS | JSONPATH | {"Result", "ResultPath", "Parameters"},
    ("Pass", "JSONata"): LEADS | JSONATA,
    ("Choice", "JSONPath"): JSONPATH | {"Choices", "Default"},
    ("Choice", "JSONata"): JSONATA | {"Choices", "Default"},
    ("Wait", "JSONPath"): LEADS
    | JSONPATH
    | {"Seconds", "Timestamp", "SecondsPath", "TimestampPath"},
    ("Parallel", "JSONata"): LEADS | JSONATA | HANDLED | {"Branches", "Arguments"},
    ("Map", "JSONPath"): LEADS | JSONPATH | RESULTS | HANDLED | MAP | {"ItemsPath"},
    ("Map", "JSONata"): LEADS | JSONATA | HANDLED | MAP | {"Items"},
    ("Succeed", "JSONPath"): JSONPATH,
    ("Succeed", "JSONata"): {"Output"},
    ("Fail", "JSONPath"): {"Error", "Cause", "ErrorPath", "CausePath"},
}
"""Fields that a state may have, by its type and the language of its expressions."""
REQUIRED = {
    "Task": {"Resource"},
    "Choice": {"Choices"},
    "Parallel": {"Branches"},
    "Map": {"ItemProcessor"},
}
RETRIER = {"ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds"}
RETRIER |= {"JitterStrategy", "Comment"}
CATCHER = {
    "JSONPath": {"ErrorEquals", "Next", "ResultPath", "Comment"},
    "JSONata": {"ErrorEquals", "Next", "Output", "Assign", "Comment"},
}
LONGEST_DELAY_SECONDS = 31_622_400


def problems(machine: Machine, language: str | None = None) -> Iterator[str]:
    """What is wrong with a machine, or with the machine within a state."""
    language = language or str(machine.get("QueryLanguage", "JSONPath"))
    states: dict[str, Machine] = machine["States"]
    reached = {machine["StartAt"]}
    for name, state in states.items():
        own = state.get("QueryLanguage", language)
        yield from (f"{name}: {problem}" for problem in _problems(state, own))
        leads = _leads(state)
        reached |= leads
        yield from (f"{name}: leads to {one}, which is none" for one in leads - states.keys())
        for inner in (*state.get("Branches", []), state.get("ItemProcessor")):
            if inner:
                yield from problems(inner, own)
    yield from (f"{name}: cannot be reached" for name in states.keys() - reached)


def _problems(state: Machine, language: str) -> Iterator[str]:
    kind = state["Type"]
    allowed = FIELDS.get((kind, language))
    if allowed is None:
        yield f"{kind} is not known in {language}"
        return
    yield from (f"{kind} has no {field}" for field in sorted(state.keys() - allowed - COMMON))
    yield from (f"{field} is missing" for field in REQUIRED.get(kind, set()) - state.keys())
    if allowed >= LEADS and ("Next" in state) == (state.get("End") is True):
        yield "needs either Next or End"
    yield from _handlers(state, language)
    timeout = state.get("TimeoutSeconds", 1)
    if not isinstance(timeout, int) or timeout <= 0:
        yield "TimeoutSeconds must be a positive integer"


def _handlers(state: Machine, language: str) -> Iterator[str]:
    for handler, fields in (("Retry", RETRIER), ("Catch", CATCHER[language])):
        for number, one in enumerate(handlers := state.get(handler, [])):
            yield from (f"{handler} has no {field}" for field in sorted(one.keys() - fields))
            if not one.get("ErrorEquals"):
                yield f"{handler} names no errors"
            elif "States.ALL" in one["ErrorEquals"] and (
                len(one["ErrorEquals"]) > 1 or number + 1 < len(handlers)
            ):
                yield f"{handler}: States.ALL must stand alone and last"
    for retrier in state.get("Retry", []):
        if not 0 < retrier.get("IntervalSeconds", 1) < retrier.get("MaxDelaySeconds", 10**9) + 1:
            yield "MaxDelaySeconds must not be below IntervalSeconds"
        if retrier.get("MaxDelaySeconds", 1) > LONGEST_DELAY_SECONDS:
            yield "MaxDelaySeconds is too long"


def _leads(state: Machine) -> set[str]:
    choices = state.get("Choices", [])
    named = [state.get("Next"), state.get("Default")]
    named += [one.get("Next") for one in (*choices, *state.get("Catch", []))]
    return {name for name in named if name is not None}


def read(name: str) -> Machine:
    machine: Machine = json.loads((ROOT / f"statemachines/{name}.asl.json").read_text())
    return machine


@pytest.mark.parametrize("name", ["vote", "bulk", "document"])
def test_a_machine_keeps_the_rules_of_the_states_language(name: str) -> None:
    assert list(problems(read(name))) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"Resorce": "arn"}, "Task has no Resorce"),
        ({"Arguments": {}}, "Task has no Arguments"),
        ({"Next": "Nowhere"}, "leads to Nowhere, which is none"),
        ({"End": True}, "needs either Next or End"),
        ({"TimeoutSeconds": "60"}, "TimeoutSeconds must be a positive integer"),
        (
            {"Catch": [{"ErrorEquals": ["States.ALL"], "Output": 1, "Next": "Finish"}]},
            "Catch has no Output",
        ),
        (
            {"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]},
            "must stand alone and last",
        ),
        ({"Type": "Choice"}, "Choices is missing"),
    ],
)
def test_a_machine_that_breaks_a_rule_is_found(change: Machine, found: str) -> None:
    machine = deepcopy(read("bulk"))
    machine["States"]["Prepare"] |= change
    assert any(found in problem for problem in problems(machine))


def test_validators_of_aws_and_of_others_find_nothing_in_the_machines_but_what_is_wrong(
    tmp_path: Path,
) -> None:
    machines = [ROOT / f"statemachines/{name}.asl.json" for name in ("vote", "bulk", "document")]
    wrong: dict[str, Machine] = {"misspelt": read("bulk"), "expression": read("vote")}
    wrong["misspelt"]["States"]["Prepare"]["Resorce"] = "arn"
    wrong["expression"]["States"]["Aggregate"]["Output"] = "{% $states.( %}"
    for name, machine in wrong.items():
        (tmp_path / name).write_text(json.dumps(machine))
    paths = [*map(str, machines), *(str(tmp_path / name) for name in wrong)]
    found = node.run_locked(ROOT / "tests/states_language", "validate.mjs", *paths)
    good, bad = [found[path] for path in paths[:3]], [found[path] for path in paths[3:]]
    assert good == [{"aws": [], "others": []}] * 3
    assert bad[0]["aws"] == ["Field is not supported."]
    assert all(one["others"] for one in bad)  # AWS's reads no expressions
