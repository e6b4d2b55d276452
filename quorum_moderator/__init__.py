"""Moderation in this process: a panel's vote without AWS, for notebooks, scripts and services.

::

    from quorum_moderator import Moderator

    with Moderator(panel="embedded") as moderator:
        print(moderator.moderate("You are an idiot.").decision)
"""

from quorum_moderator.moderator import AskedAt, AsyncModerator, Moderator

__all__ = ["AskedAt", "AsyncModerator", "Moderator"]
