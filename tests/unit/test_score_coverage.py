"""Which categories and attributes have scores in which language."""

import pytest
from quorum.core.models import Attribute, Category
from quorum.vote import coverage, score_coverage

PAIRS = [
    (scored, one.language)
    for one in coverage.packaged().languages
    for scored in (*Category, *Attribute)
]


def test_toxicity_is_covered_in_a_trained_language_and_in_no_unknown_one() -> None:
    assert score_coverage.covered(Attribute.TOXICITY, "ko")
    assert not score_coverage.covered(Attribute.TOXICITY, "sw")


@pytest.mark.parametrize("category", [Category.SELF_HARM_INTENT, Category.VIOLENCE_GRAPHIC])
def test_a_category_that_nothing_teaches_is_covered_in_no_language(category: Category) -> None:
    assert category not in score_coverage.packaged().categories


@pytest.mark.parametrize(("scored", "language"), PAIRS)
def test_the_languages_say_what_is_covered(scored: Category | Attribute, language: str) -> None:
    one = next(one for one in coverage.packaged().languages if one.language == language)
    assert (scored in (*one.categories, *one.attributes)) is score_coverage.covered(
        scored, language
    )
