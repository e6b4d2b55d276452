"""The container of functions that ask models for answers: completions, chat and documents."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.answer.answers import Answers
from quorum.answer.asking import Asking
from quorum.app.container import SpendingContainer
from quorum.app.gateway import GatewayContainer
from quorum.aws.leases import Leases

if TYPE_CHECKING:
    from quorum.app.settings import AnswerSettings


class AnswerContainer(GatewayContainer, SpendingContainer):
    """The members of functions that ask for answers."""

    settings: "AnswerSettings"

    @cached_property
    def answers(self) -> Answers:
        """The cached answers."""
        settings = self.settings
        return Answers(
            self.dynamodb,
            settings.answers_table,
            settings.usage_table,
            self.limiter,
            seconds=settings.answer_seconds,
        )

    @cached_property
    def asking(self) -> Asking:
        """The asking of models, within the budget and booked."""
        return Asking(
            lambda: self.gateway,
            self.answers,
            Leases(self.dynamodb, self.settings.answers_table, key="answer_key", clock=self.clock),
            self.budget,
        )
