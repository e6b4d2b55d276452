"""Votes on many contents, bought before the vote machine runs: one call of a model for several.

Whatever a pack answers is cached as bought for its verdict, so that the verdict is found settled,
or the machine goes on from there. What a pack did not answer, for whatever reason, the machine asks
about alone: there is no second set of rules for retries and abstentions (decision 41).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import TYPE_CHECKING, NamedTuple

from quorum.aws.faults import AWS_ERRORS
from quorum.aws.telemetry import logger
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.core.registry import VoteFormat
from quorum.vote.packing import CHARACTERS

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from quorum.core.registry import Model
    from quorum.vote.evaluation import Evaluation
    from quorum.vote.workflow import Workflow

CALL_SECONDS = 12.0
"""Seconds for one call: a voter's function ends after 11."""
BEGIN_SECONDS = 10.0
"""Seconds after which no other round of packs begins: all of it ends within 22."""
EMBEDDED_TEXTS = 50
"""Contents of one call of an embedded voter, which costs nothing and needs no instructions."""
EMBEDDED_CHARACTERS = 65_536
"""Characters of one call of an embedded voter."""
ANY_MODEL = "*"
"""The name of the function that asks models put as data."""


class _Call(NamedTuple):
    """One call: who is asked about what."""

    voter: str
    evaluations: "list[Evaluation]"


class PackedRounds:
    """Calls voters' functions with packs, `at_once` at a time; `names` has them by voter's name.

    `functions` opens the client, which panels that do not pack do not need.
    """

    def __init__(
        self,
        workflow: "Workflow",
        functions: "Callable[[], LambdaClient]",
        names: Mapping[str, str],
        *,
        at_once: int,
        model_of: "Callable[[str], Model]" = registry.model,
        clock: Callable[[], float] = time,
    ) -> None:
        self._workflow = workflow
        self._functions = functions
        self._names = names
        self._model_of = model_of
        self._at_once = at_once
        self._clock = clock

    def buy(self, evaluations: "Sequence[Evaluation]") -> None:
        """Ask round by round about those that may be packed, as long as packs answer.

        Of each tenant, the evaluations' contents differ. Raises `StoreUnavailable`.
        """
        until = self._clock() + BEGIN_SECONDS
        left = [one for one in evaluations if self._takes(one)]
        asked: set[tuple[str, str]] = set()
        while left and self._clock() < until:
            openings = self._workflow.openings(left)
            wanted = [
                (voter, one)
                for one, (result, _) in zip(left, openings, strict=True)
                if not result.settled
                for voter in result.voters
                if (one.verdict_id, voter) not in asked
            ]
            calls = list(self._calls(wanted))
            if not calls:
                return
            asked |= {(one.verdict_id, call.voter) for call in calls for one in call.evaluations}
            with ThreadPoolExecutor(min(self._at_once, len(calls))) as workers:
                list(workers.map(self._call, calls))
            left = [
                one for one, (result, _) in zip(left, openings, strict=True) if not result.settled
            ]

    def _takes(self, evaluation: "Evaluation") -> bool:
        """Whether the content may stand beside others: it is short enough and has no context.

        A policy's shadow that asks something else is asked at the same time, by the machine.
        """
        content = evaluation.content
        return (
            evaluation.panel.packed > 1
            and evaluation.keeps_votes
            and content.context is None
            and len(content.text) <= CHARACTERS // 2
            and not self._workflow.has_shadow_apart(evaluation)
        )

    def _calls(self, wanted: "Sequence[tuple[str, Evaluation]]") -> Iterator[_Call]:
        """The calls of a round: by voter and by what a pack has in common."""
        groups: dict[tuple[str, ...], list[Evaluation]] = {}
        for voter, one in wanted:
            batch = "" if one.position is None else one.position.batch
            of_one = (one.tenant, one.panel.version, one.policy, one.content.language or "", batch)
            alike = (voter, *of_one)
            groups.setdefault(alike, []).append(one)
        for (voter, *_), some in groups.items():
            try:
                model = self._model_of(voter)
            except ModelUnknown:
                continue
            if self._name_of(voter) is None:
                continue
            if model.kind == "embedded":
                packs = _divided(some, EMBEDDED_TEXTS, EMBEDDED_CHARACTERS)
            elif model.vote_format is VoteFormat.JSON:
                packs = _divided(some, some[0].panel.packed, CHARACTERS)
            else:  # a guard model has a form of its own for one content
                continue
            yield from (_Call(voter, pack) for pack in packs if len(pack) > 1)

    def _name_of(self, voter: str) -> str | None:
        return self._names.get(voter, self._names.get(ANY_MODEL))

    def _call(self, call: _Call) -> None:
        """Have the voter's function buy and cache votes; a failure leaves them to the machine."""
        event = {
            "evaluations": [one.model_dump(mode="json") for one in call.evaluations],
            "voter": call.voter,
        }
        try:
            answer = self._functions().invoke(
                FunctionName=self._name_of(call.voter) or "",
                # Not escaped: an escaped character takes up to twelve bytes of six million.
                Payload=json.dumps(event, ensure_ascii=False).encode(),
            )
            failed = answer.get("FunctionError")
        except AWS_ERRORS as failure:
            failed = type(failure).__name__
        if failed:
            logger.warning(
                "a pack was left to the vote machine", extra={"voter": call.voter, "why": failed}
            )


def _divided(
    evaluations: "Sequence[Evaluation]", most: int, characters: int
) -> "Iterator[list[Evaluation]]":
    """Parts of at most `most` contents with `characters` together, as even as their number allows.

    Ten before packs of eight are five and five: one content alone is no pack.
    """
    parts = -(-len(evaluations) // most)
    size = -(-len(evaluations) // parts)
    some: list[Evaluation] = []
    length = 0
    for one in evaluations:
        own = len(one.content.text)
        if some and (len(some) == size or length + own > characters):
            yield some
            some, length = [], 0
        some.append(one)
        length += own
    if some:
        yield some
