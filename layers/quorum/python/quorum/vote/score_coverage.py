"""The languages in which the embedded voters score each category and attribute.

A training run writes them (`python -m training.train`): where texts that the voters had not seen do
not show that a score means something, there is no score.
"""

from functools import cache
from importlib.resources import files

from quorum.core.models import Attribute, Category, Frozen, LanguageCode


class ScoreCoverage(Frozen):
    """For each category and attribute with scores the languages that have them, in order."""

    categories: dict[Category, tuple[LanguageCode, ...]]
    attributes: dict[Attribute, tuple[LanguageCode, ...]]


@cache
def packaged() -> ScoreCoverage:
    """The languages of the packaged voters."""
    text = (files("quorum.vote") / "score_coverage.json").read_text(encoding="utf-8")
    return ScoreCoverage.model_validate_json(text)


def covered(scored: Category | Attribute, language: str) -> bool:
    """Whether a text in that language can have a score of the category or attribute."""
    found = packaged()
    if isinstance(scored, Category):
        return language in found.categories.get(scored, ())
    return language in found.attributes.get(scored, ())


def categories_in(language: str) -> tuple[Category, ...]:
    """The categories that are covered in a language, in the order of the packaged policy."""
    return tuple(category for category in Category if covered(category, language))


def attributes_in(language: str) -> tuple[Attribute, ...]:
    """The attributes that are covered in a language."""
    return tuple(attribute for attribute in Attribute if covered(attribute, language))
