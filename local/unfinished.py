"""What an interrupted `make up` leaves behind: a bucket, and a stack that is not complete."""

import time
from typing import Any

from botocore.exceptions import ClientError

PATIENCE_SECONDS = 120.0
"""Seconds that a stack may take to be created or deleted."""
POLL_SECONDS = 1
_OURS_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
_UNDER_WAY = ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
_NEVER_COMPLETE = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""States of a stack whose creation or deletion did not end well."""


def require_bucket(s3: Any, bucket: str) -> None:
    """Create `bucket` unless an earlier `up` has."""
    try:
        s3.create_bucket(Bucket=bucket)
    except ClientError as error:
        # Every bucket of the local stack is ours, whichever of the two it answers.
        if error.response["Error"]["Code"] not in _OURS_ALREADY:
            raise


def remove_unfinished(formation: Any, name: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Delete a stack that an interrupted `up` never completed: `sam deploy` cannot update it.

    One that is still under way is waited for, `seconds` at most. A stack that was complete once is
    left alone: it holds data. Its resources with `DeletionPolicy: Retain` stay, and are empty.
    """
    patience = time.monotonic() + seconds
    while (found := status(formation, name)) in _UNDER_WAY and time.monotonic() < patience:
        time.sleep(POLL_SECONDS)
    if found in (*_UNDER_WAY, *_NEVER_COMPLETE):
        formation.delete_stack(StackName=name)
        formation.get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": int(seconds) + 1}
        )


def status(formation: Any, name: str) -> str:
    """The state of the stack in CloudFormation; empty if there is none."""
    try:
        (found,) = formation.describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return ""
    return str(found["StackStatus"])
