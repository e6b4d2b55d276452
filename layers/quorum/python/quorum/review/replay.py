"""The replay of a verdict: whether its votes, panel and policy still lead to it.

The panel and the policy are those of the verdict's time, as they were kept; the code is that of
today. A difference means that a stored part was changed, or that a release computes otherwise.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from quorum.core.errors import PolicyInvalid
from quorum.core.models import Frozen, ListName, Verdict
from quorum.vote.evaluation import Conclusion, concluded_again
from quorum.vote.kept_versions import KeptVersions
from quorum.vote.lists import ListPattern
from quorum.vote.policies import PolicyVersions
from quorum.vote.policy import DEFAULT, Policy

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class Difference(Frozen):
    """A field of the verdict that comes out otherwise."""

    field: str
    stored: Any
    again: Any


class Replay(Frozen):
    """The result of computing a verdict anew.

    `impossible`: something that is needed is not kept any more; `missing` says what.
    """

    verdict_id: str
    result: Literal["same", "different", "impossible"]
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    panel: str
    panel_version: str
    policy: str
    policy_version: str
    answered_from: str


class Replaying(NamedTuple):
    """What verdicts are replayed with; `find` reads another verdict of the tenant."""

    kept: KeptVersions
    policies: PolicyVersions
    find: Callable[[str, str], Verdict | None]


def replayed(source: Replaying, tenant: str, verdict: Verdict) -> Replay:
    """The replay of a stored verdict; raises `StoreUnavailable`."""
    differences: tuple[Difference, ...] = ()
    missing: list[str] = []
    if verdict.reused_review is not None:
        differences = tuple(_by_review(source, tenant, verdict, missing))
    else:
        policy = _policy(source, tenant, verdict)
        if policy is None:
            missing.append(f"policy {verdict.policy}@{verdict.policy_version}")
        if verdict.list_hit is not None:
            differences = tuple(_by_list(verdict, policy)) if policy else ()
        else:
            panel = source.kept.panel(tenant, verdict.panel, verdict.panel_version)
            if panel is None:
                missing.append(f"panel {verdict.panel}@{verdict.panel_version}")
            if panel is not None and policy is not None:
                differences = _compared(verdict, concluded_again(verdict, panel, policy))
    result: Literal["same", "different", "impossible"] = (
        "impossible" if missing else "different" if differences else "same"
    )
    return Replay(
        verdict_id=verdict.id,
        result=result,
        differences=differences,
        missing=tuple(missing),
        panel=verdict.panel,
        panel_version=verdict.panel_version,
        policy=verdict.policy,
        policy_version=verdict.policy_version,
        answered_from=verdict.answered_from,
    )


def _policy(source: Replaying, tenant: str, verdict: Verdict) -> Policy | None:
    """The policy of the verdict's time; None if it is not kept, or this release refuses it."""
    try:
        found = source.policies.under(tenant, verdict)
    except PolicyInvalid:
        return None
    if found is None and verdict.policy == DEFAULT.name:
        return source.kept.packaged_policy(verdict.policy, verdict.policy_version)
    return found


def _compared(verdict: Verdict, again: tuple[Conclusion, ...]) -> tuple[Difference, ...]:
    """The differences from the conclusion that is nearest; none if one of them is the verdict."""
    found = [tuple(_differing(verdict, conclusion)) for conclusion in again]
    return min(found, key=len)


def _differing(verdict: Verdict, conclusion: Conclusion) -> Iterator[Difference]:
    for field, value in conclusion._asdict().items():
        stored = getattr(verdict, field)
        if stored != value:
            yield Difference(
                field=field,
                stored=_JSON.dump_python(stored, mode="json"),
                again=_JSON.dump_python(value, mode="json"),
            )


def _by_list(verdict: Verdict, policy: Policy) -> Iterator[Difference]:
    """Whether the entry is on the list: the text is not kept, so it cannot be matched again."""
    hit = verdict.list_hit
    if hit is None:
        return
    entries = policy.lists.block if hit.list is ListName.BLOCK else policy.lists.review
    texts = {
        one if isinstance(one, str) else one.pattern if isinstance(one, ListPattern) else one.text
        for one in entries
    }
    if hit.entry not in texts:
        yield Difference(field="list_hit", stored=hit.model_dump(mode="json"), again=None)
    expected = "unsafe" if hit.list is ListName.BLOCK else "needs_review"
    if verdict.decision != expected:
        yield Difference(field="decision", stored=str(verdict.decision), again=expected)


def _by_review(
    source: Replaying, tenant: str, verdict: Verdict, missing: list[str]
) -> Iterator[Difference]:
    """The review that answered the content must be there, with the same decision."""
    reused = verdict.reused_review
    if reused is None:
        return
    reviewed = source.find(tenant, reused.verdict_id)
    review = None if reviewed is None else reviewed.review
    if review is None:
        missing.append(f"the review of verdict {reused.verdict_id}")
    elif review.reviewed_at == reused.reviewed_at and review.decision is not verdict.decision:
        yield Difference(field="decision", stored=str(verdict.decision), again=str(review.decision))
