"""A panel's vote in this process: same prompts, replies, tally and stop rules as the Lambdas.

There is no cache, no ledger and no limit shared with others: every call is made and paid, and its
exact cost is in the verdict.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from threading import Lock
from time import perf_counter, time
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from uuid import uuid4

from pydantic import ValidationError
from quorum.aws import loop
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import InvalidRequest, PanelInvalid, QuorumError, VoteUnavailable
from quorum.core.models import Abstention, CastVote, Content, Tokens, Verdict
from quorum.core.normalise import normalise
from quorum.core.registry import Model, VoteFormat
from quorum.core.rejection import rejection
from quorum.gateway.base_urls import NO_KEY, parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.vote import packing, voter
from quorum.vote import panel as panels
from quorum.vote.evaluation import VOTING_SECONDS, Evaluation, conclude_by_list, conclude_round
from quorum.vote.language import with_language
from quorum.vote.packed_voter import ask_packed
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT, Policy, reference_of
from quorum.vote.policy_reading import require_covers
from quorum.vote.requests import VerdictRequest

from quorum_client import Many, Progress
from quorum_client.many import CONCURRENCY, Run

TENANT = "in-process"
"""The tenant of evaluations that no deployment knows."""
_LISTS_READER = "rules"
"""The embedded voter that does not see what the policy's lists allow."""

_LOGGER = logging.getLogger(__name__)


class AskedAt(NamedTuple):
    """A model that is not packaged, and the client of the gateway that serves it."""

    model: Model
    gateway: Gateway


class _Unread(NamedTuple):
    """A content's part of a call for a pack that gave it no vote: zero where others got theirs."""

    tokens: Tokens = Tokens()
    cost_usd: Decimal = Decimal(0)

    def added_to(self, vote: CastVote | Abstention) -> CastVote | Abstention:
        """The vote that was asked for instead, with what both calls cost."""
        spent = {"tokens": vote.tokens + self.tokens, "cost_usd": vote.cost_usd + self.cost_usd}
        return vote.model_copy(update=spent)


class AsyncModerator:
    """A panel that judges texts in this process, in asynchronous code.

    It belongs to the event loop in which it is first used, as does its gateway's client.

    `panel` is a packaged panel's name, a panel, or a panel's document. `gateway` answers for its
    language models: a client, or base URLs separated by commas, with their `key`. Further `models`
    are named as on the panel. A verdict takes `voting_seconds` at most; voters that have not
    answered by then abstain. With `everyone`, all voters are asked at once, also those whose votes
    could no longer change the verdict, and lists settle nothing.

    Raises `PanelInvalid` for a panel that is not valid, that cannot judge a category of
    `policy`, or that has language models although there is no `gateway`.
    """

    def __init__(
        self,
        panel: str | Panel | Mapping[str, Any] = "embedded",
        policy: Policy = DEFAULT,
        gateway: Gateway | str | None = None,
        *,
        key: str = NO_KEY,
        models: Mapping[str, AskedAt] = MappingProxyType({}),
        default_language: str | None = None,
        voting_seconds: float = VOTING_SECONDS,
        everyone: bool = False,
    ) -> None:
        self.panel = _panel(panel, models)
        self.policy = policy
        self._models = models
        self._default_language = default_language
        self._voting_seconds = voting_seconds
        self._everyone = everyone
        self._opened = (
            Gateway(GatewaySettings(base_urls=parse_base_urls(gateway, key)))
            if isinstance(gateway, str)
            else None
        )
        self._gateway = gateway if isinstance(gateway, Gateway) else self._opened
        self._one_at_a_time = Lock()
        self._embedded: dict[str, Callable[[Content], CastVote | Abstention]] = {}
        require_covers(self.panel, policy, self._model)
        for name in self.panel.voters:
            if name in models:
                continue
            if self._model(name).kind == "embedded":
                # Each is slow to load, so only the panel's are.
                self._embedded[name] = import_module(f"embedded.{name}").vote
            elif self._gateway is None:
                raise PanelInvalid(
                    f"{name} is asked at a gateway, and there is none", path="rounds"
                )

    async def __aenter__(self) -> Self:
        """The moderator, which is closed after the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections that the moderator itself opened."""
        if self._opened is not None:
            await self._opened.close()

    async def moderate(self, text: str, *, language: str | None = None, **options: Any) -> Verdict:
        """The verdict on `text`; `options` are other fields of `POST /verdicts`.

        Those are `id`, `default_language`, `context` and `metadata`. Raises `InvalidRequest`, with
        the field and the limit, for what that route would refuse.
        """
        return await self.judge(_content({"content": text, "language": language} | options))

    async def moderate_many(
        self,
        texts: Iterable[str],
        *,
        language: str | None = None,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        alert_usd: Decimal | None = None,
    ) -> Many[Verdict]:
        """The results of `texts` in their order, `concurrency` at once, and the report.

        A text that is not valid has its error in its place. `progress` is called after each text,
        in the event loop. A warning is logged once the cost has reached `alert_usd`.
        """
        run: Run[Verdict] = Run(texts, failure=QuorumError, progress=progress, alert_usd=alert_usd)
        return await run.in_tasks(lambda text: self.moderate(text, language=language), concurrency)

    async def judge(self, content: Content) -> Verdict:
        """The verdict on a content. Its language is detected where it is not given."""
        return await self._judge(self._evaluation(content), {})

    async def judge_pack(self, contents: Sequence[Content]) -> list[Verdict]:
        """The verdicts on contents of one language, in order, as a batch that packs has them.

        Each language model is asked about all of them in one call, whichever round it is in, and
        again, alone, about those that the call did not answer. What a call without any vote cost is
        added to the votes asked for instead. For measuring: with `everyone`.
        """
        evaluations = [self._evaluation(content) for content in contents]
        models = [name for name in self.panel.voters if self._packs(name)]
        packs = await asyncio.gather(*(self._packed_votes(evaluations, name) for name in models))
        bought: list[dict[str, CastVote | _Unread]] = [
            {name: parts[index] for name, parts in zip(models, packs, strict=True)}
            for index in range(len(evaluations))
        ]
        return await asyncio.gather(*map(self._judge, evaluations, bought))

    def _packs(self, name: str) -> bool:
        model = self._model(name)
        return model.kind != "embedded" and model.vote_format is VoteFormat.JSON

    async def _packed_votes(
        self, evaluations: Sequence[Evaluation], name: str
    ) -> "Sequence[CastVote | _Unread]":
        """The votes of one call, and what the contents without one have cost so far."""
        contents = [normalise(one.content.text) for one in evaluations]
        try:
            bought = await ask_packed(
                self._gateway_of(name),
                self._model(name),
                contents,
                Deadline.after(self._voting_seconds),
                policy=self.policy,
                tenant=TENANT,
            )
        except VoteUnavailable as error:
            weights = packing.weights_of(self.policy, contents)
            tokens = packing.token_shares(error.tokens or Tokens(), weights)
            dollars = packing.cost_shares(error.cost_usd, weights)
            return [_Unread(*part) for part in zip(tokens, dollars, strict=True)]
        return [_Unread() if vote is None else vote for vote in bought.votes]

    async def _judge(
        self, evaluation: Evaluation, bought: "Mapping[str, CastVote | _Unread]"
    ) -> Verdict:
        """The verdict; voters whose vote is `bought` already are not asked."""
        hit = None if self._everyone else self.policy.lists.hit(evaluation.content)
        if hit is not None:
            result = conclude_by_list(evaluation, hit, self.policy, now=time())
        else:
            result = conclude_round(evaluation, (), self.policy, round_number=0, now=time())
        votes: list[CastVote | Abstention] = []
        while not result.settled:
            asked = self.panel.voters if self._everyone and not votes else result.voters
            had = {name: one for name in asked if isinstance(one := bought.get(name), CastVote)}
            votes += had.values()
            for vote in await self._round(evaluation, [one for one in asked if one not in had]):
                unread = bought.get(vote.voter)
                votes.append(unread.added_to(vote) if isinstance(unread, _Unread) else vote)
            result = conclude_round(
                evaluation, votes, self.policy, round_number=result.round, now=time()
            )
        if result.verdict is None:
            raise AssertionError("only an evaluation that may be postponed ends without a verdict")
        return result.verdict

    def _evaluation(self, content: Content) -> Evaluation:
        now = time()
        return Evaluation(
            verdict_id=uuid4().hex,
            tenant=TENANT,
            content=with_language(content, self.panel.default_language, self._default_language),
            panel=self.panel,
            policy=reference_of(self.policy),
            started_at=now,
            deadline=now + self._voting_seconds,
        )

    async def _round(
        self, evaluation: Evaluation, voters: Iterable[str]
    ) -> list[CastVote | Abstention]:
        """The votes of these voters, asked at the same time."""
        return await asyncio.gather(*(self._vote(evaluation, name) for name in voters))

    async def _vote(self, evaluation: Evaluation, name: str) -> CastVote | Abstention:
        """The vote of the voter called `name`; every failure is an abstention with its reason."""
        started = perf_counter()
        try:
            if name in self._embedded:
                return await asyncio.to_thread(self._embedded_vote, evaluation.content, name)
            return await self._gateway_vote(evaluation, name)
        except VoteUnavailable as error:
            return voter.abstention_of(name, error, _milliseconds(started))
        except Exception as failure:  # noqa: BLE001 as a branch of the machine, which fails no vote
            # The message may quote content, so only the kind of error is told.
            kind = type(failure).__name__
            _LOGGER.warning("the voter %s failed: %s", name, kind)
            return Abstention(voter=name, reason=AbstentionReason.FAILED, detail=kind)

    def _embedded_vote(self, content: Content, name: str) -> CastVote | Abstention:
        seen = self.policy.lists.without_allowed(content) if name == _LISTS_READER else content
        with self._one_at_a_time:  # they hold the interpreter's lock anyway
            started = perf_counter()
            vote = self._embedded[name](seen)
        return vote.model_copy(update={"latency_ms": _milliseconds(started)})

    async def _gateway_vote(self, evaluation: Evaluation, name: str) -> CastVote | Abstention:
        paid = await voter.ask(
            self._gateway_of(name),
            self._model(name),
            normalise(evaluation.content.text),
            Deadline.after(evaluation.deadline - time()),
            policy=self.policy,
            context=evaluation.content.context,
            tenant=TENANT,
        )
        return paid.vote

    def _gateway_of(self, name: str) -> Gateway:
        found = self._models.get(name)
        gateway = self._gateway if found is None else found.gateway
        if gateway is None:
            raise AssertionError("the panel was checked when the moderator was made")
        return gateway

    def _model(self, name: str) -> Model:
        found = self._models.get(name)
        return registry.model(name) if found is None else found.model


class Moderator:
    """A panel that judges texts in this process. Threads may share it.

    The arguments are those of `AsyncModerator`, and so are the errors.
    """

    def __init__(
        self,
        panel: str | Panel | Mapping[str, Any] = "embedded",
        policy: Policy = DEFAULT,
        gateway: Gateway | str | None = None,
        *,
        key: str = NO_KEY,
        models: Mapping[str, AskedAt] = MappingProxyType({}),
        default_language: str | None = None,
        voting_seconds: float = VOTING_SECONDS,
        everyone: bool = False,
    ) -> None:
        self._moderator = AsyncModerator(
            panel,
            policy,
            gateway,
            key=key,
            models=models,
            default_language=default_language,
            voting_seconds=voting_seconds,
            everyone=everyone,
        )
        self.panel = self._moderator.panel
        self.policy = policy

    def __enter__(self) -> Self:
        """The moderator, which is closed after the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections that the moderator itself opened."""
        loop.run(self._moderator.close())

    def moderate(self, text: str, *, language: str | None = None, **options: Any) -> Verdict:
        """The verdict on `text`; as `AsyncModerator.moderate`."""
        return self.judge(_content({"content": text, "language": language} | options))

    def moderate_many(
        self,
        texts: Iterable[str],
        *,
        language: str | None = None,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        alert_usd: Decimal | None = None,
    ) -> Many[Verdict]:
        """The results of `texts`; as `AsyncModerator.moderate_many`.

        `progress` is called by one thread at a time.
        """
        run: Run[Verdict] = Run(texts, failure=QuorumError, progress=progress, alert_usd=alert_usd)
        return run.in_threads(lambda text: self.moderate(text, language=language), concurrency)

    def judge(self, content: Content) -> Verdict:
        """The verdict on a content. Its language is detected where it is not given."""
        return loop.run(self._moderator.judge(content))

    def judge_pack(self, contents: Sequence[Content]) -> list[Verdict]:
        """The verdicts on contents of one language; as `AsyncModerator.judge_pack`."""
        return loop.run(self._moderator.judge_pack(contents))


def _content(given: Mapping[str, Any]) -> Content:
    try:
        request = VerdictRequest.model_validate(given)
    except ValidationError as error:
        why = rejection(error)
        raise InvalidRequest(why.message, code=why.code, field=why.field, limit=why.limit) from None
    return request.to_content()


def _panel(given: str | Panel | Mapping[str, Any], models: Mapping[str, AskedAt]) -> Panel:
    if isinstance(given, Panel):
        return given
    if isinstance(given, str):
        return panels.packaged(given)
    known = {model.name for model in registry.voters()}
    return panels.load(given, voters=known | models.keys())


def _milliseconds(started: float) -> int:
    return round((perf_counter() - started) * 1000)
