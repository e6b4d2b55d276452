"""A running local stack: its addresses, its clients, and the folder with its files."""

from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from pydantic import BaseModel, ValidationError
from quorum.aws.keys import Caller, Keys

from local.processes import LOOPBACK, runs

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".local"
STACK = "quorum"
TENANT = "local"
STAND_IN = "fakes.gateway"
"""The module that is the stand-in for the gateway."""


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
    def stand_in_url(self) -> str | None:
        """The base URL of the stand-in, if it runs: it listens on this machine alone."""
        if not runs(self.stand_in, STAND_IN):
            return None
        return f"http://{LOOPBACK}:{self.stand_in_port}/v1"

    @property
    def connections(self) -> str:
        """The URL to which messages to the WebSocket API's clients are posted."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['ChatApiId']}/{self.stage}"

    def answers(self) -> bool:
        """Whether MiniStack answers at the endpoint."""
        try:
            return httpx.get(f"{self.endpoint}/_ministack/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

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
    return runs(stack.pid, "ministack") and stack.answers()
