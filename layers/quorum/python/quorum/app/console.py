"""The container of the console: that of the HTTP API, and the sessions."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.api import ApiContainer
from quorum.aws.sessions import Sessions

if TYPE_CHECKING:
    from quorum.app.settings import ConsoleSettings


class ConsoleContainer(ApiContainer):
    """The members of the console's pages."""

    settings: "ConsoleSettings"

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions of those who are signed in."""
        return Sessions(self.dynamodb, self.settings.sessions_table, self.keys, clock=self.clock)
