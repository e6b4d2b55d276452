"""The keys of documents, their pieces and long answers in the bucket. Pure.

::

    documents/<tenant>/<batch>/<index>            the submitted document, or its text
    documents/<tenant>/<batch>/<index>.json       a long document's message, for its machine
    documents/<tenant>/<batch>/<index>/<level>/   its pieces, <n>, and their answers, <n>.json
    results/<tenant>/<batch>/<index>.json         an answer that is too long for the table

The tenant is part of every key. Everything may be written again under the same name.
"""

from quorum.core.position import BatchPosition


def document_key(tenant: str, position: BatchPosition) -> str:
    """The key of a document's content."""
    return f"documents/{tenant}/{position.batch}/{position.padded_index}"


def message_key(tenant: str, position: BatchPosition) -> str:
    """The key of a long document's message."""
    return f"{document_key(tenant, position)}.json"


def piece_key(tenant: str, position: BatchPosition, level: int, piece: int) -> str:
    """The key of a piece of a long document."""
    return f"{document_key(tenant, position)}/{level}/{piece}"


def answer_key(tenant: str, position: BatchPosition, level: int, piece: int) -> str:
    """The key of the answer to a piece."""
    return f"{piece_key(tenant, position, level, piece)}.json"


def result_key(tenant: str, position: BatchPosition) -> str:
    """The key of an answer that is too long for the table."""
    return f"results/{tenant}/{position.batch}/{position.padded_index}.json"
