"""The container of the function that streams a chat's answers."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.answers import AnswerContainer
from quorum.app.chat import ConversationContainer
from quorum.app.votes import WorkflowContainer
from quorum.chat.conversing import Conversing, Voting

if TYPE_CHECKING:
    from quorum.app.settings import ConverseSettings


class ConverseContainer(AnswerContainer, WorkflowContainer, ConversationContainer):
    """The members of the function that streams answers."""

    settings: "ConverseSettings"

    @cached_property
    def conversing(self) -> Conversing:
        """The streaming of answers; the vote machine is opened when something is moderated."""
        settings = self.settings
        voting = Voting(
            verdict=lambda tenant, content, panel: self.workflow.moderate(
                tenant, content, panel, self.policies.chosen(tenant)
            ),
            panel_of=lambda tenant, name: self.panels.get(tenant, name or settings.default_panel),
            require_budget=self.budget.check,
        )
        return Conversing(
            self.asking,
            self.conversations,
            self.connections,
            voting,
            history_tokens=settings.history_tokens,
        )
