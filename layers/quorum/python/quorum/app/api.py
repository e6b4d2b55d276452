"""The container of the HTTP API."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.intake import DocumentIntakeContainer
from quorum.app.votes import WorkflowContainer
from quorum.batch.queue import ItemQueue
from quorum.bulk.intake import Intake
from quorum.bulk.machine import Bulk
from quorum.ledger.costs import Costs

if TYPE_CHECKING:
    from quorum.app.settings import ApiSettings


class ApiContainer(WorkflowContainer, DocumentIntakeContainer):
    """What the HTTP routes use."""

    settings: "ApiSettings"

    @cached_property
    def item_queue(self) -> ItemQueue:
        """The queue of contents and its dead letters."""
        settings = self.settings
        return ItemQueue(
            self.sqs,
            settings.items_queue,
            settings.dead_letters,
            self.batches,
            max_receives=settings.max_receives,
            clock=self.clock,
        )

    @cached_property
    def bulk(self) -> Bulk:
        """The bucket of uploads, and the machine over it."""
        settings = self.settings
        return Bulk(
            self.s3,
            settings.uploads_bucket,
            self.step_functions,
            settings.bulk_machine,
            self.batches,
        )

    @cached_property
    def intake(self) -> Intake:
        """The intake of batches of contents."""
        return Intake(
            self.batches,
            self.item_queue,
            self.bulk,
            default_panel=self.settings.default_panel,
            panel_of=self.panels.get,
        )

    @cached_property
    def costs(self) -> Costs:
        """The ledger, read for people."""
        settings = self.settings
        return Costs(
            self.dynamodb,
            settings.usage_table,
            krw_per_usd=settings.krw_per_usd,
            krw_as_of=settings.krw_as_of,
        )
