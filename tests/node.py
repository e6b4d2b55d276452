"""Programs in JavaScript that use a package of npm's, on machines that can run them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest


def run(package: str, program: str, **variables: str) -> Any:
    """What `program` prints last, as JSON; skips the test where it cannot be run."""
    with TemporaryDirectory() as folder:  # of hundreds of megabytes, which pytest would keep
        _installed(Path(folder), package, "install", package)
        script = Path(folder) / "client.mjs"
        script.write_text(program)
        return _printed(script, **variables)


def run_locked(source: Path, program: str, *arguments: str) -> Any:
    """The same of a program in the folder `source`, with the packages of its package-lock.json.

    npm compares each with the hash that stands there.
    """
    with TemporaryDirectory() as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        _installed(Path(folder), f"the packages of {source.name}", "ci")
        return _printed(Path(folder) / program, *arguments)


def _installed(folder: Path, named: str, *command: str) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(reason="there is no node with npm on this machine")
    install = [npm, *command, "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    assert "EINTEGRITY" not in done.stderr, done.stderr
    if done.returncode:
        pytest.skip(reason=f"npm cannot install {named}: no network, or no registry")


def _printed(script: Path, *arguments: str, **variables: str) -> Any:
    done = subprocess.run(
        [shutil.which("node") or "node", str(script), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
