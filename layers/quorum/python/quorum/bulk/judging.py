"""Judging many items: settled ones are skipped, and equal contents are asked about once.

Each evaluation goes through the vote machine; verdicts that cached votes settle are stored together
in few transactions. Of several workers with the same content one asks, and the others wait for its
votes (`quorum.aws.leases`).
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple
from uuid import uuid4

from quorum.aws.leases import LEASE_SECONDS, Leases
from quorum.aws.telemetry import logger
from quorum.batch.alerts import BatchBudget
from quorum.batch.records import Batches
from quorum.core.errors import (
    BudgetSpent,
    PanelInvalid,
    PolicyInvalid,
    Postponed,
    QuorumError,
    Undeliverable,
)
from quorum.core.models import Verdict
from quorum.core.normalise import normalise
from quorum.core.position import BatchPosition
from quorum.vote import telemetry
from quorum.vote.context import digest_of
from quorum.vote.evaluation import Evaluation
from quorum.vote.packed_rounds import PackedRounds
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy
from quorum.vote.requests import VerdictRequest
from quorum.vote.verdicts import Decided, Verdicts
from quorum.vote.workflow import Workflow

WAIT_SECONDS = 0.25
"""Seconds between two looks for the votes that a worker waits for."""
PAGE_SECONDS = 108.0
"""Seconds after which a page begins no more items: one that began then ends within 30 more."""
OTHERS_SECONDS = 5.0
"""Seconds until an item is tried again while another worker judges the same content."""


class Item(NamedTuple):
    """One item to be judged; an item that comes again has the same verdict id."""

    verdict_id: str
    tenant: str
    request: VerdictRequest
    position: BatchPosition | None = None


Outcomes = dict[str, Exception | None]
"""By verdict id: None for a settled item, else the failure that kept it from being settled."""


class _Limits(NamedTuple):
    """When nothing more is begun, and the seconds that an item waits for another worker."""

    until: float
    patience: float


class Judging:
    """Judges items, `at_once` at a time.

    `panel_of(tenant, name)` finds a panel, `policy_of(tenant, name)` a policy. `packed` buys votes
    where a panel packs; `shadowed` adds a panel's shadow to a verdict.
    """

    def __init__(  # noqa: PLR0913 - everything a verdict needs, opened once
        self,
        workflow: Workflow,
        verdicts: Verdicts,
        batches: Batches,
        claims: Leases,
        budget: BatchBudget,
        *,
        default_panel: str,
        at_once: int,
        panel_of: Callable[[str, str], Panel],
        policy_of: Callable[[str, str | None], Policy],
        packed: PackedRounds,
        shadowed: Callable[[str, Verdict], Verdict],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._workflow = workflow
        self._verdicts = verdicts
        self._batches = batches
        self._claims = claims
        self._budget = budget
        self._default_panel = default_panel
        self._panel_of = panel_of
        self._policy_of = policy_of
        self._packed = packed
        self._shadowed = shadowed
        self._sleep = sleep
        self._workers = ThreadPoolExecutor(at_once)

    def moderate_all(self, items: Sequence[Item], *, seconds: float = math.inf) -> Outcomes:
        """Judge the items, of which none is begun after `seconds`; returns the outcome of each.

        `Undeliverable` can never be judged; `Postponed` and `BudgetSpent` say when to try again;
        any other error is a failure.
        """
        outcomes: Outcomes = {}
        until = self._clock() + seconds
        affordable = self._affordable(self._open(items, outcomes), outcomes)
        begun = self._clock()
        left = self._from_cache(affordable, outcomes)
        left = self._bought_in_packs(left, outcomes, until)
        # Packs and the wait for others together take no longer than the wait alone.
        patience = max(0.0, LEASE_SECONDS - (self._clock() - begun))
        # Those of all tenants at once: none waits for another's slow voters.
        self._judge(left, outcomes, _Limits(until, patience))
        for tenant, of_tenant in _by_tenant(affordable).items():
            batches = {one.position.batch for one in of_tenant if one.position is not None}
            self._budget.watch(tenant, batches)
        return outcomes

    def _affordable(
        self, evaluations: Sequence[Evaluation], outcomes: Outcomes
    ) -> list[Evaluation]:
        """The evaluations of tenants with something left to spend; the others' outcomes are set."""
        affordable: list[Evaluation] = []
        for tenant, of_tenant in _by_tenant(evaluations).items():
            try:
                self._budget.check(tenant)
            except BudgetSpent as spent:
                outcomes |= {evaluation.verdict_id: spent for evaluation in of_tenant}
            else:
                affordable += of_tenant
        return affordable

    def given_up(self, items: Sequence[Item], reason: str) -> Outcomes:
        """The outcomes of items that are not tried again: those not settled are dead."""
        entries = self._verdicts.entries([(one.tenant, one.verdict_id) for one in items])
        settled = {name for name, entry in entries.items() if "dead" not in entry}
        return {
            one.verdict_id: None if one.verdict_id in settled else Undeliverable(reason)
            for one in items
        }

    def _open(self, items: Sequence[Item], outcomes: Outcomes) -> list[Evaluation]:
        """The evaluations that are still to be judged; the other items' outcomes are set."""
        wanted = {item.verdict_id: item for item in items}  # the same item twice is one
        entries = self._verdicts.entries([(one.tenant, one.verdict_id) for one in wanted.values()])
        batches = self._batches.facts(
            {
                (one.tenant, one.position.batch)
                for one in wanted.values()
                if one.position is not None
            }
        )
        evaluations: list[Evaluation] = []
        for verdict_id, item in wanted.items():
            entry = entries.get(verdict_id)
            if entry is not None and "dead" not in entry:
                outcomes[verdict_id] = None
                continue
            if item.position is not None:
                batch = batches.get((item.tenant, item.position.batch))
                if batch is None:
                    outcomes[verdict_id] = Undeliverable("there is no such batch")
                    continue
                if batch.is_cancelled:
                    outcomes[verdict_id] = None
                    continue
            try:
                evaluations.append(self._evaluation(item))
            except (PanelInvalid, PolicyInvalid) as invalid:
                outcomes[verdict_id] = Undeliverable(str(invalid))
        return evaluations

    def _evaluation(self, item: Item) -> Evaluation:
        panel = self._panel_of(item.tenant, item.request.panel or self._default_panel)
        return self._workflow.open(
            item.tenant,
            item.request.to_content(),
            panel,
            self._policy_of(item.tenant, item.request.policy),
            item.verdict_id,
            item.position,
            may_postpone=True,
        )

    def _from_cache(
        self, evaluations: Sequence[Evaluation], outcomes: Outcomes
    ) -> list[Evaluation]:
        """Store the verdicts that cached votes settle; returns the other evaluations."""
        found = list(zip(evaluations, self._workflow.from_cache(evaluations), strict=True))
        settled = {one.verdict_id: verdict for one, verdict in found if verdict is not None}
        of_tenants = _by_tenant([one for one in evaluations if one.verdict_id in settled])
        for tenant, some in of_tenants.items():
            decided = [
                Decided(
                    one.content,
                    self._with_shadow(tenant, settled[one.verdict_id]),
                    one.position,
                )
                for one in some
            ]
            try:
                stored = self._verdicts.record_all(tenant, decided)
            except QuorumError as failure:
                outcomes |= {one.verdict.id: failure for one in decided}
            else:
                outcomes |= {verdict.id: None for verdict in stored}
                for verdict in stored:
                    telemetry.verdict_reached(verdict)
                opened = {one.verdict_id: one for one in some}
                for verdict in stored:
                    self._workflow.with_shadow(opened[verdict.id], verdict)
        return [evaluation for evaluation, verdict in found if verdict is None]

    def _with_shadow(self, tenant: str, verdict: Verdict) -> Verdict:
        """`verdict` with its panel's shadow, if votes were bought for it."""
        return self._shadowed(tenant, verdict) if verdict.answered_from == "panel" else verdict

    def _bought_in_packs(
        self, evaluations: list[Evaluation], outcomes: Outcomes, until: float
    ) -> list[Evaluation]:
        """Buy votes for several contents at once where panels pack; returns what is left to judge.

        A content that another worker judges is left out: that one's votes will answer it. Nothing
        is bought after `until`.
        """
        groups = _by_content([one for one in evaluations if one.panel.packed > 1])
        if len(groups) <= 1 or self._clock() > until:
            return evaluations
        owner = uuid4().hex
        held: list[str] = []
        try:
            held.extend(content for content in groups if self._claims.take(content, owner))
            self._packed.buy([self._workflow.renew(groups[content][0]) for content in held])
        except QuorumError as failure:
            logger.warning("packs were left out", extra={"why": type(failure).__name__})
        finally:
            for content in held:
                with suppress(QuorumError):  # a lease ends by itself
                    self._claims.release(content, owner)
        return self._from_cache(evaluations, outcomes)

    def _judge(
        self, evaluations: Sequence[Evaluation], outcomes: Outcomes, limits: _Limits
    ) -> None:
        """Ask the voters about each content once, about several contents at a time."""
        groups = _by_content(evaluations)
        judged = self._workers.map(
            lambda content: self._judge_same(content, groups[content], limits), groups
        )
        for outcome in judged:
            outcomes |= outcome

    def _judge_same(self, content: str, evaluations: list[Evaluation], limits: _Limits) -> Outcomes:
        """Judge evaluations of one content: the first asks, and its votes answer the others."""
        outcomes: Outcomes = {}
        owner = uuid4().hex
        try:
            evaluations = self._claim(content, owner, evaluations, outcomes, limits)
            try:
                while evaluations:
                    self._require_time(limits.until)
                    first, *others = evaluations
                    self._workflow.run(self._workflow.renew(first))
                    outcomes[first.verdict_id] = None
                    evaluations = self._from_cache(others, outcomes) if others else []
            finally:
                self._claims.release(content, owner)
        except Exception as failure:  # noqa: BLE001 - reported to the caller, item by item
            outcomes |= {evaluation.verdict_id: failure for evaluation in evaluations}
        return outcomes

    def _require_time(self, until: float) -> None:
        """Raise `Postponed` if nothing more may be begun."""
        if self._clock() > until:
            raise Postponed("there was no time left", retry_after_seconds=OTHERS_SECONDS)

    def _claim(
        self,
        content: str,
        owner: str,
        evaluations: list[Evaluation],
        outcomes: Outcomes,
        limits: _Limits,
    ) -> list[Evaluation]:
        """The evaluations that are still to be judged once no other worker holds the lease."""
        self._require_time(limits.until)
        patience = min(limits.until, self._clock() + limits.patience)
        waited = False
        while not self._claims.take(content, owner):
            waited = True
            if self._clock() > patience:
                raise Postponed(
                    "another worker judges the same", retry_after_seconds=OTHERS_SECONDS
                )
            self._sleep(WAIT_SECONDS)
        if not waited:
            return evaluations
        # The other worker has left its votes, and may have settled some of these items.
        there = self._verdicts.find_all(
            [(evaluation.tenant, evaluation.verdict_id) for evaluation in evaluations]
        )
        outcomes |= dict.fromkeys(there)
        return self._from_cache(
            [evaluation for evaluation in evaluations if evaluation.verdict_id not in there],
            outcomes,
        )


def _by_tenant(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """The evaluations of each tenant, in order."""
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.tenant, []).append(evaluation)
    return groups


def _by_content(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """The evaluations of each content, in order."""
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(_content_of(evaluation), []).append(evaluation)
    return groups


def _content_of(evaluation: Evaluation) -> str:
    """A digest of the text and the context that voters are shown."""
    text = normalise(evaluation.content.text).text
    context = digest_of(evaluation.content.context)
    return sha256(f"{evaluation.tenant}#{context}#{text}".encode()).hexdigest()
