"""The processes of a local stack: MiniStack, and the stand-in for the gateway."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes import LOOPBACK, alive, discard, free_port, runs
from local.state import ROOT, STAND_IN, Stack, StateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_PORT = 4566
"""Port of MiniStack; if it is busy, the next free one is taken."""
EMULATOR = ROOT / "local" / "emulator.py"
"""MiniStack, started by its own Python."""
STAND_IN_PORT = 8600
"""Port of the stand-in; if it is busy, the next free one is taken."""
START_SECONDS = 60
STOP_SECONDS = 15


def start(home: StateDirectory, settings: dict[str, str]) -> Stack:
    """Start MiniStack, on its last port if that is free; `settings` are its variables."""
    running = home.running()
    if running:
        return running
    last = home.last()
    home.data.mkdir(parents=True, exist_ok=True)
    discard(home.scratch)
    home.scratch.mkdir()
    with _alone():
        return _started(home, last, settings)


@contextmanager
def _alone() -> "Iterator[None]":
    """Wait until no other stack of this machine starts: two would find the same port free."""
    with (Path(tempfile.gettempdir()) / "quorum-starts").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _started(home: StateDirectory, last: Stack | None, settings: dict[str, str]) -> Stack:
    """MiniStack, which answers."""
    # On Linux, containers of `sam local invoke` reach the stack at the address of Docker's bridge.
    host = settings.get("BIND_HOST", LOOPBACK)
    port = free_port(host, last.port if last else FIRST_PORT)
    if last and port != last.port:
        _move_queues(home, last.port, port)
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
    } | {
        # The files of layers and Lambdas, which MiniStack leaves behind.
        "TMPDIR": str(home.scratch),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": host,
        "AUTH": "true",  # each Lambda may do only what its role in the template says
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.data),
        "S3_PERSIST": "1",  # objects are files of their own
        "S3_DATA_DIR": str(home.data / "s3"),
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment |= settings
    with home.log.open("a") as log:
        process = subprocess.Popen(
            # Without its own folder on the path: the packages of a layer come first, as in AWS.
            [ROOT / ".ministack/bin/python", "-P", EMULATOR],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=home.folder,
            start_new_session=True,
        )
    fresh = Stack(folder=home.folder, host=host, port=port, pid=process.pid, started=time.time())
    kept = last.model_dump(exclude={"folder", "host", "port", "pid", "started"}) if last else {}
    stack = fresh.model_copy(update=kept)
    home.write(stack)
    patience = time.monotonic() + START_SECONDS
    while not stack.answers():
        if process.poll() is not None or time.monotonic() > patience:
            raise SystemExit(f"MiniStack did not start; see {home.log}")
        time.sleep(0.2)
    process.returncode = 0  # it outlives this process, which does not wait for it
    return stack


def _move_queues(home: StateDirectory, old: int, new: int) -> None:
    """Move the queues to a new port: MiniStack stores each under its URL, port included."""
    for name in ("sqs", "lambda", "cloudformation"):
        file = home.data / f"{name}.json"
        if file.exists():
            kept = file.read_text()
            file.write_text(kept.replace(f"//localhost:{old}/", f"//localhost:{new}/"))


def stop(home: StateDirectory, stack: Stack) -> None:
    """Stop MiniStack, and the stand-in if there is one."""
    home.write(stop_stand_in(stack))
    os.kill(stack.pid, signal.SIGTERM)
    patience = time.monotonic() + STOP_SECONDS
    while alive(stack.pid) and time.monotonic() < patience:
        time.sleep(0.1)
    if alive(stack.pid):
        os.killpg(stack.pid, signal.SIGKILL)
    discard(home.scratch)


def start_stand_in(home: StateDirectory, stack: Stack) -> Stack:
    """Start the stand-in for the gateway, on its last port if free; returns the stack with it."""
    if runs(stack.stand_in, STAND_IN):
        return stack
    port = free_port(LOOPBACK, stack.stand_in_port or STAND_IN_PORT)
    with home.stand_in_log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", STAND_IN, "--port", str(port)],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    patience = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex((LOOPBACK, port)):
                break
        if process.poll() is not None or time.monotonic() > patience:
            raise SystemExit(f"the stand-in did not start; see {home.stand_in_log}")
        time.sleep(0.1)
    process.returncode = 0  # as MiniStack's
    stack = stack.model_copy(update={"stand_in": process.pid, "stand_in_port": port})
    home.write(stack)
    return stack


def stop_stand_in(stack: Stack) -> Stack:
    """Stop the stand-in, if one was started with `stack`."""
    if runs(stack.stand_in, STAND_IN):
        os.kill(stack.stand_in, signal.SIGTERM)
    return stack.model_copy(update={"stand_in": 0})
