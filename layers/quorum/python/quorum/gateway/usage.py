"""Tokens as billed, read from the different reports of vendors. Pure.

==================  ==============================================================================
OpenAI, vLLM        `prompt_tokens_details.cached_tokens` inside the prompt,
                    `completion_tokens_details.reasoning_tokens` inside the completion
OpenAI Responses    the same, as `input_tokens`, `output_tokens` and their details
DeepSeek            `prompt_cache_hit_tokens` inside the prompt
Moonshot            `cached_tokens` inside the prompt
Anthropic           `input_tokens`, and `cache_read_input_tokens` beside them
LiteLLM             `prompt_tokens`, and `cache_read_input_tokens` beside or inside: the total says
xAI                 reasoning beside the completion: the total says
Gemini              thoughts in the total alone
==================  ==============================================================================
"""

from collections.abc import Mapping
from itertools import chain, combinations
from typing import NamedTuple

from quorum.core.models import Tokens

_MOST_TOKENS = 100_000_000
"""Tokens: a larger number is no count of one call."""
_COUNTS = (
    *("total_tokens", "cached_tokens", "reasoning_tokens", "cache_write_tokens"),
    *("prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
)
"""The numbers that a price depends on besides the two required ones."""


class Usage(NamedTuple):
    """Tokens as reported; `exact` if the report has only one meaning."""

    tokens: Tokens
    exact: bool


class _Report(NamedTuple):
    """The numbers of a report, None for those it does not state."""

    given: int
    output: int
    total: int | None
    cached: int
    written: int  # to the vendor's cache, at a price of its own
    reasoning: int
    cached_beside: bool | None  # the prompt; None if the names do not say
    readable: bool  # every number that is there can be one


def usage(reported: object) -> Usage | None:
    """The tokens in a completion's `usage`; None if it does not state what was billed.

    A prompt without tokens is impossible: such a report states nothing and is not `exact`. Numbers
    that a report leaves open are counted at the most they can be.
    """
    report = _report(reported)
    if report is None:
        return None
    if not report.given:
        return Usage(Tokens(), exact=False)
    beside, exact = _beside(report)
    cached, written, reasoning = report.cached, report.written, report.reasoning
    given = report.given + ("cached" in beside) * cached + ("written" in beside) * written
    output = report.output + ("reasoning" in beside) * reasoning
    unexplained = 0 if report.total is None else report.total - given - output
    if unexplained > 0:  # thoughts without a field of their own are billed as output
        output, reasoning = output + unexplained, reasoning + unexplained
        exact = exact and report.cached_beside is False and not (report.written or report.reasoning)
    tokens = Tokens(
        input=given,
        cached_input=min(cached, given),
        output=output,
        reasoning=min(reasoning, output),
    )
    consistent = unexplained >= 0 and cached <= given and reasoning <= output and report.readable
    return Usage(tokens, exact and consistent and not written)


def _beside(report: _Report) -> tuple[frozenset[str], bool]:
    """The parts not included in the prompt or the completion, and whether that is certain."""
    parts = {
        name: number
        for name in ("cached", "written", "reasoning")
        if (number := getattr(report, name))
    }
    too_large = frozenset(
        name
        for name in parts
        if parts[name] > (report.output if name == "reasoning" else report.given)
    )
    if report.total is not None:
        missing = report.total - report.given - report.output
        sets = chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1))
        fitting = [
            frozenset(one)
            for one in sets
            if sum(parts[name] for name in one) == missing and too_large <= frozenset(one)
        ]
        if fitting:
            return fitting[0], len(fitting) == 1
    if report.cached_beside is None and report.total is None and "cached" in parts:
        return too_large | {"cached"}, "cached" in too_large
    if report.cached_beside:
        return too_large | (frozenset(parts) - {"reasoning"}), report.total is None
    return too_large, report.total is None or not too_large


def _report(reported: object) -> _Report | None:
    """The numbers of a report; None if either of the two required ones is missing."""
    if not isinstance(reported, dict):
        return None
    native = not _whole(reported, "prompt_tokens") and bool(_whole(reported, "input_tokens"))
    prompt, completion = ("input", "output") if native else ("prompt", "completion")
    given = _whole(reported, f"{prompt}_tokens")
    output = _whole(reported, f"{completion}_tokens")
    if given is None or output is None:
        return None
    details = reported.get(f"{prompt}_tokens_details")
    inside = (
        _whole(details, "cached_tokens"),
        _whole(reported, "prompt_cache_hit_tokens"),
        _whole(reported, "cached_tokens"),
    )
    cached = next((number for number in inside if number), 0)
    read = _whole(reported, "cache_read_input_tokens") or 0
    written = _whole(reported, "cache_creation_input_tokens") or 0
    beside = None if read and not cached and not native else bool(native and read)
    of_output = reported.get(f"{completion}_tokens_details")
    reasoning = _whole(of_output, "reasoning_tokens") or 0
    return _Report(
        given=given,
        output=output,
        total=_whole(reported, "total_tokens"),
        cached=max(cached, read),
        written=written or _whole(details, "cache_write_tokens") or 0,
        reasoning=reasoning,
        cached_beside=beside,
        readable=not any(
            part.get(name) is not None and _whole(part, name) is None
            for part in (reported, details, of_output)
            if isinstance(part, dict)
            for name in _COUNTS
        ),
    )


def _whole(numbers: Mapping[str, object] | object, name: str) -> int | None:
    number = numbers.get(name) if isinstance(numbers, dict) else None
    if isinstance(number, float) and number.is_integer():  # some write every number with a point
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        return None
    return number if 0 <= number <= _MOST_TOKENS else None
