"""A stand-in for the vote machine: `statemachines/vote.asl.json` in this process, without Lambdas.

For benchmarks and tests of the code around a vote. The real machine is tested on the deployed
template (tests/e2e/test_machine.py).
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quorum.core.models import VOTE, Abstention, CastVote
from quorum.vote.evaluation import AggregateRequest, Evaluation, conclude_round
from quorum.vote.policies import PolicyVersions
from quorum.vote.verdicts import Verdicts

Ask = Callable[[Evaluation, str], CastVote | Abstention]


class InProcessMachine:
    """Takes the place of a Step Functions client; `ask` returns a voter's vote."""

    def __init__(self, ask: Ask, verdicts: Verdicts, policies: PolicyVersions) -> None:
        self._ask = ask
        self._verdicts = verdicts
        self._policies = policies
        self._branches = ThreadPoolExecutor(32)

    def start_sync_execution(self, **given: Any) -> dict[str, Any]:
        """One execution: rounds of votes until the verdict is settled or postponed."""
        request = json.loads(given["input"])
        evaluation = Evaluation.model_validate(request["evaluation"])
        policy = self._policies.of(evaluation.tenant, evaluation.policy)
        voters, number = tuple(request["voters"]), int(request["round"])
        votes = [VOTE.validate_python(vote) for vote in request["votes"]]
        while True:
            votes += self._branches.map(lambda voter: self._ask(evaluation, voter), voters)
            heard = AggregateRequest(
                evaluation=evaluation, votes=tuple(votes), voters=voters, round=number
            )
            result = conclude_round(
                evaluation, heard.complete(), policy, round_number=number, now=time.time()
            )
            if result.settled:
                break
            voters, number = result.voters, result.round
        if result.verdict is None:
            output = json.dumps({"postponed": result.model_dump(mode="json")["postponed"]})
        else:
            verdict = result.verdict
            if not evaluation.is_trial:
                verdict = self._verdicts.record(
                    evaluation.tenant, evaluation.content, verdict, evaluation.position
                )
            output = verdict.model_dump_json()
        return {"status": "SUCCEEDED", "output": output}
