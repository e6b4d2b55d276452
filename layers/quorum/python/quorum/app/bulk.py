"""The containers of functions that moderate many contents: the queue's and the bulk machine's."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3

from quorum.app.queues import QueueContainer
from quorum.app.votes import WorkflowContainer
from quorum.aws.clients import client_config
from quorum.aws.leases import Leases
from quorum.batch.queue import ItemQueue
from quorum.bulk.judging import Judging
from quorum.bulk.machine import Bulk
from quorum.vote.packed_rounds import CALL_SECONDS, PackedRounds
from quorum.vote.shadow import shadowed

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from quorum.app.settings import BatchSettings, BulkSettings, ManySettings


class ManyContainer(WorkflowContainer):
    """The members that both share."""

    settings: "ManySettings"

    @cached_property
    def packed_rounds(self) -> PackedRounds:
        """The votes that are bought for several contents by one call."""
        return PackedRounds(
            self.workflow,
            lambda: self.voter_functions,
            self.settings.voter_functions,
            at_once=self.settings.items_at_once,
            model_of=self.models.model,
            clock=self.clock,
        )

    @cached_property
    def voter_functions(self) -> "LambdaClient":
        """Lambda, for calls of voters; what they do not do, the vote machine does."""
        config = client_config(CALL_SECONDS, attempts=1)
        return boto3.client("lambda", config=config)

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
            packed=self.packed_rounds,
            shadowed=lambda tenant, verdict: shadowed(tenant, verdict, self.panels),
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
