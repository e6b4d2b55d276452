"""What `make deploy` does around `sam deploy`: see docs/decisions/0034-undoing.md.

python -m local.release mark template.yaml Name=value …
python -m local.release protect default
"""

import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from samcli import yamlhelper

ROOT = Path(__file__).resolve().parent.parent
MARK = "PARAMETERS"
"""The variable of every function that differs when the values of parameters do."""

app = typer.Typer(help=__doc__, no_args_is_help=True)


def marked(template: dict[str, Any], values: list[str]) -> dict[str, Any]:
    """The template, so that functions are published anew when `values` are not those of before.

    SAM tells a function's versions apart by its properties as they are written: `!Ref BudgetDayUsd`
    is the same text whatever the budget is.
    """
    digest = sha256("\0".join(sorted(values)).encode()).hexdigest()[:16]
    template["Globals"]["Function"]["Environment"]["Variables"][MARK] = digest
    return template


@app.command()
def mark(
    built: Path, values: Annotated[list[str] | None, typer.Argument(help="Name=value")] = None
) -> None:
    """Mark a built template with the values of parameters that it is deployed with."""
    template = marked(yamlhelper.yaml_parse(built.read_text()), values or [])
    built.write_text(yamlhelper.yaml_dump(template))


@app.command()
def protect(profile: str) -> None:
    """Protect the stack of a profile of samconfig.toml from being deleted."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stack = settings[profile]["global"]["parameters"]["stack_name"]
    boto3.client("cloudformation").update_termination_protection(
        StackName=stack, EnableTerminationProtection=True
    )
    typer.echo(f"{stack} is protected: it cannot be deleted until that is taken off")


if __name__ == "__main__":
    app()
