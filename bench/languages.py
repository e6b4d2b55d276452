"""Measure how much of each language the packaged panel `embedded` decides, and how well.

    python -m bench.languages VOTES.csv

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes: votes by voters that
had not seen the text or, of outside sources, the source. Writes the figures that
`GET /languages` answers and the table in `docs/benchmarks.md`.
"""

import argparse
import csv
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from embedded import rules
from numpy.typing import NDArray
from quorum.core import registry
from quorum.vote.coverage import Coverage, Decided, LanguageCoverage
from quorum.vote.panel import packaged

from analysis.evaluation import replay
from analysis.recorded import NONE, REVIEW, SAFE, UNSAFE, Codes, Recorded, read
from training.rows import sources

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "layers" / "quorum" / "python" / "quorum" / "vote" / "coverage.json"
PAGE = ROOT / "docs" / "benchmarks.md"
COMMAND = "python -m bench.languages votes.csv"
HEADING = (
    "| language | voters | | texts | decided | right of what is decided | unsafe passed as safe"
    " | safe called unsafe |"
)
LEAST_SHOWN = 60
"""Texts below which a share says nothing."""
LEAST_DECIDED = 0.1
"""Share of texts, of either kind, from which the panel is said to decide a language."""


def measured(votes: Recorded, source: NDArray[np.str_], decisions: Codes, on: date) -> Coverage:
    """The figures of each language that a voter knows, from the panel's decisions on the rows."""
    outside = np.isin(source, list(sources()))
    panel = packaged("embedded")
    languages = []
    for language, voters in known().items():
        of = votes.languages == language
        within = shares(votes.gold, decisions, of & ~outside)
        beyond = shares(votes.gold, decisions, of & outside)
        decided = max(found.decided if found else 0.0 for found in (within, beyond))
        languages.append(
            LanguageCoverage(
                language=language,
                voters=voters,
                decided_by="panel" if decided >= LEAST_DECIDED else "person",
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


def known() -> dict[str, tuple[str, ...]]:
    """Every language that an embedded voter knows, with its voters in the panel's order."""
    reads = {
        voter: rules.LANGUAGES if voter == rules.VOTER else registry.model(voter).languages
        for voter in packaged("embedded").voters
    }
    return {
        language: tuple(voter for voter, languages in reads.items() if language in languages)
        for language in sorted({code for languages in reads.values() for code in languages})
    }


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


def main() -> None:
    """Replay the panel on the votes, and write the figures and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv")
    path: Path = parser.parse_args().votes
    votes = read(path)
    with path.open(encoding="utf-8", newline="") as file:
        source = np.array([row["source"] for row in csv.DictReader(file)])
    decisions = replay(packaged("embedded"), votes, {}).decisions
    coverage = measured(votes, source, decisions, datetime.now(UTC).date())
    figures = coverage.model_dump_json(indent=1, exclude_defaults=True)
    FIGURES.write_text(figures + "\n", encoding="utf-8")
    page = with_table(PAGE.read_text(encoding="utf-8"), table(coverage))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
