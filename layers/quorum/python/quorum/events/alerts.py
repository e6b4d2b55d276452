"""Events in what is published on the topic of alerts: spending, and CloudWatch's alarms. Pure."""

import json
from datetime import datetime
from typing import Any

from quorum.events.schema import (
    BudgetAlert,
    BudgetData,
    DriftData,
    Event,
    EventType,
    VoterDrifted,
    event_id,
)

AGREEMENT = "AgreementWithVerdict"
"""Name of the metric of a voter's agreement, whose alarm goes off where it drifts."""


def event_of(message: str, published_at: datetime) -> Event | None:
    """The event in a message of the topic; None where there is none, such as in other alarms.

    Raises `ValueError` for a message that this release cannot read.
    """
    told = json.loads(message)
    if not isinstance(told, dict):
        return None
    if "alert" in told:
        return _budget(told, published_at)
    if told.get("NewStateValue") == "ALARM":
        return _drift(told, published_at)
    return None


def _budget(told: dict[str, Any], at: datetime) -> Event:
    data = BudgetData(
        what=told["alert"],
        limit_usd=told["limit_usd"],
        spent_usd=told["spent_usd"],
        day=told["day"],
        batch=told.get("batch"),
    )
    tenant = told.get("tenant")
    period = data.day if data.batch is None else data.batch
    kind = EventType.BUDGET_ALERT
    found = event_id(kind, tenant, data.what, period, data.limit_usd)
    return BudgetAlert(id=found, timestamp=at, tenant=tenant, data=data)


def _drift(told: dict[str, Any], at: datetime) -> Event | None:
    trigger = told.get("Trigger") or {}
    voters = [one["value"] for one in trigger.get("Dimensions", ()) if one["name"] == "voter"]
    if trigger.get("MetricName") != AGREEMENT or not voters:
        return None
    data = DriftData(voter=voters[0], least_agreement=trigger["Threshold"])
    kind = EventType.VOTER_DRIFTED
    found = event_id(kind, None, data.voter, told.get("StateChangeTime", at))
    return VoterDrifted(id=found, timestamp=at, data=data)
