"""Measure what the panel `embedded` decides wrongly, by how much it decides: the trade-off.

    python -m bench.risk_coverage VOTES.csv FOLDER

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes: votes by voters that had
not seen the text or, of outside sources, the source. FOLDER holds the sets kept apart, as for
`python -m bench.kept_sets`. The thresholds of every language are moved together, as far from their
place in log-odds on the safe as on the unsafe side; the panel's other rules hold as they are. So
the curves show what other thresholds would come to. They are shown, and nothing is chosen on them.
Writes `docs/benchmarks/risk.json`; `python -m bench.page` makes the table and the plot.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from quorum.core.models import Decision
from quorum.vote.panel import Panel, Thresholds, packaged

from analysis.embedded_votes import added
from analysis.recorded import SAFE, UNSAFE, Recorded, read
from bench import kept_sets, results
from bench.embedded_panel import BETWEEN, VOTERS, Scored, scored
from bench.page import SIDES

NAME = "risk"
LEAST_TEXTS = 300
"""Texts of a language and kind below which there is no curve."""
STEPS = np.arange(0.02, 1.0001, 0.02)
"""Shares decided at which a curve is kept."""
BINS = np.linspace(0, 1, 11)
"""Bounds of the scores that are put together for reliability."""


class Curve(NamedTuple):
    """Shares of all texts decided and decided wrongly, the surest first, and as packaged."""

    decided: NDArray[np.float64]
    wrong: NDArray[np.float64]
    packaged: tuple[float, float]

    @classmethod
    def of(cls, found: Scored, thresholds: Thresholds) -> "Curve":
        """The curve of these rows, each with its worth, around these thresholds."""
        worth = found.worth / found.worth.sum()
        with np.errstate(divide="ignore"):
            log_odds = np.log(found.scores) - np.log1p(-found.scores)
        unsafe_from = np.log(thresholds.unsafe / (1 - thresholds.unsafe))
        safe_to = -np.log(thresholds.safe / (1 - thresholds.safe))
        says_unsafe = np.where(found.mute, -np.inf, log_odds - unsafe_from)
        says_safe = np.where(found.mute | found.held, -np.inf, safe_to - log_odds)
        margin = np.maximum(says_unsafe, says_safe)
        wrong = np.where(says_unsafe >= says_safe, ~found.unsafe, found.unsafe)
        order = np.argsort(-margin, kind="stable")
        order = order[np.isfinite(margin[order]) | (margin[order] > 0)]
        decided = np.cumsum(worth[order])
        wrongly = np.cumsum(worth[order] * wrong[order])
        now = margin >= 0
        return cls(decided, wrongly, (float(worth @ now), float(worth @ (now & wrong))))

    def most_decided(self, wrong: float) -> float:
        """The largest share decided up to which no more than `wrong` is decided wrongly."""
        above = np.flatnonzero(self.wrong > wrong)
        last = int(above[0]) if above.size else len(self.decided)
        return float(self.decided[last - 1]) if last else 0.0

    def wrong_at(self, decided: float) -> float | None:
        """The share wrong where that much is decided; None where the rules allow no such share."""
        at = int(np.searchsorted(self.decided, decided - 1e-9))
        return float(self.wrong[at]) if at < len(self.decided) else None

    def document(self, texts: int) -> dict[str, Any]:
        """The curve as JSON, in four digits."""
        points = [(step, self.wrong_at(float(step))) for step in STEPS]
        return {
            "texts": texts,
            "packaged": [round(share, 4) for share in self.packaged],
            "decided_at_5_percent_wrong": round(self.most_decided(kept_sets.WRONG_UP_TO), 4),
            "most_decided": round(float(self.decided[-1]), 4) if self.decided.size else 0.0,
            "points": [[round(float(x), 2), round(y, 4)] for x, y in points if y is not None],
        }


def reliability(found: Scored) -> list[list[float]]:
    """By scores that are near each other: mean score, share unsafe, and share of the texts."""
    worth = found.worth / found.worth.sum()
    which = np.clip(np.digitize(found.scores, BINS) - 1, 0, len(BINS) - 2)
    return [
        [
            round(float(np.average(part, weights=worth[here])), 4)
            for part in (found.scores[here], found.unsafe[here])
        ]
        + [round(float(worth[here].sum()), 4)]
        for here in (which == index for index in np.unique(which))
        if worth[here].sum()
    ]


def kept(folder: Path, most: int) -> Iterator[tuple[str, Recorded]]:
    """Each set kept apart whose language the panel decides, with votes cast now."""
    reviewed = packaged("embedded").reviewed_languages
    for source in kept_sets.SOURCES:
        sentences = kept_sets.sentences(source, folder, most)
        if not sentences or source.language in reviewed:
            continue
        unsafe = [one.expected is Decision.UNSAFE for one in sentences]
        rows = Recorded(
            languages=np.array([source.language] * len(sentences)),
            texts=tuple(one.text for one in sentences),
            gold=np.where(unsafe, UNSAFE, SAFE).astype(np.int8),
            voters=(),
            decisions=np.zeros((len(sentences), 0), np.int8),
            confidences=np.zeros((len(sentences), 0)),
        )
        yield f"{source.name}, {source.language}", added(rows, VOTERS)


def undecided(panel: Panel) -> Panel:
    """The panel with thresholds that leave every score in between."""
    return panel.model_copy(
        update={
            "thresholds": Thresholds(unsafe=BETWEEN, safe=BETWEEN),
            "thresholds_by_language": {},
            "reviewed_languages": (),
        }
    )


def measure(votes_file: Path, folder: Path, most: int) -> dict[str, Any]:
    """The curves of the three sides, and the reliability of the scores like and unlike."""
    panel = packaged("embedded")
    bare = undecided(panel)
    votes = read(votes_file)
    with votes_file.open(encoding="utf-8", newline="") as file:
        source = np.array([row["source"] for row in csv.DictReader(file)])
    found = scored(bare, votes, source)
    curves: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    for language in sorted(set(votes.languages[~found.outside].tolist())):
        thresholds = panel.thresholds_of(language)
        for side, of in (("like", ~found.outside), ("unlike", found.outside)):
            here = (votes.languages == language) & of & (found.worth > 0)
            if thresholds and here.sum() >= LEAST_TEXTS and found.unsafe[here].any():
                curve = Curve.of(found.only(here), thresholds)
                curves[side][language] = curve.document(int(here.sum()))
    for name, rows in kept(folder, most):
        own = scored(bare, rows, np.array([name] * len(rows)))
        thresholds = panel.thresholds_of(str(rows.languages[0]))
        if thresholds:
            curves["kept"][name] = Curve.of(own, thresholds).document(len(rows))
    decided = np.isin(votes.languages, list(curves["like"]))
    return {
        "curves": curves,
        "reliability": {
            side: reliability(found.only(of & decided & (found.worth > 0)))
            for side, of in (("like", ~found.outside), ("unlike", found.outside))
        },
    }


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.risk_coverage", description=__doc__)
    parser.add_argument("votes", type=Path, metavar="VOTES.csv")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--most", type=int, default=1_200, help="texts of a set kept apart")
    options = parser.parse_args()
    run = results.run_of("bench.risk_coverage")
    run["command"] = "python -m bench.risk_coverage VOTES.csv FOLDER"
    figures = {"run": run, **measure(options.votes, options.folder, options.most)}
    results.keep(NAME, figures, ("numpy",), quick=False)


if __name__ == "__main__":
    main()
