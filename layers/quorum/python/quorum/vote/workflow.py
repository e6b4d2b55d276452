"""The verdict on a content: from a person's review or cached votes, else from the vote machine.

Where the policy has a shadow (`quorum.vote.policy_shadows`), the content is judged under that, too:
at the same time if it asks something else, so that nobody waits longer than for one verdict.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ReadTimeoutError
from pydantic import TypeAdapter, ValidationError
from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

from quorum.aws.faults import AWS_ERRORS, code_of
from quorum.aws.telemetry import logger
from quorum.core.errors import Postponed, QuorumError, WorkflowFailed, WorkflowNotStarted
from quorum.core.models import Abstention, CastVote, Content, Frozen, PolicyShadow, Verdict
from quorum.core.position import BatchPosition
from quorum.vote import telemetry
from quorum.vote.cache import VoteCache, Wanted
from quorum.vote.evaluation import (
    POSTPONED_SECONDS,
    VOTING_SECONDS,
    Evaluation,
    Postponement,
    RoundResult,
    as_cast,
    conclude_at_once,
    conclude_by_list,
    conclude_by_review,
    conclude_round,
    conclude_without_votes,
)
from quorum.vote.kept_versions import KeptVersions
from quorum.vote.language import with_language
from quorum.vote.panel import Panel
from quorum.vote.policies import PolicyVersions
from quorum.vote.policy import Policy, reference_of
from quorum.vote.policy_reading import require_covers
from quorum.vote.policy_shadows import PolicyShadows
from quorum.vote.review_entries import ReviewEntries
from quorum.vote.verdicts import Decided, Verdicts

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Votes = list[CastVote | Abstention]


class _Later(Frozen):
    """The machine's answer for an evaluation that is postponed."""

    postponed: Postponement


_ANSWER: TypeAdapter[Verdict | _Later] = TypeAdapter(Verdict | _Later)

CLIENT_SECONDS = 27
"""Seconds a caller waits for the machine: longer than it runs, shorter than the API function."""
START_ATTEMPTS = 4
"""Tries to start the machine. Starting it twice is harmless: votes are cached, and the id of
a verdict is settled once."""
START_SECONDS = 3.0
"""Seconds of an evaluation within which the machine is started anew. A connection that is lost
later was most likely lost by a running machine; a new one would have too little time to vote."""
START_PAUSE_SECONDS = 0.1
"""Seconds before the second try at most; the pause doubles with every try."""


class Workflow:
    """Starts the vote machine and turns its answer into a verdict."""

    def __init__(  # noqa: PLR0913 - everything a verdict needs, opened once
        self,
        machine: "SFNClient",
        machine_arn: str,
        votes: VoteCache,
        verdicts: Verdicts,
        review_entries: ReviewEntries,
        policies: PolicyVersions,
        *,
        kept_versions: KeptVersions,
        shadows: PolicyShadows | None = None,
        default_language: str | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._machine = machine
        self._machine_arn = machine_arn
        self._votes = votes
        self._verdicts = verdicts
        self._review_entries = review_entries
        self._policies = policies
        self._kept_versions = kept_versions
        self._shadows = shadows
        self._default_language = default_language
        self._clock = clock

    def moderate(
        self,
        tenant: str,
        content: Content,
        panel: Panel,
        policy: Policy,
        verdict_id: str | None = None,
    ) -> Verdict:
        """The verdict on `content`, stored. A language the caller does not name is detected.

        For a `verdict_id` that is settled already, the stored verdict is returned. When the machine
        ran and failed, the verdict is `needs_review` and says so. Raises `WorkflowNotStarted` and
        `StoreUnavailable`.
        """
        if verdict_id is not None:
            settled = self._verdicts.find(tenant, verdict_id)
            if settled is not None:
                return settled
        return self.run(self.open(tenant, content, panel, policy, verdict_id or uuid4().hex))

    def open(
        self,
        tenant: str,
        content: Content,
        panel: Panel,
        policy: Policy,
        verdict_id: str,
        position: BatchPosition | None = None,
        *,
        may_postpone: bool = False,
        is_trial: bool = False,
    ) -> Evaluation:
        """An evaluation that begins now. A language the caller does not name is detected.

        The panel's version is kept, so that the verdict can be replayed. Raises `PanelInvalid` if
        no voter on the panel can judge a category of the policy, and `StoreUnavailable`.
        """
        self.require_covers(panel, policy)
        self._kept_versions.keep(tenant, panel, policy)
        content = with_language(content, panel.default_language, self._default_language)
        now = self._clock()
        return Evaluation(
            verdict_id=verdict_id,
            tenant=tenant,
            content=content,
            panel=panel,
            policy=reference_of(policy),
            started_at=now,
            deadline=now + VOTING_SECONDS,
            position=position,
            may_postpone=may_postpone,
            is_trial=is_trial,
        )

    def votes_so_far(self, tenant: str, content: Content, panel: Panel, policy: Policy) -> Votes:
        """The votes of the panel on a content that are stored by now; nobody is asked.

        A voter's vote is stored when it has voted, before the panel has a verdict. Raises
        `StoreUnavailable`.
        """
        content = with_language(content, panel.default_language, self._default_language)
        return self._votes.find(tenant, panel.voters, content, policy)

    def require_covers(self, panel: Panel, policy: Policy) -> None:
        """Raise `PanelInvalid` if no voter on `panel` can judge a category of `policy`."""
        require_covers(panel, policy, self._votes.model_of)

    def renew(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation with a new deadline, since it may have waited for its turn."""
        now = self._clock()
        return evaluation.model_copy(update={"started_at": now, "deadline": now + VOTING_SECONDS})

    def from_cache(self, evaluations: Sequence[Evaluation]) -> list[Verdict | None]:
        """The verdicts that reviews, lists or cached votes settle, in order; none is stored."""
        return [opening.verdict for opening, _ in self.openings(evaluations)]

    def run(self, evaluation: Evaluation) -> Verdict:
        """As `_alone`; a shadow of the policy judges beside, and the verdict says what."""
        beside = self._beside(evaluation)
        if beside is None:
            return self._alone(evaluation)
        if self._asked_alike(evaluation, beside):
            return self.with_shadow(evaluation, self._alone(evaluation))
        with ThreadPoolExecutor(1) as worker:
            judging = worker.submit(self._alone, beside)
            verdict = self._alone(evaluation)
            return self._noted(beside, verdict, judging.result)

    def run_with_votes(self, evaluation: Evaluation) -> Verdict:
        """As `run`; where a review or a list decides, the voters are asked nevertheless.

        Their votes and what those cost are in the answer, and not in the stored verdict.
        """
        verdict = self.run(evaluation)
        if verdict.answered_from not in ("review", "list"):
            return verdict
        asking = evaluation.model_copy(update={"verdict_id": uuid4().hex, "is_trial": True})
        ((opening, cached),) = self.openings([asking], by_voters=True)
        asked = self._concluded(asking, opening, cached)
        return verdict.model_copy(update={"votes": asked.votes, "cost_usd": asked.cost_usd})

    def from_cached_votes(self, evaluation: Evaluation) -> Verdict | None:
        """The verdict that cached votes settle, not stored; None where they settle none."""
        ((opening, _),) = self.openings([evaluation], by_voters=True)
        return opening.verdict

    def leave_to_person(self, evaluations: Sequence[Evaluation], reason: str) -> list[Verdict]:
        """The verdicts on contents of one tenant that nobody voted on for `reason`, in no order.

        Each is `needs_review`, and stored unless it is a trial's. Where the machine has recorded a
        verdict, that one stands. Raises `StoreUnavailable`.
        """
        return self.store_all([(one, self._without_votes(one, reason)) for one in evaluations])

    def store_all(self, judged: Sequence[tuple[Evaluation, Verdict]]) -> list[Verdict]:
        """The verdicts on contents of one tenant as stored, in no order; a trial's is not stored.

        Raises `StoreUnavailable`.
        """
        decided = [
            Decided(one.content, verdict, one.position)
            for one, verdict in judged
            if not one.is_trial
        ]
        recorded = self._verdicts.record_all(judged[0][0].tenant, decided)
        for verdict in recorded:
            telemetry.verdict_reached(verdict)
        return recorded + [verdict for one, verdict in judged if one.is_trial]

    def _without_votes(self, evaluation: Evaluation, reason: str) -> Verdict:
        policy = self.policy_of(evaluation)
        return conclude_without_votes(evaluation, reason, policy, now=self._clock())

    def with_shadow(self, evaluation: Evaluation, verdict: Verdict) -> Verdict:
        """The stored `verdict` with what the policy's shadow makes of votes that there are.

        Nobody is asked: where the shadow's own votes are not cached, it says nothing.
        """
        beside = None if verdict.policy_shadow is not None else self._beside(evaluation)
        if beside is None:
            return verdict
        return self._noted(beside, verdict, lambda: self._recounted(evaluation, beside, verdict))

    def _beside(self, evaluation: Evaluation) -> Evaluation | None:
        """The evaluation under the policy's shadow, None where there is none. Never raises."""
        if self._shadows is None or evaluation.is_trial:
            return None
        try:
            shadow = self._shadows.of(evaluation.tenant, evaluation.policy)
            if shadow is None:
                return None
            self.require_covers(evaluation.panel, shadow)
        except QuorumError as failure:
            telemetry.policy_shadow_failed(evaluation.verdict_id, type(failure).__name__)
            return None
        own = {"verdict_id": uuid4().hex, "position": None, "policy": reference_of(shadow)}
        return evaluation.model_copy(update=own | {"may_postpone": False, "is_trial": True})

    def has_shadow_apart(self, evaluation: Evaluation) -> bool:
        """Whether the policy has a shadow that asks voters something else."""
        beside = self._beside(evaluation)
        return beside is not None and not self._asked_alike(evaluation, beside)

    def _asked_alike(self, evaluation: Evaluation, beside: Evaluation) -> bool:
        """Whether both policies ask the same, so that the same votes answer both."""
        one, other = self.policy_of(evaluation), self.policy_of(beside)
        return (one.asked_version, one.embedded_version) == (
            other.asked_version,
            other.embedded_version,
        )

    def _recounted(
        self, evaluation: Evaluation, beside: Evaluation, verdict: Verdict
    ) -> Verdict | None:
        """What the shadow makes of the verdict's votes, if both ask alike, else of cached ones."""
        ((opening, _),) = self.openings([beside])
        if opening.verdict is not None or not verdict.votes:
            return opening.verdict
        if not self._asked_alike(evaluation, beside):
            return None
        votes = [as_cast(vote) for vote in verdict.votes]
        again = conclude_at_once(beside, votes, self.policy_of(beside), now=self._clock())
        return again.model_copy(update={"cost_usd": Decimal(0)})

    def _noted(
        self, beside: Evaluation, verdict: Verdict, judged: Callable[[], Verdict | None]
    ) -> Verdict:
        """The verdict with the shadow's; a shadow's failure is logged, and the verdict stands."""
        try:
            other = judged()
            if other is None or self._shadows is None:
                return verdict
            shadow = PolicyShadow(
                policy=f"{other.policy}@{other.policy_version}",
                decision=other.decision,
                score=other.score,
                cost_usd=other.cost_usd,
            )
            counted = self._shadows.counted(beside.tenant, verdict, shadow)
            return self._verdicts.add_shadow(beside.tenant, verdict, shadow, counted)
        except Exception as failure:  # noqa: BLE001 a shadow's failure never affects the verdict
            telemetry.policy_shadow_failed(verdict.id, type(failure).__name__)
            return verdict

    def _alone(self, evaluation: Evaluation) -> Verdict:
        """The verdict on `evaluation`'s content, stored unless it is a trial.

        When the machine ran and failed the verdict is `needs_review` and says so. An evaluation
        that may be postponed raises `Postponed` then, and when too few voters answered. Raises
        `WorkflowNotStarted` when the machine could not be started: a fault that passes must not
        become a verdict that stays. Raises `StoreUnavailable`.
        """
        ((opening, cached),) = self.openings([evaluation])
        return self._concluded(evaluation, opening, cached)

    def _concluded(self, evaluation: Evaluation, opening: RoundResult, cached: Votes) -> Verdict:
        """The verdict of `opening`, else that of the machine; stored and raising as `_alone`."""
        if opening.verdict is not None:
            return self._record(evaluation, opening.verdict)
        try:
            return self._run(evaluation, opening, cached)
        except WorkflowFailed as failure:
            logger.error(
                "vote machine failed",
                extra={"correlation_id": evaluation.verdict_id, "why": str(failure)},
            )
            if evaluation.may_postpone:
                raise Postponed(str(failure), retry_after_seconds=POSTPONED_SECONDS) from failure
            if isinstance(failure, WorkflowNotStarted):
                raise
            # The machine may have recorded a verdict before it failed: then that one stands.
            return self._record(evaluation, self._without_votes(evaluation, str(failure)))

    def _start(self, given: str) -> Any:
        """One try to run the machine: a kept-alive connection may be reset, AWS may throttle."""
        try:
            return self._machine.start_sync_execution(
                stateMachineArn=self._machine_arn, input=given
            )
        except ReadTimeoutError as late:
            raise WorkflowFailed("the vote machine did not answer in time") from late
        except AWS_ERRORS as error:
            why = code_of(error) or type(error).__name__
            raise WorkflowNotStarted(f"the vote machine could not be started: {why}") from error

    def openings(
        self, evaluations: Sequence[Evaluation], *, by_voters: bool = False
    ) -> list[tuple[RoundResult, Votes]]:
        """The state of each evaluation before anybody is asked, and its cached votes.

        A person's decision settles it, else an entry of the policy's lists; votes are looked up
        where there is neither, or if only voters shall settle it (`by_voters`).
        """
        policies = [self.policy_of(one) for one in evaluations]
        openings: dict[int, tuple[RoundResult, Votes]] = (
            {} if by_voters else self._settled_without_votes(evaluations, policies)
        )
        others = [index for index in range(len(evaluations)) if index not in openings]
        found = self._votes.find_all(
            [
                Wanted(
                    *(one.tenant, one.panel.voters, one.content, one.verdict_id, policy),
                    packed=one.panel.packed > 1,
                )
                for one, policy in ((evaluations[index], policies[index]) for index in others)
            ]
        )
        for index, cached in zip(others, found, strict=True):
            openings[index] = (self._by_votes(evaluations[index], cached), cached)
        return [openings[index] for index in range(len(evaluations))]

    def _settled_without_votes(
        self, evaluations: Sequence[Evaluation], policies: Sequence[Policy]
    ) -> dict[int, tuple[RoundResult, Votes]]:
        """Index → state of those evaluations that a review or a list settles."""
        reviewed = self._review_entries.reusable(
            [
                (one.tenant, one.content, policy.version)
                for one, policy in zip(evaluations, policies, strict=True)
            ]
        )
        openings: dict[int, tuple[RoundResult, Votes]] = {
            index: (
                conclude_by_review(evaluations[index], *reuse, policies[index], now=self._clock()),
                [],
            )
            for index, reuse in enumerate(reviewed)
            if reuse is not None
        }
        for index, policy in enumerate(policies):
            hit = None if index in openings else policy.lists.hit(evaluations[index].content)
            if hit is not None:
                listed = conclude_by_list(evaluations[index], hit, policy, now=self._clock())
                openings[index] = (listed, [])
        return openings

    def policy_of(self, evaluation: Evaluation) -> Policy:
        """The policy under which a content is judged."""
        return self._policies.of(evaluation.tenant, evaluation.policy)

    def _by_votes(self, evaluation: Evaluation, cached: Votes) -> RoundResult:
        return conclude_round(
            evaluation,
            cached,
            self.policy_of(evaluation),
            round_number=0,
            now=self._clock(),
            answered_from="cache" if all(vote.cached for vote in cached) else "panel",
        )

    def _record(self, evaluation: Evaluation, verdict: Verdict) -> Verdict:
        if evaluation.is_trial:
            return verdict
        recorded = self._verdicts.record(
            evaluation.tenant, evaluation.content, verdict, evaluation.position
        )
        telemetry.verdict_reached(recorded)
        return recorded

    def _run(self, evaluation: Evaluation, opening: RoundResult, cached: Votes) -> Verdict:
        request = {
            "evaluation": evaluation.model_dump(mode="json"),
            "voters": opening.voters,
            "votes": [vote.model_dump(mode="json") for vote in cached],
            "round": opening.round,
        }
        # Not escaped: with escapes, 32,768 characters would exceed the machine's limit.
        given = json.dumps(request, ensure_ascii=False)
        starting = Retrying(
            retry=retry_if_exception_type(WorkflowNotStarted),
            wait=wait_random_exponential(START_PAUSE_SECONDS),
            stop=lambda tried: (
                tried.attempt_number >= START_ATTEMPTS
                or self._clock() > evaluation.started_at + START_SECONDS
            ),
            reraise=True,
        )
        answer: Any = starting(self._start, given)
        if answer["status"] != "SUCCEEDED":
            raise WorkflowFailed(
                f"the vote machine ended as {answer['status']}: {answer.get('error', 'no error')}"
            )
        try:
            found = _ANSWER.validate_json(answer["output"], extra="ignore")
        except ValidationError as error:
            raise WorkflowFailed("the vote machine's answer is not a verdict") from error
        if isinstance(found, _Later):
            raise Postponed(found.postponed.reason, retry_after_seconds=found.postponed.seconds)
        return found
