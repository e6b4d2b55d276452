"""Imports between packages: the contracts hold, they can fail, and they are complete."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.template import ROOT

SERVICE = ROOT / "layers/quorum/python/quorum"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS, TOOLS, PURE = SETTINGS["contracts"]
ENTRY = ROOT / "functions"

HANDLER_LINES = 80
"""Lines a handler file may have: parse, one call, serialise."""

FAULTS = {
    "core/errors.py": ("import quorum.app.settings", "quorum.core.errors -> quorum.app.settings"),
    "aws/bucket.py": ("import quorum.batch.records", "quorum.aws.bucket -> quorum.batch.records"),
    "app/api.py": ("import quorum.routes.verdicts", "quorum.app.api -> quorum.routes.verdicts"),
    "bulk/machine.py": ("import quorum.chat.chat", "quorum.bulk is not allowed to import"),
    "vote/verdicts.py": ("import cli.app", "quorum is not allowed to import cli"),
    "vote/tally.py": ("import httpx", "quorum.vote.tally -> httpx"),
}
"""One fault for each way there is to break a contract: where, the line, what the linter says."""


def lint(folder: Path) -> tuple[bool, str]:
    """Whether the contracts are kept for the copy of the service in `folder`, and the report."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo", "--config", ROOT / "pyproject.toml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the service, that other tests do not see."""
    shutil.copytree(SERVICE, tmp_path / "quorum", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_forbidden_import_breaks_the_contracts(copy: Path) -> None:
    kept, report = lint(copy)
    assert kept, report
    for file, (line, _) in FAULTS.items():
        with (copy / "quorum" / file).open("a") as module:
            module.write(f"\n{line}\n")
    kept, report = lint(copy)
    assert not kept
    assert [said for _, said in FAULTS.values() if said not in report] == []


def named(layers: list[str]) -> set[str]:
    """The rooms named in `layers`; those of one floor are divided by bars."""
    return {room.strip() for floor in layers for room in floor.split("|")}


def code_of(folder: Path) -> set[str]:
    """The packages and modules directly in `folder`."""
    packages = {found.parent.name for found in folder.glob("*/__init__.py")}
    modules = {found.stem for found in folder.glob("*.py") if found.stem != "__init__"}
    return packages | modules


def test_every_room_of_the_service_stands_on_a_floor() -> None:
    assert named(ROOMS["layers"]) == code_of(SERVICE)
    assert ROOMS["containers"] == ["quorum"]


def test_every_folder_of_python_is_in_the_contracts() -> None:
    packages = {found.parent.name for found in ROOT.glob("layers/*/python/*/__init__.py")}
    folders = {
        found.relative_to(ROOT).parts[0]
        for found in ROOT.glob("[a-z]*/**/*.py")
        if not found.is_relative_to(ROOT / "layers")
    }
    without_contract = {"functions", "tests"}  # functions: held by the test below
    expected = (packages | folders) - without_contract
    assert set(SETTINGS["root_packages"]) == named(TOOLS["layers"]) == expected


def test_whatever_the_pure_modules_are_called_they_are_there() -> None:
    for module in PURE["source_modules"]:
        found = SERVICE.parent.joinpath(*module.split("."))
        assert found.is_dir() or found.with_suffix(".py").is_file(), module


def imported(file: Path) -> set[str]:
    """The top-level packages `file` imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add(f"{'.' * node.level}{node.module or ''}")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted(ENTRY.rglob("*.py")), ids=lambda file: file.parent.name)
def test_a_handler_imports_the_service_and_powertools_and_is_short(file: Path) -> None:
    allowed = sys.stdlib_module_names | {"quorum", "embedded", "aws_lambda_powertools"}
    assert imported(file) <= allowed
    assert len(file.read_text().splitlines()) <= HANDLER_LINES


MODERATION = ["app.votes", "app.bulk", "app.settings", "vote", "bulk"]
"""What moderates: its containers and its rooms."""
OTHER_PRODUCTS = ["answer", "chat", "document"]
"""What answers questions and reads documents."""

IMPORT_ALL_BUT = """
import importlib, importlib.abc, pkgutil, sys

wanted, blocked = (set(names.split(",")) for names in sys.argv[1:])


class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(f"{name}.".startswith(f"quorum.{room}.") for room in blocked):
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocked())
for name in wanted:
    module = importlib.import_module(f"quorum.{name}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"quorum.{name}."):
        importlib.import_module(found.name)
"""


def import_without(wanted: list[str], blocked: list[str]) -> "subprocess.CompletedProcess[Any]":
    """Import all of `wanted` in a process that cannot import `blocked`."""
    return subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_BUT, ",".join(wanted), ",".join(blocked)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_moderation_needs_neither_answers_nor_chat_nor_documents() -> None:
    done = import_without(MODERATION, OTHER_PRODUCTS)
    assert done.returncode == 0, done.stderr


def test_a_room_that_is_blocked_cannot_be_imported() -> None:
    done = import_without(["app.api"], OTHER_PRODUCTS)
    assert "is blocked" in done.stderr


DYNAMODB = {"get_item", "query", "put_item", "update_item", "delete_item", "batch_get_item"}
DYNAMODB |= {"transact_write_items", "transact_get_items", "batch_write_item", "scan"}
DIRECT = {
    "aws/dynamo.py": "the one place",
    "aws/keys.py": "no transaction writes keys, and botocore retries what else passes",
    "console/browser.py": "its query is that of an address",
    "gateway/limiter.py": "a conflict means that the limit must be read anew, not written again",
}
"""Modules that call DynamoDB themselves, each with the reason."""


def calls_of_dynamodb(source: str) -> list[str]:
    """The operations that are called, or passed to anything but `dynamo.attempt`."""
    tree = ast.parse(source)
    passed = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "dynamo.attempt"
        for argument in node.args
    }
    return [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in DYNAMODB
        and ast.unparse(node.value) != "dynamo"
        and id(node) not in passed
    ]


def test_a_call_of_dynamodb_that_is_not_tried_again_is_found() -> None:
    assert calls_of_dynamodb("self._client.put_item(Item=item)") == ["put_item"]
    assert calls_of_dynamodb("do(self._client.put_item, Item=item)") == ["put_item"]
    assert calls_of_dynamodb("dynamo.attempt(self._client.put_item, Item=item)") == []


def test_every_read_and_write_of_dynamodb_is_tried_again_when_it_meets_another() -> None:
    found = {
        str(file.relative_to(SERVICE)): calls_of_dynamodb(file.read_text())
        for file in SERVICE.rglob("*.py")
    }
    assert {name for name, calls in found.items() if calls} == DIRECT.keys()
