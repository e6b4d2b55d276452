"""The containers of functions that moderate many contents: the queue's and the bulk machine's."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.queues import QueueContainer
from quorum.app.votes import WorkflowContainer
from quorum.aws.leases import Leases
from quorum.batch.queue import ItemQueue
from quorum.bulk.judging import Judging
from quorum.bulk.machine import Bulk

if TYPE_CHECKING:
    from quorum.app.settings import BatchSettings, BulkSettings


class ManyContainer(WorkflowContainer):
    """The members that both share."""

    settings: "BatchSettings | BulkSettings"

    @cached_property
    def judging(self) -> Judging:
        """Many items moderated at once."""
        return Judging(
            self.workflow,
            self.verdicts,
            self.batches,
            Leases(self.dynamodb, self.settings.votes_table, clock=self.clock),
            self.budget,
            default_panel=self.settings.default_panel,
            at_once=self.settings.items_at_once,
            panel_of=self.panels.get,
            policy_of=self.policies.chosen,
        )


class BatchContainer(ManyContainer, QueueContainer):
    """The members of the function behind the queue."""

    settings: "BatchSettings"

    @cached_property
    def item_queue(self) -> ItemQueue:
        """The queue of contents and its dead letters."""
        return self.queue(self.settings.items_queue)


class BulkContainer(ManyContainer):
    """The members of the bulk machine's steps."""

    settings: "BulkSettings"

    @cached_property
    def bulk(self) -> Bulk:
        """The bucket of uploads, pages and results."""
        return Bulk(
            self.s3,
            self.settings.uploads_bucket,
            self.step_functions,
            "",
            self.batches,
            clock=self.clock,
        )
