"""The end of a command: one sentence and an exit code, whatever goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from quorum.core.errors import StoreUnavailable
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.policy import DEFAULT
from typer.testing import CliRunner

from cli import app as command_line
from cli import batch, costs, deployment, documents, estimate, labels, moderate
from cli.app import app
from cli.errors import EXIT_CODES, ExitCode, ending_of
from cli.service import Service
from tests import make
from tests.template import ROOT

Answer = Callable[[httpx.Request], httpx.Response]
COMMANDS = (
    ["moderate", "a text"],
    ["batch", "{file}"],
    ["batch", "--resume", "b1"],
    ["costs"],
    ["documents", "{file}", "--out", "{out}", "--yes"],
    ["documents", "--resume", "b1", "--out", "{out}"],
    ["estimate", "{file}", "--operation", "summarize", "--where", "local"],
    ["labels", "export", "--out", "{out}.csv"],
)
"""Every command that asks a deployment over HTTP."""


def refused(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Connection refused")


def broken(_: httpx.Request) -> httpx.Response:
    return httpx.Response(500, json={"message": "Internal server error"})


def locked(_: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"Message": "no such key"})


def elsewhere(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"<html>It works!</html>")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Make every command ask a deployment that answers so."""

    def use(answer: Answer) -> None:
        service = Service(
            "https://quorum.example", "k", transport=httpx.MockTransport(answer), pause_seconds=0
        )
        for module in (batch, costs, documents, estimate, labels, moderate):
            monkeypatch.setattr(module, "connect", lambda *_, **__: service)

    return use


@pytest.fixture
def verdict() -> dict[str, Any]:
    """A verdict as the API sends it."""
    found = conclude_without_votes(make.evaluation(), "nobody was asked", DEFAULT, now=make.NOW)
    return found.model_dump(mode="json")


def typed(command: list[str], folder: Path) -> Any:
    file = folder / "note.txt"
    file.write_text("A note about nothing in particular.\n")
    arguments = [part.format(file=file, out=folder / "out") for part in command]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refused, ExitCode.UNREACHABLE),
        (broken, ExitCode.UNREACHABLE),
        (locked, ExitCode.ERROR),
        (elsewhere, ExitCode.ERROR),
    ],
)
def test_a_deployment_that_fails_is_a_sentence_and_an_exit_code(
    answering: Callable[[Answer], None],
    tmp_path: Path,
    command: list[str],
    answer: Answer,
    code: ExitCode,
) -> None:
    answering(answer)
    done = typed(command, tmp_path)
    assert done.exit_code == code, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    assert "quorum.example" in errors[0]
    assert errors[0].endswith((".", "?"))
    assert "Usage" not in done.stderr


def test_a_batch_whose_deployment_goes_away_says_how_to_go_on(
    answering: Callable[[Answer], None], tmp_path: Path
) -> None:
    def vanish(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"id": "b7"})
        raise httpx.ConnectError("Connection refused")

    answering(vanish)
    done = typed(["batch", "{file}"], tmp_path)
    assert done.exit_code == ExitCode.UNREACHABLE
    assert f"Resume with: quorum batch {tmp_path / 'note.txt'} --resume b7" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.csv"), 2, "a.csv: No such file"),
        (IsADirectoryError(21, "Is a directory", "folder"), 2, "folder: Is a directory"),
        (OSError(28, "No space left on device", "a.csv"), 1, "a.csv: No space"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), 1, "UTF-8"),
        (NoRegionError(), 2, "AWS_DEFAULT_REGION"),
        (NoCredentialsError(), 2, "credentials"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutParameter"),
            1,
            "AccessDenied",
        ),
        (StoreUnavailable("nothing could be stored"), 1, "Nothing could be stored."),
        (httpx.ReadError("reset"), 4, "reset"),
    ],
)
def test_every_expected_error_has_a_sentence(error: Exception, code: int, said: str) -> None:
    ending = ending_of(error)
    assert ending is not None
    assert ending.code == code
    assert said in ending.sentence


def test_a_fault_of_quorum_itself_is_a_sentence_and_a_traceback_only_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fault(*_: Any, **__: Any) -> Any:
        raise KeyError("nowhere")

    monkeypatch.setattr(costs, "connect", fault)
    done = CliRunner().invoke(app, ["costs"], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "a fault in Quorum itself (KeyError: 'nowhere')" in done.stderr
    traced = CliRunner().invoke(app, ["--traceback", "costs"])
    assert isinstance(traced.exception, KeyError)


def test_texts_that_are_refused_are_reported_and_the_others_judged(
    answering: Callable[[Answer], None], verdict: dict[str, Any]
) -> None:
    def judge(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["content"] == "long":
            error = {"code": "invalid_content", "message": "content: too long", "field": "content"}
            return httpx.Response(400, json={"error": error})
        return httpx.Response(200, json=verdict)

    answering(judge)
    done = CliRunner().invoke(app, ["moderate", "one", "long", "two", "--json"])
    assert done.exit_code == ExitCode.ERROR
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["rejected" in line for line in lines] == [False, True, False]
    assert "Text 2 of 3 was rejected: Content: too long." in done.stderr
    assert CliRunner().invoke(app, ["moderate", "long"]).exit_code == ExitCode.ERROR


def test_a_context_is_read_from_a_file_and_sent_with_every_text(
    answering: Callable[[Answer], None], verdict: dict[str, Any], tmp_path: Path
) -> None:
    sent: list[Any] = []

    def judge(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=verdict)

    answering(judge)
    file = tmp_path / "context.json"
    file.write_text('{"parent": "my last boss"}')
    command = ["moderate", "one", "two", "--json", "--context", str(file)]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [one["context"] for one in sent] == [{"parent": "my last boss"}] * 2
    file.write_text("not JSON")
    assert CliRunner().invoke(app, command).exit_code == ExitCode.USAGE
    assert len(sent) == 2


def test_verdicts_that_were_paid_for_are_shown_though_the_deployment_goes_away(
    answering: Callable[[Answer], None], verdict: dict[str, Any]
) -> None:
    def judge(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["content"] == "one":
            return httpx.Response(200, json=verdict)
        return httpx.Response(503, json={})

    answering(judge)
    done = CliRunner().invoke(app, ["moderate", "one", "two"], env={"COLUMNS": "120"})
    assert done.exit_code == ExitCode.UNREACHABLE
    assert "one" in done.stdout


def test_nothing_is_written_to_the_working_directory_unasked(
    answering: Callable[[Answer], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answering(refused)
    for command in (["costs"], ["moderate", "a text"], ["batch", "--resume", "b1"]):
        CliRunner().invoke(app, command)
    assert list(tmp_path.iterdir()) == []


def test_the_exit_codes_are_in_the_help() -> None:
    done = CliRunner().invoke(app, ["-h"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert EXIT_CODES in " ".join(done.output.split())


VOTES = str(ROOT / "tests/unit/golden/votes.csv")
MISSING = (
    ["batch", "none.csv"],
    ["record", "none", "--out", "votes.csv"],
    ["evaluate", "none"],
    ["evaluate", "none.csv"],
    ["evaluate", VOTES, "--prices", "none.json"],
    ["evaluate", VOTES, "--model", "llama=none.json"],
    ["evaluate", VOTES, "--panel", "none.json"],
    ["calibrate", "none.csv", "--out", "panel.json"],
    ["calibrate", VOTES, "--prices", "none.json", "--out", "panel.json"],
    ["train", "none.csv", "--out", "trained"],
    ["thresholds", "none.csv", "--flag-rate", "0.1"],
    ["panel", "diff", "default", "economy", "none.csv"],
    ["panel", "put", "none.json"],
    ["policy", "put", "gaming", "none.json"],
    ["policy", "try", "gaming", "none.json"],
    ["policy", "diff", "gaming", "none.json"],
    ["model", "put", "llama", "none.json"],
    ["moderate", "a text", "--context", "none.json"],
    ["audit", "check", "--file", "none.jsonl"],
    ["replies", "none.jsonl"],
    ["estimate", "none.txt", "--operation", "summarize"],
    ["documents", "none.txt", "--out", "answers"],
)
"""Commands with a file that is not there."""


@pytest.mark.parametrize("command", MISSING, ids=lambda command: " ".join(command[:2]))
def test_a_file_that_is_not_there_is_a_usage_error_that_names_argument_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.USAGE, done.output
    assert "Invalid value" in done.stderr
    assert "none" in done.stderr
    assert "Errno" not in done.stderr
    assert "files of this kind" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["audit", "list"], ["audit", "export"], ["costs"], ["transparency"]], ids=" ".join
)
@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_day_that_is_none_is_a_usage_error_that_shows_one(
    command: list[str], option: str
) -> None:
    done = CliRunner().invoke(app, [*command, option, "yesterday"], env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.USAGE
    assert f"{option}: must be a day, such as 2026-12-31" in done.stderr.replace("'", "")
    assert "Value error" not in done.stderr


def test_a_row_of_costs_is_one_of_four_things() -> None:
    done = CliRunner().invoke(app, ["costs", "--by", "foo"], env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.USAGE
    assert "--by" in done.stderr


def test_a_value_that_the_deployment_refuses_is_a_usage_error(
    answering: Callable[[Answer], None],
) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        error = {"code": "unknown_panel", "message": "panel: there is no panel", "field": "panel"}
        return httpx.Response(400, json={"error": error})

    answering(refuse)
    done = CliRunner().invoke(app, ["moderate", "a text", "--panel", "none"])
    assert done.exit_code == ExitCode.USAGE
    assert "Panel: there is no panel." in done.stderr


# ---- which deployment ------------------------------------------------------------------------


def test_no_local_stack_is_a_deployment_that_cannot_be_reached(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["costs"], env={"QUORUM_LOCAL": str(tmp_path)})
    assert done.exit_code == ExitCode.UNREACHABLE
    assert "make up" in done.stderr


@pytest.mark.parametrize("command", [["costs"], ["env"], ["keys", "list"]])
def test_an_installation_without_a_clone_says_that_it_has_no_local_stack(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "local", None)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == ExitCode.UNREACHABLE
    assert "--where" in done.stderr


class CloudFormation:
    """Two stacks in AWS, described as CloudFormation does."""

    def describe_stacks(self, *, StackName: str) -> Any:
        if StackName not in ("quorum-prod", "another"):
            message = f"Stack with id {StackName} does not exist"
            refusal = {"Code": "ValidationError", "Message": message}
            raise ClientError({"Error": refusal}, "DescribeStacks")  # type: ignore[typeddict-item] # as AWS sends it
        outputs = {"ApiUrl": f"https://{StackName}/v1", "ChatUrl": f"wss://{StackName}/v1"}
        described = {
            "Parameters": [{"ParameterKey": "DefaultPanel", "ParameterValue": "economy"}],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        }
        return {"Stacks": [described]}


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS account with two stacks."""
    monkeypatch.setattr(deployment, "client", lambda *_: CloudFormation())


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("where", "api"),
    [
        ("prod", "https://quorum-prod/v1"),
        ("quorum-prod", "https://quorum-prod/v1"),
        ("another", "https://another/v1"),
        ("https://api.example/v1", "https://api.example/v1"),
    ],
)
def test_where_is_a_profile_a_stack_or_a_url(
    monkeypatch: pytest.MonkeyPatch, where: str, api: str
) -> None:
    monkeypatch.setenv("QUORUM_API_KEY", "qk_one")
    assert deployment.api_of(where) == (api, "qk_one")
    if "://" not in where:
        assert deployment.chat_of(where)[0] == api.replace("https", "wss")
        assert deployment.default_panel(where) == "economy"


@pytest.mark.usefixtures("deployed")
def test_a_deployment_that_is_not_there_is_named_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUORUM_API_KEY", "qk_one")
    done = CliRunner().invoke(app, ["costs", "--where", "pord"], env={"COLUMNS": "300"})
    assert done.exit_code == ExitCode.ERROR
    assert "no deployment 'pord'" in done.stderr
    assert "profile of samconfig.toml (default, prod)" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["chat", "hi", "--where", "https://api.example"], "ChatUrl"),
        (["costs", "--where", "wss://chat.example"], "https://"),
        (["panel", "put", "default", "--where", "https://api.example"], "AWS credentials"),
    ],
)
def test_a_url_that_does_not_do_is_a_usage_error_that_says_which_does(
    monkeypatch: pytest.MonkeyPatch, command: list[str], said: str
) -> None:
    monkeypatch.setenv("QUORUM_API_KEY", "qk_one")
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr


@pytest.mark.parametrize("where", ["https://api.example", "wss://chat.example"])
def test_a_deployment_needs_its_key_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.delenv("QUORUM_API_KEY", raising=False)
    command = ["chat", "hi"] if where.startswith("wss") else ["costs"]
    done = CliRunner().invoke(app, [*command, "--where", where], env={"COLUMNS": "200"})
    assert done.exit_code == ExitCode.USAGE
    assert "QUORUM_API_KEY" in done.stderr


# ---- as typed in a shell ---------------------------------------------------------------------


def test_every_command_reads_env_files_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("QUORUM_FROM_FILE='file'\nQUORUM_FROM_BOTH=file\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setattr(os, "environ", os.environ | {"QUORUM_FROM_BOTH": "environment"})
    monkeypatch.setattr(sys, "argv", ["quorum", "--version"])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        command_line.main()
    signal.signal(signal.SIGINT, before)
    assert os.environ["QUORUM_FROM_FILE"] == "file"
    assert os.environ["QUORUM_FROM_BOTH"] == "environment"


def test_ctrl_c_interrupts_although_the_parent_ignores_it(tmp_path: Path) -> None:
    reading = [sys.executable, "-m", "cli.app", "chat", "--where", "wss://127.0.0.1:9"]
    ignoring = f"trap '' INT; exec {subprocess.list2cmdline(reading)}"
    waiting = "import time; time.sleep(60)"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "import websockets.sync.client as client\n"
        "def connect(*_, **__):\n"
        "    print('connecting', flush=True)\n"
        f"    {waiting}\n"
        "client.connect = connect\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "QUORUM_API_KEY": "k"}
    with subprocess.Popen(
        ["/bin/sh", "-c", ignoring], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "connecting\n"
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=20) == ExitCode.INTERRUPTED


RESOLVER_OF_SILENCE = """
import socket, sys, time
def never(*_, **__): time.sleep(30)
socket.getaddrinfo = never
sys.argv = ["quorum", "doctor", "--base-url", "https://gateway.example/v1", "--api-key", "sk",
            "--seconds", "1"]
from cli.app import main
main()
"""


def test_a_command_does_not_wait_for_a_resolver_that_never_answers() -> None:
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", RESOLVER_OF_SILENCE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "no answer in time" in ended.stdout
    assert time.monotonic() - begun < 20  # the look-up takes 30 s
