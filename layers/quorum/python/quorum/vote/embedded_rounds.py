"""Many contents before a panel of embedded voters: each voter is called once for several of them.

The vote machine runs once for each content, and calls each voter and the aggregate for it: for 32
contents and three voters 128 calls. An embedded voter asks nobody, costs nothing and answers in
milliseconds, so a list needs no machine: three calls, and a few transactions. Whatever cannot be
judged in this way is left to the machine, one by one (decision 29).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from time import time
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from quorum.aws.clients import CONNECTIONS
from quorum.aws.faults import AWS_ERRORS
from quorum.aws.telemetry import logger
from quorum.core.errors import QuorumError, WorkflowFailed
from quorum.core.models import Vote
from quorum.vote.evaluation import Evaluation, RoundResult, conclude_round
from quorum.vote.shadow import shadowed

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from quorum.core.models import Verdict
    from quorum.vote.panels import Panels
    from quorum.vote.workflow import Workflow

CALL_SECONDS = 8.0
"""Seconds for one call: enough for the start of a function, and the machine has time after it."""
CALL_TEXTS = 50
"""Contents of one call: a function of 0.6 processors takes about a second for them."""
CALL_CHARACTERS = 65_536
"""Characters of one call, unless a single content has more."""
LEFT_SECONDS = CALL_SECONDS
"""Seconds before the end of voting after which no call is begun: each may take as long."""
_VOTES: TypeAdapter[list[Vote]] = TypeAdapter(list[Vote])


class _State:
    """One evaluation: the votes so far, and how it stands after them."""

    def __init__(self, evaluation: Evaluation, result: RoundResult, votes: Sequence[Vote]) -> None:
        self.evaluation = evaluation
        self.result = result
        self.votes = list(votes)
        self.is_left = False
        """Whether a voter was not asked, for want of time: the machine judges what there is time
        for."""


class EmbeddedRounds:
    """Judges many contents at once by the functions of embedded voters, called by name of voter."""

    def __init__(
        self,
        workflow: "Workflow",
        functions: "LambdaClient",
        names: Mapping[str, str],
        panels: "Panels",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._workflow = workflow
        self._functions = functions
        self._names = names
        self._panels = panels
        self._clock = clock

    def judge(
        self, evaluations: Sequence[Evaluation], *, with_votes: bool = False
    ) -> "dict[str, Verdict]":
        """The verdicts by id, stored unless on trial; of those left to the machine there is none.

        The evaluations are of one tenant, panel and policy. With `with_votes`, those that a review
        or a list decides are left, too: the voters are asked about them nevertheless.
        """
        if len(evaluations) <= 1 or not self._takes(evaluations[0]):
            return {}
        try:
            judged = self._judged(evaluations, with_votes=with_votes)
            stored = self._workflow.store_all(judged) if judged else []
        except (*AWS_ERRORS, QuorumError, ValidationError) as failure:
            why = type(failure).__name__
            logger.warning("a list was left to the vote machine", extra={"why": why})
            return {}
        opened = {one.verdict_id: one for one in evaluations}
        return {
            verdict.id: self._workflow.with_shadow(opened[verdict.id], verdict)
            for verdict in stored
        }

    def _takes(self, evaluation: Evaluation) -> bool:
        """Whether all voters are embedded, and nobody else is to be asked beside them."""
        return (
            all(voter in self._names for voter in evaluation.panel.voters)
            and not evaluation.may_postpone
            and not self._workflow.has_shadow_apart(evaluation)
        )

    def _judged(
        self, evaluations: Sequence[Evaluation], *, with_votes: bool
    ) -> "list[tuple[Evaluation, Verdict]]":
        openings = self._workflow.openings(evaluations)
        states = [
            _State(one, result, votes)
            for one, (result, votes) in zip(evaluations, openings, strict=True)
        ]
        asked = [state for state in states if not state.result.settled]
        left = asked
        while left:
            self._ask(left)
            left = [state for state in left if not (state.result.settled or state.is_left)]
        heard = {state.evaluation.verdict_id for state in asked}
        return [
            (
                state.evaluation,
                shadowed(state.evaluation.tenant, verdict, self._panels)
                if verdict.id in heard
                else verdict,
            )
            for state in states
            if (verdict := state.result.verdict) is not None
            and not (with_votes and verdict.answered_from in ("review", "list"))
        ]

    def _ask(self, states: Sequence[_State]) -> None:
        """Ask the voters of each one's round, and conclude it."""
        voters = dict.fromkeys(voter for state in states for voter in state.result.voters)
        by_voter = [
            [
                (voter, some)
                for some in _calls([one for one in states if voter in one.result.voters])
            ]
            for voter in voters
        ]
        # Content by content: where time ends, the first ones have all their votes.
        calls = [call for row in zip_longest(*by_voter) for call in row if call is not None]
        with ThreadPoolExecutor(min(CONNECTIONS, len(calls))) as workers:
            answers = list(workers.map(lambda call: self._called(*call), calls))
        for (_, some), votes in zip(calls, answers, strict=True):
            for state, vote in zip(some, votes or (), strict=votes is not None):
                state.votes.append(vote)
            for state in some if votes is None else ():
                state.is_left = True
        for state in states:
            if state.is_left:
                continue
            state.result = conclude_round(
                state.evaluation,
                state.votes,
                self._workflow.policy_of(state.evaluation),
                round_number=state.result.round,
                now=self._clock(),
            )

    def _called(self, voter: str, states: Sequence[_State]) -> list[Vote] | None:
        """The votes of `voter`; None if there is no time left to ask.

        Raises `WorkflowFailed`, `ValidationError` and botocore's errors.
        """
        if self._clock() > states[0].evaluation.deadline - LEFT_SECONDS:
            return None
        evaluations = [state.evaluation.model_dump(mode="json") for state in states]
        answer = self._functions.invoke(
            FunctionName=self._names[voter],
            # Not escaped: an escaped character takes up to twelve bytes of six million.
            Payload=json.dumps({"evaluations": evaluations}, ensure_ascii=False).encode(),
        )
        if "FunctionError" in answer:
            raise WorkflowFailed(f"{voter} failed")
        votes = _VOTES.validate_json(answer["Payload"].read(), extra="ignore")
        if len(votes) != len(states):
            raise WorkflowFailed(f"{voter} did not vote on each content")
        return votes


def _calls(states: Sequence[_State]) -> Iterator[list[_State]]:
    """The contents of each call."""
    some: list[_State] = []
    characters = 0
    for state in states:
        length = len(state.evaluation.content.text)
        if some and (len(some) == CALL_TEXTS or characters + length > CALL_CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(state)
        characters += length
    if some:
        yield some
