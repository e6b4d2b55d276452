"""The errors: one table, written down in their module and read by everything that maps them."""

import re
from typing import Any

import pytest
from quorum.core import errors
from quorum.core.errors import QuorumError

_ROW = re.compile(
    r"^[ │├└─]*(?P<name>[A-Z]\w+)\s+(?P<code>one of its own|[a-z_]+)\s+(?P<status>\d{3})"
    r"(?P<transient>\s+yes)?$",
    re.MULTILINE,
)


GROUPS = {"QuorumError", "RequestRejected", "VoteUnavailable", "_Unavailable"}
"""What is raised only as one of its kinds."""


def every(kind: type[QuorumError] = QuorumError) -> list[type[QuorumError]]:
    """Every error of the module that is raised."""
    below = [found for sub in kind.__subclasses__() for found in every(sub)]
    raised = kind.__module__ == errors.__name__ and kind.__name__ not in GROUPS
    return [kind, *below] if raised else below


def test_the_table_in_the_docstring_is_what_the_classes_say() -> None:
    told = {row["name"]: row for row in _ROW.finditer(str(errors.__doc__))}
    assert set(told) == {kind.__name__ for kind in every()}
    for kind in every():
        row = told[kind.__name__]
        assert int(row["status"]) == kind.http_status, kind
        assert bool(row["transient"]) is kind.transient, kind
        if row["code"] != "one of its own":
            assert row["code"] in {kind.code, "budget_spent"}, kind


@pytest.mark.parametrize("kind", every(), ids=lambda kind: kind.__name__)
def test_what_a_caller_is_told_to_try_again_is_never_their_own_mistake(kind: Any) -> None:
    mistake = kind.http_status in {400, 403, 404, 409, 413}
    assert not (kind.transient and mistake)
    assert kind.transient or kind.http_status != 503
