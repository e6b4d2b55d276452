"""The containers of functions that learn from what people decide."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.votes import VerdictContainer
from quorum.audit.trail import AuditTrail
from quorum.gateway.models import Models
from quorum.review.proposals import Labels, Proposals
from quorum.review.scheduled import ScheduledProposals
from quorum.vote.panels import Panels
from quorum.vote.reviews import Reviews

if TYPE_CHECKING:
    from quorum.app.settings import LearningSettings, ScheduleSettings


class LearningContainer(VerdictContainer):
    """The members that read labels and store proposals."""

    settings: "LearningSettings"

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        return AuditTrail(self.dynamodb, self.settings.audit_table, clock=self.clock)

    @cached_property
    def reviews(self) -> Reviews:
        """The reviews."""
        settings = self.settings
        return Reviews(
            self.dynamodb,
            settings.verdicts_table,
            settings.usage_table,
            self.review_entries,
            self.audit,
            label_days=settings.label_days,
            clock=self.clock,
        )

    @cached_property
    def labels(self) -> Labels:
        """The latest labels."""
        return Labels(self.reviews.labels)

    @cached_property
    def proposals(self) -> Proposals:
        """The proposals."""
        settings = self.settings
        return Proposals(self.dynamodb, settings.proposals_table, self.audit, clock=self.clock)

    @cached_property
    def panels_now(self) -> Panels:
        """The deployment's panels as they are now; nothing is remembered."""
        settings = self.settings
        models = Models(self.dynamodb, settings.models_table, seconds=0)
        return Panels(self.ssm, settings.panels_path, seconds=0, voters=models.voters)


class ScheduleContainer(LearningContainer):
    """The members of the function that a schedule calls."""

    settings: "ScheduleSettings"

    @cached_property
    def scheduled(self) -> ScheduledProposals:
        """The scheduled run over all tenants."""
        return ScheduledProposals(
            self.dynamodb,
            self.settings.keys_table,
            self.labels,
            self.proposals,
            self.panels_now.get,
            clock=self.clock,
        )
