"""Measure how much of each language the packaged panel `embedded` decides, and how well.

    python -m bench.languages [VOTES.csv]

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes: votes by voters that
had not seen the text or, of outside sources, the source. Writes the figures that
`GET /languages` answers, the table in `docs/benchmarks.md`, and into the panel the languages in
which a person decides because too little of what the voters would decide is right. Without it
these are derived anew from the figures that there are.
"""

import argparse
import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from quorum.core import embedded_voters
from quorum.vote.coverage import Coverage, Decided, LanguageCoverage, Measured, known
from quorum.vote.panel import packaged

from analysis.evaluation import replay
from analysis.recorded import NONE, REVIEW, SAFE, UNSAFE, Codes, Recorded, read
from training.rows import sources

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "layers" / "quorum" / "python" / "quorum" / "vote" / "coverage.json"
PANEL = FIGURES.parent / "panels" / "embedded.json"
PAGE = ROOT / "docs" / "benchmarks.md"
COMMAND = "python -m bench.languages votes.csv"
HEADING = (
    "| language | voters | | texts | decided | right of what is decided | unsafe passed as safe"
    " | safe called unsafe |"
)
LEAST_SHOWN = 60
"""Texts below which a share says nothing."""
LEAST_RIGHT = 0.94
"""Share right of what is decided on unseen sources below which a person decides a language that no
collection was trained for. (Where one was, the figures of its texts stand beside it.)"""
LEAST_DECIDED = 0.1
"""Share of texts, of either kind, from which the panel is said to decide a language."""


def measured(votes: Recorded, source: NDArray[np.str_], decisions: Codes, on: date) -> Coverage:
    """The figures of each language that a voter knows, from the panel's decisions on the rows.

    The decisions are those that the panel would make without its `reviewed_languages`.
    """
    outside = np.isin(source, list(sources()))
    panel = packaged("embedded")
    languages = []
    for language, voters in known().items():
        of = votes.languages == language
        within = shares(votes.gold, decisions, of & ~outside)
        beyond = shares(votes.gold, decisions, of & outside)
        languages.append(
            LanguageCoverage(
                language=language,
                voters=voters,
                decided_by=decider(within, beyond),
                trained_for=within,
                unseen_source=beyond,
            )
        )
    return Coverage(
        panel=panel.name,
        panel_version=panel.version,
        measured_on=on,
        command=COMMAND,
        languages=tuple(languages),
    )


def decider(within: Decided | None, beyond: Decided | None) -> Literal["panel", "person"]:
    """Who decides: a person where the voters would decide next to nothing, or too much wrongly."""
    decided = max(found.decided if found else 0.0 for found in (within, beyond))
    shown = beyond is not None and beyond.unsafe_passed_as_safe is not None
    wrong = within is None and beyond is not None and (beyond.right or 0.0) < LEAST_RIGHT
    wrong |= within is None and not shown
    return "person" if decided < LEAST_DECIDED or wrong else "panel"


def reviewed(coverage: Coverage) -> tuple[str, ...]:
    """The languages in which the panel has to leave what it would decide to a person."""
    return tuple(
        one.language
        for one in coverage.languages
        if one.decided_by == "person"
        and one.unseen_source is not None
        and one.unseen_source.decided >= LEAST_DECIDED
    )


def shares(gold: Codes, decisions: Codes, of: NDArray[np.bool_]) -> Decided | None:
    """The shares of those rows; None where they are too few to say anything."""
    if of.sum() < LEAST_SHOWN:
        return None
    decided = of & (decisions != NONE) & (decisions != REVIEW)
    return Decided(
        texts=int(of.sum()),
        decided=_share(decided, of) or 0.0,
        right=_share(decisions == gold, decided),
        unsafe_passed_as_safe=_share(decisions == SAFE, of & (gold == UNSAFE)),
        safe_called_unsafe=_share(decisions == UNSAFE, of & (gold == SAFE)),
    )


def _share(said: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    return round(float(said[of].mean()), 4) if of.any() else None


def table(coverage: Coverage) -> str:
    """The figures as the documentation shows them: languages with figures, then the others."""
    lines = [HEADING, "|---|---|---|---:|---:|---:|---:|---:|"]
    for one in coverage.languages:
        for kind, found in (("trained for", one.trained_for), ("unseen source", one.unseen_source)):
            if found:
                cells = (one.language, ", ".join(one.voters), kind, f"{found.texts:,}")
                lines.append(f"| {' | '.join((*cells, *_percent(found)))} |")
    persons = [one.language for one in coverage.languages if one.decided_by == "person"]
    return "\n".join([*lines, "", f"A person decides: {', '.join(persons)}."])


def _percent(found: Decided) -> tuple[str, ...]:
    wrong = (found.unsafe_passed_as_safe, found.safe_called_unsafe)
    return (
        f"{found.decided:.0%}",
        "–" if found.right is None else f"{found.right:.0%}",
        *("–" if share is None else f"{share:.1%}" for share in wrong),
    )


def with_table(page: str, shown: str) -> str:
    """The page with that table in place of the one it has."""
    before, rest = page.split(HEADING)
    _, _, after = rest.partition("\nA person decides: ")[2].partition("\n")
    return f"{before}{shown}\n{after}"


def anew(coverage: Coverage) -> Coverage:
    """The same figures, and who decides by them."""
    languages = tuple(
        one.model_copy(update={"decided_by": decider(one.trained_for, one.unseen_source)})
        for one in coverage.languages
    )
    return coverage.model_copy(update={"languages": languages})


def main() -> None:
    """Replay the panel on the votes, and write the figures and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv", nargs="?")
    path: Path | None = parser.parse_args().votes
    free = packaged("embedded").model_copy(update={"reviewed_languages": ()})
    if path is None:
        kept = Measured.model_validate_json(FIGURES.read_text(encoding="utf-8"))
        weights, coverage = kept.weights, anew(kept)
    else:
        weights = embedded_voters.installed().weights
        votes = read(path)
        with path.open(encoding="utf-8", newline="") as file:
            source = np.array([row["source"] for row in csv.DictReader(file)])
        decisions = replay(free, votes, {}).decisions
        coverage = measured(votes, source, decisions, datetime.now(UTC).date())
    trained = {one.language for one in coverage.languages if one.trained_for}
    by_thresholds = trained.intersection(packaged("embedded").reviewed_languages)
    persons = tuple(sorted(by_thresholds.union(reviewed(coverage))))
    panel = free.model_copy(update={"reviewed_languages": persons})
    document = json.dumps(panel.document(), indent=2, ensure_ascii=False)
    PANEL.write_text(document + "\n", encoding="utf-8")
    facts = coverage.model_dump() | {"panel_version": panel.version, "weights": weights}
    figures = Measured.model_validate(facts).model_dump_json(indent=1, exclude_defaults=True)
    FIGURES.write_text(figures + "\n", encoding="utf-8")
    page = with_table(PAGE.read_text(encoding="utf-8"), table(coverage))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
