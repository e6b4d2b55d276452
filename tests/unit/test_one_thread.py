"""The voter `meaning` multiplies matrices in one thread: several would wait for each other."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from embedded import meaning
from quorum.core.models import Content
from threadpoolctl import ThreadpoolController

assert np  # its library is loaded, so it can be found
TEXTS = [f"Thanks for the recipe, my kids loved it. {number}" for number in range(6)]


def threads() -> set[int]:
    """The threads that each library of numpy's may use."""
    found: list[dict[str, Any]] = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The threads that there were at each product."""
    found: list[set[int]] = []
    nearness = meaning.nearness

    def watched(*given: Any) -> Any:
        found.append(threads())
        return nearness(*given)

    monkeypatch.setattr(meaning, "nearness", watched)
    return found


def test_a_text_is_voted_on_in_one_thread_and_the_process_keeps_its_threads(
    seen: list[set[int]],
) -> None:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        meaning.vote(Content(text=TEXTS[0], language="en"))

        assert seen
        assert set.union(*seen) == {1}
        assert threads() == {2}


def test_so_are_texts_that_several_threads_vote_on_at_once(seen: list[set[int]]) -> None:
    before = threads()

    with ThreadPoolExecutor(3) as workers:
        list(workers.map(lambda text: meaning.vote(Content(text=text, language="en")), TEXTS))

    assert len(seen) >= len(TEXTS)
    assert set.union(*seen) == {1}
    assert threads() == before
