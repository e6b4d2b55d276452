"""What `pip install .` installs: the packages with all their files, and what they import."""

import re
import tomllib
from email.parser import HeaderParser
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "analysis": "analysis",
    "cli": "cli",
    "embedded": "layers/embedded/python/embedded",
    "quorum": "layers/quorum/python/quorum",
    "quorum_client": "quorum_client",
    "quorum_moderator": "quorum_moderator",
}
"""The folder of each package."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALLED = ("service", "embedded", "meaning", "documents", "cli")
"""The groups of dependencies that an installation has."""


def built(project: "Path", folder: "Path") -> ZipFile:
    """The wheel of a project."""
    return ZipFile(next(WheelBuilder(str(project)).build(directory=str(folder))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


def files(folder: str) -> set[str]:
    """The files of a folder, but for projects and what Python writes beside them."""
    return {
        found.relative_to(ROOT).as_posix()
        for found in (ROOT / folder).rglob("*")
        if found.is_file() and found.parent.name != "__pycache__" and found.name != "pyproject.toml"
    }


def test_the_wheel_has_every_file_of_its_packages_and_nothing_else(wheel: ZipFile) -> None:
    expected = {
        f"{package}{name.removeprefix(folder)}"
        for package, folder in PACKAGES.items()
        for name in files(folder)
    }
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == expected
    assert {"embedded/meaning.weights", "quorum/vote/panels/default.json"} <= found
    assert {"quorum_client/py.typed", "quorum_moderator/py.typed"} <= found


def test_weights_are_whole(wheel: ZipFile) -> None:
    for name in ("characters.weights", "meaning.weights"):
        original = ROOT / PACKAGES["embedded"] / name
        assert wheel.getinfo(f"embedded/{name}").file_size == original.stat().st_size > 1_000_000


def test_an_installation_has_what_the_layers_and_the_command_line_have(wheel: ZipFile) -> None:
    groups = {name for group in INSTALLED for name in PROJECT["dependency-groups"][group]}
    assert sorted(groups) == PROJECT["project"]["dependencies"]
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    told = HeaderParser().parsestr(wheel.read(metadata).decode())
    wanted = {re.split(r"[^\w.-]", name)[0] for name in told.get_all("Requires-Dist") or []}
    assert wanted == {re.split(r"[^\w.-]", name)[0] for name in groups}


def test_the_client_can_be_published_by_itself(tmp_path: "Path") -> None:
    wheel = built(ROOT / "quorum_client", tmp_path)
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == files("quorum_client")
    client = tomllib.loads((ROOT / "quorum_client/pyproject.toml").read_text())["project"]
    assert set(client["dependencies"]) <= set(PROJECT["project"]["dependencies"])
