"""How much of each language the packaged panel `embedded` decides, and how well.

The figures are measured ones (`python -m bench.languages` writes them), packaged as data.
"""

from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field

from quorum.core import embedded_voters, registry
from quorum.core.embedded_voters import Digest
from quorum.core.models import Attribute, Category, Frozen
from quorum.vote import score_coverage

Share = Annotated[float, Field(ge=0, le=1)]


class Decided(Frozen):
    """What the panel made of labelled texts that its voters had not seen, in shares.

    `decided` is of all `texts`, `right` of those decided, `unsafe_passed_as_safe` of the unsafe
    and `safe_called_unsafe` of the safe ones; null where there are none.
    """

    texts: int
    decided: Share
    right: Share | None
    unsafe_passed_as_safe: Share | None
    safe_called_unsafe: Share | None


class LanguageCoverage(Frozen):
    """A language (ISO 639), and the embedded voters that know it.

    `decided_by` is who decides its texts: where it is `person`, the voters would decide next to
    nothing or too much wrongly, or nothing was measured. The figures are of what they would decide:
    `trained_for` on texts of the collections that the voters are trained for, `unseen_source` on
    collections of which they had seen none. `categories` and `attributes` are those that its texts
    have scores of.
    """

    language: str
    voters: tuple[str, ...]
    decided_by: Literal["panel", "person"]
    trained_for: Decided | None
    unseen_source: Decided | None
    categories: tuple[Category, ...] = ()
    attributes: tuple[Attribute, ...] = ()


class Coverage(Frozen):
    """The languages, with the version of the packaged panel that was measured, when and how."""

    panel: str
    panel_version: str
    measured_on: date
    command: str
    languages: tuple[LanguageCoverage, ...]


class Measured(Coverage):
    """The figures as they are kept: `weights` are those of the voters that were measured."""

    weights: Digest


@cache
def packaged() -> Coverage:
    """The figures of the packaged panel `embedded`: none if voters of other weights are installed.

    What was measured of other voters is not known of these.
    """
    text = (files("quorum.vote") / "coverage.json").read_text(encoding="utf-8")
    found = Measured.model_validate_json(text)
    is_of_these = found.weights == embedded_voters.installed().weights
    languages = found.languages if is_of_these else map(_unmeasured, known())
    return Coverage(
        panel=found.panel,
        panel_version=found.panel_version,
        measured_on=found.measured_on,
        command=found.command,
        languages=tuple(map(_with_scores, languages)),
    )


def known() -> dict[str, tuple[str, ...]]:
    """Every language that an embedded voter knows, with its voters in the panel's order."""
    reads = {model.name: model.languages for model in registry.MODELS if model.kind == "embedded"}
    return {
        language: tuple(voter for voter, languages in reads.items() if language in languages)
        for language in sorted({code for languages in reads.values() for code in languages})
    }


def _unmeasured(language: str) -> LanguageCoverage:
    return LanguageCoverage(
        language=language,
        voters=known()[language],
        decided_by="person",
        trained_for=None,
        unseen_source=None,
    )


def _with_scores(one: LanguageCoverage) -> LanguageCoverage:
    return one.model_copy(
        update={
            "categories": score_coverage.categories_in(one.language),
            "attributes": score_coverage.attributes_in(one.language),
        }
    )
