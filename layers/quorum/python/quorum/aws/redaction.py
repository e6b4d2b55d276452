"""Errors without the content they may quote, for everything that is logged.

Only Quorum's own errors promise that their message quotes no content. The message of any other
exception may: pydantic's quotes the input, a JSON reader's the document. What is kept of those is
their type, the service's code where AWS sent them, and where in Quorum's own code they passed.
"""

import logging
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from quorum.aws.faults import code_of
from quorum.core.errors import QuorumError

_LOGGER = logging.getLogger(__name__)
_OURS = frozenset({"quorum", "embedded", "app", "functions"})
"""First part of the names of modules whose frames are kept; a handler's own module is `app`."""
_FRAMES = 20
"""Frames kept of one traceback, the innermost: runaway recursion has a thousand."""
_DEPTH = 10
"""Errors kept of one chain or group of errors."""


class Redacted(Exception):
    """Stands for an error in logs; every stand-in has a subclass, called as the error's class."""


def redacted(error: BaseException, depth: int = _DEPTH) -> Redacted:
    """A stand-in for `error`, with its causes, its group and our own frames, without content."""
    kind: type[Redacted] = type(
        type(error).__name__, (Redacted,), {"__module__": type(error).__module__}
    )
    stand_in = kind(_message(error))
    stand_in.__traceback__ = _own_frames(error.__traceback__)
    if depth > 0:
        if error.__cause__ is not None:
            stand_in.__cause__ = redacted(error.__cause__, depth - 1)
        if error.__context__ is not None and not error.__suppress_context__:
            stand_in.__context__ = redacted(error.__context__, depth - 1)
        # An exception that was raised in a group has no other trace: the first is shown as a cause.
        if isinstance(error, BaseExceptionGroup) and error.__cause__ is None:
            stand_in.__cause__ = redacted(error.exceptions[0], depth - 1)
    return stand_in


def _message(error: BaseException) -> str:
    if isinstance(error, QuorumError):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        kinds = ", ".join(type(one).__name__ for one in error.exceptions[:_DEPTH])
        return f"{len(error.exceptions)} errors: {kinds}"
    code = code_of(error)
    place = _place(error.__traceback__)
    return " ".join(part for part in (code, place) if part)


def _is_ours(trace: TracebackType) -> bool:
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in _OURS


def _kept(trace: TracebackType | None) -> list[TracebackType]:
    kept: list[TracebackType] = []
    while trace is not None:
        if _is_ours(trace):
            kept.append(trace)
        trace = trace.tb_next
    return kept[-_FRAMES:]


def _own_frames(trace: TracebackType | None) -> TracebackType | None:
    found: TracebackType | None = None
    for one in reversed(_kept(trace)):
        found = TracebackType(found, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return found


def _place(trace: TracebackType | None) -> str:
    kept = _kept(trace)
    if not kept:
        return ""
    frame = kept[-1].tb_frame
    return f"in {frame.f_globals['__name__']}.{frame.f_code.co_name}, line {kept[-1].tb_lineno}"


def _shown(value: Any) -> Any:
    return redacted(value) if isinstance(value, BaseException) else value


class _Record(logging.LogRecord):
    """A log record that holds stand-ins in place of errors, whichever formatter writes it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if isinstance(self.args, Mapping):
            self.args = {name: _shown(value) for name, value in self.args.items()}
        elif self.args:
            self.args = tuple(_shown(value) for value in self.args)
        self.msg = _shown(self.msg)
        if self.exc_info and self.exc_info[1] is not None:
            stand_in = redacted(self.exc_info[1])
            self.exc_info = type(stand_in), stand_in, stand_in.__traceback__


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - as `warnings.showwarning` is called
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - as above
    line: str | None = None,  # noqa: ARG001 - as above
) -> None:
    """Log a warning's kind and place: pydantic's, for one, quotes the value it is about."""
    _LOGGER.warning("%s at %s:%d", category.__name__, filename, lineno)


def keep_content_out_of_logs() -> None:
    """Redact errors in every log record and warning of this process from now on."""
    logging.setLogRecordFactory(_Record)
    warnings.showwarning = _log_warning
