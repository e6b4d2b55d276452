"""The boundary of every Lambda handler: the last place where an error can be told or kept."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from quorum.aws.redaction import keep_content_out_of_logs, redacted
from quorum.aws.telemetry import logger
from quorum.core.errors import QuorumError

_P = ParamSpec("_P")
_T = TypeVar("_T")


def guarded(handler: Callable[_P, _T]) -> Callable[_P, _T]:
    """`handler`, whose errors reach the Lambda runtime without content.

    The runtime prints the error it gets, and a state machine keeps it. Quorum's own errors go on as
    they are, without their causes: their messages quote no content, and state machines retry by
    their names. Any other error is logged and becomes a stand-in of the same name.
    """
    keep_content_out_of_logs()

    @wraps(handler)
    def within(*arguments: _P.args, **named: _P.kwargs) -> _T:
        try:
            return handler(*arguments, **named)
        except QuorumError as error:
            if error.__cause__ is not None:
                logger.error("handler failed", exc_info=error)
            raise _alone(error) from None
        except Exception as error:  # noqa: BLE001 - the last boundary
            logger.error("handler failed", exc_info=error)
            failure = redacted(error)
        raise failure.with_traceback(None)

    return within


def _alone(error: QuorumError) -> QuorumError:
    error.__cause__ = error.__context__ = None
    error.__notes__ = []
    return error
