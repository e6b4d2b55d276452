"""Every handler starts without an environment, and keeps nothing of its start: only its first event
needs the one, and a snapshot of the start is shared by many environments."""

import re
import subprocess
import sys
from pathlib import Path

from tests.template import ROOT

IMPORT_EACH = """
import os, random, runpy, sys, time

import boto3, httpx, pydantic  # packages of others, which take most of the time, once for all
import aws_lambda_powertools.event_handler, aws_lambda_powertools.metrics

clocks = {time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter}
ways = {"now", "utcnow", "today", "random", "getrandbits", "urandom", "getrandom"}
ours = tuple(sys.argv[1:3])
noted, failed = [], []

def note(frame, event, called):
    if event != "c_call" or not (called in clocks or called.__name__ in ways):
        return
    if called.__name__ in ways and not isinstance(
        getattr(called, "__self__", None), (type(os), type, random.Random)
    ):
        return
    while frame and "importlib" not in frame.f_code.co_filename:
        if frame.f_code.co_filename.startswith(ours):
            noted.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {called.__name__}")
            return
        frame = frame.f_back

for folder in sys.argv[3:]:
    child = os.fork()
    if not child:
        sys.path.insert(0, folder)
        import app
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(folder)

sys.setprofile(note)
for folder in sys.argv[3:]:  # again and all in this process: being watched takes long
    if folder not in failed:
        runpy.run_path(f"{folder}/app.py")
sys.setprofile(None)
print(*noted, sep="\\n", file=sys.stderr)
sys.exit(f"cannot be imported: {failed}" if failed else bool(noted))
"""


def imported(*folders: Path) -> subprocess.CompletedProcess[str]:
    """Import the handler of each folder, on its own, in an empty environment."""
    found = [path for path in sys.path if path]
    ours = [ROOT / "layers", folders[0].parent]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {found}{IMPORT_EACH}", *ours, *folders],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_handler_imports_with_an_empty_environment_and_reads_no_clock_meanwhile() -> None:
    folders = sorted((ROOT / "functions").iterdir())
    done = imported(*folders)
    assert done.returncode == 0, done.stderr
    assert len(folders) >= 10  # all are there


def test_what_a_handler_keeps_of_its_start_is_noticed(tmp_path: Path) -> None:
    kept = {
        "monotonic": "from time import monotonic\nBEGUN = monotonic()\n",
        "now": "from datetime import datetime\nBEGUN = datetime.now()\n",
        "getrandbits": "import random\nSHARD = random.randrange(8)\n",
        "urandom": "from uuid import uuid4\nOWNER = uuid4()\n",
    }
    for name, code in (kept | {"variable": "import os\nTABLE = os.environ['TABLE']\n"}).items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(code)
    done = imported(*sorted(tmp_path.iterdir()))
    assert set(re.findall(r"app.py:2 (\w+)", done.stderr)) == kept.keys(), done.stderr
    assert "KeyError: 'TABLE'" in done.stderr
    assert done.returncode != 0


def test_every_container_is_opened_anew_after_a_restore() -> None:
    handlers = [path.read_text() for path in (ROOT / "functions").glob("*/app.py")]
    opened = [code for code in handlers if "def app()" in code]
    assert len(opened) >= len(handlers) - 1  # the pages' has none
    for code in opened:
        assert "@opened_once\ndef app()" in code


def test_the_module_of_hooks_is_lambdas_own() -> None:
    """A copy in a layer would hide it, and nobody would call the hooks registered there."""
    for requirements in (ROOT / "layers").glob("*/requirements.txt"):
        assert not re.search(r"snapshot.restore", requirements.read_text()), requirements
