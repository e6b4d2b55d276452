"""State machines: retries, time limits, what their states carry, and how their ends are told."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from quorum.bulk.judging import PAGE_SECONDS
from quorum.bulk.machine import PAGE_BYTES, PAGE_ITEMS
from quorum.core import errors
from quorum.document.long_documents import PIECES_LIMIT, STEP_SECONDS
from quorum.vote.workflow import CLIENT_SECONDS

from tests import template
from tests.contract.test_template import LAMBDA_ERRORS
from tests.template import ROOT

EXPRESS_SECONDS = 300
"""An Express execution ends after this."""


STATE_BYTES = 262_144
"""What the input of a state may have."""


def waited_seconds(retrier: dict[str, Any]) -> float:
    """Seconds that a state's retries wait altogether: full jitter halves each on average."""
    waits: list[float] = [
        min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** done)
        for done in range(retrier["MaxAttempts"])
    ]
    return sum(waits) / (2 if retrier["JitterStrategy"] == "FULL" else 1)


def test_a_machine_waits_out_an_outage_as_a_message_does() -> None:
    bulk = bulk_machine()["States"]
    documents = document_machine()["States"]
    tasks = {
        **{name: state for name, state in bulk.items() if state["Type"] == "Task"},
        **{name: state for name, state in documents.items() if state["Type"] == "Task"},
        **documents["Pieces"]["ItemProcessor"]["States"],
    }
    assert len(tasks) == 9
    for name, state in tasks.items():
        assert waited_seconds(state["Retry"][0]) >= 7_200, name


WRITING_SECONDS = 5
"""Seconds to settle a page's last items and to write its results."""


def bulk_machine() -> dict[str, Any]:
    machine: dict[str, Any] = json.loads((ROOT / "statemachines/bulk.asl.json").read_text())
    return machine


def states_of(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every state of a machine, those within others included."""
    for state in machine["States"].values():
        yield state
        for inner in (*state.get("Branches", []), state.get("ItemProcessor")):
            if inner:
                yield from states_of(inner)


@pytest.mark.parametrize("name", ["vote", "bulk", "document"])
def test_the_answers_of_a_distributed_map_go_to_the_bucket_because_a_state_cannot_carry_them(
    name: str,
) -> None:
    machine = json.loads((ROOT / f"statemachines/{name}.asl.json").read_text())
    for state in states_of(machine):
        mode = state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode")
        if state["Type"] != "Map" or mode != "DISTRIBUTED":
            continue
        writer = state["ResultWriter"]
        assert writer["Resource"] == "arn:aws:states:::s3:putObject"
        prefix = re.search(r"'(\w+)/", writer["Parameters"]["Prefix.$"])
        assert prefix is not None
        (block,) = (
            block
            for block in template.resources("AWS::Serverless::StateMachine").values()
            if block["DefinitionUri"] == f"statemachines/{name}.asl.json"
        )
        written = {"Fn::Sub": f"${{UploadsBucket.Arn}}/{prefix[1]}/*"}
        allowed = {
            action
            for statement in template.statements(block)
            if statement["Resource"] == written
            for action in statement["Action"]
        }
        assert allowed == {
            "s3:PutObject",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:AbortMultipartUpload",
        }
        lifecycle = template.resources("AWS::S3::Bucket")["UploadsBucket"]["LifecycleConfiguration"]
        assert f"{prefix[1]}/" in {rule.get("Prefix") for rule in lifecycle["Rules"]}


def test_the_end_of_every_standard_machines_run_reaches_a_function() -> None:
    told = {
        event["Properties"]["Pattern"]["detail"]["stateMachineArn"][0]["Ref"]: event
        for block in template.functions().values()
        for event in block.get("Events", {}).values()
        if event["Type"] == "EventBridgeRule"
    }
    machines = template.resources("AWS::Serverless::StateMachine")
    assert told.keys() == {name for name, one in machines.items() if one["Type"] == "STANDARD"}
    for event in told.values():
        statuses = event["Properties"]["Pattern"]["detail"]["status"]
        assert set(statuses) == {"FAILED", "TIMED_OUT", "ABORTED"}


def test_a_child_of_the_bulk_machine_ends_within_an_express_executions_time() -> None:
    pages = bulk_machine()["States"]["Pages"]
    judge = pages["ItemProcessor"]["States"]["Judge"]
    at_once = template.template()["Parameters"]["ItemsAtOnce"]["Default"]
    (retrier,) = judge["Retry"]
    tries = 1 + retrier["MaxAttempts"]
    waits = retrier["MaxAttempts"] * retrier["MaxDelaySeconds"]
    assert tries * judge["TimeoutSeconds"] + waits < EXPRESS_SECONDS
    assert judge["TimeoutSeconds"] > PAGE_SECONDS + CLIENT_SECONDS + WRITING_SECONDS
    begun = 1 + PAGE_SECONDS // CLIENT_SECONDS  # rounds of one try, where each takes its longest
    assert tries * begun * at_once >= PAGE_ITEMS
    assert pages["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] == "EXPRESS"
    assert PAGE_BYTES + 32 * 1024 <= STATE_BYTES  # its items, and what is around them


def test_the_bulk_machine_retries_only_what_heals() -> None:
    states = bulk_machine()["States"]
    judge = states["Pages"]["ItemProcessor"]["States"]["Judge"]
    for state, named in (
        (states["Prepare"], {"StoreUnavailable"}),
        (judge, {"StoreUnavailable", "Postponed"}),
        (states["Finish"], {"StoreUnavailable"}),
        (states["Give up"], {"StoreUnavailable"}),
    ):
        (retrier,) = state["Retry"]
        assert set(retrier["ErrorEquals"]) == named | LAMBDA_ERRORS
        assert retrier["JitterStrategy"] == "FULL"
        assert all(hasattr(errors, name) for name in named)


def document_machine() -> dict[str, Any]:
    machine: dict[str, Any] = json.loads((ROOT / "statemachines/document.asl.json").read_text())
    return machine


def test_the_document_machine_retries_only_what_heals_and_dead_letters_the_rest() -> None:
    states = document_machine()["States"]
    asks = states["Pieces"]["ItemProcessor"]["States"]["Ask"]
    heals = {"StoreUnavailable", "Postponed"}
    for state, named in (
        (states["Split"], {"StoreUnavailable"}),
        (asks, heals),
        (states["Merge"], heals),
        (states["Receive"], {"StoreUnavailable"}),
        (states["DeadLetter"], {"StoreUnavailable"}),
        (states["Abandon"], {"StoreUnavailable"}),
    ):
        first, *budget = state["Retry"]
        assert set(first["ErrorEquals"]) == named | LAMBDA_ERRORS
        assert first["JitterStrategy"] == "FULL"
        assert first["MaxDelaySeconds"] > 0
        # a budget is whole again at midnight: what waits for it waits a day at most
        assert [retrier["ErrorEquals"] for retrier in budget] in ([], [["BudgetSpent"]])
        assert all(one["IntervalSeconds"] * one["MaxAttempts"] >= 86_400 for one in budget)
        assert all(hasattr(errors, name) for name in (*named, "BudgetSpent"))
    for name, caught in (
        ("Split", "DeadLetter"),
        ("Pieces", "DeadLetter"),
        ("Merge", "DeadLetter"),
        ("Receive", "Abandon"),
    ):
        (catcher,) = states[name]["Catch"]
        assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], caught)


def test_a_step_of_the_document_machine_speaks_before_the_machine_stops_waiting() -> None:
    states = document_machine()["States"]
    timeout = template.functions()["DocumentStepFunction"]["Timeout"]
    asking = [states["Pieces"]["ItemProcessor"]["States"]["Ask"], states["Merge"]]
    assert all(state["TimeoutSeconds"] > STEP_SECONDS for state in asking)
    assert timeout < states["Receive"]["TimeoutSeconds"]


def test_a_state_of_the_document_machine_carries_keys_and_numbers() -> None:
    text = (ROOT / "statemachines/document.asl.json").read_text()
    carried = set(re.findall(r"\"(\w+)\.\$\"", text))
    assert carried == {
        *("tenant", "position", "batch", "upload", "level", "piece", "pieces", "numbers", "error")
    }


HISTORY_EVENTS = 25_000
"""Events of an execution's history; one more ends it, and no state can catch that."""
PIECE_EVENTS = 7
"""Events of a piece that is answered at once, as LocalStack's interpreter writes them."""
RETRY_EVENTS = 3
"""Events of each further try."""


def test_a_long_documents_history_has_room_for_eight_retries_of_every_piece() -> None:
    assert document_machine()["States"]["Pieces"]["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "INLINE"
    }
    assert PIECES_LIMIT * (PIECE_EVENTS + 8 * RETRY_EVENTS) < HISTORY_EVENTS


def test_a_bulk_run_that_fails_says_so_before_it_ends() -> None:
    states = bulk_machine()["States"]
    for name in ("Prepare", "Pages"):
        (catcher,) = states[name]["Catch"]
        assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], "Give up")
    assert states["Finish"]["Next"] == states["Give up"]["Next"] == "What now?"
    waits, failed = states["What now?"]["Choices"]
    assert states[waits["Next"]]["Next"] == "Prepare"
    assert states[failed["Next"]]["Type"] == "Fail"
