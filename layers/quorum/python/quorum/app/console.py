"""The container of the console: that of the HTTP API, and the sessions."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3

from quorum.app.api import ApiContainer
from quorum.aws.clients import client_config
from quorum.aws.sessions import Sessions
from quorum.events.queue import DeliveryQueue
from quorum.events.recent import RecentEvents
from quorum.events.redrive import Redrive
from quorum.events.webhooks import Webhooks, WebhookSteps
from quorum.gateway import breaker
from quorum.gateway.breaker import Breaker

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from quorum.app.settings import ConsoleSettings


class ConsoleContainer(ApiContainer):
    """The members of the console's pages."""

    settings: "ConsoleSettings"

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions of those who are signed in."""
        return Sessions(self.dynamodb, self.settings.sessions_table, self.keys, clock=self.clock)

    @cached_property
    def breaker(self) -> Breaker:
        """The circuits of all models, as they are stored."""
        return breaker.in_table(self.dynamodb, self.settings.usage_table)

    @cached_property
    def webhooks(self) -> Webhooks:
        """The webhooks, without the means to read or to make a secret."""
        return Webhooks(self.dynamodb, self.settings.webhooks_table, clock=self.clock)

    @cached_property
    def webhook_steps(self) -> WebhookSteps:
        """The record of tests and of what is sent again."""
        return WebhookSteps(self.webhooks, self.audit)

    @cached_property
    def redrive(self) -> Redrive:
        """Dead letters of webhooks, sent again, and tests."""
        settings = self.settings
        return Redrive(
            RecentEvents(self.dynamodb, settings.events_table, clock=self.clock),
            DeliveryQueue(self.sqs, settings.deliveries_queue),
            clock=self.clock,
        )

    @cached_property
    def cloudwatch(self) -> "CloudWatchClient":
        """CloudWatch, with the timeout of a page's smaller part."""
        return boto3.client("cloudwatch", config=client_config(2, attempts=1))

    @property
    def queues(self) -> dict[str, str]:
        """The queues of work and the dead letters, by the names that pages use."""
        settings = self.settings
        return {
            "contents": settings.items_queue,
            "documents": settings.documents_queue,
            "dead_letters": settings.dead_letters,
        }
