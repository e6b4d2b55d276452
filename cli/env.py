"""`quorum env`: print the addresses and keys of a deployment as lines for a shell."""

import os
import shlex

import typer

from cli import deployment
from cli.deployment import KEY_VARIABLE, LOCAL, Where
from cli.output import AsJson, print_json


def env(where: Where = "local", *, as_json: AsJson = False) -> None:
    """Print `export` lines: addresses and keys, as the documentation's examples use them.

    In a shell: eval "$(quorum env)".
    """
    variables = _variables(where)
    if as_json:
        print_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _variables(where: str) -> dict[str, str]:
    if where == LOCAL:
        return deployment.local_stack().variables()
    outputs = deployment.outputs_of(where)
    found = {"API": outputs["ApiUrl"], "CHAT": outputs["ChatUrl"], "QUEUE": outputs["QueueUrl"]}
    key = os.environ.get(KEY_VARIABLE)
    return found if key is None else found | {"KEY": key}
