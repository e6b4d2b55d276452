"""Estimates of the tokens, cost and time of an operation before any model is asked. Pure.

Input tokens are those of the very questions that would be asked, pieces and overlap included, in
`o200k_base` times the model's factor: exact for OpenAI's models, within `token_error` for nine of
ten texts of the others. Output tokens are a share of the input, learned from earlier answers. Time
follows from the rate limits, or from the longest answer if that takes longer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

from quorum.answer.questions import Question
from quorum.core import registry
from quorum.core.models import Dollars, Frozen, Money, Tokens
from quorum.document import operations
from quorum.document.operations import Operation, Part, Work
from quorum.gateway import tokenizer
from quorum.gateway.fair_share import RateLimit

LEVELS_LIMIT = 4
"""Rounds in which answers to pieces are joined at most (`quorum.document.long_documents`)."""
_JOINED = (Operation.SUMMARIZE, Operation.CUSTOM)
"""The operations whose answers to pieces are joined by the model."""


class DocumentEstimate(Frozen):
    """The estimate of one document; `name` is the caller's, `pages` is None if it has none."""

    index: int
    name: str | None = None
    pages: int | None = None
    pieces: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Dollars


class ModelEstimate(Frozen):
    """The estimate of all documents with one model.

    `output_share` is the output tokens for each input token. `token_error` is the error of the
    count: nine of ten texts are within this share. `seconds` is the time at the rate limits;
    `bound_by` names the limit that decides it, or says that the longest answer does.
    """

    model: str
    pieces: int
    calls: int
    input_tokens: int
    output_tokens: int
    output_share: float
    token_factor: float
    token_error: float
    cost_usd: Dollars
    cost_krw: Money
    requests_per_minute: int
    tokens_per_minute: int
    seconds: int
    bound_by: Literal["requests_per_minute", "tokens_per_minute", "answer"]


class Estimate(ModelEstimate):
    """The estimate with the requested model, document by document; `compared` are all others."""

    operation: Operation
    documents: tuple[DocumentEstimate, ...]
    krw_per_usd: Money
    krw_as_of: date
    compared: tuple[ModelEstimate, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be estimated, with its index and name."""

    text: str
    index: int = 0
    name: str | None = None
    pages: int | None = None


class Terms(NamedTuple):
    """The basis of an estimate: the share learned for a model, its rate limit, the dollar's rate.

    `share_of` takes the model's name.
    """

    share_of: Callable[[str], float]
    limits: Mapping[str, RateLimit]
    default_limit: RateLimit
    krw_per_usd: Money
    krw_as_of: date


class _Call(NamedTuple):
    """One question: its tokens in `o200k_base`, and its answer's limit of tokens."""

    prompt_tokens: int
    max_output_tokens: int


class _Expected(NamedTuple):
    """The expected tokens of one document, as its model counts them.

    The calls of one round are made at once: first those for the pieces, then those that join them.
    """

    pieces: int
    rounds: tuple[tuple[Tokens, ...], ...]

    @property
    def calls(self) -> list[Tokens]:
        return [call for made in self.rounds for call in made]

    @property
    def tokens(self) -> Tokens:
        return sum(self.calls, Tokens())

    @property
    def longest(self) -> int:
        """The output tokens of answers that follow one another, the longest of each round."""
        return sum(max((call.output for call in made), default=0) for made in self.rounds)


def estimate(
    work: Work, documents: Sequence[Document], terms: Terms, *, compare: bool = False
) -> Estimate:
    """The estimate of `work` on `documents`; with `compare`, of every other model too.

    Raises `ModelUnknown`.
    """
    chosen = registry.model(work.model)
    # The questions depend only on a model's window, which most models share.
    asked: dict[tuple[int, Any], tuple[_Call, ...]] = {}

    def calls(number: int, of: Work) -> tuple[_Call, ...]:
        text = documents[number].text
        shape = operations.piece_tokens(of) if operations.is_long(of, text) else None
        if (number, shape) not in asked:
            asked[number, shape] = _calls(of, text, long=shape is not None)
        return asked[number, shape]

    def expected(model: registry.Model) -> list[_Expected]:
        of = work.model_copy(update={"model": model.name})
        share = terms.share_of(model.name)
        return [_expected(of, calls(number, of), model, share) for number in range(len(documents))]

    found = expected(chosen)
    compared = [
        other
        for other in registry.MODELS
        if compare and other.kind == "gateway" and other.name != chosen.name
    ]
    return Estimate(
        **dict(_summed(chosen, found, terms)),
        operation=work.operation,
        documents=tuple(
            DocumentEstimate(
                index=document.index,
                name=document.name,
                pages=document.pages,
                pieces=one.pieces,
                calls=len(one.calls),
                input_tokens=one.tokens.input,
                output_tokens=one.tokens.output,
                cost_usd=chosen.price.cost(one.tokens),
            )
            for document, one in zip(documents, found, strict=True)
        ),
        krw_per_usd=terms.krw_per_usd,
        krw_as_of=terms.krw_as_of,
        compared=tuple(_summed(other, expected(other), terms) for other in compared),
    )


def _calls(work: Work, text: str, *, long: bool) -> tuple[_Call, ...]:
    if not long:
        return (_call(operations.question(work, text)),)
    cut = operations.pieces(work, text)
    return tuple(
        _call(operations.question(work, piece.text, Part(number=piece.index + 1, of=len(cut))))
        for piece in cut
        if piece.text.strip()
    )


def _call(asked: Question) -> _Call:
    counted = tokenizer.count(message.model_dump() for message in asked.messages)
    return _Call(counted, asked.max_output_tokens)


def _expected(work: Work, calls: Sequence[_Call], model: registry.Model, share: float) -> _Expected:
    rounds = [tuple(_tokens(call, model, share) for call in calls)]
    if work.operation in _JOINED:
        empty = _call(operations.joining(work, ()))
        most = operations.piece_tokens(work)[0]
        while len(rounds[-1]) > 1 and len(rounds) <= LEVELS_LIMIT:
            # The answers of the round before, in as many questions as needed.
            answers = math.ceil(sum(rounds[-1], Tokens()).output / model.token_factor)
            questions = math.ceil(answers / most)
            given = empty.prompt_tokens + math.ceil(answers / questions)
            joining = _Call(given, empty.max_output_tokens)
            rounds.append((_tokens(joining, model, share),) * questions)
    return _Expected(len(calls), tuple(rounds))


def _tokens(call: _Call, model: registry.Model, share: float) -> Tokens:
    given = math.ceil(call.prompt_tokens * model.token_factor)
    return Tokens(input=given, output=max(1, min(call.max_output_tokens, round(given * share))))


def _summed(model: registry.Model, expected: Sequence[_Expected], terms: Terms) -> ModelEstimate:
    tokens = sum((one.tokens for one in expected), Tokens())
    calls = sum(len(one.calls) for one in expected)
    cost_usd = model.price.cost(tokens)
    limit = terms.limits.get(model.name, terms.default_limit)
    longest = max((one.longest for one in expected), default=0)
    took: dict[Any, float] = {
        "requests_per_minute": limit.seconds(requests=calls),
        "tokens_per_minute": limit.seconds(tokens=tokens.total),
        "answer": longest / model.tokens_per_second if model.tokens_per_second else 0.0,
    }
    bound_by = max(took, key=took.__getitem__)
    return ModelEstimate(
        model=model.name,
        pieces=sum(one.pieces for one in expected),
        calls=calls,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        output_share=terms.share_of(model.name),
        token_factor=model.token_factor,
        token_error=model.token_error,
        cost_usd=cost_usd,
        cost_krw=round(cost_usd * terms.krw_per_usd, 2),
        requests_per_minute=limit.requests_per_minute,
        tokens_per_minute=limit.tokens_per_minute,
        seconds=math.ceil(took[bound_by]),
        bound_by=bound_by,
    )
