"""The local stack: `sam build`, MiniStack, and `sam deploy` of the same template as in AWS.

    python -m local.stack up | down | logs

The started processes are recorded in `.local/stack.json`, so that `down` stops only those and a
second `up` updates in place. The data in `.local/data` survives both.
"""

import json
import os
import re
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values
from quorum.aws.keys import Caller

from local import servers
from local.deploying import console, deploy
from local.processes import LOOPBACK
from local.state import FOLDER, ROOT, STACK, TENANT, Stack, StateDirectory
from local.versions import ALIAS

STAND_IN_NAME = "stand-in"
"""Value of the variable GATEWAY that chooses the stand-in; also its key, which it ignores."""
EMBEDDED = ("Rules", "Characters", "Meaning")
"""The embedded voters, as their functions are called."""
INVENTED = "The models are a stand-in on this machine: their votes and answers are invented."

app = typer.Typer(help=__doc__, no_args_is_help=True)


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
        stack = servers.start(home, settings or {})
        stack = servers.start_stand_in(home, stack) if stand_in else servers.stop_stand_in(stack)
    if stand_in:
        overrides = overrides | {"GatewayBaseUrl": f"http://{LOOPBACK}:{stack.stand_in_port}/v1"}
    stack = deploy(home, stack, overrides)
    stack = stack.model_copy(update={"panel": overrides["DefaultPanel"]})
    home.write(stack)
    home.sam_local.write_text(json.dumps(sam_local(stack), indent=2))
    with console.status("warming up the voters…"):
        warm_up(stack)
    return provision(home, stack, gateway_key)


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


def stop_stack(folder: Path) -> bool:
    """Stop the stack that was started in `folder`; returns whether there was one."""
    home = StateDirectory(folder)
    stack = home.running()
    if stack is None:
        return False
    servers.stop(home, stack)
    return True


def dotenv() -> dict[str, str]:
    """The variables of `.env` and of the environment, which takes precedence."""
    found = dotenv_values(ROOT / ".env")
    return {name: value for name, value in found.items() if value is not None} | dict(os.environ)


def exports(variables: dict[str, str]) -> list[str]:
    """The `export` lines that set the variables in a shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


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
