"""Trials of a policy before it is in force: its verdicts on some contents, and their cost.

The same panel judges each content twice, under the policy in force and under the one on trial. The
verdicts are not recorded, not counted and not shown to reviewers; the votes are paid, booked and
cached like any. If both policies send voters the same, the votes of a stored verdict are tallied
again; otherwise its content is judged, if it is still stored.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from typing import Annotated, Any, NamedTuple, Self
from uuid import uuid4

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from quorum.core.errors import QuorumError
from quorum.core.models import (
    Content,
    Decision,
    Frozen,
    Identifier,
    Money,
    Verdict,
    is_none,
)
from quorum.core.rejection import ALTERNATIVE
from quorum.vote.evaluation import as_cast, conclude_at_once
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy, PolicyDocument
from quorum.vote.requests import ContextRequest, Text
from quorum.vote.reviews import Kept, Reviews
from quorum.vote.verdicts import Verdicts
from quorum.vote.workflow import Workflow

TRIED_LIMIT = 50
"""Texts and verdicts of one trial."""
AT_ONCE = 10
"""Contents judged at the same time."""
TRIAL_SECONDS = 10.0
"""Seconds after which no further content is begun: the API function has 28. Sending the same trial
again continues it, because votes are cached."""
PER = 1_000
"""Texts that the costs shown are for."""

_PLAIN, _IN_CONTEXT = f"{ALTERNATIVE}text", f"{ALTERNATIVE}in_context"


class TextInContext(Frozen):
    """A text to try a policy on, with its context."""

    content: Text
    context: ContextRequest


def _kind(given: Any) -> str:
    return _PLAIN if isinstance(given, str) else _IN_CONTEXT


TriedText = Annotated[
    Annotated[Text, Tag(_PLAIN)] | Annotated[TextInContext, Tag(_IN_CONTEXT)], Discriminator(_kind)
]
"""A text, or one with its context."""


class TrialRequest(Frozen):
    """The body of `POST /policies/{name}/try`: a policy, and the texts and verdicts to try it on.

    Without `policy`, the policy of that name in force is tried against the tenant's `default`.
    """

    policy: PolicyDocument | None = None
    texts: Annotated[tuple[TriedText, ...], Field(max_length=TRIED_LIMIT)] = ()
    verdict_ids: Annotated[tuple[Identifier, ...], Field(max_length=TRIED_LIMIT)] = ()
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _some_and_not_too_many(self) -> Self:
        if not 0 < len(self.texts) + len(self.verdict_ids) <= TRIED_LIMIT:
            raise ValueError(f"give 1 to {TRIED_LIMIT} texts and verdict_ids together")
        return self


class Tried(Frozen):
    """The decisions on one content under both policies.

    The content is the text with that `index`, or that of the verdict with that id. `skipped` says
    why there is no comparison.
    """

    index: int | None = Field(default=None, exclude_if=is_none)
    verdict_id: str | None = Field(default=None, exclude_if=is_none)
    before: Decision | None = None
    after: Decision | None = None
    changed: bool = False
    reason: str = ""
    skipped: str | None = Field(default=None, exclude_if=is_none)


class Trial(Frozen):
    """The result of a trial. `cost_usd` is what the trial itself cost.

    The other costs are of a thousand such texts with no vote from the cache; None where no text was
    judged.
    """

    before: str
    after: str
    changed: int
    tried: tuple[Tried, ...]
    cost_usd: Money
    per_thousand_usd_before: Money | None
    per_thousand_usd_after: Money | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One content of a trial, with its `verdict` and its text as far as they are known."""

    index: int | None
    verdict_id: str | None
    verdict: Verdict | None
    kept: Kept | None


class _Both(NamedTuple):
    """The verdicts under both policies; `replayed` if stored votes were tallied again."""

    before: Verdict
    after: Verdict
    replayed: bool = False


class _Skipped(Exception):
    """The reason why there is no comparison."""


class Trials:
    """Trials of policies on texts and verdicts of a tenant."""

    def __init__(
        self,
        workflow: Workflow,
        verdicts: Verdicts,
        reviews: Reviews,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._workflow = workflow
        self._verdicts = verdicts
        self._reviews = reviews
        self._clock = clock

    def run(
        self, tenant: str, request: TrialRequest, panel: Panel, before: Policy, after: Policy
    ) -> Trial:
        """Try `after` against `before`; both are stored, or the packaged policy.

        Raises `PanelInvalid` if no voter on the panel can judge a category of either.
        """
        for policy in (before, after):
            self._workflow.require_covers(panel, policy)
        stop_at = self._clock() + TRIAL_SECONDS
        found = self._verdicts.find_all([(tenant, one) for one in request.verdict_ids])
        kept = self._reviews.kept_contents(tenant, request.verdict_ids)
        wanted = [
            _Wanted(index, None, None, _given(one)) for index, one in enumerate(request.texts)
        ]
        wanted += [
            _Wanted(None, name, found.get(name), kept.get(name)) for name in request.verdict_ids
        ]

        def attempt(one: _Wanted) -> _Both | str:
            try:
                return self._compared(tenant, one, panel, (before, after), stop_at)
            except QuorumError as failure:
                return failure.told
            except _Skipped as skipped:
                return str(skipped)

        with ThreadPoolExecutor(AT_ONCE) as workers:
            results = list(workers.map(attempt, wanted))
        asked = [one for one in results if isinstance(one, _Both) and not one.replayed]
        tried = tuple(_tried(*pair) for pair in zip(wanted, results, strict=True))
        return Trial(
            before=f"{before.name}@{before.version}",
            after=f"{after.name}@{after.version}",
            changed=sum(one.changed for one in tried),
            tried=tried,
            cost_usd=sum((one.before.cost_usd + one.after.cost_usd for one in asked), Decimal(0)),
            per_thousand_usd_before=_per_thousand([one.before for one in asked]),
            per_thousand_usd_after=_per_thousand([one.after for one in asked]),
        )

    def _compared(
        self,
        tenant: str,
        one: _Wanted,
        panel: Panel,
        policies: tuple[Policy, Policy],
        stop_at: float,
    ) -> _Both:
        """The verdicts under both policies; raises `_Skipped`, and what judging raises."""
        if one.verdict_id is not None and one.verdict is None:
            raise _Skipped("there is no such verdict")
        if one.verdict is not None and _asked_alike(one.verdict, *policies):
            before, after = (
                self._recounted(tenant, one.verdict, panel, policy) for policy in policies
            )
            return _Both(before, after, replayed=True)
        if one.kept is None:
            raise _Skipped(
                "its content is no longer stored, and the policies ask voters different things"
            )
        if self._clock() > stop_at:
            raise _Skipped("the trial had no time left; send it again to continue")
        language = None if one.verdict is None else one.verdict.language
        content = Content(text=one.kept.text, language=language, context=one.kept.context)
        before, after = (self._judged(tenant, content, panel, policy) for policy in policies)
        return _Both(before, after)

    def _judged(self, tenant: str, content: Content, panel: Panel, policy: Policy) -> Verdict:
        return self._workflow.run(
            self._workflow.open(tenant, content, panel, policy, uuid4().hex, is_trial=True)
        )

    def _recounted(self, tenant: str, verdict: Verdict, panel: Panel, policy: Policy) -> Verdict:
        """The verdict that the stored votes give under `policy`."""
        # The text is not known. Lists were searched before the votes, so it is not needed.
        content = Content(text="-", language=verdict.language)
        evaluation = self._workflow.open(tenant, content, panel, policy, verdict.id)
        votes = [as_cast(vote) for vote in verdict.votes]
        return conclude_at_once(evaluation, votes, policy, now=evaluation.started_at)


def _given(text: str | TextInContext) -> Kept:
    if isinstance(text, str):
        return Kept(text, None)
    return Kept(text.content, text.context.to_context())


def _tried(one: _Wanted, result: _Both | str) -> Tried:
    if isinstance(result, str):
        return Tried(index=one.index, verdict_id=one.verdict_id, skipped=result)
    return Tried(
        index=one.index,
        verdict_id=one.verdict_id,
        before=result.before.decision,
        after=result.after.decision,
        changed=result.before.decision is not result.after.decision,
        reason=result.after.reason,
    )


def _asked_alike(verdict: Verdict, before: Policy, after: Policy) -> bool:
    """Whether both policies would have asked voters what this verdict's votes were asked."""
    return (
        bool(verdict.votes)
        and verdict.policy_version == before.version
        and before.asked_version == after.asked_version
        and before.lists == after.lists
    )


def _per_thousand(verdicts: Sequence[Verdict]) -> Decimal | None:
    """Dollars for a thousand such verdicts, cached votes at their first price; None for none."""
    if not verdicts:
        return None
    whole = sum((one.cost_usd + one.saved_usd for one in verdicts), Decimal(0))
    return round(PER * whole / len(verdicts), 12)
