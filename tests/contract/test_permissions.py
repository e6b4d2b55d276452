"""The generated permissions beside the calls of the code: none is granted that nothing asks for.

That none is missing is shown by the end-to-end tests: the local stack enforces the permissions. It
can never show one too many. So the modules that a function imports are followed, and every
action it is granted must be among the calls they make.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import openapi, template
from tests.template import ROOT

SERVICE = ROOT / "layers/quorum/python"
MADE_BY = {
    "cloudwatch:DescribeAlarms": {"describe_alarms"},
    "dynamodb:GetItem": {"get_item"},
    "dynamodb:BatchGetItem": {"batch_get_item"},
    "dynamodb:Query": {"query"},
    "dynamodb:PutItem": {"put_item", "Put"},
    "dynamodb:UpdateItem": {"update_item", "Update"},
    "dynamodb:DeleteItem": {"delete_item", "Delete"},
    "execute-api:ManageConnections": {"post_to_connection"},
    "dynamodb:Scan": {"scan"},
    "events:PutEvents": {"put_events"},
    "kms:Decrypt": {"publish", "decrypt"},  # the topic of alerts has a key of its own
    "kms:Encrypt": {"encrypt"},
    "kms:GenerateDataKey": {"publish"},
    "lambda:InvokeFunction": {"invoke"},
    "s3:AbortMultipartUpload": {"upload_fileobj"},
    "s3:GetObject": {"get_object", "head_object"},
    "s3:ListBucket": {"list_objects_v2", "get_object"},  # without it a missing object is a 403
    "s3:PutObject": {"put_object", "upload_fileobj"},
    "secretsmanager:GetSecretValue": {"get_secret_value", "SecretsProvider"},
    "sns:Publish": {"publish"},
    "sqs:ChangeMessageVisibility": {"change_message_visibility"},
    "sqs:DeleteMessage": {"delete_message"},
    "sqs:GetQueueAttributes": {"get_queue_attributes"},
    "sqs:ReceiveMessage": {"receive_message"},
    "sqs:SendMessage": {"send_message", "send_message_batch"},
    "sqs:SendMessageBatch": {"send_message_batch"},
    "ssm:DeleteParameter": {"delete_parameter"},
    "ssm:PutParameter": {"put_parameter"},
    "ssm:GetParameter": {"get_parameter"},
    "ssm:GetParametersByPath": {"get_parameters_by_path"},
    "states:DescribeExecution": {"describe_execution"},
    "states:StartExecution": {"start_execution"},
    "states:StartSyncExecution": {"start_sync_execution"},
    "states:StopExecution": {"stop_execution"},
}
"""The names in the code by which an action is asked for: methods of a client, entries of a
transaction, a provider of Powertools."""


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def _imported(file: Path) -> set[Path]:
    """The service's modules that a file imports when it runs."""
    skipped = {
        id(inner)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(_tree(file)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    files = (SERVICE / name.replace(".", "/") for name in names if name.startswith("quorum"))
    return {
        found
        for folder in files
        for found in (folder.with_suffix(".py"), folder / "__init__.py")
        if found.is_file()
    }


def _names(block: dict[str, Any]) -> set[str]:
    """Every name that a function's code uses: attributes, names, and keys of dictionaries."""
    waiting = [ROOT / str(block["CodeUri"]) / "app.py"]
    seen: set[Path] = set()
    names: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        waiting += _imported(file)
        names |= _names_in(file)
    return names


@cache
def _names_in(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def granted(block: dict[str, Any]) -> set[str]:
    """The actions that a function's role has."""
    actions: set[str] = set()
    for statement in template.statements(block):
        found = statement["Action"]
        actions |= {found} if isinstance(found, str) else set(found)
    return actions


@pytest.mark.parametrize("function", sorted(template.functions()))
def test_a_function_is_granted_nothing_that_its_code_does_not_ask_for(function: str) -> None:
    block = template.functions()[function]
    names = _names(block)
    assert {one for one in granted(block) if not MADE_BY[one] & names} == set()


def test_alarms_that_are_asked_for_by_a_prefix_need_the_right_to_all() -> None:
    """AWS: not authorized to perform cloudwatch:DescribeAlarms on resource …:alarm:*."""
    code = (SERVICE / "quorum/health/service_state.py").read_text()
    assert "AlarmNamePrefix=" in code
    asking = [
        statement["Resource"]
        for block in template.functions().values()
        for statement in template.statements(block)
        if statement["Action"] == "cloudwatch:DescribeAlarms"
    ]
    assert [one["Fn::Sub"].rpartition(":alarm:")[2] for one in asking] == ["*"]


def test_a_permission_that_nothing_asks_for_is_found() -> None:
    names = _names(template.functions()["AuthorizeFunction"])
    assert MADE_BY["dynamodb:GetItem"] & names
    assert not MADE_BY["sqs:SendMessage"] & names


def test_the_modules_of_a_function_are_found() -> None:
    assert importlib.util.find_spec("quorum.bulk.machine") is not None
    names = _names(template.functions()["BulkFunction"])
    assert {"upload_fileobj", "start_sync_execution", "transact_write_items"} <= names


def test_a_route_that_honours_an_idempotency_key_may_keep_it_and_forget_it() -> None:
    honouring = {
        (method, path)
        for path, operations in openapi.described()["paths"].items()
        for method, operation in operations.items()
        if any(one["name"] == "idempotency-key" for one in operation.get("parameters", ()))
    }
    assert ("post", "/keys") in honouring
    for function, block in template.functions().items():
        routes = {
            (event["Properties"]["Method"], event["Properties"]["Path"])
            for event in block.get("Events", {}).values()
            if event["Type"] == "Api"
        }
        if not routes & honouring:
            continue
        granted_there = {
            action
            for statement in template.statements(block)
            if "VerdictsTable" in str(statement["Resource"])
            for action in (
                [statement["Action"]]
                if isinstance(statement["Action"], str)
                else statement["Action"]
            )
        }
        needed = {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Update", "Delete")}
        assert needed <= granted_there, function
