"""Estimates of documents: input counted on the real prompts, output learned from answers."""

from datetime import date
from decimal import Decimal

import pytest
from quorum.core import registry
from quorum.core.models import Tokens
from quorum.document import operations
from quorum.document.estimating import Document, Terms, estimate
from quorum.document.operations import Operation, Part, Work
from quorum.gateway import tokenizer
from quorum.gateway.fair_share import RateLimit

LIMIT = RateLimit(requests_per_minute=60, tokens_per_minute=600_000)
SMALL = "deepseek-coder"
"""A window of 16,000 tokens."""
SENTENCE = "위원회는 월요일에 모였다. The committee met on Monday. "


def terms(share: float = 0.2, limit: RateLimit | None = None) -> Terms:
    limits = {} if limit is None else {"gpt-4.1": limit}
    return Terms(lambda _model: share, limits, LIMIT, Decimal(1350), date(2026, 11, 1))


def work(operation: Operation = Operation.SUMMARIZE, model: str = "gpt-4.1") -> Work:
    return Work(operation=operation, model=model)


def test_input_tokens_are_those_of_the_question_that_is_asked() -> None:
    text = SENTENCE * 20
    found = estimate(work(), [Document(text, 3, "minutes", 2)], terms())
    asked = operations.question(work(), text)
    counted = tokenizer.count(message.model_dump() for message in asked.messages)
    assert found.input_tokens == counted
    (document,) = found.documents
    assert (document.index, document.name, document.pages) == (3, "minutes", 2)
    assert (document.pieces, document.calls, document.input_tokens) == (1, 1, counted)


def test_another_vendors_tokens_are_counted_by_its_factor_and_the_error_is_said() -> None:
    text = SENTENCE * 20
    plain = estimate(work(), [Document(text)], terms())
    other = estimate(work(model="claude-sonnet-4.5"), [Document(text)], terms())
    factor = registry.model("claude-sonnet-4.5").token_factor
    assert plain.token_error == 0
    assert other.input_tokens == -(-plain.input_tokens * factor // 1)
    assert (other.token_factor, 0 < other.token_error < 0.1) == (factor, True)


def test_output_is_the_share_learned_and_never_more_than_an_answer_may_be() -> None:
    document = Document(SENTENCE * 200)
    few = estimate(work(), [document], terms(share=0.05))
    assert few.output_tokens == round(few.input_tokens * 0.05)
    most = operations.question(work(), document.text).max_output_tokens
    assert estimate(work(), [document], terms(share=9)).output_tokens == most


def test_cost_is_exact_in_dollars_and_in_won() -> None:
    found = estimate(work(), [Document(SENTENCE), Document(SENTENCE * 9, 1)], terms())
    price = registry.model("gpt-4.1").price
    tokens = Tokens(input=found.input_tokens, output=found.output_tokens)
    assert found.cost_usd == price.cost(tokens) == sum(one.cost_usd for one in found.documents)
    assert found.cost_krw == round(found.cost_usd * 1350, 2)


def test_a_long_document_is_counted_with_its_pieces_their_overlap_and_the_joining() -> None:
    text = SENTENCE * 3_000
    of = work(model=SMALL)
    cut = operations.pieces(of, text)
    found = estimate(of, [Document(text)], terms(share=0.1))
    (document,) = found.documents
    assert document.pieces == len(cut) > 3
    assert document.calls > len(cut)
    factor = registry.model(SMALL).token_factor
    pieces_alone = sum(
        operations.prompt_tokens(
            operations.question(of, piece.text, Part(number=piece.index + 1, of=len(cut)))
        )
        for piece in cut
    )
    assert pieces_alone > tokenizer.count_text(text) * factor
    assert found.input_tokens > pieces_alone


@pytest.mark.parametrize("operation", [Operation.CLASSIFY, Operation.TRANSLATE])
def test_what_is_joined_without_asking_costs_no_call_more(operation: Operation) -> None:
    found = estimate(work(operation, SMALL), [Document(SENTENCE * 3_000)], terms())
    assert found.calls == found.pieces > 1


def test_time_is_what_the_tightest_limit_leaves() -> None:
    documents = [Document(SENTENCE, index) for index in range(600)]
    found = estimate(work(), documents, terms())
    # 600 requests at 60 a minute: ten minutes, at 96 % of the rate after a burst of 4 % of one
    assert (found.bound_by, found.seconds) == ("requests_per_minute", 623)
    tight = RateLimit(requests_per_minute=6_000, tokens_per_minute=found.input_tokens)
    slow = estimate(work(), documents, terms(limit=tight))
    assert slow.bound_by == "tokens_per_minute"
    assert slow.seconds > 60
    alone = estimate(work(Operation.TRANSLATE), [Document(SENTENCE * 90)], terms(share=1))
    assert alone.bound_by == "answer"
    assert alone.seconds == -(-alone.output_tokens // registry.model("gpt-4.1").tokens_per_second)


def test_the_limiter_admits_in_that_time_and_not_before() -> None:
    limit = RateLimit(requests_per_minute=100, tokens_per_minute=1_000)
    assert limit.seconds(requests=4, tokens=40) == 0
    assert limit.seconds(requests=100) == pytest.approx(60)
    assert limit.seconds(requests=1, tokens=2_000) == pytest.approx(60 * 1.96 / 0.96)


def test_every_model_is_compared_with_its_own_tokens_window_and_price() -> None:
    text = SENTENCE * 3_000
    found = estimate(work(), [Document(text)], terms(), compare=True)
    names = {found.model, *(other.model for other in found.compared)}
    assert names == {known.name for known in registry.MODELS if known.kind == "gateway"}
    for other in found.compared:
        alone = estimate(work(model=other.model), [Document(text)], terms())
        assert other.model_dump() == alone.model_dump(include=set(type(other).model_fields))


def test_nothing_takes_nothing() -> None:
    found = estimate(work(), [], terms())
    assert (found.calls, found.input_tokens, found.seconds) == (0, 0, 0)
    assert found.cost_usd == 0
