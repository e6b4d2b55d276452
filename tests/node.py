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
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(reason="there is no node with npm on this machine")
    with TemporaryDirectory() as folder:  # of hundreds of megabytes, which pytest would keep
        install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", package]
        installed = subprocess.run(install, cwd=folder, capture_output=True, check=False)
        if installed.returncode:
            pytest.skip(reason=f"npm cannot install {package}: no network, or no registry")
        script = Path(folder) / "client.mjs"
        script.write_text(program)
        done = subprocess.run(
            [node, str(script)],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
