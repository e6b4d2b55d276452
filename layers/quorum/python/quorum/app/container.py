"""The container: the stores and services of one Lambda environment, each opened once.

There is one class for each family of functions, in a module of its own, so that a function imports
what it uses and nothing else. Members are opened when they are first used. A test builds the same
container and sets a member to a fake before it is used::

    app = ApiContainer(settings)
    app.sqs = fake
"""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quorum.app.clients import Clients
from quorum.aws.clients import client_config
from quorum.batch.alerts import BatchBudget
from quorum.batch.records import Batches
from quorum.batch.starts import Starts
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.limiter import Limiter
from quorum.gateway.models import ModelLimits, Models
from quorum.ledger.budget import Thresholds

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from quorum.app.settings import SpendingSettings, StoreSettings

VOTE_MACHINE_SECONDS = 26
"""Seconds for an answer of the vote machine: it ends after 25."""


class Container(Clients):
    """The members shared by functions that use the tables of votes, verdicts and usage."""

    settings: "StoreSettings"

    @cached_property
    def step_functions(self) -> "SFNClient":
        """Step Functions. The client tries once; `Workflow` decides about further tries."""
        config = client_config(VOTE_MACHINE_SECONDS, attempts=1)
        # Only AWS has a separate host for synchronous executions.
        in_aws = not self.settings.aws_endpoint_url
        return boto3.client("stepfunctions", config=config.merge(Config(inject_host_prefix=in_aws)))

    @cached_property
    def models(self) -> Models:
        """The models, those that were put as data among them: what is in force stays known."""
        settings = self.settings
        return Models(self.dynamodb, settings.models_table, seconds=settings.panel_seconds)

    @cached_property
    def limiter(self) -> Limiter:
        """The rate limits all functions share."""
        settings = self.settings
        every = RateLimit(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        )
        limits = ModelLimits(settings.rate_limits, self.models, every)
        return Limiter(self.dynamodb, settings.usage_table, limits, default=every)

    @cached_property
    def batches(self) -> Batches:
        """The batches of every kind."""
        settings = self.settings
        return Batches(
            self.dynamodb,
            settings.verdicts_table,
            settings.usage_table,
            days=settings.verdict_days,
            clock=self.clock,
        )

    @cached_property
    def starts(self) -> Starts:
        """What crashes workers of the queues."""
        return Starts(self.dynamodb, self.settings.verdicts_table, clock=self.clock)


class SpendingContainer(Container):
    """The members of functions that spend money."""

    settings: "SpendingSettings"

    @cached_property
    def budget(self) -> BatchBudget:
        """The budget, and the topic of its alerts."""
        settings = self.settings
        thresholds = Thresholds.model_validate(
            {name: getattr(settings, name) for name in Thresholds.model_fields}
        )
        topic = (lambda: self.sns, settings.alerts_topic)
        return BatchBudget(
            self.dynamodb,
            settings.usage_table,
            self.batches,
            thresholds,
            topic,
            clock=self.clock,
        )
