"""A probe of a model: what it can do, found by asking it for votes on a harmless text.

Every form of reply is asked for once, the strictest first: by JSON schema, in JSON mode, and by the
instructions alone. A guard model has one form. The calls ignore the breaker and the shared limit,
as the gateway check-up does, and are booked like any.
"""

import json
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING, Any

import jsonschema

from quorum.aws import dynamo, loop
from quorum.core.errors import VoteUnavailable
from quorum.core.model_entry import NamedEntry
from quorum.core.models import Decision, Frozen, Money, Tokens
from quorum.core.normalise import normalise
from quorum.core.registry import Model, ReplyFormat, VoteFormat
from quorum.gateway.base_urls import BaseUrl
from quorum.gateway.call import Completion
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.ledger import ledger, shards
from quorum.ledger.telemetry import cost_booked
from quorum.vote import voter
from quorum.vote.policy import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

PROBE_SECONDS = 24.0
"""Seconds for all calls together: the API function has 28."""
CALL_SECONDS = 11.0
"""Seconds for one call, as long as a voter's function has."""
TEXT = "Thanks for the recipe, my kids loved it."
"""What the model is asked about."""


class ReplyProbe(Frozen):
    """One call: whether the model answered, kept to the form, and cast a vote that can be read.

    `problem` says what was wrong. `keeps_form` is whether the reply is JSON and nothing else, valid
    by the schema where it was asked for by one.
    """

    reply_format: ReplyFormat | None
    answered: bool
    keeps_form: bool = False
    vote: Decision | None = None
    problem: str = ""
    log_probabilities: bool = False
    usage: bool = False
    latency_ms: int = 0
    tokens: Tokens = Tokens()
    cost_usd: Money = Decimal(0)
    cost_estimated: bool = False


class ProbeReport(Frozen):
    """What a model can do, what its entry should say, and what finding out cost.

    `advice` names fields of the entry that should say something else; it is empty when all is well.
    """

    name: str
    json_schema: bool
    json_object: bool
    votes: bool
    log_probabilities: bool
    usage: bool
    advice: tuple[str, ...]
    replies: tuple[ReplyProbe, ...]
    cost_usd: Money


def probed(
    known: NamedEntry,
    base_urls: tuple[BaseUrl, ...],
    dynamodb: "DynamoDBServiceResource",
    usage_table: str,
    tenant: str,
) -> ProbeReport:
    """Probe the model at its base URLs; the cost is booked to `tenant`.

    Raises `StoreUnavailable` if the cost could not be booked.
    """
    report = loop.run(probe(known, base_urls))
    client: Any = dynamodb.meta.client  # takes Python values, which its type denies
    for reply in report.replies:
        if reply.tokens.total:
            day, shard = ledger.today(), shards.chosen()
            dynamo.write(
                client, ledger.paid(usage_table, tenant, known.name, reply, day=day, shard=shard)
            )
            cost_booked(reply)
    return report


async def probe(known: NamedEntry, base_urls: tuple[BaseUrl, ...]) -> ProbeReport:
    """Ask the model in each form of reply that there is time for. Raises nothing."""
    gateway = Gateway(GatewaySettings(base_urls=base_urls, max_attempts=1))
    until = Deadline.after(PROBE_SECONDS)
    forms: Sequence[ReplyFormat | None] = tuple(ReplyFormat)
    if known.model.vote_format is not VoteFormat.JSON:
        forms = (None,)
    try:
        replies = tuple([await _asked(gateway, known.model, form, until) for form in forms])
    finally:
        await gateway.close()
    return _report(known, replies)


async def _asked(
    gateway: Gateway, model: Model, form: ReplyFormat | None, until: Deadline
) -> ReplyProbe:
    """One call in that form; None is a guard model's own."""
    changed: dict[str, object] = {"gives_log_probabilities": True}
    if form is not None:
        changed["reply_format"] = form
    asked = model.model_copy(update=changed)
    begun = monotonic()
    deadline = Deadline.after(min(CALL_SECONDS, until.remaining()))
    try:
        answer = await voter.answered(gateway, asked, normalise(TEXT), deadline, DEFAULT, "-")
    except VoteUnavailable as error:
        spent = {"tokens": error.tokens or Tokens(), "cost_usd": error.cost_usd}
        return ReplyProbe(
            reply_format=form,
            answered=False,
            problem=error.message,
            latency_ms=round((monotonic() - begun) * 1000),
            cost_estimated=error.cost_estimated,
            **spent,
        )
    return _read(asked, form, answer)


def _read(asked: Model, form: ReplyFormat | None, answer: Completion) -> ReplyProbe:
    vote, problem = None, ""
    try:
        vote = voter.read(asked, answer, DEFAULT).decision
    except VoteUnavailable as error:
        problem = error.message
    return ReplyProbe(
        reply_format=form,
        answered=True,
        keeps_form=_keeps(form, answer.text) if form is not None else vote is not None,
        vote=vote,
        problem=problem,
        log_probabilities=bool(answer.logprobs),
        usage=not answer.unbilled and not answer.cost_estimated,
        latency_ms=answer.latency_ms,
        tokens=answer.tokens,
        cost_usd=answer.cost_usd,
        cost_estimated=answer.cost_estimated,
    )


def _keeps(form: ReplyFormat, text: str) -> bool:
    """Whether the reply is what that form promises."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if form is ReplyFormat.JSON_SCHEMA:
        return jsonschema.Draft202012Validator(DEFAULT.reply_schema).is_valid(read)
    return isinstance(read, dict)


def _report(known: NamedEntry, replies: tuple[ReplyProbe, ...]) -> ProbeReport:
    kept = {one.reply_format for one in replies if one.keeps_form}
    log_probabilities = any(one.log_probabilities for one in replies)
    return ProbeReport(
        name=known.name,
        json_schema=ReplyFormat.JSON_SCHEMA in kept,
        json_object=ReplyFormat.JSON_OBJECT in kept,
        votes=any(one.vote is not None for one in replies),
        log_probabilities=log_probabilities,
        usage=all(one.usage for one in replies if one.answered)
        and any(one.answered for one in replies),
        advice=tuple(_advice(known, replies, log_probabilities=log_probabilities)),
        replies=replies,
        cost_usd=sum((one.cost_usd for one in replies), Decimal(0)),
    )


def _advice(
    known: NamedEntry, replies: tuple[ReplyProbe, ...], *, log_probabilities: bool
) -> list[str]:
    """What the entry should say otherwise."""
    if not any(one.answered for one in replies):
        return [f"the model does not answer: {replies[0].problem}"]
    said: list[str] = []
    best = next((one.reply_format for one in replies if one.keeps_form and one.vote), None)
    if best is not None and best is not known.entry.reply_format:
        said.append(f"reply_format: {best} is the strictest form that it keeps to")
    if log_probabilities is not known.entry.gives_log_probabilities:
        said.append(f"gives_log_probabilities: {str(log_probabilities).lower()}")
    if not any(one.vote for one in replies):
        said.append("no reply could be read as a vote")
    return said
