"""The stand-in gateway in a process of its own, so that it takes no time of what is measured."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from fakes.gateway import Scenario


@contextmanager
def apart(scenario: Scenario | None = None) -> Iterator[str]:
    """The base URL of a stand-in that runs while the block lasts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write((scenario or Scenario()).model_dump_json())
        file.flush()
        command = [sys.executable, "-m", "fakes.gateway", "--port", "0", "--scenario", file.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            try:
                yield running.stdout.readline().strip() if running.stdout else ""
            finally:
                running.terminate()
