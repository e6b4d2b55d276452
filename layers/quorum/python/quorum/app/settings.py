"""One frozen settings class per Lambda, read from its environment.

The environment is read only when asked: importing this module needs none.
"""

from datetime import date
from decimal import Decimal
from typing import Self

from pydantic import Field, Json, ValidationError

from quorum.aws.environment import variable
from quorum.core.errors import SettingsInvalid
from quorum.core.models import Dollars, Frozen, LanguageCode
from quorum.gateway.fair_share import RateLimit

DEFAULT_MODEL = "gpt-4.1-nano"
"""Name of the model that answers if neither the request nor the deployment names one."""


class _FromEnvironment(Frozen):
    @classmethod
    def from_environment(cls) -> Self:
        """Each field from the variable of the same name in capitals.

        Raises `SettingsInvalid` with the names of missing or malformed variables.
        """
        named = ((name, variable(name.upper())) for name in cls.model_fields)
        try:
            return cls.model_validate({name: value for name, value in named if value})
        except ValidationError as error:
            raise SettingsInvalid(
                "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
            ) from None


class KeyUseSettings(_FromEnvironment):
    """The table of what is written often of a key: its last use, and its requests."""

    key_use_table: str


class KeySettings(KeyUseSettings):
    """The tables of keys."""

    keys_table: str


class AuthorizeSettings(KeySettings):
    """The settings of the authorizer."""


class StoreSettings(_FromEnvironment):
    """The tables of votes, verdicts and money, and their times to live."""

    votes_table: str
    verdicts_table: str
    usage_table: str
    policies_table: str
    models_table: str
    panel_seconds: float = Field(
        default=60.0, ge=0, description="for which panels, policies and models are known"
    )
    share_votes: bool = Field(
        default=False, description="whether one tenant's cached votes answer another's content"
    )
    rate_limits: Json[dict[str, RateLimit]] = Field(
        default_factory=dict, description="by model, if not the default"
    )
    vote_days: int = Field(default=30, ge=1, description="days a cached vote is kept")
    verdict_days: int = Field(default=400, ge=1, description="days a verdict is kept")
    review_days: int = Field(default=30, ge=1, description="days a content waits for a reviewer")
    requests_per_minute: int = Field(default=500, ge=1, description="of each model")
    tokens_per_minute: int = Field(default=100_000, ge=1, description="of each model")
    reuse_days: int = Field(
        default=30, ge=0, description="days a person's decision answers the same content"
    )
    label_days: int = Field(default=90, ge=1, description="days a reviewed content is kept")
    quality_sample_share: float = Field(
        default=0.0, ge=0, le=1, description="of what panels decide, for a person to decide again"
    )
    aws_endpoint_url: str = Field(default="", description="of the local stack; empty in AWS")


class AggregateSettings(StoreSettings):
    """The settings of the aggregate step, with the place of the deployment's panels."""

    panels_path: str


class LearningSettings(AggregateSettings):
    """The settings of functions that propose panels from labels."""

    audit_table: str
    proposals_table: str
    default_panel: str


class ScheduleSettings(LearningSettings):
    """The settings of the function that proposes panels by a schedule."""

    keys_table: str


class AskSettings(StoreSettings):
    """The settings for calls to a gateway."""

    gateway_base_url: str
    gateway_secret: str
    allowed_model_hosts: str = Field(default="", description="that base URLs of models may lead to")


class VoteSettings(AskSettings):
    """The settings of a gateway voter; the one that asks any model has no name of its own."""

    voter: str = ""


class ThresholdSettings(_FromEnvironment):
    """The thresholds that report or stop spending, in dollars; None means no threshold."""

    alert_batch_usd: Dollars | None = Field(
        default=None, description="alert when a batch has cost this"
    )
    alert_tenant_usd: Dollars | None = Field(default=None, description="… a tenant's day")
    alert_day_usd: Dollars | None = Field(default=None, description="… everybody's day")
    budget_tenant_usd: Dollars | None = Field(default=None, description="stop a tenant's day at it")
    budget_day_usd: Dollars | None = Field(default=None, description="stop everybody's day at it")


class SpendingSettings(StoreSettings, ThresholdSettings):
    """The settings of functions that spend money, with the topic of alerts."""

    alerts_topic: str


class AnswerSettings(AskSettings, SpendingSettings):
    """The settings of functions that ask models for answers: chat and documents."""

    answers_table: str
    answer_seconds: int = Field(default=3600, ge=1, description="seconds an answer is kept")


class WorkflowSettings(AggregateSettings, SpendingSettings):
    """The settings of functions that start a vote: the API's and the queue's."""

    vote_machine: str
    default_panel: str
    default_language: LanguageCode | None = Field(
        default=None, description="the language of texts whose language is not recognised"
    )


class DeadLetterSettings(StoreSettings):
    """The settings of functions that send to a queue of work or receive from it."""

    dead_letters: str
    max_receives: int = Field(
        ge=1, description="how often a message is tried; the queue delivers it more often"
    )


class QueueSettings(WorkflowSettings, DeadLetterSettings):
    """The settings of functions that send items to the queue or receive them."""

    items_queue: str


class ManySettings(WorkflowSettings):
    """The settings of functions that judge many items."""

    items_at_once: int = Field(default=10, ge=1, description="items judged at once")
    voter_functions: Json[dict[str, str]] = Field(
        default_factory=dict,
        description="the functions of voters by voter's name, and `*` for models as data",
    )


class BatchSettings(QueueSettings, ManySettings):
    """The settings of the queue's function."""


class BulkSettings(ManySettings):
    """The settings of the bulk machine's steps."""

    uploads_bucket: str


class DocumentSettings(AnswerSettings, DeadLetterSettings):
    """The settings of documents: their queue, their bucket and their machine."""

    documents_queue: str
    uploads_bucket: str
    document_machine: str
    default_model: str = Field(default=DEFAULT_MODEL, description="answers where none is named")
    documents_at_once: int = Field(default=5, ge=1, description="documents asked about at once")


class WonSettings(_FromEnvironment):
    """The exchange rate of the won, and its date."""

    krw_per_usd: Decimal = Field(default=Decimal(1350), gt=0, description="won for a dollar")
    krw_as_of: date = Field(default=date(2026, 11, 1), description="the day of that rate")


class EstimateSettings(StoreSettings, KeyUseSettings, WonSettings):
    """The settings of estimates."""

    uploads_bucket: str
    default_model: str = Field(default=DEFAULT_MODEL, description="estimated where none is named")


class ApiSettings(QueueSettings, DocumentSettings, KeySettings, WonSettings, LearningSettings):
    """The settings of the HTTP routes."""

    bulk_machine: str
    upload_megabytes: int = Field(
        default=1_024, ge=1, le=5_120, description="of one upload; S3 itself takes 5 GiB at once"
    )
    embedded_functions: Json[dict[str, str]] = Field(
        default_factory=dict, description="the functions of embedded voters by voter's name"
    )


class EventSettings(_FromEnvironment):
    """The tables of webhooks and recent events, and the queue of deliveries to webhooks."""

    webhooks_table: str
    events_table: str
    deliveries_queue: str


class BusSettings(EventSettings):
    """The queue of events for the bus, and the dead letters of events."""

    bus_queue: str
    delivery_dead_letters: str


class PublishSettings(BusSettings):
    """The settings of the function that turns changes into events."""


class DeliverSettings(BusSettings):
    """The settings of the function that delivers events."""

    webhooks_key: str
    event_bus: str
    allowed_webhook_hosts: str = Field(default="", description="that may be at any address")


class WebhookSettings(EventSettings, KeyUseSettings):
    """The settings of the routes of webhooks and events."""

    audit_table: str
    webhooks_key: str
    allowed_webhook_hosts: str = Field(default="", description="that may be at any address")


class ConsoleSettings(ApiSettings, EventSettings):
    """The settings of the console: those of the routes that it calls, and its sessions."""

    sessions_table: str


class ChatSettings(_FromEnvironment):
    """The table and endpoint of the chat's connections and conversations."""

    conversations_table: str
    connections_url: str
    conversation_seconds: int = Field(default=86_400, ge=60, description="kept after the last turn")


class ReceptionSettings(ChatSettings, KeySettings):
    """The settings of the function that receives a chat's messages."""

    converse_function: str
    answers_at_once: int = Field(
        default=3, ge=1, le=100, description="answers of one connection under way"
    )
    default_model: str = Field(default=DEFAULT_MODEL, description="answers where none is named")


class ConverseSettings(ChatSettings, WorkflowSettings, AnswerSettings):
    """The settings of the function that streams a chat's answers."""

    history_tokens: int = Field(default=32_000, ge=0, description="of a conversation, sent along")
