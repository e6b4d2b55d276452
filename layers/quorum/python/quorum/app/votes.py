"""The containers of functions that turn a content into a verdict."""

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import boto3

from quorum.app.container import Container, SpendingContainer
from quorum.aws.clients import BRIEF, ONCE, WITHIN_A_VOTE, Patience, client_config
from quorum.core.models import Verdict
from quorum.gateway.models import Models
from quorum.vote.cache import VoteCache
from quorum.vote.kept_versions import KeptVersions
from quorum.vote.panels import Panels
from quorum.vote.policies import Policies, PolicyVersions
from quorum.vote.policy_shadows import PolicyShadows
from quorum.vote.quality_sample import QualitySample
from quorum.vote.review_entries import ReviewEntries
from quorum.vote.suggestions import Suggestions
from quorum.vote.verdicts import Verdicts
from quorum.vote.voting import VoteStore
from quorum.vote.workflow import Workflow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.app.settings import AggregateSettings, StoreSettings, WorkflowSettings


class PolicyVersionContainer(Container):
    """The members of functions that read the policy of an evaluation."""

    settings: "StoreSettings"

    @cached_property
    def policy_versions(self) -> PolicyVersions:
        """The versions of policies."""
        return PolicyVersions(self.dynamodb, self.settings.policies_table)


class VoteStoreContainer(PolicyVersionContainer):
    """The member of functions that keep votes."""

    @cached_property
    def vote_store(self) -> VoteStore:
        """The votes, and the ledger of their cost."""
        settings = self.settings
        return VoteStore(
            self.dynamodb,
            settings.votes_table,
            settings.usage_table,
            share_votes=settings.share_votes,
            vote_days=settings.vote_days,
            limiter=self.limiter,
            model_of=self.models.model,
        )


class EmbeddedVoterContainer(VoteStoreContainer):
    """The members of an embedded voter."""

    patience: ClassVar[Patience] = WITHIN_A_VOTE


class VerdictContainer(PolicyVersionContainer):
    """The members of functions that store verdicts."""

    settings: "AggregateSettings"

    @cached_property
    def panels(self) -> Panels:
        """The deployment's panels, cached for a while."""
        settings = self.settings
        return Panels(
            self.ssm,
            settings.panels_path,
            seconds=settings.panel_seconds,
            voters=self.models.voters,
        )

    @cached_property
    def review_entries(self) -> ReviewEntries:
        """The review entries: questions to reviewers and their decisions, by content."""
        settings = self.settings
        return ReviewEntries(
            self.dynamodb,
            settings.verdicts_table,
            reuse_days=settings.reuse_days,
            review_days=settings.review_days,
            clock=self.clock,
        )

    @cached_property
    def verdicts(self) -> Verdicts:
        """The stored verdicts."""
        settings = self.settings
        return Verdicts(
            self.dynamodb,
            settings.verdicts_table,
            settings.usage_table,
            self.review_entries,
            verdict_days=settings.verdict_days,
            sample_of=self._sample_of,
        )

    def _sample_of(self, tenant: str, verdict: Verdict) -> QualitySample:
        """The quality sample that the verdict's policy names, else the deployment's."""
        policy = self.policy_versions.under(tenant, verdict)
        if policy is not None and policy.quality_sample is not None:
            return policy.quality_sample
        return QualitySample(share=self.settings.quality_sample_share)


class AggregateContainer(VerdictContainer):
    """The members of the aggregate step, which has what the voters leave it of the machine's time.

    There is a verdict without shadows from SSM, and without votes whose answers were lost: it asks
    for each once.
    """

    patience: ClassVar[Patience] = BRIEF
    parameter_patience: ClassVar[Patience] = ONCE

    @cached_property
    def dynamodb_once(self) -> "DynamoDBServiceResource":
        """DynamoDB, for what the verdict does not need."""
        return boto3.resource("dynamodb", config=client_config(*ONCE))

    @cached_property
    def stored_votes(self) -> VoteCache:
        """The stored votes.

        Where the store is slow or throttled, that is why a voter failed: whoever waited for it here
        as well would be ended before the verdict is recorded.
        """
        settings = self.settings
        models = Models(self.dynamodb_once, settings.models_table, seconds=settings.panel_seconds)
        return VoteCache(
            self.dynamodb_once,
            settings.votes_table,
            shared=settings.share_votes,
            days=settings.vote_days,
            model_of=models.model,
            consistent=True,  # the vote may have been stored a moment ago
            once=True,
        )


class WorkflowContainer(VoteStoreContainer, VerdictContainer, SpendingContainer):
    """The members of functions that start votes."""

    settings: "WorkflowSettings"

    @cached_property
    def policies(self) -> Policies:
        """The tenants' policies; which version is in force is remembered for some seconds."""
        settings = self.settings
        return Policies(
            self.dynamodb,
            settings.policies_table,
            self.policy_versions,
            seconds=settings.panel_seconds,
        )

    @cached_property
    def policy_shadows(self) -> PolicyShadows:
        """Which policy is whose shadow."""
        settings = self.settings
        return PolicyShadows(
            self.dynamodb,
            settings.policies_table,
            settings.usage_table,
            self.policies,
            seconds=settings.panel_seconds,
        )

    @cached_property
    def kept_versions(self) -> KeptVersions:
        """The panels and packaged policies that verdicts were made under."""
        return KeptVersions(self.dynamodb, self.settings.verdicts_table)

    @cached_property
    def workflow(self) -> Workflow:
        """The vote machine, and the cache before it."""
        return Workflow(
            self.step_functions,
            self.settings.vote_machine,
            self.vote_store.cache,
            self.verdicts,
            self.review_entries,
            self.policy_versions,
            kept_versions=self.kept_versions,
            shadows=self.policy_shadows,
            default_language=self.settings.default_language,
            clock=self.clock,
        )

    @cached_property
    def suggestions(self) -> Suggestions:
        """The suggestions of people who are not reviewers."""
        settings = self.settings
        return Suggestions(
            self.dynamodb,
            settings.verdicts_table,
            self.workflow,
            label_days=settings.label_days,
            clock=self.clock,
        )
