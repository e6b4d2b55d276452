"""The Perspective page claims the attributes that voters give, and no others."""

import re
from pathlib import Path

from quorum.core.models import Attribute
from quorum.vote import attributes, score_coverage

PAGE = Path(__file__).parents[2] / "docs" / "perspective.md"


def table(headline: str) -> dict[str, list[str]]:
    """The cells of each line of the table with that first line, by the attribute it is about."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n{headline}\n")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {re.sub("`", "", name): others for name, *others in cells}


def test_the_languages_of_each_attribute_are_those_that_its_voters_cover() -> None:
    covered = score_coverage.packaged().attributes
    assert table("| attribute | languages of embedded voters |") == {
        one.name: [", ".join(covered.get(one, ())) or "none"] for one in Attribute
    }


def test_an_attribute_that_a_kind_of_voter_never_gives_has_a_dash_there() -> None:
    covered = score_coverage.packaged().attributes
    shown = table(
        "| attribute, also with `_EXPERIMENTAL` | embedded voters | language models |",
    )
    assert shown.keys() == {one.name for one in Attribute}
    spoken_of = {Attribute.TOXICITY, *attributes.CATEGORIES_OF}
    for one in Attribute:
        embedded, language_models = shown[one.name]
        assert (embedded == "–") is (one not in covered)
        assert (language_models == "–") is (one not in spoken_of)
