"""The local stack: `sam build`, MiniStack, and `sam deploy` of the same template as in AWS.

    python -m local.stack up | down | logs

The started processes are recorded in `.local/stack.json`, so that `down` stops only those and a
second `up` updates in place. The data in `.local/data` survives both.
"""

import fcntl
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import httpx
import typer
from botocore.config import Config
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError
from quorum.aws.keys import Caller, Keys
from rich.console import Console
from samcli import yamlhelper

from local.unfinished import remove_unfinished, require_bucket, status
from local.versions import ALIAS, aliased, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".local"
STACK = "quorum"
TENANT = "local"
FIRST_PORT = 4566
"""Port of MiniStack; if it is busy, the next free one is taken."""
PORTS = 100
LOOPBACK = "127.0.0.1"
EMULATOR = ROOT / "local" / "emulator.py"
"""MiniStack, started by its own Python."""
STAND_IN = "fakes.gateway"
"""The module that stands in for the gateway."""
STAND_IN_NAME = "stand-in"
"""Value of the variable GATEWAY that chooses the stand-in; also its key, which it ignores."""
EMBEDDED = ("Rules", "Characters", "Meaning")
"""The embedded voters, as their functions are called."""
INVENTED = "The models are a stand-in on this machine: their votes and answers are invented."
STAND_IN_PORT = 8600
"""Port of the stand-in; if it is busy, the next free one is taken."""
START_SECONDS = 60
STOP_SECONDS = 15
UPDATE_SECONDS = 120
BUILT_FROM = ("template.yaml", "functions", "layers", "statemachines")

console = Console(stderr=True)
app = typer.Typer(help=__doc__, no_args_is_help=True)


class Stack(BaseModel):
    """A running local stack, as written to `stack.json`."""

    folder: Path
    host: str = LOOPBACK
    port: int
    pid: int
    started: float
    built: str = ""
    deployed: str = ""
    outputs: dict[str, str] = {}
    resources: dict[str, str] = {}
    stage: str = "v1"
    key: str = ""
    operator_key: str = ""
    panel: str = ""
    stand_in: int = 0
    """Process id of the stand-in for the gateway; 0 without one."""
    stand_in_port: int = 0

    @property
    def endpoint(self) -> str:
        """The URL of the stack's AWS services."""
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        """The REST API's base URL."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['ApiId']}/{self.stage}"

    @property
    def chat(self) -> str:
        """The WebSocket API's URL."""
        return self.connections.replace("http", "ws", 1)

    @property
    def connections(self) -> str:
        """The URL to which messages to the WebSocket API's clients are posted."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['ChatApiId']}/{self.stage}"

    def variables(self) -> dict[str, str]:
        """The addresses and keys, under the names in the documentation's examples."""
        return {
            "API": self.api,
            "CHAT": self.chat,
            "QUEUE": self.outputs["QueueUrl"],
            "KEY": self.key,
            "OPERATOR_KEY": self.operator_key,
        }

    def environment(self) -> dict[str, str]:
        """The variables by which an AWS client uses this stack instead of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            # Otherwise StartSyncExecution would call the host sync-127.0.0.1.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of `service` on this stack."""
        return boto3.client(
            service,  # type: ignore[call-overload] # any service of the stack
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 MiniStack takes any
            config=Config(inject_host_prefix=False),
        )

    def new_key(self, caller: Caller) -> str:
        """Issue an API key for `caller`."""
        return self.keys().issue(caller)

    def keys(self) -> Keys:
        """The tables of keys."""
        return Keys(self.resource(), self.outputs["KeysTable"], self.outputs["KeyUseTable"])

    def resource(self) -> Any:
        """DynamoDB on this stack."""
        return boto3.resource(
            "dynamodb",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 MiniStack takes any
        )


class StateDirectory:
    """The folder with the files of a local stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "stack.json"
        self.log = folder / "ministack.log"
        self.data = folder / "data"
        self.scratch = folder / "scratch"
        self.build = folder / "build"
        self.sam_local = folder / "sam-local.json"
        self.stand_in_log = folder / "stand-in.log"

    def running(self) -> Stack | None:
        """The stack that was started from here, if it still runs."""
        stack = self.last()
        return stack if stack and _is_ours(stack) else None

    def last(self) -> Stack | None:
        """The stack that was last started from here."""
        try:
            return Stack.model_validate_json(self.record.read_text())
        except (FileNotFoundError, ValidationError):  # the latter: written by an older version
            return None

    def write(self, stack: Stack) -> None:
        """Record `stack`, readable by its owner only because it holds a key."""
        self.record.touch(mode=0o600)
        self.record.write_text(stack.model_dump_json(indent=2))


def _is_ours(stack: Stack) -> bool:
    """Whether the recorded process is still the MiniStack we started, not another with its id."""
    return _runs(stack.pid, "ministack") and _answers(stack)


def _runs(pid: int, module: str) -> bool:
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


def _answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.endpoint}/_ministack/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_port(host: str, preferred: int) -> int:
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


def fingerprint(*extra: str) -> str:
    """A hash of all files the stack is built from, and of `extra`."""
    digest = sha256("\0".join(extra).encode())
    for file in _sources():
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources() -> "Iterator[Path]":
    for name in BUILT_FROM:
        top = ROOT / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def dotenv() -> dict[str, str]:
    """The variables of `.env` and of the environment, which takes precedence."""
    found = dotenv_values(ROOT / ".env")
    return {name: value for name, value in found.items() if value is not None} | dict(os.environ)


def exports(variables: dict[str, str]) -> list[str]:
    """The `export` lines that set the variables in a shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def parameters(stack: Stack, overrides: dict[str, str]) -> dict[str, str]:
    """The template's parameters for this machine."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": "arm64" if arm else "x86_64",
        "AwsEndpointUrl": stack.endpoint,
        "Stage": stack.stage,
        "GradualDeploys": "false",  # MiniStack has no CodeDeploy
        # One machine: each item judged at once starts a process for every voter.
        "ItemsAtOnce": "1",
        # A developer who deploys a panel here wants to see its effect at once.
        "PanelSeconds": "1",
    } | overrides


def _run(command: list[str], environment: dict[str, str], log: Path) -> None:
    """Run `command` with its output in `log`; on failure show its end and exit."""
    with log.open("a") as output:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        console.print("\n".join(log.read_text().splitlines()[-30:]), markup=False)
        raise SystemExit(f"`{' '.join(command[:2])}` failed; its whole output is in {log}")


def start(home: StateDirectory, settings: dict[str, str]) -> Stack:
    """Start MiniStack, on its last port if that is free; `settings` are its variables."""
    running = home.running()
    if running:
        return running
    last = home.last()
    home.data.mkdir(parents=True, exist_ok=True)
    _discard(home.scratch)
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
    port = _free_port(host, last.port if last else FIRST_PORT)
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
    while not _answers(stack):
        if process.poll() is not None or time.monotonic() > patience:
            raise SystemExit(f"MiniStack did not start; see {home.log}")
        time.sleep(0.2)
    process.returncode = 0  # it outlives this process, which does not wait for it
    return stack


def start_stand_in(home: StateDirectory, stack: Stack) -> Stack:
    """Start the stand-in for the gateway, on its last port if free; returns the stack with it."""
    if _runs(stack.stand_in, STAND_IN):
        return stack
    port = _free_port(LOOPBACK, stack.stand_in_port or STAND_IN_PORT)
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
    if _runs(stack.stand_in, STAND_IN):
        os.kill(stack.stand_in, signal.SIGTERM)
    return stack.model_copy(update={"stand_in": 0})


def _move_queues(home: StateDirectory, old: int, new: int) -> None:
    """Move the queues to a new port: MiniStack stores each under its URL, port included."""
    for name in ("sqs", "lambda", "cloudformation"):
        file = home.data / f"{name}.json"
        if file.exists():
            kept = file.read_text()
            file.write_text(kept.replace(f"//localhost:{old}/", f"//localhost:{new}/"))


def deploy(home: StateDirectory, stack: Stack, overrides: dict[str, str]) -> Stack:
    """Build and deploy the current template, unless nothing has changed."""
    wanted = parameters(stack, overrides)
    pairs = [f"{name}={value}" for name, value in wanted.items()]
    state = fingerprint(*pairs)
    if state == stack.deployed and _deployed(stack):
        return stack
    built = fingerprint(wanted["PythonRuntime"], wanted["Architecture"])
    if built == stack.built and home.build.exists() and _stands(stack):
        _settle_parameters(home.build / "template.yaml", wanted)
        _update_parameters(stack, wanted)
    else:
        _build_and_deploy(home, stack, wanted)
    described = stack.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    listed = stack.client("cloudformation").describe_stack_resources(StackName=STACK)
    resources = {
        found["LogicalResourceId"]: found["PhysicalResourceId"]
        for found in listed["StackResources"]
    }
    stack = stack.model_copy(
        update={"built": built, "deployed": state, "outputs": outputs, "resources": resources}
    )
    home.write(stack)
    return stack


def _build_and_deploy(home: StateDirectory, stack: Stack, wanted: dict[str, str]) -> None:
    """Build the template with `sam build` and deploy it with `sam deploy`."""
    pairs = [f"{name}={value}" for name, value in wanted.items()]
    log = home.folder / "sam.log"
    log.write_text("")
    environment = stack.environment() | {
        "PYTHON_RUNTIME": wanted["PythonRuntime"],
        "ARCHITECTURE": wanted["Architecture"],
        "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
    }
    sam = str(ROOT / ".venv/bin/sam")
    built = fingerprint(wanted["PythonRuntime"], wanted["Architecture"])
    if built != stack.built or not home.build.exists():
        with console.status("sam build…"):
            _run(
                [sam, "build", "--build-dir", str(home.build), "--parameter-overrides", *pairs],
                environment,
                log,
            )
    _settle_parameters(home.build / "template.yaml", wanted)
    bucket = f"{STACK}-local"
    require_bucket(stack.client("s3"), bucket)
    with console.status("looking for a stack that was left unfinished…"):
        remove_unfinished(stack.client("cloudformation"), STACK)
    with console.status("sam deploy…"):
        _run(
            [
                *(sam, "deploy", "--template-file", str(home.build / "template.yaml")),
                *("--stack-name", STACK, "--s3-bucket", bucket),
                *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
                *("--no-fail-on-empty-changeset", "--no-progressbar"),
                *("--parameter-overrides", *pairs),
            ],
            environment,
            log,
        )


def _stands(stack: Stack) -> bool:
    """Whether CloudFormation has the complete stack; its data may have been removed."""
    return status(stack.client("cloudformation"), STACK) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _update_parameters(stack: Stack, wanted: dict[str, str]) -> None:
    """Change the deployed template's parameters, in a fifth of the time of `sam deploy`."""
    formation = stack.client("cloudformation")
    formation.update_stack(
        StackName=STACK,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()
        ],
    )
    waiter = formation.get_waiter("stack_update_complete")
    with console.status("updating the parameters…"):
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": UPDATE_SECONDS})
    found = formation.describe_stack_resources(StackName=STACK)["StackResources"]
    publish(stack.client("lambda"), aliased(found))


def _settle_parameters(built: Path, wanted: dict[str, str]) -> None:
    """Make `wanted` the defaults of a built template, so that `sam local invoke` uses them."""
    template = yamlhelper.yaml_parse(built.read_text())
    for name, value in wanted.items():
        parameter = template["Parameters"][name]
        parameter["Default"] = value
        # Python 3.11 works here, although Lambda's own image of it is too old for the packages.
        if name == "PythonRuntime" and value not in parameter["AllowedValues"]:
            parameter["AllowedValues"].append(value)
    built.write_text(yamlhelper.yaml_dump(template))


def _deployed(stack: Stack) -> bool:
    """Whether the stack's API exists; its data may have been removed."""
    try:
        return httpx.get(f"{stack.api}/health", timeout=30).status_code in (200, 401)
    except httpx.HTTPError:
        return False


def provision(home: StateDirectory, stack: Stack, gateway_key: str | None) -> Stack:
    """Issue a key for this machine's tenant, and store the gateway's key if there is one."""
    if not stack.key or stack.keys().caller(stack.key) is None:
        stack = stack.model_copy(
            update={
                "key": stack.new_key(Caller(tenant=TENANT)),
                "operator_key": stack.new_key(Caller(tenant=TENANT, role="deployment_operator")),
            }
        )
        home.write(stack)
    if gateway_key:
        stack.client("secretsmanager").put_secret_value(
            SecretId=stack.outputs["GatewaySecret"], SecretString=gateway_key
        )
    return stack


def warm_up(stack: Stack) -> None:
    """Start the embedded voters' processes, so that the first votes do not wait for them."""
    functions = stack.client("lambda")
    event = (ROOT / "events" / "vote_embedded.json").read_bytes()

    def invoke(voter: str) -> None:
        functions.invoke(
            FunctionName=stack.resources[f"{voter}Function"], Qualifier=ALIAS, Payload=event
        )

    with ThreadPoolExecutor(len(EMBEDDED)) as threads:
        list(threads.map(invoke, EMBEDDED))


def sam_local(stack: Stack) -> dict[str, dict[str, str]]:
    """The `--env-vars` of `sam local invoke`: this stack's names in place of AWS's."""
    # Docker Desktop resolves this name to the machine's loopback address.
    inside = stack.endpoint.replace(LOOPBACK, "host.docker.internal")
    return {
        "Parameters": {
            "AWS_ENDPOINT_URL": inside,
            "GATEWAY_SECRET": f"{STACK}/gateway",
            "VOTE_MACHINE": stack.outputs["VoteMachineArn"],
            "BULK_MACHINE": stack.resources["BulkMachine"],
            "CONNECTIONS_URL": stack.connections.replace(stack.endpoint, inside),
            "CONVERSE_FUNCTION": f"{stack.resources['ConverseFunction']}:{ALIAS}",
            "EMBEDDED_FUNCTIONS": json.dumps(
                {
                    voter.lower(): f"{stack.resources[f'{voter}Function']}:{ALIAS}"
                    for voter in EMBEDDED
                }
            ),
            "ITEMS_QUEUE": stack.resources["ItemsQueue"],
            "DOCUMENTS_QUEUE": stack.resources["DocumentsQueue"],
            "DOCUMENT_MACHINE": stack.resources["DocumentMachine"],
            "DEAD_LETTERS": stack.resources["DeadLetters"],
            "UPLOADS_BUCKET": stack.resources["UploadsBucket"],
            "ALERTS_TOPIC": stack.resources["AlertsTopic"],
            "PANELS_PATH": f"/{STACK}",
            **{
                re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): value
                for name, value in stack.outputs.items()
                if name.endswith("Table")
            },
        }
    }


def start_stack(
    folder: Path,
    overrides: dict[str, str],
    *,
    gateway_key: str | None = None,
    settings: dict[str, str] | None = None,
    stand_in: bool = False,
) -> Stack:
    """Start, deploy and provision the stack whose files are in `folder`.

    `overrides` are parameters of the template, `settings` environment variables of MiniStack. With
    `stand_in` the gateway is a stand-in on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = StateDirectory(folder)
    with console.status("MiniStack…"):
        stack = start(home, settings or {})
        stack = start_stand_in(home, stack) if stand_in else stop_stand_in(stack)
    if stand_in:
        overrides = overrides | {"GatewayBaseUrl": f"http://{LOOPBACK}:{stack.stand_in_port}/v1"}
    stack = deploy(home, stack, overrides)
    stack = stack.model_copy(update={"panel": overrides["DefaultPanel"]})
    home.write(stack)
    home.sam_local.write_text(json.dumps(sam_local(stack), indent=2))
    with console.status("warming up the voters…"):
        warm_up(stack)
    return provision(home, stack, gateway_key)


def stop_stack(folder: Path) -> bool:
    """Stop the stack that was started in `folder`; returns whether there was one."""
    stack = StateDirectory(folder).running()
    if stack is None:
        return False
    StateDirectory(folder).write(stop_stand_in(stack))
    os.kill(stack.pid, signal.SIGTERM)
    patience = time.monotonic() + STOP_SECONDS
    while _alive(stack.pid) and time.monotonic() < patience:
        time.sleep(0.1)
    if _alive(stack.pid):
        os.killpg(stack.pid, signal.SIGKILL)
    _discard(StateDirectory(folder).scratch)
    return True


def _discard(folder: Path) -> None:
    """Remove `folder` in the background: tens of thousands of files take a slow disk a minute."""
    if not folder.exists():
        return
    doomed = folder.rename(folder.with_name(f"{folder.name}-{time.time_ns()}"))
    remover = subprocess.Popen(
        [shutil.which("rm") or "/bin/rm", "-rf", str(doomed)], start_new_session=True
    )
    remover.returncode = 0  # this process does not wait for it


def _alive(pid: int) -> bool:
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


Folder = Annotated[Path, typer.Option(help="the folder with the stack's files")]


@app.command()
def up(folder: Folder = FOLDER) -> None:
    """Build, start and deploy; a second time updates in place."""
    began = time.monotonic()
    environment = dotenv()
    stand_in = environment.get("GATEWAY") == STAND_IN_NAME
    if environment.get("GATEWAY") and not stand_in:
        raise SystemExit(
            f"GATEWAY can only be {STAND_IN_NAME}; set GATEWAY_BASE_URL for another gateway"
        )
    gateway_key = STAND_IN_NAME if stand_in else environment.get("GATEWAY_API_KEY")
    overrides = {"DefaultPanel": "default" if gateway_key else "embedded"}
    if environment.get("GATEWAY_BASE_URL") and not stand_in:
        overrides["GatewayBaseUrl"] = environment["GATEWAY_BASE_URL"]
    if environment.get("ALLOWED_MODEL_HOSTS"):
        overrides["AllowedModelHosts"] = environment["ALLOWED_MODEL_HOSTS"]
    if environment.get("ALLOWED_WEBHOOK_HOSTS"):
        overrides["AllowedWebhookHosts"] = environment["ALLOWED_WEBHOOK_HOSTS"]
    bound = {name: environment[name] for name in ("BIND_HOST",) if name in environment}
    stack = start_stack(
        folder, overrides, gateway_key=gateway_key, settings=bound, stand_in=stand_in
    )
    console.print(f"[green]up[/] in {time.monotonic() - began:.0f} s, panel [bold]{stack.panel}[/]")
    if stack.stand_in:
        console.print(f"[bold]{INVENTED}[/]")
    console.print("`quorum env` prints these lines again:", markup=False)
    for line in exports(stack.variables()):
        typer.echo(line)


@app.command()
def down(folder: Folder = FOLDER) -> None:
    """Stop what `up` started; the data stays."""
    console.print("stopped" if stop_stack(folder) else "no local stack is running")


@app.command()
def logs(folder: Folder = FOLDER, *, follow: bool = False) -> None:
    """Show the logs of the Lambdas and of MiniStack."""
    command = ["tail", "-n", "200", *(["-f"] if follow else []), str(StateDirectory(folder).log)]
    os.execvp("tail", command)  # noqa: S606, S607 becomes tail


if __name__ == "__main__":
    app()
