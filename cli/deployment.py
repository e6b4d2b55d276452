"""The deployment a command talks to: `--where` means the same for every command."""

import os
import tomllib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CommandFailed, DeploymentUnreachable

if TYPE_CHECKING:
    from local.state import Stack

LOCAL = "local"
KEY_VARIABLE = "QUORUM_API_KEY"
PROFILES = "samconfig.toml"
"""The file whose profiles `--where` may name; each gives the name of a stack in AWS."""

Where = Annotated[
    str,
    typer.Option(
        help="`local`, the URL of a deployment, or its profile: one of samconfig.toml, or the"
        " name of its stack in AWS"
    ),
]


def is_url(where: str) -> bool:
    """Whether `where` is an address, not a name."""
    return "://" in where


def api_of(where: str, *, operator: bool = False) -> tuple[str, str]:
    """The base URL of the HTTP API and the key; with `operator`, a local operator's key.

    Raises `CommandFailed` if there is no such deployment, and `typer.BadParameter` if its key or
    its URL is missing.
    """
    if where == LOCAL:
        stack = local_stack()
        return stack.api, stack.operator_key if operator else stack.key
    if is_url(where):
        if not where.startswith(("http://", "https://")):
            raise typer.BadParameter(
                f"{where} is not the URL of an HTTP API: that begins with https://"
            )
        return where, key()
    return outputs_of(where)["ApiUrl"], key()


def chat_of(where: str) -> tuple[str, str]:
    """The WebSocket URL of the chat and the key; raises as `api_of`."""
    if where == LOCAL:
        stack = local_stack()
        return stack.chat, stack.key
    if is_url(where):
        if not where.startswith(("ws://", "wss://")):
            raise typer.BadParameter(
                f"{where} is not the URL of a chat: give the deployment's ChatUrl (wss://…), or its"
                " profile, whose ChatUrl is looked up"
            )
        return where, key()
    return outputs_of(where)["ChatUrl"], key()


def key() -> str:
    """The key to a deployment, from the environment; raises `typer.BadParameter`."""
    found = os.environ.get(KEY_VARIABLE)
    if not found:
        raise typer.BadParameter(
            f"set {KEY_VARIABLE} to the deployment's key, in the environment or in .env"
        )
    return found


def local_stack() -> "Stack":
    """The stack `make up` started; raises `DeploymentUnreachable` if none runs."""
    clone = _clone()
    folder = Path(os.environ.get("QUORUM_LOCAL", clone.FOLDER))
    stack: Stack | None = clone.StateDirectory(folder).running()
    if stack is None:
        raise DeploymentUnreachable("No local stack is running. Start one with `make up`.")
    return stack


def _clone() -> ModuleType:
    """The module that knows local stacks; raises `DeploymentUnreachable` where it is not there."""
    try:
        from local import state  # noqa: PLC0415 - only a clone has it
    except ModuleNotFoundError:
        raise DeploymentUnreachable(
            "Only a clone of Quorum has a local stack. Name a deployment with --where."
        ) from None
    return state


# ---- in AWS ----------------------------------------------------------------------------------


def stack_name(where: str) -> str:
    """The name of the stack in AWS that `where` means; raises `typer.BadParameter` for a URL."""
    if is_url(where):
        raise typer.BadParameter(
            "this needs AWS credentials, not a URL: name the deployment's profile or stack"
        )
    if where == LOCAL:
        return str(_clone().STACK)
    profile = _profiles().get(where, {})
    return str(profile.get("global", {}).get("parameters", {}).get("stack_name", where))


def client(where: str, service: str) -> Any:
    """A client of an AWS `service`, in the deployment's account and region."""
    if where == LOCAL:
        return local_stack().client(service)
    import boto3  # noqa: PLC0415 - most commands start without it

    return boto3.client(service)  # type: ignore[call-overload] # any service


def dynamodb(where: str) -> Any:
    """DynamoDB in the deployment's account and region."""
    if where == LOCAL:
        return local_stack().resource()
    import boto3  # noqa: PLC0415 - most commands start without it

    return boto3.resource("dynamodb")


def outputs_of(where: str) -> dict[str, str]:
    """The outputs of the stack in AWS; raises `CommandFailed` if there is no such stack."""
    if where == LOCAL:
        return dict(local_stack().outputs)
    return {output["OutputKey"]: output["OutputValue"] for output in _described(where)["Outputs"]}


def default_panel(where: str) -> str:
    """The panel of requests that name none; raises `CommandFailed` if there is no such stack."""
    if where == LOCAL:
        return local_stack().panel
    given = {one["ParameterKey"]: one["ParameterValue"] for one in _described(where)["Parameters"]}
    return str(given.get("DefaultPanel", "default"))


def _described(where: str) -> Any:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - most commands start without it

    name = stack_name(where)
    try:
        (found,) = client(where, "cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ValidationError":
            raise
        profiles = ", ".join(_profiles()) or "none"
        raise CommandFailed(
            f"There is no deployment {where!r}: it is neither `{LOCAL}`, a URL (https://…), a"
            f" profile of {PROFILES} ({profiles}), nor a stack of this AWS account and region."
        ) from None
    return found


def _profiles() -> dict[str, Any]:
    """The profiles of samconfig.toml: the working directory's, else the checkout's."""
    for folder in (Path.cwd(), Path(__file__).resolve().parent.parent):
        try:
            with (folder / PROFILES).open("rb") as file:
                return {
                    name: value for name, value in tomllib.load(file).items() if name != "version"
                }
        except FileNotFoundError:
            continue
        except tomllib.TOMLDecodeError as error:
            raise CommandFailed(f"{folder / PROFILES} is not TOML: {error}.") from None
    return {}
