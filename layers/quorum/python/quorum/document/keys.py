"""Where documents, their pieces and long answers are in the bucket. Pure.

::

    documents/<tenant>/<batch>/<index>            what was handed in, or the plain text read from it
    documents/<tenant>/<batch>/<index>.json       a long document's message, for its machine
    documents/<tenant>/<batch>/<index>/<level>/   its pieces, <n>, and their answers, <n>.json
    results/<tenant>/<batch>/<index>.json         an answer that is too long for the table

The tenant is part of every key. Everything may be written again under the same name.
"""

from quorum.core.position import BatchPosition


def document_key(tenant: str, position: BatchPosition) -> str:
    """Where a document's content is."""
    return f"documents/{tenant}/{position.batch}/{position.padded_index}"


def message_key(tenant: str, position: BatchPosition) -> str:
    """Where a long document's message is."""
    return f"{document_key(tenant, position)}.json"


def piece_key(tenant: str, position: BatchPosition, level: int, piece: int) -> str:
    """Where a piece of a long document is."""
    return f"{document_key(tenant, position)}/{level}/{piece}"


def answer_key(tenant: str, position: BatchPosition, level: int, piece: int) -> str:
    """Where the answer to a piece is."""
    return f"{piece_key(tenant, position, level, piece)}.json"


def result_key(tenant: str, position: BatchPosition) -> str:
    """Where an answer is that is too long for the table."""
    return f"results/{tenant}/{position.batch}/{position.padded_index}.json"
