"""The ends of a command: its exit code, and one sentence about any error."""

import os
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
)
from pydantic import ValidationError
from quorum.core.errors import QuorumError
from quorum.core.rejection import plain_message
from rich.markup import escape
from typer import Abort, Exit, TyperException
from typer.core import TyperGroup

from cli.output import SafeConsole

_TOO_LARGE = 413
_NOT_TO_BE_OPENED = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""The errors of a file that was named: the argument is wrong."""


class ExitCode(IntEnum):
    """The exit code of every command."""

    COMPLETE = 0
    ERROR = 1  # also: incomplete
    USAGE = 2
    UNREACHABLE = 4
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 complete, 1 error or incomplete (an item has no result), 2 usage,"
    " 4 the deployment cannot be reached or is unavailable, 130 interrupted."
)


class CommandFailed(Exception):
    """A command that cannot continue; `message` is a whole sentence for its user."""

    code = ExitCode.ERROR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DeploymentRefused(CommandFailed):
    """The deployment answered a request with a 4xx `status`; `message` is the deployment's.

    `error` is the error of its answer: `code`, `message`, and if it has them `field` and `limit`.
    """

    def __init__(
        self, message: str, status: int, error: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = dict(error)
        if status == httpx.codes.BAD_REQUEST and self.error.get("field"):
            self.code = ExitCode.USAGE  # the value of an argument

    def is_about(self, field: str) -> bool:
        """Whether it was the value of this field that was refused."""
        return self.error.get("field") == field or self.status == _TOO_LARGE


class DeploymentUnreachable(CommandFailed):
    """The deployment does not answer or is unavailable; the same command may work later."""

    code = ExitCode.UNREACHABLE


class Ending(NamedTuple):
    """The sentence about an error, and the exit code."""

    sentence: str
    code: ExitCode


class Boundary(TyperGroup):
    """The one place where an error becomes a sentence and an exit code.

    `--traceback` lets unexpected errors through, which are faults of Quorum itself.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error is printed as one sentence to stderr."""
        try:
            return super().invoke(ctx)
        except (Exit, Abort, EOFError, TyperException):  # Typer's own ways to end a command
            raise
        except BrokenPipeError:  # the reader of the output has closed it; Typer ends quietly
            raise
        except Exception as error:
            ending = ending_of(error)
            if ending is None:
                if ctx.params.get("traceback"):
                    raise
                ending = _unexpected(error)
            print_error(ending.sentence)
            raise Exit(ending.code) from error


def print_error(sentence: str) -> None:
    """Print `sentence` to stderr, wrapped at words."""
    SafeConsole(stderr=True, highlight=False).print(f"[bold red]Error:[/] {escape(sentence)}")


def ending_of(error: Exception) -> Ending | None:
    """The sentence and the exit code of an expected error; None for any other."""
    match error:
        case CommandFailed():
            return Ending(error.message, error.code)
        case httpx.HTTPError():
            return Ending(f"The connection failed: {_reason(error)}.", ExitCode.UNREACHABLE)
        case BotoCoreError() | ClientError():
            return _of_aws(error)
        case UnicodeDecodeError() | OSError():
            code = ExitCode.USAGE if isinstance(error, _NOT_TO_BE_OPENED) else ExitCode.ERROR
            return Ending(of_file(error), code)
        case QuorumError():
            return Ending(_sentence(error), ExitCode.ERROR)
        case _:
            return None


def first_problem(error: ValidationError) -> str:
    """The first thing wrong with a document: its field, and the problem."""
    problem = error.errors(include_url=False, include_input=False)[0]
    named = problem.get("ctx", {}).get("field")
    where = ".".join(str(part) for part in (*problem["loc"], *([named] if named else [])))
    message = plain_message(problem)
    return f"{where}: {message}" if where else message


def _of_aws(error: BotoCoreError | ClientError) -> Ending:
    match error:
        case NoRegionError():
            said = "AWS needs a region: set AWS_DEFAULT_REGION, or use a profile that has one"
            return Ending(f"{said}.", ExitCode.USAGE)
        case NoCredentialsError():
            said = "AWS needs credentials: sign in with `aws configure` or set AWS_PROFILE"
            return Ending(f"{said}.", ExitCode.USAGE)
        case EndpointConnectionError() | HTTPClientError():
            return Ending(f"AWS cannot be reached: {_reason(error)}.", ExitCode.UNREACHABLE)
        case _:
            return Ending(f"AWS refuses: {_reason(error)}.", ExitCode.ERROR)


def of_file(error: UnicodeDecodeError | OSError) -> str:
    """A sentence about a file that cannot be read or written."""
    if isinstance(error, UnicodeDecodeError):
        return "The file is not UTF-8 text: save it as UTF-8 first."
    said = os.strerror(error.errno) if error.errno else str(error)
    return f"{error.filename}: {said}." if error.filename else f"{said}."


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")


def _sentence(error: Exception) -> str:
    said = _reason(error)
    return f"{said[:1].upper()}{said[1:]}."


def _unexpected(error: Exception) -> Ending:
    kind = type(error).__name__
    return Ending(
        f"This is a fault in Quorum itself ({kind}: {_reason(error)})."
        " `quorum --traceback …` shows where it happened.",
        ExitCode.ERROR,
    )
