"""How long work is put off that failed for a passing reason: growing pauses over hours. Pure.

A gateway that is down, throttles, or refuses every call until an operator repairs its key may be
so for an hour. Work that waits for it costs nothing, and a dead letter costs an operator's time.
"""

FIRST_SECONDS = 30.0
"""Seconds of the first pause; each following one is twice as long as the one before."""
LONGEST_SECONDS = 900.0
"""Seconds of the longest pause: work goes on so soon after an outage at the latest."""
TRIES = 13
"""Tries before work is given up: the pauses between them are two hours together."""
FAULT_TRIES = 5
"""Tries where nothing says that the failure will pass, such as a fault in Quorum itself."""


def pause_after(tries: int, named: float | None = None) -> float:
    """Seconds until the next try, after a number of `tries`.

    `named` is the time that the failure itself names. It is the least pause, and after the first
    try the whole of it, since most such failures pass within it.
    """
    if tries <= 1 and named is not None:
        return min(LONGEST_SECONDS, named)
    # Two to the tenth is beyond the longest pause; more would be a huge number for nothing.
    growing = FIRST_SECONDS * 2.0 ** min(max(0, tries - 1), 10)
    return min(LONGEST_SECONDS, max(growing, named or 0.0))


def total_seconds(tries: int) -> float:
    """Seconds of all pauses between a number of `tries`."""
    return sum(pause_after(done) for done in range(1, tries))
