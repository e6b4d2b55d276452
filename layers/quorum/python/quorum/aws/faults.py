"""The errors of AWS's clients, turned into `StoreUnavailable` in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from quorum.core.errors import StoreUnavailable

AWS_ERRORS = (ClientError, BotoCoreError)
"""Every error of a client: an error of the service, or no answer (connection, credentials)."""


def code_of(error: BaseException) -> str:
    """The service's code of an error, such as `ThrottlingException`; empty for any other."""
    if not isinstance(error, ClientError):
        return ""
    response: dict[str, Any] = dict(error.response)
    return str(response.get("Error", {}).get("Code", ""))


REFUSED = frozenset(
    {
        "InvalidMessageContents",
        "InvalidParameterValue",
        "ItemCollectionSizeLimitExceeded",
        "ItemCollectionSizeLimitExceededException",
        "MessageTooLong",
        "ValidationError",
        "ValidationException",
    }
)
"""Codes of DynamoDB and SQS for a request that will never be taken: it is at fault itself."""


def refused(error: BaseException) -> bool:
    """Whether AWS will never take the request that failed, or that `StoreUnavailable` is about.

    Every other error may pass: a throttle, a lost connection, a right or a table that is missing
    until somebody puts it right.
    """
    cause = error.__cause__ if isinstance(error, StoreUnavailable) else error
    if not isinstance(cause, ClientError):
        return False
    response: dict[str, Any] = dict(cause.response)
    cancelled = {str(one.get("Code")) for one in response.get("CancellationReasons") or ()}
    return not REFUSED.isdisjoint({code_of(cause).rpartition(".")[2], *cancelled})


@contextmanager
def unavailable(message: str) -> Iterator[None]:
    """Raise `StoreUnavailable(message)` for any error of an AWS client inside the block.

    The message is for the log and names the action that failed; it never quotes content. Catch
    failed conditions inside the block.
    """
    try:
        yield
    except AWS_ERRORS as error:
        raise StoreUnavailable(message) from error
