"""From a content to its verdict: cached votes if they settle it, else the vote machine."""

import json
from collections.abc import Callable, Sequence
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from quorum import telemetry
from quorum.errors import Postponed, WorkflowFailed
from quorum.models import Abstention, CastVote, Content, Frozen, Verdict
from quorum.vote.cache import VoteCache, Wanted
from quorum.vote.case import (
    POSTPONED_SECONDS,
    VOTING_SECONDS,
    Case,
    Deliberation,
    Place,
    Postponement,
    conclude_without_votes,
    deliberate,
)
from quorum.vote.language import detect
from quorum.vote.panel import Panel
from quorum.vote.verdicts import Verdicts

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Votes = list[CastVote | Abstention]


class _Later(Frozen):
    """The machine's answer for a case that is postponed."""

    postponed: Postponement


_ANSWER: TypeAdapter[Verdict | _Later] = TypeAdapter(Verdict | _Later)

CLIENT_SECONDS = 27
"""How long a caller waits for the machine: longer than it runs, shorter than the API function."""


class Workflow:
    """Starts the vote machine and turns its envelope into a verdict."""

    def __init__(
        self,
        machine: "SFNClient",
        machine_arn: str,
        votes: VoteCache,
        verdicts: Verdicts,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._machine = machine
        self._machine_arn = machine_arn
        self._votes = votes
        self._verdicts = verdicts
        self._clock = clock

    def moderate(
        self,
        tenant: str,
        content: Content,
        panel: Panel,
        verdict_id: str | None = None,
    ) -> Verdict:
        """The verdict on `content`, stored. A language the caller does not name is detected.

        A `verdict_id` that is settled already answers with what is stored. When the machine fails
        the verdict is `needs_review` and says so. Raises `StoreUnavailable`.
        """
        if verdict_id is not None:
            settled = self._verdicts.find(tenant, verdict_id)
            if settled is not None:
                return settled
        return self.judge(self.open(tenant, content, panel, verdict_id or uuid4().hex))

    def open(
        self,
        tenant: str,
        content: Content,
        panel: Panel,
        verdict_id: str,
        place: Place | None = None,
        *,
        patient: bool = False,
    ) -> Case:
        """A case that begins now. A language the caller does not name is detected."""
        if content.language is None:
            content = content.model_copy(update={"language": detect(content.text)})
        now = self._clock()
        return Case(
            verdict_id=verdict_id,
            tenant=tenant,
            content=content,
            panel=panel,
            started_at=now,
            deadline=now + VOTING_SECONDS,
            place=place,
            patient=patient,
        )

    def from_cache(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """The verdicts that cached votes settle, in the order of `cases`; nothing is stored."""
        return [opening.verdict for opening, _ in self._openings(cases)]

    def judge(self, case: Case) -> Verdict:
        """The verdict on `case`, stored.

        When the machine fails the verdict is `needs_review` and says so; a patient case raises
        `Postponed` then, and when too few voters could be asked. Raises `StoreUnavailable`.
        """
        ((opening, cached),) = self._openings([case])
        if opening.verdict is not None:
            return self._record(case, opening.verdict)
        try:
            return self._run(case, opening, cached)
        except WorkflowFailed as failure:
            telemetry.logger.error(
                "vote machine failed",
                extra={"correlation_id": case.verdict_id, "why": str(failure)},
            )
            # The machine may have recorded the verdict and failed to say so: then that one stands.
            if case.patient:
                raise Postponed(str(failure), retry_after_seconds=POSTPONED_SECONDS) from failure
            return self._record(case, conclude_without_votes(case, str(failure), now=self._clock()))

    def _openings(self, cases: Sequence[Case]) -> list[tuple[Deliberation, Votes]]:
        """Where each case stands by its cached votes, and those votes."""
        found = self._votes.find_all(
            [
                Wanted(case.tenant, case.panel.voters, case.content, case.verdict_id)
                for case in cases
            ]
        )
        return [
            (
                deliberate(
                    case,
                    cached,
                    round_number=0,
                    now=self._clock(),
                    answered_from="cache" if all(vote.cached for vote in cached) else "panel",
                ),
                cached,
            )
            for case, cached in zip(cases, found, strict=True)
        ]

    def _record(self, case: Case, verdict: Verdict) -> Verdict:
        recorded = self._verdicts.record(case.tenant, case.content, verdict, case.place)
        telemetry.verdict_reached(recorded)
        return recorded

    def _run(self, case: Case, opening: Deliberation, cached: Votes) -> Verdict:
        request = {
            "case": case.model_dump(mode="json"),
            "seated": opening.seated,
            "votes": [vote.model_dump(mode="json") for vote in cached],
            "round": opening.round,
        }
        try:
            # Not escaped: escapes would make 32,768 characters more than the machine may carry.
            answer = self._machine.start_sync_execution(
                stateMachineArn=self._machine_arn, input=json.dumps(request, ensure_ascii=False)
            )
        except (ClientError, BotoCoreError) as error:
            raise WorkflowFailed(
                f"the vote machine could not be run: {type(error).__name__}"
            ) from error
        if answer["status"] != "SUCCEEDED":
            raise WorkflowFailed(
                f"the vote machine ended as {answer['status']}: {answer.get('error', 'no error')}"
            )
        try:
            found = _ANSWER.validate_json(answer["output"])
        except ValidationError as error:
            raise WorkflowFailed("the vote machine's answer is not a verdict") from error
        if isinstance(found, _Later):
            raise Postponed(found.postponed.reason, retry_after_seconds=found.postponed.seconds)
        return found
