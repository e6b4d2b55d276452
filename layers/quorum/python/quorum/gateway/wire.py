"""The wire format: the OpenAI-compatible API, with its dialects. Pure.

Nothing that a gateway sends raises an error here: an unreadable part is None.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from quorum.core.registry import Model, ReplyFormat
from quorum.core.unicode import without_surrogates
from quorum.gateway import problems
from quorum.gateway.finish import Finish, finish
from quorum.gateway.problems import Kind, Problem
from quorum.gateway.sampling import Sampling
from quorum.gateway.usage import Usage, usage

_NAME_CHARACTERS = 128
_TAIL_BYTES = 64 * 1024
"""Bytes at the end of a cut body that are searched for the usage, which comes last."""
_TEXT_PARTS = ("text", "output_text")
_FILTERING = frozenset(
    {
        *("input_sensitive", "output_sensitive", "stop_reason"),
        *("promptFeedback", "prompt_feedback", "prompt_filter_results"),
        *("content_filter_results", "content_filter_result"),
    }
)
"""The fields by which vendors say that a filter blocked; most parts have none of them."""
_LOWEST_LOG_PROBABILITY = 1e6
"""Size of a log-probability at most; OpenAI writes -9999 for a very unlikely token."""
_LOG_PROBABILITY_ROUNDING = 1e-3
"""Amount by which rounding may lift a log-probability above 0, the logarithm of certainty."""
_USAGE_BEGINS = re.compile(rb'"usage"\s*:\s*\{')
_USAGE = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')


def options(
    model: Model,
    *,
    sampling: Sampling,
    schema: Mapping[str, object] | None = None,
    json_object: bool = False,
    log_probabilities: bool = False,
) -> dict[str, object]:
    """The fields of a request besides its messages, under the names that this model understands."""
    drawn = sampling.model_dump(include=set(Sampling.model_fields), exclude_none=True)
    asked: dict[str, object] = {name: value for name, value in drawn.items() if value != ()}
    if schema is not None and model.reply_format is ReplyFormat.JSON_SCHEMA:
        named = {"name": "reply", "strict": True, "schema": schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    elif (schema is not None or json_object) and model.reply_format is not ReplyFormat.INSTRUCTIONS:
        asked["response_format"] = {"type": "json_object"}
    if log_probabilities and model.gives_log_probabilities:
        asked["logprobs"] = True
    return asked | model.reasoning_off


class TokenLogProbability(NamedTuple):
    """One token of the reply: its bytes, and the logarithm of its probability."""

    token: bytes
    log_probability: float


class ServedModel(NamedTuple):
    """A model that a gateway lists; the owner is None if it names none."""

    name: str
    owner: str | None


class Answer(NamedTuple):
    """A completion as far as it can be read; `usage` is None if it states none.

    A prompt or an answer that a safety filter blocked is an answer too: `FILTERED`, and empty.
    """

    text: str
    finish: Finish
    refusal: str | None
    logprobs: tuple[TokenLogProbability, ...]
    usage: Usage | None
    model: str | None


class Received(NamedTuple):
    """A body of status 200: an answer, an error, or neither; `usage` is the billed usage."""

    answer: Answer | None
    problem: Problem | None
    usage: Usage | None
    answered: bool
    """Whether a model answered, so that something was billed."""


def received(body: bytes) -> Received:
    """The content of a whole body of status 200."""
    try:
        read = problems.parsed(body)
    except ValueError:
        return Received(None, None, usage_in_part(body), b'"choices"' in body)
    reported = usage(read.get("usage")) if isinstance(read, dict) else None
    found = _answer(read, reported)
    problem = problems.inside(read)
    if problem is not None and problem.kind is Kind.BLOCKED:
        return Received(_filtered(read, reported), None, reported, answered=True)
    if problem is not None:
        said = found is not None and bool(found.text)
        return Received(None, problem, reported, said)
    return Received(found, None, reported, found is not None)


def _answer(read: object, reported: Usage | None) -> Answer | None:
    """The completion in a parsed body; None if it is not one."""
    if not isinstance(read, dict):
        return None
    choices = read.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if _is_blocked(read, choice):
        text = _said(choice.get("message")) if isinstance(choice, dict) else ""
        return _filtered(read, reported, text)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return None
    return Answer(
        text=text_of(message.get("content")),
        finish=ended_by(choice),
        refusal=refusal_of(message),
        logprobs=log_probabilities(choice.get("logprobs")),
        usage=reported,
        model=name_of(read.get("model")),
    )


def _is_blocked(read: Mapping[str, object], choice: object) -> bool:
    """Whether a filter blocked: it says so, or the answer has no choice or no message.

    Gemini sends only the latter for a prompt that it blocks.
    """
    if was_filtered(read) or ("choices" in read and not read["choices"]):
        return True
    if not isinstance(choice, dict):
        return False
    ended = ended_by(choice)
    silent = "message" in choice and choice["message"] is None and ended is Finish.WHOLE
    return silent or ended is Finish.FILTERED or was_filtered(choice)


def ended_by(choice: Mapping[str, object]) -> Finish:
    """The end of a choice; a filter named in the vendor's own word (OpenRouter) counts first."""
    if finish(choice.get("native_finish_reason")) is Finish.FILTERED:
        return Finish.FILTERED
    return finish(choice.get("finish_reason"))


def _filtered(read: object, reported: Usage | None, text: str = "") -> Answer:
    model = name_of(read.get("model")) if isinstance(read, dict) else None
    return Answer(text, Finish.FILTERED, None, (), reported, model)


def was_filtered(part: Mapping[str, object]) -> bool:
    """Whether an answer or a choice says that a filter blocked it.

    In the forms of Azure, Gemini, MiniMax (`input_sensitive`) and Anthropic (`stop_reason`).
    """
    if _FILTERING.isdisjoint(part):
        return False
    if part.get("input_sensitive") is True or part.get("output_sensitive") is True:
        return True
    if finish(part.get("stop_reason")) is Finish.FILTERED:
        return True
    feedback = part.get("promptFeedback") or part.get("prompt_feedback")
    if isinstance(feedback, dict) and (feedback.get("blockReason") or feedback.get("block_reason")):
        return True
    results: list[object] = [part.get("content_filter_results"), part.get("content_filter_result")]
    of_prompt = part.get("prompt_filter_results")
    results += [
        one.get("content_filter_results")
        for one in (of_prompt if isinstance(of_prompt, list) else ())
        if isinstance(one, dict)
    ]
    return any(
        isinstance(category, dict) and category.get("filtered") is True
        for result in results
        if isinstance(result, dict)
        for category in result.values()
    )


def _said(message: object) -> str:
    return text_of(message.get("content")) if isinstance(message, dict) else ""


def refusal_of(message: Mapping[str, object]) -> str | None:
    """The refusal in a message, in its field or a part; one that is not text counts too."""
    refusal = message.get("refusal")
    parts = message.get("content")
    if not refusal and isinstance(parts, list):
        refused = (
            part for part in parts if isinstance(part, dict) and part.get("type") == "refusal"
        )
        refusal = next((part.get("refusal") or True for part in refused), None)
    if isinstance(refusal, str):
        return without_surrogates(refusal) or None
    return "refused" if refusal else None


def name_of(name: object) -> str | None:
    """The model's name if it is valid: text on one line of at most `_NAME_CHARACTERS`."""
    if not isinstance(name, str) or not name.isprintable():
        return None
    return name[:_NAME_CHARACTERS] or None


def served_models(body: bytes) -> tuple[ServedModel, ...]:
    """The models in an answer of `/models`; raises `ValueError` if it is no list of models."""
    read = problems.parsed(body)
    listed = read.get("data") if isinstance(read, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError("not a list of models")
    named = [(name_of(entry.get("id")), name_of(entry.get("owned_by"))) for entry in listed]
    return tuple(ServedModel(name, owner) for name, owner in named if name is not None)


def usage_in_part(body: bytes) -> Usage | None:
    """The usage in an incomplete body, if that part has arrived; not exact if it breaks off."""
    tail = body[-_TAIL_BYTES:]
    found = _USAGE.findall(tail)
    try:
        return usage(problems.parsed(found[-1])) if found else _usage_begun(tail)
    except ValueError:
        return None


def _usage_begun(tail: bytes) -> Usage | None:
    """What a usage that breaks off has stated; None if its total is not among it.

    The total bounds whatever is missing. Raises `ValueError` if the beginning is not JSON.
    """
    begun = [match.end() - 1 for match in _USAGE_BEGINS.finditer(tail)]
    stated, comma, _ = tail[begun[-1] :].rpartition(b",") if begun else (b"", b"", b"")
    if not comma:  # a number without one after it may lack digits
        return None
    read = problems.parsed(stated + b"}" * (stated.count(b"{") - stated.count(b"}")))
    reported = usage(read) if isinstance(read, dict) and read.get("total_tokens") else None
    return None if reported is None else reported._replace(exact=False)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or parts of which some are text.

    Parts of another kind (a model's thoughts, a refusal) are left out, whatever text they hold.
    """
    if isinstance(content, str):
        return without_surrogates(content)
    parts: Iterable[object] = content if isinstance(content, list) else ()
    texts = (
        part.get("text")
        for part in parts
        if isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS
    )
    return without_surrogates("".join(text for text in texts if isinstance(text, str)))


def log_probabilities(logprobs: object) -> tuple[TokenLogProbability, ...]:
    """The answer's tokens with their log-probabilities; empty unless all can be read.

    A log-probability is a number of at most 0; a byte is a number from 0 to 255.
    """
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    read: list[TokenLogProbability] = []
    for entry in tokens if isinstance(tokens, list) else ():
        token = _token(entry)
        if token is None:
            return ()
        read.append(token)
    return tuple(read)


def _token(entry: object) -> TokenLogProbability | None:
    if not isinstance(entry, dict):
        return None
    token, log = _bytes(entry.get("bytes"), entry.get("token")), entry.get("logprob")
    if token is None or isinstance(log, bool) or not isinstance(log, int | float):
        return None
    known = -_LOWEST_LOG_PROBABILITY <= log <= _LOG_PROBABILITY_ROUNDING  # NaN is neither
    return TokenLogProbability(token, float(log)) if known else None


def _bytes(written: object, text: object) -> bytes | None:
    """The bytes of a token, as given or else of its text."""
    if isinstance(written, list) and written:
        try:
            return bytes(written)
        except (TypeError, ValueError):  # not whole numbers, or not of a byte
            return None
    return without_surrogates(text).encode() if isinstance(text, str) else None
