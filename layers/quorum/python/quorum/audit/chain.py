"""Entries of the audit trail, chained by hashes, and the check of a chain. Pure.

Each entry's hash covers all of the entry and the hash of the one before it, so an entry cannot be
changed, left out or moved without changing every hash after it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from quorum.core.models import Frozen

FIRST = "0" * 64
"""The hash that the first entry of a chain names as that of the one before."""

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fact = str | int | bool | None | tuple[str, ...]
"""A value of an entry: an id, a version, a decision, a time. Never content, a note or a key."""


class Action(StrEnum):
    """The kinds of changes that are recorded."""

    REVIEW_CLAIMED = "review.claimed"
    REVIEW_RELEASED = "review.released"
    REVIEW_SKIPPED = "review.skipped"
    REVIEW_ESCALATED = "review.escalated"
    REVIEW_DECIDED = "review.decided"
    REVIEW_UNDONE = "review.undone"
    APPEAL_MADE = "appeal.made"
    APPEAL_DECIDED = "appeal.decided"
    POLICY_PUT = "policy.put"
    POLICY_DELETED = "policy.deleted"
    POLICY_SHADOW_PUT = "policy_shadow.put"
    POLICY_SHADOW_REMOVED = "policy_shadow.removed"
    PANEL_PUT = "panel.put"
    PANEL_DELETED = "panel.deleted"
    PANEL_SHADOW_PUT = "panel_shadow.put"
    PROPOSAL_MADE = "proposal.made"
    PROPOSAL_WITHDRAWN = "proposal.withdrawn"
    MODEL_PUT = "model.put"
    MODEL_DELETED = "model.deleted"
    KEY_ISSUED = "key.issued"
    KEY_CHANGED = "key.changed"
    KEY_REVOKED = "key.revoked"
    WEBHOOK_PUT = "webhook.put"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_REDRIVEN = "webhook.redriven"
    WEBHOOK_DELETED = "webhook.deleted"
    EVENT_RULE_PUT = "event_rule.put"


class _Actor(Frozen):
    """Who changed what: the key, the person it named (such as a reviewer), and the subject.

    `subject` is a kind and an id (`verdict/3f2a…`, `policy/gaming`).
    """

    by: str
    subject: str
    person: str | None = None


class Change(_Actor):
    """A change as it is recorded: by which key, on whose behalf, to what, from what to what."""

    action: Action
    before: dict[str, Fact] = Field(default_factory=dict)
    after: dict[str, Fact] = Field(default_factory=dict)


class AuditEntry(_Actor):
    """A change with its place in the tenant's chain.

    `hash` covers every other field, and by `previous` the entry before. An entry that newer code
    wrote is read as it is, with actions, facts and fields that this release does not know: the
    hash covers those, too.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    action: Action | str
    before: dict[str, JsonValue] = Field(default_factory=dict)
    after: dict[str, JsonValue] = Field(default_factory=dict)
    tenant: str
    number: int = Field(ge=1)
    at: datetime
    previous: Hash
    hash: Hash


class Link(Frozen):
    """The end of a chain, which the next entry continues."""

    number: int
    hash: Hash


class Fault(NamedTuple):
    """Something wrong with a chain: at which number, and what, in a sentence."""

    number: int
    message: str


def hash_of(entry: AuditEntry) -> str:
    """The hash of an entry: of the canonical JSON of all its fields but `hash` itself."""
    covered = entry.model_dump(mode="json", exclude={"hash"})
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def entry_after(
    tenant: str, last: AuditEntry | Link | None, change: Change, now: datetime
) -> AuditEntry:
    """The entry of `change` after the `last` one of the tenant's chain; None: it is the first."""
    entry = AuditEntry(
        **change.model_dump(mode="json"),
        tenant=tenant,
        number=1 if last is None else last.number + 1,
        at=now,
        previous=FIRST if last is None else last.hash,
        hash=FIRST,
    )
    return entry.model_copy(update={"hash": hash_of(entry)})


def faults(entries: Iterable[AuditEntry]) -> Iterator[Fault]:
    """What is wrong with a tenant's chain, given from its first entry on.

    Entries that are missing at its end cannot be seen from the chain alone: compare its last entry
    with one that was noted elsewhere.
    """
    last: AuditEntry | None = None
    for entry in entries:
        expected = 1 if last is None else last.number + 1
        previous = FIRST if last is None else last.hash
        if entry.number > expected:
            missing = (
                f"entry {expected} is missing"
                if entry.number == expected + 1
                else f"entries {expected} to {entry.number - 1} are missing"
            )
            yield Fault(expected, missing)
        elif entry.number < expected:
            yield Fault(entry.number, f"entry {entry.number} stands after entry {expected - 1}")
        elif entry.previous != previous:
            yield Fault(entry.number, f"entry {entry.number} does not follow the one before it")
        if entry.hash != hash_of(entry):
            yield Fault(entry.number, f"entry {entry.number} was changed after it was written")
        last = entry
