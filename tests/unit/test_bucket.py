"""Objects of a bucket whose length S3 does not say beforehand."""

import io
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.response import StreamingBody
from quorum.aws.bucket import Bucket
from quorum.core.errors import StoreUnavailable, TooLarge


def bucket(content: bytes, announced: int | None = None) -> Bucket:
    """A bucket with one object; `announced` is the length in the answer's head."""
    made: Any = StreamingBody
    body = made(io.BytesIO(content), announced)
    return Bucket(Mock(get_object=Mock(return_value={"Body": body})), "uploads")


@pytest.mark.parametrize("announced", [None, 5])
def test_an_object_up_to_the_limit_is_read_whole_whether_its_length_is_announced_or_not(
    announced: int | None,
) -> None:
    assert bucket(b"12345", announced).get("documents/a", most_bytes=5) == b"12345"
    assert bucket(b"12345", announced).get("documents/a") == b"12345"


def test_an_object_over_the_limit_is_read_no_further() -> None:
    with pytest.raises(TooLarge) as refused:
        bucket(b"123456").get("documents/a", most_bytes=5)
    assert (refused.value.code, refused.value.limit) == ("document_too_large", 5)


@pytest.mark.parametrize("most", [None, 5])
def test_an_object_that_breaks_off_is_no_content(most: int | None) -> None:
    with pytest.raises(StoreUnavailable):
        bucket(b"123", announced=5).get("documents/a", most_bytes=most)
