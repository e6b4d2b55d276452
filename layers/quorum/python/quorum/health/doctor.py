"""The gateway check-up: each base URL's reachability, key, models and speed."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

from quorum.core.errors import (
    GatewayRejected,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    StreamCut,
    VoteUnavailable,
)
from quorum.core.models import Frozen, Money, Tokens
from quorum.gateway.base_urls import BaseUrl
from quorum.gateway.call import Completion
from quorum.gateway.client import Delta, Gateway
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from quorum.core.registry import Model

_UNAUTHORISED = 401
_QUESTION = [{"role": "user", "content": "Count from one to ten, in words."}]
_ANSWER_TOKENS = 40
_LISTED = 200
"""Names of served models that a report lists at most."""
_OWNERS = 20
"""Owners of served models that a report lists at most."""


class KeyState(StrEnum):
    """The gateway's answer about the key; `missing` if there is none to ask it with."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"
    UNKNOWN = "unknown"


class BaseUrlReport(Frozen):
    """The state of one base URL. `advice` says what to do, and is empty when all is well.

    `models_served` are the names of all models that the base URL lists, `models_found` those of
    ours whose name in requests is among them; `owners` are the owners that it names.
    `latency_ms` is that of `/models` over an open connection; `first_token_ms` and
    `tokens_per_second` are of one short streamed answer of `measured_with`. `url` is null for a
    caller that may not know it.
    """

    url: str | None
    key: KeyState
    key_source: str
    advice: str = ""
    models_served: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    models_found: tuple[str, ...] = ()
    models_missing: tuple[str, ...] = ()
    latency_ms: int | None = None
    measured_with: str | None = None
    first_token_ms: int | None = None
    tokens_per_second: float | None = None
    tokens: Tokens = Tokens()
    cost_usd: Money = Decimal(0)
    cost_estimated: bool = False

    @property
    def healthy(self) -> bool:
        """Whether the base URL serves every model that is needed, and answers."""
        return not self.advice


class Report(Frozen):
    """The state of every base URL, in order of preference."""

    base_urls: tuple[BaseUrlReport, ...]

    @property
    def healthy(self) -> bool:
        """Whether every base URL is healthy."""
        return all(report.healthy for report in self.base_urls)

    def without_urls(self) -> "Report":
        """The report for a tenant: which gateway it is, is the deployment's affair."""
        return Report(
            base_urls=tuple(base.model_copy(update={"url": None}) for base in self.base_urls)
        )


async def examine(
    gateway: Gateway,
    models: "Sequence[Model]",
    *,
    needed: Collection[str] | None = None,
    seconds: float = 20.0,
) -> Report:
    """Check every base URL of `gateway` for `models`, for at most `seconds` each.

    Only the models `needed`, by name, must be served; without it, all.
    Costs one answer of 40 tokens for each base URL, from the cheapest model it serves, of those
    needed where it serves one of them. Ignores the breaker and the shared limit, because it is used
    when those are in doubt. A base URL without a key is not asked, and is healthy if no model is
    needed. Raises nothing.
    """
    await gateway.take_up_keys()
    return Report(
        base_urls=tuple(
            [
                await _examine(gateway, base, models, needed, Deadline.after(seconds))
                for base in gateway.base_urls
            ]
        )
    )


async def _examine(
    gateway: Gateway,
    base: BaseUrl,
    models: "Sequence[Model]",
    needed: Collection[str] | None,
    deadline: Deadline,
) -> BaseUrlReport:
    required = [model for model in models if needed is None or model.name in needed]
    if not base.has_key:
        return BaseUrlReport(
            url=base.url,
            key=KeyState.MISSING,
            key_source=base.key_source,
            advice=f"there is no key in {base.key_source}: put one there." if required else "",
        )
    alone = gateway.settings.model_copy(update={"base_urls": (base,), "max_attempts": 1})
    client = Gateway(alone)
    try:
        await client.models(base, deadline=deadline)
        begun = monotonic()
        listed = await client.models(base, deadline=deadline)
        served = tuple(dict.fromkeys(model.name for model in listed))
        owners = sorted({model.owner for model in listed if model.owner is not None})
        report = BaseUrlReport(
            url=base.url,
            key=KeyState.VALID,
            key_source=base.key_source,
            latency_ms=round((monotonic() - begun) * 1000),
            models_served=served[:_LISTED],
            owners=tuple(owners[:_OWNERS]),
            models_found=tuple(model.name for model in models if model.gateway_name in served),
            models_missing=tuple(
                model.name for model in models if model.gateway_name not in served
            ),
        )
        missing = [model for model in required if model.name in report.models_missing]
        found = [model for model in required if model.name in report.models_found] or [
            model for model in models if model.name in report.models_found
        ]
        return await _measured(client, report, found, _missing(missing, served), deadline)
    except VoteUnavailable as error:
        rejected = isinstance(error, GatewayRejected) and error.status == _UNAUTHORISED
        return BaseUrlReport(
            url=base.url,
            key=KeyState.INVALID if rejected else KeyState.UNKNOWN,
            key_source=base.key_source,
            advice=_advice(error, base),
        )
    finally:
        await client.close()


def _missing(models: "Sequence[Model]", served: Sequence[str]) -> str:
    """Advice on models that are needed and not served under the names that requests send."""
    if not models:
        return ""
    said = []
    for model in models:
        others = [name for name in (model.name, *model.aliases) if name in served]
        sent = "" if model.gateway_name == model.name else f" (asked for as {model.gateway_name})"
        known = f" (served as {', '.join(others)}, which requests do not send)" if others else ""
        said.append(f"{model.name}{sent}{known}")
    return f"not served: {', '.join(said)}; use a panel without, or another base URL"


async def _measured(
    client: Gateway,
    report: BaseUrlReport,
    found: "Sequence[Model]",
    missing: str,
    deadline: Deadline,
) -> BaseUrlReport:
    """The report, with the speed of the cheapest model `found`, and advice on those `missing`."""
    if not found:
        advice = missing or "none of the known models is served; see what is"
        return report.model_copy(update={"advice": advice})
    cheapest = min(found, key=lambda model: model.price.output)
    begun, first = monotonic(), None
    answer: Completion | None = None
    try:
        async for piece in client.stream(
            cheapest, _QUESTION, max_output_tokens=_ANSWER_TOKENS, deadline=deadline
        ):
            if first is None:
                first = monotonic()
            if not isinstance(piece, Delta):
                answer = piece
    except (VoteUnavailable, StreamCut) as error:
        advice = f"{cheapest.name} does not answer: {error}"
        return report.model_copy(
            update={
                "advice": "; ".join(filter(None, (missing, advice))),
                "measured_with": cheapest.name,
                **_spent(error),
            }
        )
    answering = monotonic() - (first or begun)
    tokens = answer.tokens.output if answer else 0
    return report.model_copy(
        update={
            "advice": missing,
            "measured_with": cheapest.name,
            "first_token_ms": None if first is None else round((first - begun) * 1000),
            "tokens_per_second": round(tokens / answering, 1) if answering > 0 else None,
            **(_spent(answer) if answer else {}),
        }
    )


def _spent(on: Completion | VoteUnavailable | StreamCut) -> dict[str, object]:
    """The cost of an answer, or of the attempt to get one."""
    return {
        "tokens": on.tokens or Tokens(),
        "cost_usd": on.cost_usd,
        "cost_estimated": on.cost_estimated,
    }


def _advice(error: VoteUnavailable, base: BaseUrl) -> str:
    """Advice on an error. Names the source of the key, never the key or the base URL."""
    match error:
        case GatewayRejected(status=status) if status in _REJECTED:
            return _REJECTED[status].format(source=base.key_source)
        case ModelThrottled(retry_after_seconds=seconds):
            return f"429: the key's limit is reached; try again in {seconds:.0f} s."
        case ModelTimedOut():
            return "no answer in time: is the gateway up, and is there a way out of this network?"
        case ModelUnavailable():
            return f"cannot be reached ({error.message}): check the URL, its DNS and the network."
        case _:
            return error.message


_REJECTED = {
    401: "401: the key from {source} is not accepted. Is it this gateway's key, whole and not"
    " revoked? Put the right one there.",
    403: "403: the key from {source} may not list models: ask its owner.",
    404: "404: there is no /models at this base URL: does it lack its /v1?",
}
