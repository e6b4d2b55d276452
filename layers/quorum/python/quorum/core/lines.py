"""Lines of a stream of bytes, of any length in little memory. Pure."""

from collections.abc import Iterable, Iterator

_ENDS = (b"\n", b"\r")


def lines_of(chunks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """The lines of `chunks` without their ends, and without blank ones.

    Of a line of more than `most_bytes` its first `most_bytes + 1` are given, by which the caller
    sees that it is too long; what follows in it is passed over.
    """
    held = bytearray()
    for chunk in chunks:
        for part in chunk.splitlines(keepends=True):
            ends = part.endswith(_ENDS)
            held += part.rstrip(b"\r\n")[: most_bytes + 1 - len(held)]
            if ends:
                if held.strip():
                    yield bytes(held)
                held.clear()
    if held.strip():
        yield bytes(held)
