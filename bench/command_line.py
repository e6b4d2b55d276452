"""The memory and time of `quorum batch`, against a server that only pretends to judge."""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Pretender(BaseHTTPRequestHandler):
    """A fake server that takes uploads, answers with pages of results, and stores neither."""

    total = 0

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self) -> None:
        left = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self._answer({})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        host = f"http://{self.headers['host']}"
        self._answer({"id": "b", "upload": "u", "url": f"{host}/put"})

    def do_GET(self) -> None:
        if "results" not in self.path:
            zero = dict.fromkeys(("rejected", "dead", "cancelled", "saved_usd", "cost_usd"), 0)
            view = {"state": "complete", "items": self.total, "settled": self.total} | zero
            rates = dict.fromkeys(("items_per_second", "remaining_seconds", "paused_until"))
            self._answer(view | rates)
            return
        query = dict(part.split("=") for part in self.path.split("?")[1].split("&"))
        start, limit = int(query["start"]), int(query["limit"])
        end = min(self.total, start + limit)
        verdict = {"decision": "safe", "reason": "x" * 1_500}
        page = [{"index": n, "verdict": verdict} for n in range(start, end)]
        self._answer({"items": page, "next": end if end < self.total else None})

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def _pretending(total: int) -> Iterator[str]:
    handler = type("Pretender", (_Pretender,), {"total": total})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def uploaded(total: int) -> tuple[float, float]:
    """Seconds and MiB at most of `quorum batch` with a file of so many items."""
    with tempfile.TemporaryDirectory() as folder, _pretending(total) as where:
        file = Path(folder) / "items.jsonl"
        with file.open("w") as lines:
            lines.writelines(
                json.dumps({"content": f"text {n} " + "word " * 40}) + "\n" for n in range(total)
            )
        began = time.monotonic()
        measured = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(file), where, f"{folder}/out.jsonl"],
            capture_output=True,
            text=True,
            check=True,
            env={"QUORUM_API_KEY": "key", "PATH": ""},
        )
        seconds = time.monotonic() - began
        with Path(f"{folder}/out.jsonl").open() as written:
            if sum(1 for _ in written) != total:
                raise SystemExit("results are missing")
    return seconds, int(measured.stdout.splitlines()[-1]) / 1024


_MEASURED = """
import re, sys
from cli.app import app
try:
    app(["batch", sys.argv[1], "--where", sys.argv[2], "--out", sys.argv[3]])
except SystemExit as ended:
    assert not ended.code, ended.code
print(re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[0])
"""
