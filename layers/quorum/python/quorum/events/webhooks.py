"""The webhooks of all tenants, their secrets, and each tenant's rule.

A table by tenant and entry::

    rule             which verdicts become events
    webhook#<name>   a webhook: `document`, its `revision`, and the `last` delivery

A secret has to be used, so a hash of it would not do. It is encrypted by a key of the deployment
(KMS), bound to its tenant and webhook: the role of the API may encrypt with that key and not
decrypt, the one that delivers may decrypt and not encrypt. So a secret is shown once.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, StringConstraints

from quorum.audit.chain import Action, Change, Fact
from quorum.audit.trail import AuditTrail
from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from quorum.core.json_types import TrueOrFalse
from quorum.core.models import Frozen, is_none
from quorum.events.addresses import URL_LIMIT, require_url
from quorum.events.rules import EventRule, Subscription
from quorum.events.schema import Event, EventType
from quorum.events.sending import DeliveryFailure
from quorum.events.signature import new_secret
from quorum.gateway.model_hosts import ModelHosts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_kms import KMSClient

WEBHOOKS_LIMIT = 20
"""Webhooks of one tenant."""
OVERLAP = timedelta(hours=24)
"""Time for which a secret that was replaced still signs, beside the new one."""
SECRETS_LIMIT = 3
"""Secrets of a webhook that sign at a time: the newest, and those that it replaced within a day."""
TIME_OUTS = 5
"""Tries one after the other that time out, after which a webhook is paused: it may take a worker's
ten seconds once in `PAUSE_SECONDS`, and no more until it answers."""
PAUSE_SECONDS = 60
"""Seconds between two tries of a webhook that keeps timing out."""

NOTE_SECONDS = 1.0
"""Seconds for which a worker keeps one delivery of those that end alike."""
_ROUNDS = 5
"""Tries of one change while others change the same webhook."""
_RULE = "rule"
_WEBHOOK = "webhook#"
_T = TypeVar("_T")


class WebhookRequest(Subscription):
    """The body of `PUT /webhooks/{webhook}`: where it leads, and which events it gets."""

    url: Annotated[str, StringConstraints(min_length=9, max_length=URL_LIMIT)]
    enabled: TrueOrFalse = True


class Delivery(Frozen):
    """The last try of a delivery: of which event, and the receiver's status or what failed."""

    event_id: str
    type: EventType
    at: datetime
    tries: int
    status: int | None = None
    failure: DeliveryFailure | None = None


class _Secret(Frozen):
    """A secret as it is stored: encrypted, and until when it signs (None: it is the newest)."""

    encrypted: str
    created_at: datetime
    expires_at: datetime | None = None

    def signs(self, now: datetime) -> bool:
        """Whether messages of now are signed with it."""
        return self.expires_at is None or self.expires_at > now


class Webhook(WebhookRequest):
    """A webhook as it is stored."""

    secrets: tuple[_Secret, ...]
    created_at: datetime
    changed_at: datetime

    def wants(self, event: Event) -> bool:
        """Whether it is sent the event."""
        return self.enabled and super().wants(event)


class WebhookView(WebhookRequest):
    """A webhook without its secrets, with its last delivery.

    Until `old_secret_until` the secret that was replaced last signs, too.
    """

    name: str
    created_at: datetime
    changed_at: datetime
    old_secret_until: datetime | None = Field(default=None, exclude_if=is_none)
    last_delivery: Delivery | None = None


class NewSecret(WebhookView):
    """A webhook, with its secret if that is new; it is shown this once."""

    secret: str | None = Field(default=None, exclude_if=is_none)


class WebhookList(Frozen):
    """The webhooks of a tenant, by name."""

    webhooks: tuple[WebhookView, ...]


class StoredWebhook(NamedTuple):
    """A webhook with the number of its changes and its last delivery.

    Its last `time_outs` tries timed out, the last of them `asked_at` (epoch seconds).
    """

    webhook: Webhook
    revision: int
    last: Delivery | None
    time_outs: int = 0
    asked_at: int = 0

    def paused_until(self) -> int:
        """When it is tried again (epoch seconds), if it keeps timing out; else 0."""
        return self.asked_at + PAUSE_SECONDS if self.time_outs >= TIME_OUTS else 0


class Subscribers(NamedTuple):
    """A tenant's rule, and its webhooks by name. None is one that this release cannot read."""

    rule: EventRule | None
    webhooks: dict[str, Webhook | None]


class WebhookSecrets:
    """Encrypts and decrypts secrets with the deployment's key `key_id`."""

    def __init__(self, kms: "KMSClient", key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id

    def encrypted(self, tenant: str, name: str, secret: str) -> str:
        """The secret, encrypted; raises `StoreUnavailable`."""
        with unavailable("a webhook's secret could not be encrypted"):
            answer = self._kms.encrypt(
                KeyId=self._key_id,
                Plaintext=secret.encode(),
                EncryptionContext={"tenant": tenant, "webhook": name},
            )
        return base64.b64encode(answer["CiphertextBlob"]).decode()

    def valid(self, tenant: str, name: str, webhook: Webhook, now: datetime) -> list[str]:
        """The secrets that sign now, the newest first; raises `StoreUnavailable`."""
        found: list[str] = []
        for one in webhook.secrets:
            if not one.signs(now):
                continue
            with unavailable("a webhook's secret could not be decrypted"):
                answer = self._kms.decrypt(
                    KeyId=self._key_id,
                    CiphertextBlob=base64.b64decode(one.encrypted),
                    EncryptionContext={"tenant": tenant, "webhook": name},
                )
            found.append(answer["Plaintext"].decode())
        return found


class Webhooks:
    """The table of webhooks and rules; reading needs neither `secrets` nor `audit`."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._clock = clock
        self._noted: dict[tuple[str, str], tuple[object, float]] = {}

    @property
    def client(self) -> Any:
        """The client, for those who write to the table."""
        return self._client

    @property
    def table(self) -> str:
        """The table's name."""
        return self._table

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def subscribers(self, tenant: str) -> Subscribers:
        """The tenant's rule and webhooks; raises `StoreUnavailable`."""
        rule: EventRule | None = EventRule()
        webhooks: list[dict[str, Any]] = []
        for item in self._items(tenant):
            if str(item["entry"]) == _RULE:
                rule = next(_readable([item], _rule), None)
            else:
                webhooks.append(item)
        return Subscribers(rule, {_name(item): _if_readable(item) for item in webhooks})

    def rule(self, tenant: str) -> EventRule:
        """The tenant's rule; raises `Conflict` if this release cannot read it."""
        found = self.subscribers(tenant).rule
        if found is None:
            raise Conflict(
                "the rule was put in another release and cannot be read by this one; put it again",
                code="rule_unreadable",
            )
        return found

    def anywhere(self) -> Iterator[tuple[str, str, Webhook | None]]:
        """Tenant, name and webhook of all there are, as `Subscribers`. Reads the whole table."""
        for item in dynamo.scan(self._client, TableName=self._table):
            if str(item["entry"]).startswith(_WEBHOOK):
                yield str(item["tenant"]), _name(item), _if_readable(item)

    def listed(self, tenant: str) -> WebhookList:
        """The tenant's webhooks that can be read; raises `StoreUnavailable`."""
        items = [one for one in self._items(tenant) if str(one["entry"]).startswith(_WEBHOOK)]
        shown = _readable(items, lambda item: self._view(_name(item), stored_in(item)))
        return WebhookList(webhooks=tuple(shown))

    def names(self, tenant: str) -> list[str]:
        """The names of the tenant's webhooks, also of those that cannot be read."""
        entries = (str(one["entry"]) for one in self._items(tenant))
        return [one.removeprefix(_WEBHOOK) for one in entries if one.startswith(_WEBHOOK)]

    def find(self, tenant: str, name: str) -> StoredWebhook | None:
        """The webhook of that name, None if there is none.

        Raises `Conflict` if newer code put it and this cannot read it, and `StoreUnavailable`.
        """
        item = dynamo.get(self._client, self._table, key_of(tenant, name), consistent=True)
        if item is None:
            return None
        found = next(_readable([item], stored_in), None)
        if found is None:
            raise Conflict(
                "the webhook was put in another release and cannot be read by this one",
                code="webhook_unreadable",
                field="webhook",
            )
        return found

    def view(self, tenant: str, name: str) -> WebhookView:
        """The webhook of that name; raises `NotFound` and `StoreUnavailable`."""
        return self._view(name, self.get(tenant, name))

    def get(self, tenant: str, name: str) -> StoredWebhook:
        """The webhook of that name as stored; raises `NotFound` and `StoreUnavailable`."""
        found = self.find(tenant, name)
        if found is None:
            raise NotFound("no such webhook", code="webhook_not_found", field="webhook")
        return found

    def note(self, tenant: str, name: str, delivery: Delivery) -> None:
        """Keep the last delivery with its webhook, if that is still there, and count time-outs.

        A busy webhook would be one key that every delivery writes to: of those that end alike, one
        a second is kept. Each time-out is, because their number pauses the webhook.
        """
        now, outcome = self._clock(), (delivery.failure, delivery.status)
        known = self._noted.get((tenant, name))
        if known is not None and known[0] == outcome and now < known[1] + NOTE_SECONDS:
            return
        if delivery.failure is not DeliveryFailure.TIMED_OUT:
            self._noted[tenant, name] = (outcome, now)
        else:
            self._noted.pop((tenant, name), None)
        there: dict[str, Any] = {
            "UpdateExpression": "SET #last = :last REMOVE time_outs, asked_at",
            "ConditionExpression": "attribute_exists(tenant)",
            "ExpressionAttributeNames": {"#last": "last"},
            "ExpressionAttributeValues": {":last": delivery.model_dump_json()},
        }
        if delivery.failure is DeliveryFailure.TIMED_OUT:
            there["UpdateExpression"] = "SET #last = :last, asked_at = :now ADD time_outs :one"
            there["ExpressionAttributeValues"] |= {":now": int(self._clock()), ":one": 1}
        self._update(tenant, name, there)

    def may_ask(self, tenant: str, name: str, stored: StoredWebhook) -> bool:
        """Whether a webhook may be tried now: of those who want to try a paused one, one may."""
        if not stored.paused_until():
            return True
        now = int(self._clock())
        if now < stored.paused_until():
            return False
        mine = {
            "UpdateExpression": "SET asked_at = :now",
            "ConditionExpression": "asked_at = :before",
            "ExpressionAttributeValues": {":now": now, ":before": stored.asked_at},
        }
        return self._update(tenant, name, mine)

    def _update(self, tenant: str, name: str, update: dict[str, Any]) -> bool:
        """Update a webhook's item; returns whether the condition held."""
        gone = self._client.exceptions.ConditionalCheckFailedException
        with unavailable("a webhook could not be written"), suppress(gone):
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key=key_of(tenant, name),
                **update,
            )
            return True
        return False

    def _items(self, tenant: str) -> list[dict[str, Any]]:
        answer = dynamo.query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": tenant},
            ConsistentRead=True,
        )
        return list(answer["Items"])  # twenty webhooks are less than the 1 MB of a page

    def _view(self, name: str, stored: StoredWebhook) -> WebhookView:
        webhook, now = stored.webhook, self.now()
        ends = [one.expires_at for one in webhook.secrets if one.expires_at is not None]
        fields = {field: getattr(webhook, field) for field in WebhookRequest.model_fields}
        return WebhookView(
            **fields,
            name=name,
            created_at=webhook.created_at,
            changed_at=webhook.changed_at,
            old_secret_until=max((one for one in ends if one > now), default=None),
            last_delivery=stored.last,
        )


class WebhookSteps:
    """Steps with webhooks that change none, each recorded in the audit trail."""

    def __init__(self, webhooks: Webhooks, audit: AuditTrail) -> None:
        self._webhooks = webhooks
        self._audit = audit

    def tested(self, tenant: str, name: str, *, by: str) -> None:
        """Record that somebody tests a webhook; raises `NotFound` and `StoreUnavailable`."""
        self._webhooks.get(tenant, name)
        self._audit.record(tenant, _change(Action.WEBHOOK_TESTED, by, name, None, None))

    def redriven(self, tenant: str, name: str, *, by: str) -> None:
        """Record that somebody has the dead letters sent again; raises as `tested`."""
        self._webhooks.get(tenant, name)
        self._audit.record(tenant, _change(Action.WEBHOOK_REDRIVEN, by, name, None, None))


class WebhookChanges(WebhookSteps):
    """The changes of webhooks and rules, each written with its entry in the audit trail.

    `allowed` are the hosts that may be at any address.
    """

    def __init__(
        self, webhooks: Webhooks, secrets: WebhookSecrets, audit: AuditTrail, allowed: ModelHosts
    ) -> None:
        super().__init__(webhooks, audit)
        self._secrets = secrets
        self._allowed = allowed

    def put(self, tenant: str, name: str, request: WebhookRequest, *, by: str) -> NewSecret:
        """Put a webhook; a new one gets a secret, which is in the answer.

        Raises `InvalidRequest` for its URL or where there are too many, and `StoreUnavailable`.
        """
        require_url(request.url, self._allowed)
        for _ in range(_ROUNDS):
            found, now = self._webhooks.find(tenant, name), self._webhooks.now()
            secret = None
            if found is None:
                self._require_room(tenant)
                secret = new_secret()
                kept: tuple[_Secret, ...] = (self._secret(tenant, name, secret, now),)
                created = now
            else:
                kept, created = found.webhook.secrets, found.webhook.created_at
            webhook = Webhook(**dict(request), secrets=kept, created_at=created, changed_at=now)
            change = _change(Action.WEBHOOK_PUT, by, name, found and found.webhook, webhook)
            if self._write(tenant, name, found, webhook, change):
                return self._shown(tenant, name, secret)
        raise _moved()

    def rotate(self, tenant: str, name: str, *, by: str) -> NewSecret:
        """Give a webhook a new secret; the one before still signs for a day, as was promised then.

        Raises `NotFound`, `Conflict` while `SECRETS_LIMIT` of them sign, and `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            found, now = self._webhooks.get(tenant, name), self._webhooks.now()
            newest, *others = found.webhook.secrets
            signing = [one for one in others if one.signs(now)]
            if len(signing) + 1 >= SECRETS_LIMIT:
                raise _rotated_too_often(signing)
            secret = new_secret()
            old = newest.model_copy(update={"expires_at": now + OVERLAP})
            kept = (self._secret(tenant, name, secret, now), old, *signing)
            webhook = found.webhook.model_copy(update={"secrets": kept, "changed_at": now})
            change = _change(Action.WEBHOOK_ROTATED, by, name, None, None)
            if self._write(tenant, name, found, webhook, change):
                return self._shown(tenant, name, secret)
        raise _moved()

    def delete(self, tenant: str, name: str, *, by: str) -> WebhookView:
        """Delete a webhook; returns what it was. What waits for it is not sent any more.

        Raises `NotFound` and `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            last = self._webhooks.view(tenant, name)
            found = self._webhooks.get(tenant, name)
            change = _change(Action.WEBHOOK_DELETED, by, name, found.webhook, None)
            delete = {
                "TableName": self._webhooks.table,
                "Key": key_of(tenant, name),
                "ConditionExpression": "revision = :revision",
                "ExpressionAttributeValues": {":revision": found.revision},
            }
            if not self._audit.write(tenant, change, [{"Delete": delete}]):
                return last
        raise _moved()

    def put_rule(self, tenant: str, rule: EventRule, *, by: str) -> EventRule:
        """Put the tenant's rule; raises `StoreUnavailable`."""
        before = self._webhooks.subscribers(tenant).rule
        item = {"tenant": tenant, "entry": _RULE, "document": rule.model_dump_json()}
        change = Change(
            action=Action.EVENT_RULE_PUT,
            by=by,
            subject="events/rule",
            before={} if before is None else {"verdicts": before.model_dump_json()},
            after={"verdicts": rule.model_dump_json()},
        )
        put = {"Put": {"TableName": self._webhooks.table, "Item": item}}
        self._audit.write(tenant, change, [put])
        return rule

    def _require_room(self, tenant: str) -> None:
        if len(self._webhooks.names(tenant)) >= WEBHOOKS_LIMIT:
            raise InvalidRequest(
                f"a tenant has at most {WEBHOOKS_LIMIT} webhooks; delete one",
                code="too_many_webhooks",
                limit=WEBHOOKS_LIMIT,
            )

    def _secret(self, tenant: str, name: str, secret: str, now: datetime) -> _Secret:
        encrypted = self._secrets.encrypted(tenant, name, secret)
        return _Secret(encrypted=encrypted, created_at=now)

    def _write(
        self, tenant: str, name: str, found: StoredWebhook | None, webhook: Webhook, change: Change
    ) -> bool:
        """Store the webhook in the place of what was found; False if that has changed."""
        condition = "attribute_not_exists(tenant)" if found is None else "revision = :earlier"
        revision = 1 if found is None else found.revision + 1
        values: dict[str, Any] = {":document": webhook.model_dump_json(), ":revision": revision}
        values |= {} if found is None else {":earlier": found.revision}
        update = {
            "TableName": self._webhooks.table,
            "Key": key_of(tenant, name),
            "UpdateExpression": "SET document = :document, revision = :revision"
            " REMOVE time_outs, asked_at",  # it may lead elsewhere now
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        return not self._audit.write(tenant, change, [{"Update": update}])

    def _shown(self, tenant: str, name: str, secret: str | None) -> NewSecret:
        return NewSecret(**dict(self._webhooks.view(tenant, name)), secret=secret)


def key_of(tenant: str, name: str) -> dict[str, str]:
    """The table's key of a webhook."""
    return {"tenant": tenant, "entry": f"{_WEBHOOK}{name}"}


def stored_in(item: dict[str, Any]) -> StoredWebhook:
    """The webhook in a table item."""
    return StoredWebhook(
        _webhook(item),
        int(item["revision"]),
        next(_readable([item] if "last" in item else [], _last), None),
        int(item.get("time_outs", 0)),
        int(item.get("asked_at", 0)),
    )


def _readable(
    items: Iterable[dict[str, Any]], read: Callable[[dict[str, Any]], _T]
) -> Iterator[_T]:
    return dynamo.readable(items, read, "tenant", "entry")


def _rule(item: dict[str, Any]) -> EventRule:
    return EventRule.model_validate_json(str(item["document"]), extra="ignore")


def _last(item: dict[str, Any]) -> Delivery:
    return Delivery.model_validate_json(str(item["last"]), extra="ignore")


def _name(item: dict[str, Any]) -> str:
    return str(item["entry"]).removeprefix(_WEBHOOK)


def _if_readable(item: dict[str, Any]) -> Webhook | None:
    return next(_readable([item], _webhook), None)


def _webhook(item: dict[str, Any]) -> Webhook:
    return Webhook.model_validate_json(str(item["document"]), extra="ignore")


def _moved() -> StoreUnavailable:
    return StoreUnavailable("the webhook changes faster than it can be written")


def _rotated_too_often(signing: list[_Secret]) -> Conflict:
    ends = min(one.expires_at for one in signing if one.expires_at is not None)
    when = ends.isoformat(timespec="seconds")
    return Conflict(
        f"{SECRETS_LIMIT} secrets of the webhook sign, each until a day after it was replaced;"
        f" rotate again after {when}",
        code="too_many_secrets",
        limit=SECRETS_LIMIT,
    )


def _change(
    action: Action, by: str, name: str, before: Webhook | None, after: Webhook | None
) -> Change:
    facts = [{} if one is None else _facts(one) for one in (before, after)]
    return Change(action=action, by=by, subject=f"webhook/{name}", before=facts[0], after=facts[1])


def _facts(webhook: Webhook) -> dict[str, Fact]:
    """Where a webhook leads and what it gets; never its secrets, nor a query with a key in it."""
    return {
        "url": webhook.url.partition("?")[0],
        "types": tuple(map(str, webhook.types)),
        "enabled": webhook.enabled,
    }
