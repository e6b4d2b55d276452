"""`make up` goes on where an interrupted one stopped."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import unfinished
from local.unfinished import remove_unfinished, require_bucket


class Buckets:
    """S3 that answers as told."""

    def __init__(self, code: str) -> None:
        self._code = code

    def create_bucket(self, **_: str) -> None:
        if self._code:
            raise ClientError({"Error": {"Code": self._code, "Message": ""}}, "CreateBucket")


@pytest.mark.parametrize("code", ["", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"])
def test_a_bucket_that_is_there_is_the_bucket(code: str) -> None:
    require_bucket(Buckets(code), "quorum-local")


def test_any_other_refusal_of_a_bucket_is_raised() -> None:
    with pytest.raises(ClientError):
        require_bucket(Buckets("AccessDenied"), "quorum-local")


class Formation:
    """CloudFormation whose stack passes through the given states; the last one stays."""

    def __init__(self, states: Sequence[str]) -> None:
        self.states = list(states)
        self.deleted: list[str] = []

    def describe_stacks(self, StackName: str) -> Any:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if not state:
            message = f"{StackName} does not exist"
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks"
            )
        return {"Stacks": [{"StackStatus": state}]}

    def delete_stack(self, StackName: str) -> None:
        self.deleted.append(StackName)
        self.states = [""]

    def get_waiter(self, name: str) -> "Formation":
        assert name == "stack_delete_complete"
        return self

    def wait(self, **_: Any) -> None:
        assert self.states == [""]


@pytest.mark.parametrize(
    ("states", "deleted"),
    [
        ([""], False),
        (["CREATE_COMPLETE"], False),
        (["UPDATE_COMPLETE"], False),
        (["UPDATE_ROLLBACK_COMPLETE"], False),
        (["UPDATE_IN_PROGRESS"], False),
        (["REVIEW_IN_PROGRESS"], False),
        (["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"], False),
        (["DELETE_IN_PROGRESS", ""], False),
        (["CREATE_IN_PROGRESS"], True),
        (["CREATE_FAILED"], True),
        (["ROLLBACK_COMPLETE"], True),
        (["ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"], True),
        (["ROLLBACK_FAILED"], True),
        (["DELETE_FAILED"], True),
    ],
    ids=lambda one: re.sub(r"[\[\]' ]", "", str(one)),
)
def test_only_a_stack_that_was_never_complete_is_deleted(
    monkeypatch: pytest.MonkeyPatch, states: list[str], *, deleted: bool
) -> None:
    monkeypatch.setattr(unfinished, "POLL_SECONDS", 0.001)
    formation = Formation(states)
    remove_unfinished(formation, "quorum", seconds=0.05)
    assert formation.deleted == (["quorum"] if deleted else [])
