"""What AWS's clients raise: named once, turned into the project's own error in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from quorum.core.errors import StoreUnavailable

AWS_ERRORS = (ClientError, BotoCoreError)
"""Every error of a client: an answer of the service, or none (connection, timeout, credentials)."""


def code_of(error: BaseException) -> str:
    """The service's code of an error, such as `ThrottlingException`; empty for any other."""
    if not isinstance(error, ClientError):
        return ""
    response: dict[str, Any] = dict(error.response)
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def unavailable(message: str) -> Iterator[None]:
    """Raise `StoreUnavailable(message)` for whatever an AWS client raises inside.

    The message is for the log and names what could not be done; it never quotes content. Conditions
    that failed are caught inside, by those who set them.
    """
    try:
        yield
    except AWS_ERRORS as error:
        raise StoreUnavailable(message) from error
