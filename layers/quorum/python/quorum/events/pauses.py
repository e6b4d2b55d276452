"""How long a delivery that failed is put off: growing pauses over a day. Pure.

A receiver is down for a deploy, an evening or a night. After the last try the event is a dead
letter, which can be sent again.
"""

import random

PAUSES = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 32_400)
"""Seconds between two tries: a day and half an hour together."""
TRIES = len(PAUSES) + 1
"""Tries of one delivery."""
_SPREAD = 0.1
"""The share by which a pause is longer or shorter, so that not all come back at once."""


def pause_after(tries: int) -> int | None:
    """Seconds until the next try, after a number of `tries`; None: there is none."""
    if tries >= TRIES:
        return None
    return round(PAUSES[max(0, tries - 1)] * random.uniform(1 - _SPREAD, 1 + _SPREAD))  # noqa: S311 no secret
