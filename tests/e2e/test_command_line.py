"""The command line against the running stack."""

import csv
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says
from tests.template import ROOT


def environment(stack: Stack) -> dict[str, str]:
    return {"QUORUM_LOCAL": str(stack.folder), "PATH": "", "COLUMNS": "120"}


def quorum(stack: Stack, *arguments: str, said: str | None = None, code: int = 0) -> str:
    """What a command printed that ended with that exit code; what it complained of, if not 0."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        cwd=ROOT,
        env=environment(stack),
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stderr if code else done.stdout


def test_texts_on_the_command_line_are_judged_and_shown(stack: Stack) -> None:
    shown = quorum(stack, "moderate", "Thank you for the lovely evening.", "--panel", "embedded")
    assert "safe" in shown
    assert "meaning" in shown


def test_lines_of_standard_input_become_a_verdict_each_as_json(stack: Stack) -> None:
    lines = "Thank you for the lovely evening.\n\nYou are a worthless idiot.\n"
    printed = quorum(stack, "moderate", "-", "--panel", "embedded", "--json", said=lines)
    verdicts = [json.loads(line) for line in printed.splitlines()]
    assert [verdict["decision"] for verdict in verdicts] == ["safe", "unsafe"]


def test_a_file_is_judged_in_its_order_though_the_command_was_interrupted(
    stack: Stack, recorded: Recorded, tmp_path: Path
) -> None:
    run = uuid4().hex[:8]
    texts = [says(recorded, f"{run}: kind {n}") for n in range(3)]
    texts.append(says(recorded, f"{run}: nasty", gemini_2_5_flash="unsafe", deepseek_v3_2="unsafe"))
    given, out = tmp_path / "texts.csv", tmp_path / "results.csv"
    rows = [[f"row-{n}", texts[n % 4]] for n in range(20)]
    with given.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "content"], *rows])
    command = [sys.executable, "-m", "cli.app", "batch"]
    with subprocess.Popen(
        [*command, str(given)],
        cwd=ROOT,
        env=environment(stack),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as begun:
        assert begun.stderr is not None
        batch = begun.stderr.readline().split()[1]
        begun.send_signal(signal.SIGINT)
        printed, noted = begun.communicate(timeout=60)
    assert (begun.returncode, printed) == (130, "")
    assert f"--resume {batch}" in noted
    quorum(stack, "batch", "--resume", batch, "--out", str(out))
    with out.open(newline="") as file:
        results = list(csv.DictReader(file))
    assert [result["id"] for result in results] == [f"row-{n}" for n in range(20)]
    assert [result["decision"] for result in results] == ["safe", "safe", "safe", "unsafe"] * 5


def test_a_smoke_test_finds_every_way_in_working_and_its_cost_booked(stack: Stack) -> None:
    told = json.loads(quorum(stack, "smoke", "--yes", "--json"))
    results = {way["way"]: way["result"] for way in told["ways"]}
    assert len(results) == 8
    assert set(results.values()) == {"ok"}, told
    costs = [Decimal(way["cost_usd"]) for way in told["ways"] if way["cost_usd"] is not None]
    assert all(costs)
    assert sum(costs) == Decimal(told["total_cost_usd"])


def test_the_costs_are_shown_and_written_down_as_the_api_tells_them(
    stack: Stack, api: Api, tmp_path: Path
) -> None:
    out = tmp_path / "cost_report.json"
    shown = quorum(stack, "costs", "--out", str(out))
    written = json.loads(out.read_text())
    told = api.get("costs").json()
    assert {"timestamp"} == {name for name in told if written[name] != told[name]}
    assert f"${Decimal(told['totals']['cost_usd']).normalize():f}" in shown
    assert f"₩{told['krw_per_usd']} per dollar, {told['krw_as_of']}" in shown
