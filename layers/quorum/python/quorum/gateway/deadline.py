"""Deadlines: the point in time after which an answer is of no use."""

import time
from dataclasses import dataclass

ANSWERING_SECONDS = 0.5
"""Seconds that a Lambda keeps of its time to answer in."""


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """The time `expires_at` on the monotonic clock. All steps of a vote share one deadline."""

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The deadline that is `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def of_lambda(
        cls, remaining_milliseconds: int, request_seconds: float | None = None
    ) -> "Deadline":
        """The end of a Lambda's time less `ANSWERING_SECONDS`, or the request's own if sooner.

        `remaining_milliseconds` comes from `context.get_remaining_time_in_millis()`.
        """
        seconds = remaining_milliseconds / 1000 - ANSWERING_SECONDS
        return cls.after(seconds if request_seconds is None else min(seconds, request_seconds))

    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.expires_at - time.monotonic())
