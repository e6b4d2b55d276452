"""Counts in sentences: `1 label`, `2 labels`."""


def counted(count: int, noun: str) -> str:
    """`count` with `noun`, a regular one in the singular: `1 row`, `2,250 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
