"""Processes, ports and folders of this machine."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORTS = 100


def runs(pid: int, module: str) -> bool:
    """Whether the process `pid` is one of ours: a Python that runs `module`."""
    if not pid:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    try:
        os.kill(pid, 0)
        listed = command.read_bytes().decode() if command.exists() else _ps(pid)
    except OSError:
        return False
    return module in listed


def _ps(pid: int) -> str:
    ps = shutil.which("ps") or "/bin/ps"
    found = subprocess.run(
        [ps, "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    )
    return found.stdout


def alive(pid: int) -> bool:
    """Whether the process `pid` runs; one that has ended is reaped."""
    try:
        reaped, _status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        return reaped == 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port(host: str, preferred: int) -> int:
    """`preferred` or the next free port of `host`."""
    for port in range(preferred, preferred + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {preferred} and {preferred + PORTS}")


def discard(folder: Path) -> None:
    """Remove `folder` in the background: tens of thousands of files take a slow disk a minute."""
    if not folder.exists():
        return
    doomed = folder.rename(folder.with_name(f"{folder.name}-{time.time_ns()}"))
    remover = subprocess.Popen(
        [shutil.which("rm") or "/bin/rm", "-rf", str(doomed)], start_new_session=True
    )
    remover.returncode = 0  # this process does not wait for it
