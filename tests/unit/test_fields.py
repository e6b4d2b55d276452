"""Values of a caller that are kept as they are."""

from typing import Any

import pytest
from quorum.core.fields import unkeepable


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(("depth", "kept"), [(99, True), (100, False), (900, False)])
def test_a_schema_that_is_nested_deeper_than_it_could_be_stored_is_refused(
    kind: type, depth: int, *, kept: bool
) -> None:
    schema: Any = kind()
    for _ in range(depth - 1):
        schema = [schema] if kind is list else {"in": schema}
    found = unkeepable({"schema": schema})
    assert (found is None) is kept
    if not kept:
        assert found == "more than 100 objects and lists one in another"
