"""Every handler starts without an environment: only its first event needs one."""

import subprocess
import sys

from tests.template import ROOT

IMPORT_EACH = """
import os, sys

import boto3, httpx, pydantic  # packages of others, which take most of the time, once for all
import aws_lambda_powertools.event_handler, aws_lambda_powertools.metrics

for folder in sys.argv[1:]:
    child = os.fork()
    if not child:
        sys.path.insert(0, folder)
        import app
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{folder} cannot be imported")
"""


def test_every_handler_imports_with_an_empty_environment() -> None:
    folders = sorted(str(path) for path in (ROOT / "functions").iterdir())
    found = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {found}{IMPORT_EACH}", *folders],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(folders) >= 10  # all are there
