"""The containers of the functions of events and webhooks."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.clients import Clients
from quorum.app.keys import KeyLimitsContainer
from quorum.audit.trail import AuditTrail
from quorum.events.delivering import Bus, Deliveries
from quorum.events.publishing import Publishing, PutAside
from quorum.events.queue import DeliveryQueue
from quorum.events.recent import RecentEvents
from quorum.events.redrive import Redrive
from quorum.events.sending import Sender
from quorum.events.webhooks import WebhookChanges, Webhooks, WebhookSecrets
from quorum.gateway.model_hosts import ModelHosts

if TYPE_CHECKING:
    from quorum.app.settings import (
        BusSettings,
        DeliverSettings,
        EventSettings,
        PublishSettings,
        WebhookSettings,
    )


class EventContainer(Clients):
    """The members that all functions of events share."""

    settings: "EventSettings"

    @cached_property
    def webhooks(self) -> Webhooks:
        """The webhooks and rules."""
        return Webhooks(self.dynamodb, self.settings.webhooks_table, clock=self.clock)

    @cached_property
    def recent_events(self) -> RecentEvents:
        """The events of the last days."""
        return RecentEvents(self.dynamodb, self.settings.events_table, clock=self.clock)


class BusContainer(EventContainer):
    """The members that functions share which send to the event bus, too."""

    settings: "BusSettings"

    @cached_property
    def delivery_queue(self) -> DeliveryQueue:
        """The queues of deliveries."""
        settings = self.settings
        return DeliveryQueue(self.sqs, settings.deliveries_queue, settings.bus_queue)


class PublishContainer(BusContainer):
    """The members of the function that turns changes into events."""

    settings: "PublishSettings"

    @cached_property
    def publishing(self) -> Publishing:
        """Changes and alerts → events."""
        put_aside = PutAside(self.sqs, self.settings.delivery_dead_letters)
        return Publishing(
            self.webhooks, self.recent_events, self.delivery_queue, put_aside, self.clock
        )


class DeliverContainer(BusContainer):
    """The members of the function that delivers events."""

    settings: "DeliverSettings"

    @cached_property
    def deliveries(self) -> Deliveries:
        """The queues → the event bus, and webhooks."""
        settings = self.settings
        return Deliveries(
            self.delivery_queue,
            Bus(self.event_bridge, settings.event_bus, self.sqs, settings.delivery_dead_letters),
            self.webhooks,
            WebhookSecrets(self.kms, settings.webhooks_key),
            recent=self.recent_events,
            sender=Sender(ModelHosts(settings.allowed_webhook_hosts)),
            clock=self.clock,
        )


class WebhookContainer(EventContainer, KeyLimitsContainer):
    """The members of the routes of webhooks and events."""

    settings: "WebhookSettings"

    @cached_property
    def delivery_queue(self) -> DeliveryQueue:
        """The queue of deliveries to webhooks."""
        return DeliveryQueue(self.sqs, self.settings.deliveries_queue)

    @cached_property
    def webhook_changes(self) -> WebhookChanges:
        """The changes of webhooks and rules."""
        settings = self.settings
        return WebhookChanges(
            self.webhooks,
            WebhookSecrets(self.kms, settings.webhooks_key),
            AuditTrail(self.dynamodb, settings.audit_table, clock=self.clock),
            ModelHosts(settings.allowed_webhook_hosts),
        )

    @cached_property
    def redrive(self) -> Redrive:
        """Dead letters sent again, and tests."""
        return Redrive(self.recent_events, self.delivery_queue, clock=self.clock)
