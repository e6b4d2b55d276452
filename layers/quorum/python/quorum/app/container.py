"""Opens the books: the AWS clients and stores a Lambda works with, each built once, when needed."""

import json
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quorum.batch.alerts import BatchBudget
from quorum.batch.records import Batches
from quorum.gateway.limiter import Limiter, RateLimit
from quorum.ledger.budget import Thresholds
from quorum.vote.panels import Panels
from quorum.vote.reviews import Reviews
from quorum.vote.verdicts import Verdicts
from quorum.vote.voting import VoteStore
from quorum.vote.workflow import CLIENT_SECONDS, Workflow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

    from quorum.answer.answers import Answers
    from quorum.answer.asking import Asking
    from quorum.app.settings import (
        AnswerSettings,
        ApiSettings,
        AskSettings,
        BatchSettings,
        BooksSettings,
        BulkSettings,
        ChatSettings,
        ConverseSettings,
        DocumentSettings,
        EstimateSettings,
        PanelsSettings,
        QueueSettings,
        ReceptionSettings,
        WorkflowSettings,
    )
    from quorum.aws.bucket import Bucket
    from quorum.batch.queue import ItemQueue
    from quorum.bulk.intake import Intake
    from quorum.bulk.judging import Judging
    from quorum.bulk.machine import Bulk
    from quorum.chat.connections import Connections
    from quorum.chat.conversations import Conversations
    from quorum.chat.conversing import Conversing
    from quorum.chat.reception import Reception
    from quorum.document.answering import DocumentAnswers
    from quorum.document.documents import Documents
    from quorum.document.estimates import Estimates
    from quorum.document.intake import DocumentIntake
    from quorum.document.long_documents import LongDocuments
    from quorum.gateway.client import Gateway
    from quorum.ledger.costs import Costs

POST_SECONDS = 5
"""How long a message to a chat's client is waited for, each time it is tried."""
POST_ATTEMPTS = 5
PARAMETER_SECONDS = 1
"""How long SSM is waited for, each of two times: the aggregate step has 6 s for all it does."""
SECRET_SECONDS = 300
"""A rotated key is taken up after so long at most."""


@cache
def dynamodb() -> "DynamoDBServiceResource":
    """DynamoDB, with standard retries."""
    return boto3.resource("dynamodb", config=Config(retries={"mode": "standard"}))


def vote_store(settings: "BooksSettings") -> VoteStore:
    """The voters' side of the books."""
    return VoteStore(
        dynamodb(),
        settings.votes_table,
        settings.usage_table,
        share_votes=settings.share_votes,
        vote_days=settings.vote_days,
        limiter=limiter(settings),
    )


def limiter(settings: "BooksSettings") -> Limiter:
    """The rate limits all Lambdas share."""
    every = RateLimit(
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
    )
    return Limiter(dynamodb(), settings.usage_table, settings.rate_limits, default=every)


def gateway(settings: "AskSettings") -> "Gateway":
    """The gateway client, with its keys out of Secrets Manager.

    The secret is one key for every base URL, or a JSON object from base URL or host to key.
    """
    # Imported here: Lambdas that ask no gateway start without its client.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415 - when needed

    from quorum.gateway import breaker  # noqa: PLC0415 - when needed
    from quorum.gateway.client import (  # noqa: PLC0415 - when needed
        Gateway,
        GatewaySettings,
        parse_base_urls,
    )

    secret = str(parameters.get_secret(settings.gateway_secret, max_age=SECRET_SECONDS))
    keys: str | dict[str, str] = json.loads(secret) if secret.startswith("{") else secret
    base_urls = parse_base_urls(
        settings.gateway_base_url, keys, key_source="the secret GatewaySecret"
    )
    return Gateway(
        GatewaySettings(base_urls=base_urls),
        breaker=breaker.in_table(dynamodb(), settings.usage_table),
        limiter=limiter(settings),
    )


def panels(settings: "PanelsSettings") -> Panels:
    """The deployment's panels. What is not read within a few seconds is not waited for."""
    config = Config(
        connect_timeout=PARAMETER_SECONDS,
        read_timeout=PARAMETER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    ssm = boto3.client("ssm", config=config)
    return Panels(ssm, settings.panels_path, seconds=settings.panel_seconds)


def reviews(settings: "BooksSettings") -> Reviews:
    """The reviewers' side of the books."""
    return Reviews(dynamodb(), settings.verdicts_table, label_days=settings.label_days)


def verdicts(settings: "BooksSettings") -> Verdicts:
    """The verdicts' side of the books."""
    return Verdicts(
        dynamodb(),
        settings.verdicts_table,
        settings.usage_table,
        verdict_days=settings.verdict_days,
        review_days=settings.review_days,
    )


def workflow(settings: "WorkflowSettings") -> Workflow:
    """The vote machine behind its books."""
    return Workflow(
        machines(settings.aws_endpoint_url),
        settings.vote_machine,
        vote_store(settings).cache,
        verdicts(settings),
    )


@cache
def machines(aws_endpoint_url: str) -> "SFNClient":
    """Step Functions. Starting a vote is not idempotent, so this client tries once."""
    return boto3.client(
        "stepfunctions",
        config=Config(
            read_timeout=CLIENT_SECONDS,
            retries={"total_max_attempts": 1},
            # Only AWS has a host of its own for synchronous executions.
            inject_host_prefix=not aws_endpoint_url,
        ),
    )


@cache
def sqs() -> "SQSClient":
    """SQS."""
    return boto3.client("sqs")


@cache
def sns() -> "SNSClient":
    """SNS."""
    return boto3.client("sns")


@cache
def s3() -> "S3Client":
    """S3, with the signature AWS asks for everywhere; its default is older in some regions."""
    # As many connections as documents are put at once.
    return boto3.client("s3", config=Config(signature_version="s3v4", max_pool_connections=16))


def batches(settings: "BooksSettings") -> Batches:
    """The batches."""
    return Batches(
        dynamodb(), settings.verdicts_table, settings.usage_table, days=settings.verdict_days
    )


def budget(settings: "WorkflowSettings | AnswerSettings") -> BatchBudget:
    """The budget, and where its alerts go."""
    fields = Thresholds.model_fields
    thresholds = Thresholds.model_validate({name: getattr(settings, name) for name in fields})
    topic = (sns, settings.alerts_topic)
    return BatchBudget(dynamodb(), settings.usage_table, batches(settings), thresholds, topic)


def judging(settings: "BatchSettings | BulkSettings") -> "Judging":
    """Many items judged at once."""
    # Imported here, as below: the API judges none, and does without threads.
    from quorum.aws.leases import Leases  # noqa: PLC0415 - when needed
    from quorum.bulk.judging import Judging  # noqa: PLC0415 - when needed

    return Judging(
        workflow(settings),
        verdicts(settings),
        batches(settings),
        Leases(dynamodb(), settings.votes_table),
        budget(settings),
        default_panel=settings.default_panel,
        at_once=settings.items_at_once,
        panel_of=panels(settings).get,
    )


def answers(settings: "AnswerSettings") -> "Answers":
    """The kept answers."""
    from quorum.answer.answers import Answers  # noqa: PLC0415 - when needed

    return Answers(
        dynamodb(),
        settings.answers_table,
        settings.usage_table,
        limiter(settings),
        seconds=settings.answer_seconds,
    )


def asking(settings: "AnswerSettings") -> "Asking":
    """Models asked for answers, within the budget and by the books."""
    from quorum.answer.asking import Asking  # noqa: PLC0415 - when needed
    from quorum.aws.leases import Leases  # noqa: PLC0415 - when needed

    return Asking(
        cache(lambda: gateway(settings)),
        answers(settings),
        Leases(dynamodb(), settings.answers_table, key="answer_key"),
        budget(settings),
    )


def item_queue(settings: "QueueSettings") -> "ItemQueue":
    """The queue of items and its dead letters."""
    from quorum.batch.queue import ItemQueue  # noqa: PLC0415 - when needed

    return ItemQueue(
        sqs(),
        settings.items_queue,
        settings.dead_letters,
        batches(settings),
        max_receives=settings.max_receives,
    )


def document_queue(settings: "DocumentSettings") -> "ItemQueue":
    """The queue of documents and its dead letters."""
    from quorum.batch.queue import ItemQueue  # noqa: PLC0415 - when needed

    return ItemQueue(
        sqs(),
        settings.documents_queue,
        settings.dead_letters,
        batches(settings),
        max_receives=settings.max_receives,
    )


def contents(settings: "DocumentSettings") -> "Bucket":
    """The bucket of uploads, as documents use it."""
    from quorum.aws.bucket import Bucket  # noqa: PLC0415 - when needed

    return Bucket(s3(), settings.uploads_bucket)


def document_intake(settings: "DocumentSettings") -> "DocumentIntake":
    """How documents come in."""
    from quorum.document.intake import DocumentIntake  # noqa: PLC0415 - when needed

    return DocumentIntake(
        batches(settings),
        document_queue(settings),
        contents(settings),
        machines(settings.aws_endpoint_url),
        machine_arn=settings.document_machine,
        default_model=settings.default_model,
    )


def documents(settings: "DocumentSettings", answers: "DocumentAnswers") -> "Documents":
    """Who works through documents."""
    from quorum.document.documents import Documents, ReadText  # noqa: PLC0415 - when needed

    def reader(data: bytes, media_type: str | None, name: str | None) -> ReadText:
        from quorum.document import parsing  # noqa: PLC0415 - where there is a file to read

        parsed = parsing.text_of(data, media_type, name)
        return ReadText(parsed.text, parsed.media_type)

    return Documents(
        answers,
        batches(settings),
        contents(settings),
        budget(settings),
        machines(settings.aws_endpoint_url),
        settings.document_machine,
        at_once=settings.documents_at_once,
        reader=reader,
    )


def long_documents(settings: "DocumentSettings", answers: "DocumentAnswers") -> "LongDocuments":
    """Who works through long documents, piece by piece."""
    from quorum.document.long_documents import LongDocuments  # noqa: PLC0415 - when needed

    return LongDocuments(answers, batches(settings), contents(settings), budget(settings))


def estimates(settings: "EstimateSettings") -> "Estimates":
    """Who estimates what documents will take."""
    from quorum.aws.bucket import Bucket  # noqa: PLC0415 - when needed
    from quorum.document.estimates import Estimates  # noqa: PLC0415 - when needed
    from quorum.document.learning import Learned  # noqa: PLC0415 - when needed

    return Estimates(
        Bucket(s3(), settings.uploads_bucket),
        Learned(dynamodb(), settings.usage_table),
        limiter(settings),
        default_model=settings.default_model,
        krw_per_usd=settings.krw_per_usd,
        krw_as_of=settings.krw_as_of,
    )


def document_answers(settings: "DocumentSettings", asking: "Asking") -> "DocumentAnswers":
    """Who asks about documents and settles them."""
    from quorum.document.answering import DocumentAnswers  # noqa: PLC0415 - when needed
    from quorum.document.learning import Learned  # noqa: PLC0415 - when needed

    return DocumentAnswers(
        asking,
        batches(settings),
        contents(settings),
        Learned(dynamodb(), settings.usage_table),
        usage_table=settings.usage_table,
    )


def bulk(settings: "BulkSettings | ApiSettings", machine_arn: str = "") -> "Bulk":
    """The bucket of uploads, and the machine over it."""
    from quorum.bulk.machine import Bulk  # noqa: PLC0415 - when needed

    return Bulk(
        s3(),
        settings.uploads_bucket,
        machines(settings.aws_endpoint_url),
        machine_arn,
        batches(settings),
    )


def intake(settings: "ApiSettings") -> "Intake":
    """How batches come in."""
    from quorum.bulk.intake import Intake  # noqa: PLC0415 - when needed

    return Intake(
        batches(settings),
        item_queue(settings),
        bulk(settings, settings.bulk_machine),
        default_panel=settings.default_panel,
        panel_of=panels(settings).get,
    )


def costs(settings: "ApiSettings") -> "Costs":
    """The ledger, read for people."""
    from quorum.ledger.costs import Costs  # noqa: PLC0415 - when needed

    return Costs(
        dynamodb(),
        settings.usage_table,
        krw_per_usd=settings.krw_per_usd,
        krw_as_of=settings.krw_as_of,
    )


def connections(settings: "ChatSettings") -> "Connections":
    """The clients' ends of the chat's connections."""
    from quorum.chat.connections import Connections  # noqa: PLC0415 - when needed

    config = Config(
        connect_timeout=POST_SECONDS,
        read_timeout=POST_SECONDS,
        retries={"mode": "standard", "total_max_attempts": POST_ATTEMPTS},
    )
    url = settings.connections_url
    return Connections(boto3.client("apigatewaymanagementapi", endpoint_url=url, config=config))


def conversations(settings: "ChatSettings") -> "Conversations":
    """The chat's connections, requests and histories."""
    from quorum.chat.conversations import Conversations  # noqa: PLC0415 - when needed

    return Conversations(
        dynamodb(), settings.conversations_table, seconds=settings.conversation_seconds
    )


@cache
def functions() -> "LambdaClient":
    """Lambda. What is started twice is answered once (`Conversations.claim`)."""
    return boto3.client("lambda", config=Config(retries={"mode": "standard"}))


def reception(settings: "ReceptionSettings") -> "Reception":
    """Who takes the messages of a chat."""
    from quorum.chat.reception import Reception, starting  # noqa: PLC0415 - when needed

    return Reception(
        conversations(settings),
        connections(settings),
        starting(functions(), settings.converse_function),
        default_model=settings.default_model,
    )


def conversing(settings: "ConverseSettings") -> "Conversing":
    """Who streams the answers of a chat; its voters are opened when something is moderated."""
    from quorum.chat.conversing import Conversing, Judges  # noqa: PLC0415 - when needed

    machine = cache(lambda: workflow(settings))
    known = cache(lambda: panels(settings))
    judges = Judges(
        verdict=lambda tenant, content, panel: machine().moderate(tenant, content, panel),
        panel_of=lambda tenant, name: known().get(tenant, name or settings.default_panel),
        require_budget=budget(settings).check,
    )
    return Conversing(
        asking(settings),
        conversations(settings),
        connections(settings),
        judges,
        history_tokens=settings.history_tokens,
    )
