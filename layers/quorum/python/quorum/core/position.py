"""The position of an item in its batch. Pure."""

from pydantic import Field

from quorum.core.models import Frozen, Identifier

INDEX_DIGITS = 9
"""Digits of an index as it is stored: leading zeros make items sort in input order."""


class BatchPosition(Frozen):
    """The batch an item belongs to, and its index there, from 0."""

    batch: Identifier
    index: int = Field(ge=0, lt=10**INDEX_DIGITS)

    @property
    def padded_index(self) -> str:
        """The index as it is stored, for example `000000042`."""
        return f"{self.index:0{INDEX_DIGITS}d}"
