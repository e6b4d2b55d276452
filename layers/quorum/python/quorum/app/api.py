"""The container of the HTTP API."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from quorum.app.intake import DocumentIntakeContainer
from quorum.app.keys import KeysContainer
from quorum.app.learning import LearningContainer
from quorum.app.votes import WorkflowContainer
from quorum.aws.clients import CONNECTIONS, client_config
from quorum.batch.progress import Kind
from quorum.batch.queue import ItemQueue
from quorum.batch.runs import Runs
from quorum.bulk.analysis import CommentAnalysis
from quorum.bulk.batches import QueuedBatches, UploadedBatches
from quorum.bulk.concurrent import ConcurrentModeration
from quorum.bulk.machine import Bulk
from quorum.document.batches import DocumentBatches
from quorum.gateway.models import Models
from quorum.ledger.costs import Costs
from quorum.review.appeals import Appeals
from quorum.review.claims import Claims
from quorum.review.promotion import Promotion
from quorum.review.transparency import Transparency
from quorum.review.waiting import WaitingQueue
from quorum.vote.embedded_rounds import CALL_SECONDS, EmbeddedRounds
from quorum.vote.policy_check import PolicyCheck
from quorum.vote.trials import Trials
from quorum.vote.verdict_list import VerdictList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda import LambdaClient

    from quorum.app.settings import ApiSettings
    from quorum.batch.kinds import BatchKind


CONTENTS_AT_ONCE = CONNECTIONS
"""Contents of one request that are judged at once: each holds a connection to the vote machine."""


class ApiContainer(WorkflowContainer, DocumentIntakeContainer, KeysContainer, LearningContainer):
    """The members of the HTTP routes."""

    settings: "ApiSettings"

    @cached_property
    def item_queue(self) -> ItemQueue:
        """The queue of contents and its dead letters."""
        return self.queue(self.settings.items_queue)

    @cached_property
    def bulk(self) -> Bulk:
        """The bucket of uploads, and the bulk machine."""
        settings = self.settings
        return Bulk(
            self.s3,
            settings.uploads_bucket,
            self.step_functions,
            settings.bulk_machine,
            self.batches,
            upload_bytes=settings.upload_megabytes * 2**20,
        )

    @cached_property
    def concurrent_moderation(self) -> ConcurrentModeration:
        """Several contents of one request, judged at the same time."""
        return ConcurrentModeration(
            self.workflow,
            at_once=CONTENTS_AT_ONCE,
            embedded=self.embedded_rounds,
            clock=self.clock,
        )

    @cached_property
    def embedded_rounds(self) -> EmbeddedRounds:
        """Many contents of one request before a panel of embedded voters."""
        return EmbeddedRounds(
            self.workflow,
            self.embedded_voters,
            self.settings.embedded_functions,
            self.panels,
            clock=self.clock,
        )

    @cached_property
    def embedded_voters(self) -> "LambdaClient":
        """Lambda, for calls of embedded voters; what they do not do, the vote machine does."""
        config = client_config(CALL_SECONDS, attempts=1)
        return boto3.client("lambda", config=config)

    @cached_property
    def comment_analysis(self) -> CommentAnalysis:
        """A comment and its sentences, judged for their attributes."""
        return CommentAnalysis(self.workflow, self.concurrent_moderation)

    @cached_property
    def verdict_list(self) -> VerdictList:
        """The list of verdicts."""
        return VerdictList(self.dynamodb, self.settings.verdicts_table, self.verdicts)

    @cached_property
    def waiting(self) -> WaitingQueue:
        """What waits for a person."""
        table = self.settings.verdicts_table
        return WaitingQueue(self.dynamodb, table, self.reviews, clock=self.clock)

    @cached_property
    def claims(self) -> Claims:
        """The claims on what waits."""
        table = self.settings.verdicts_table
        return Claims(
            self.dynamodb, table, self.reviews, self.waiting, self.audit, clock=self.clock
        )

    @cached_property
    def appeals(self) -> Appeals:
        """The appeals."""
        settings = self.settings
        return Appeals(
            self.dynamodb,
            settings.verdicts_table,
            settings.usage_table,
            self.reviews,
            self.audit,
            review_days=settings.review_days,
            clock=self.clock,
        )

    @cached_property
    def promotion(self) -> Promotion:
        """What people do with proposals."""
        path = self.settings.panels_path
        return Promotion(self.ssm, path, self.proposals, self.panels_now.get)

    @cached_property
    def transparency(self) -> Transparency:
        """The reports on decisions."""
        settings = self.settings
        return Transparency(self.dynamodb, settings.verdicts_table, settings.usage_table)

    @cached_property
    def runs(self) -> Runs:
        """The state machines' runs over uploads."""
        return Runs(self.step_functions, self.batches, clock=self.clock)

    @cached_property
    def batch_kinds(self) -> "Mapping[Kind, BatchKind[Any]]":
        """The operations on batches of each kind."""
        panels: dict[str, Any] = {
            "default_panel": self.settings.default_panel,
            "panel_of": self.panels.get,
            "policy_of": self.policies.chosen,
        }
        return {
            Kind.ITEMS: QueuedBatches(
                self.batches, self.item_queue, **panels, model_of=self.models.model
            ),
            Kind.UPLOAD: UploadedBatches(self.batches, self.bulk, self.runs, **panels),
            Kind.DOCUMENTS: DocumentBatches(self.batches, self.document_intake, self.runs),
        }

    @cached_property
    def trials(self) -> Trials:
        """What policies would change."""
        return Trials(self.workflow, self.verdicts, self.reviews)

    @cached_property
    def policy_check(self) -> PolicyCheck:
        """Whether panels can judge under a policy that is put; nothing is remembered."""
        settings = self.settings
        panels = self.panels_now
        models = Models(self.dynamodb, settings.models_table, seconds=0)
        return PolicyCheck(
            panels.get, panels.names, models.model, default_panel=settings.default_panel
        )

    @cached_property
    def costs(self) -> Costs:
        """The cost reports from the ledger."""
        settings = self.settings
        return Costs(
            self.dynamodb,
            settings.usage_table,
            krw_per_usd=settings.krw_per_usd,
            krw_as_of=settings.krw_as_of,
        )
