"""A point in time after which an answer is of no use to anyone."""

import time
from dataclasses import dataclass

ANSWERING_SECONDS = 0.5
"""What a Lambda keeps of its time to say what happened."""


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """`expires_at` on the monotonic clock, in seconds. Everything done for a vote shares one."""

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """`seconds` from now."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def of_lambda(
        cls, remaining_milliseconds: int, request_seconds: float | None = None
    ) -> "Deadline":
        """The end of a Lambda's time less `ANSWERING_SECONDS`, or the request's own if sooner.

        `remaining_milliseconds` is what `context.get_remaining_time_in_millis()` says now.
        """
        seconds = remaining_milliseconds / 1000 - ANSWERING_SECONDS
        return cls.after(seconds if request_seconds is None else min(seconds, request_seconds))

    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.expires_at - time.monotonic())
