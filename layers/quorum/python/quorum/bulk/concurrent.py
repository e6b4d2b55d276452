"""Several contents of one request, judged at the same time under one deadline.

A caller waits for all of them. Each is an evaluation as that of `POST /verdicts`, so votes,
verdicts and costs are stored and booked in the same way.
"""

from concurrent.futures import ThreadPoolExecutor, wait
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

from quorum.core.errors import QuorumError
from quorum.core.normalise import normalise
from quorum.vote.evaluation import ROUND_SECONDS, Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quorum.core.models import Content, Verdict
    from quorum.gateway.deadline import Deadline
    from quorum.vote.embedded_rounds import EmbeddedRounds
    from quorum.vote.panel import Panel
    from quorum.vote.policy import Policy
    from quorum.vote.workflow import Workflow

STORING_SECONDS = 2.0
"""Seconds before the deadline that are kept for storing verdicts nobody could wait for."""
NO_TIME = "there was no time left to ask"
NOT_IN_TIME = "no verdict came in time"


class ConcurrentModeration:
    """Judges contents `at_once` at a time; `clock` is in epoch seconds.

    `embedded` judges those of embedded voters all together, where it is given.
    """

    def __init__(
        self,
        workflow: "Workflow",
        *,
        at_once: int,
        embedded: "EmbeddedRounds | None" = None,
        clock: "Callable[[], float]" = time,
    ) -> None:
        self._workflow = workflow
        self._at_once = at_once
        self._embedded = embedded
        self._clock = clock

    def moderate_all(
        self,
        tenant: str,
        contents: "Sequence[Content]",
        panel: "Panel",
        policy: "Policy",
        deadline: "Deadline",
    ) -> "list[Verdict]":
        """The verdicts on `contents`, in order, stored. Near-identical contents share one.

        A content whose verdict cannot be had in time, or whose evaluation could not be started, is
        left to a person; its verdict says why. If none could be judged, the first failure is
        raised: `WorkflowNotStarted` or `StoreUnavailable`.
        """
        # All begin now and end together: one that waits for its turn has less time.
        opened = {
            key: self._workflow.open(tenant, content, panel, policy, uuid4().hex)
            for key, content in {_key(one): one for one in contents}.items()
        }
        verdicts = self.judge_all(list(opened.values()), deadline)
        return [verdicts[opened[_key(content)].verdict_id] for content in contents]

    def judge_all(
        self, evaluations: "Sequence[Evaluation]", deadline: "Deadline", *, with_votes: bool = False
    ) -> "dict[str, Verdict]":
        """The verdicts by id; those of trials are not stored. Raises as `moderate_all`.

        With `with_votes`, voters are asked also where a review or a list decides.
        """
        verdicts: dict[str, Verdict] = {}
        if self._embedded is not None:
            verdicts = self._embedded.judge(evaluations, with_votes=with_votes)
        left = [one for one in evaluations if one.verdict_id not in verdicts]
        run = self._workflow.run_with_votes if with_votes else self._workflow.run
        return verdicts | self._one_by_one(left, run, deadline) if left else verdicts

    def _one_by_one(
        self,
        evaluations: "Sequence[Evaluation]",
        run: "Callable[[Evaluation], Verdict]",
        deadline: "Deadline",
    ) -> "dict[str, Verdict]":
        workers = ThreadPoolExecutor(min(self._at_once, len(evaluations)))
        try:
            started = {one.verdict_id: workers.submit(self._judge, one, run) for one in evaluations}
            wait(started.values(), timeout=max(0.0, deadline.remaining() - STORING_SECONDS))
        finally:
            # A call to the machine cannot be interrupted: it ends by its own timeout.
            workers.shutdown(wait=False, cancel_futures=True)
        verdicts: dict[str, Verdict] = {}
        failures: dict[str, QuorumError] = {}
        for verdict_id, judging in started.items():
            if not judging.done() or judging.cancelled():
                continue
            try:
                verdicts[verdict_id] = judging.result()
            except QuorumError as failure:
                failures[verdict_id] = failure
        if len(failures) == len(evaluations):
            raise next(iter(failures.values()))
        for reason, those in self._unjudged(evaluations, verdicts, failures).items():
            left = self._workflow.leave_to_person(those, reason)
            verdicts |= {verdict.id: verdict for verdict in left}
        return verdicts

    def _judge(self, evaluation: Evaluation, run: "Callable[[Evaluation], Verdict]") -> "Verdict":
        if self._clock() > evaluation.deadline - ROUND_SECONDS:
            (verdict,) = self._workflow.leave_to_person([evaluation], NO_TIME)
            return verdict
        return run(evaluation)

    @staticmethod
    def _unjudged(
        evaluations: "Sequence[Evaluation]",
        verdicts: "dict[str, Verdict]",
        failures: "dict[str, QuorumError]",
    ) -> dict[str, list[Evaluation]]:
        """The evaluations without a verdict, by the reason why."""
        found: dict[str, list[Evaluation]] = {}
        for one in evaluations:
            if one.verdict_id not in verdicts:
                reason = str(failures.get(one.verdict_id, NOT_IN_TIME))
                found.setdefault(reason, []).append(one)
        return found


def _key(content: "Content") -> str:
    """What near-identical contents share: their votes are the same."""
    return content.model_copy(update={"text": normalise(content.text).text}).model_dump_json()
