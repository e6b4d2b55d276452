"""Lines of a stream: whatever its chunks, in memory that does not grow with it."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

from botocore.response import StreamingBody
from hypothesis import example, given
from hypothesis import strategies as st
from quorum.aws.bucket import Bucket
from quorum.core.lines import lines_of

CHUNK = b"x" * 256 * 1024
CHUNKS = 200
"""Together 50 MB."""
MOST = 1024 * 1024


class Counted:
    """50 MB without a newline, and two lines after it; counts the chunks that were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"first": 1}\n'
        for _ in range(CHUNKS):
            self.taken += 1
            yield CHUNK
        yield b'\n{"last": 1}\n'


def test_a_line_of_50_mb_takes_the_memory_of_one_limit_and_each_chunk_once() -> None:
    chunks = Counted()
    tracemalloc.start()
    first, long, last = lines_of(chunks, MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (first, last) == (b'{"first": 1}', b'{"last": 1}')
    assert long == b"x" * (MOST + 1)
    assert chunks.taken == CHUNKS
    assert peak < 4 * MOST


class Endless(io.RawIOBase):
    """An object of S3 that is made as it is read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.reads = 0

    def read(self, size: int = -1) -> bytes:
        self.reads += 1
        size = min(size, self.left)
        self.left -= size
        return b"x" * size


def test_an_upload_without_a_newline_is_read_once_in_bounded_memory() -> None:
    size = CHUNKS * len(CHUNK)
    raw = Endless(size)
    body: Any = raw

    class S3:
        def get_object(self, **_asked: Any) -> Any:
            return {"Body": StreamingBody(body, size)}

    s3: Any = S3()
    tracemalloc.start()
    (line,) = Bucket(s3, "uploads").lines("uploads/acme/one.jsonl", most_bytes=MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(line) == MOST + 1
    assert raw.reads <= CHUNKS + 1
    assert peak < 4 * MOST


@given(st.lists(st.binary(max_size=9)), st.integers(1, 9))
@example([b"a\r", b"\nb"], 1)
@example([b"ab\n", b"a\n"], 1)
def test_chunks_make_no_difference_and_only_what_is_too_long_is_cut(
    chunks: list[bytes], most: int
) -> None:
    whole = [line for line in b"".join(chunks).splitlines() if line[: most + 1].strip()]
    found = list(lines_of(chunks, most))
    assert found == [line[: most + 1] for line in whole]
    assert [len(line) > most for line in found] == [len(line) > most for line in whole]
