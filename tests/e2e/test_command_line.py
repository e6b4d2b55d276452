"""The command line against the running stack."""

import json
import subprocess
import sys

from local.stack import Stack
from tests.template import ROOT


def quorum(stack: Stack, *arguments: str, said: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        cwd=ROOT,
        env={"QUORUM_LOCAL": str(stack.folder), "PATH": "", "COLUMNS": "120"},
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_texts_on_the_command_line_are_judged_and_shown(stack: Stack) -> None:
    shown = quorum(stack, "moderate", "Thank you for the lovely evening.", "--panel", "embedded")
    assert "safe" in shown
    assert "meaning" in shown


def test_lines_of_standard_input_become_a_verdict_each_as_json(stack: Stack) -> None:
    lines = "Thank you for the lovely evening.\n\nYou are a worthless idiot.\n"
    printed = quorum(stack, "moderate", "-", "--panel", "embedded", "--json", said=lines)
    verdicts = [json.loads(line) for line in printed.splitlines()]
    assert [verdict["decision"] for verdict in verdicts] == ["safe", "unsafe"]
