"""Scores made votes: calibrated, reported and written."""

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from embedded.calibration import Platt
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from training.rows import FOLDS, Floats, Row, Truths, source_weights, truths

Votes = list[tuple[bool, float] | None]
"""Per row: True for unsafe, and the confidence; None where the voter abstains."""
OUTSIDE_SHARE = 0.5
"""Weight of all outside sources of a language beside its training collections."""
POWER = 0.5
"""An outside source of n rows weighs n to this power."""

console = Console(stderr=True)


def fit_platt(scores: Floats, unsafe: Truths, weight: Floats) -> Platt:
    """Platt's two numbers; a constant where only one class was seen."""
    if unsafe.all() or not unsafe.any():
        return Platt(0.0, math.copysign(5.0, float(unsafe.any()) - 0.5))
    fitted = LogisticRegression(C=1e4).fit(scores[:, None], unsafe, sample_weight=weight)
    return Platt(round(float(fitted.coef_[0, 0]), 6), round(float(fitted.intercept_[0]), 6))


def vote_of(probability: float) -> tuple[bool, float]:
    """The decision (True: unsafe) and confidence of a probability of unsafe."""
    unsafe = probability >= 0.5  # noqa: PLR2004 -- even odds
    return unsafe, max(probability, 1.0 - probability)


def calibrations(
    rows: Sequence[Row], scores: Floats, weight: Floats, chosen: Truths
) -> dict[str, Platt]:
    """Platt's numbers for each language, from out-of-fold scores of the chosen rows."""
    unsafe = truths(rows)
    positions: dict[str, list[int]] = defaultdict(list)
    for position in np.flatnonzero(chosen & (weight > 0)).tolist():
        positions[rows[position].language].append(position)
    return {
        language: fit_platt(scores[at], unsafe[at], weight[at] / weight[at].mean())
        for language, at in sorted(positions.items())
    }


def deserved_weights(rows: Sequence[Row]) -> Floats:
    """Weights by which a confidence is worth as much on unlike texts as it says.

    The training collections weigh 1 a language, what its outside sources hold half as much.
    """
    outside = np.array([row.outside for row in rows], np.bool_)
    spoken = np.array([row.language for row in rows])
    weight = np.zeros(len(rows))
    for language in sorted({row.language for row in rows if not row.outside}):
        of = spoken == language
        weight += source_weights(rows, of & ~outside, 0.0)
        weight += OUTSIDE_SHARE * source_weights(rows, of & outside, POWER)
    return weight


def cross_calibrated(rows: Sequence[Row], scores: Floats, weight: Floats) -> Votes:
    """Votes of out-of-fold scores, each fold calibrated on the others."""
    folds = np.array([row.fold for row in rows])
    votes: Votes = [None] * len(rows)
    for fold in range(FOLDS):
        platts = calibrations(rows, scores, weight, folds != fold)
        for position in np.flatnonzero(folds == fold).tolist():
            platt = platts.get(rows[position].language)
            known = platt is not None and np.isfinite(scores[position])
            votes[position] = (
                vote_of(platt.probability(float(scores[position]))) if known and platt else None
            )
    return votes


def average_precision(unsafe: Truths, scores: Floats) -> float:
    """Area under the precision-recall curve; NaN where no row is unsafe."""
    return float(average_precision_score(unsafe, scores)) if unsafe.any() else math.nan


def log_odds(vote: tuple[bool, float] | None) -> float:
    """A vote as log-odds of unsafe; an abstention is none."""
    if vote is None:
        return 0.0
    unsafe, confidence = vote
    confidence = min(confidence, 0.995)
    return math.copysign(math.log(confidence / (1 - confidence)), 1 if unsafe else -1)


def report(title: str, rows: Sequence[Row], votes: dict[str, Votes]) -> None:
    """Print, per source and language, each voter alone and the plain sum of their log-odds."""
    table = Table(title=title)
    for column in ("source", "language", "rows", *votes, "sum of log-odds"):
        table.add_column(column)
    odds = {voter: np.array([log_odds(vote) for vote in cast]) for voter, cast in votes.items()}
    odds["sum"] = np.sum(list(odds.values()), axis=0)
    unsafe = truths(rows)
    for source, language in sorted({(row.source, row.language) for row in rows}):
        at = np.array([(row.source, row.language) == (source, language) for row in rows])
        cells = []
        for voter, values in odds.items():
            voted = at & (values != 0.0)
            right = ((values > 0) == unsafe)[voted].mean() if voted.any() else math.nan
            share = voted.sum() / at.sum()
            found = average_precision(unsafe[at], values[at])
            cells.append(
                f"{right:.3f} of {share:.0%}" if voter == "rules" else f"{right:.3f} {found:.3f}"
            )
        table.add_row(source, language, str(at.sum()), *cells)
    console.print(table)
    console.print("accuracy of votes cast; AUPRC (rules: how many rows they voted on)")


def vote_columns(votes: dict[str, Votes], position: int) -> list[str]:
    """The cells of one row: decision and confidence of each voter, empty for an abstention."""
    cells = []
    for cast in votes.values():
        vote = cast[position]
        cells += ["", ""] if vote is None else ["unsafe" if vote[0] else "safe", f"{vote[1]:.4f}"]
    return cells


def write_votes(path: Path, rows: Sequence[Row], votes: dict[str, Votes]) -> None:
    """Recorded votes: language,text,gold,source and two columns per voter."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        named = [name for voter in votes for name in (voter, f"{voter}.confidence")]
        writer.writerow(["language", "text", "gold", "source", *named])
        for position, row in enumerate(rows):
            gold = "unsafe" if row.unsafe else "safe"
            cells = vote_columns(votes, position)
            writer.writerow([row.language, row.text, gold, row.source, *cells])
