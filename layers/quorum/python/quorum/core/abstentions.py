"""The reasons of abstentions.

Without pydantic, so that the child processes that read files start faster.
"""

from enum import StrEnum


class AbstentionReason(StrEnum):
    """The reason why a vote could not be had."""

    TIMED_OUT = "timed_out"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    REPLY_UNREADABLE = "reply_unreadable"
    PROMPT_TOO_LONG = "prompt_too_long"
    GATEWAY_REJECTED = "gateway_rejected"
    NOTHING_FOUND = "nothing_found"
    LANGUAGE_UNKNOWN = "language_unknown"
    POLICY_UNKNOWN = "policy_unknown"
    UNLIKE_TRAINING = "unlike_training"
    MODEL_UNKNOWN = "model_unknown"
    FAILED = "failed"
