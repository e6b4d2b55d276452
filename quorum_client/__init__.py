"""A client of a Quorum deployment, synchronous and asynchronous.

::

    from quorum_client import Quorum

    with Quorum("https://….execute-api.eu-central-1.amazonaws.com/v1", key="qk_…") as quorum:
        print(quorum.moderate("You are an idiot.").decision)

It needs httpx and pydantic, and nothing of the service.
"""

from quorum_client.batches import AsyncBatch, Batch
from quorum_client.chat import AsyncTokens, Tokens
from quorum_client.client import AsyncQuorum, Quorum
from quorum_client.errors import (
    AnswerUnreadable,
    BudgetSpent,
    Conflict,
    ConnectionFailed,
    Forbidden,
    NotFound,
    QuorumError,
    RequestRefused,
    ServiceUnavailable,
    StreamCut,
    TimedOut,
    TooManyRequests,
    Unauthorized,
)
from quorum_client.many import Many, Result
from quorum_client.report import Progress, Report
from quorum_client.requests import Retries
from quorum_client.results import (
    BatchProgress,
    BatchResult,
    Decision,
    Document,
    Problem,
    Verdict,
    Vote,
)

__all__ = [
    "AnswerUnreadable",
    "AsyncBatch",
    "AsyncQuorum",
    "AsyncTokens",
    "Batch",
    "BatchProgress",
    "BatchResult",
    "BudgetSpent",
    "Conflict",
    "ConnectionFailed",
    "Decision",
    "Document",
    "Forbidden",
    "Many",
    "NotFound",
    "Problem",
    "Progress",
    "Quorum",
    "QuorumError",
    "Report",
    "RequestRefused",
    "Result",
    "Retries",
    "ServiceUnavailable",
    "StreamCut",
    "TimedOut",
    "Tokens",
    "TooManyRequests",
    "Unauthorized",
    "Verdict",
    "Vote",
]
