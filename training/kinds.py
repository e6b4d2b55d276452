"""Scores of categories and attributes, fitted for the voter `meaning`, and measured.

Each category and attribute ("kind") has a score over the landmarks of the second opinion, learned
from the texts of which a source says whether it holds: what is unknown is not absent. Both answers
weigh the same, and a source in which all texts have the same answer weighs less: it teaches its
style.

A source lies in one fold as a whole. Figures and calibration are of scores of sources that the
score had not seen. A kind is covered in a language where the figures show that its score means
something there; elsewhere it has none.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from embedded import meaning, weights
from embedded.calibration import Platt
from embedded.kinds import Kind, Kinds
from embedded.reading import windows
from numpy.typing import NDArray
from quorum.core.models import Attribute, Category
from rich.progress import track
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from training.heads import LANDMARK_UNIT, embeddings_of, whitening
from training.outside import MOST_STEPS, OUTSIDE_C, POWER, readable
from training.rows import FOLDS, Answers, Floats, Row, Truths, source_weights, text_fold
from training.votes import average_precision, console, fit_platt

KINDS: tuple[Category | Attribute, ...] = (
    *Category,
    *(one for one in Attribute if one not in {Attribute.TOXICITY, Attribute.PROFANITY}),
)
"""All kinds with a score over landmarks; toxicity is the voters' probability of unsafe, and
profanity is scored by the voter `rules` (`training.profanity`)."""
SEVERE = Attribute.SEVERE_TOXICITY
"""It is learned from texts of its own (`--severe`), after all others, whose numbers stay."""
FIRST = tuple(one for one in KINDS if one is not SEVERE)
TAUGHT_BY: dict[Category | Attribute, tuple[Category, ...]] = {
    Attribute.IDENTITY_ATTACK: (Category.HATE,),
    Attribute.INSULT: (Category.HARASSMENT,),
    Attribute.SEXUALLY_EXPLICIT: (Category.SEXUAL,),
    Attribute.THREAT: (Category.HARASSMENT_THREATENING, Category.HATE_THREATENING),
}
"""Categories whose labels teach an attribute too; it is calibrated and measured on its own."""
ONE_SIDED = 0.3
"""Weight of a source and language of which all texts have the same answer: it teaches its style."""
TWO_SIDED = 5
"""Texts of either answer from which a source and language is not one-sided."""
LEAST_OWN = 100
"""Texts of either answer from which a language has a calibration of its own."""
LEAST_TAUGHT = 10
"""Texts of either answer below which nothing is fitted."""
LEAST_HOLDING, LEAST_ABSENT = 15, 100
"""Texts of a language that hold a kind, and that do not, without which it is not covered there."""
LEAST_AREA = 0.75
"""Least area under the ROC curve, at the lower end of its 90 % interval, of a covered kind."""
LEAST_WITHIN = 0.7
"""Least mean area within single sources with both answers: a kind is no source's style."""
LEAST_PRECISION = 0.3
"""Least area under the precision-recall curve of a covered kind."""
MOST_ERROR = 0.15
"""Greatest difference between probability and share, by fifths of the texts, of a covered kind."""
BINS = 5
Z = 1.645


class Figures(NamedTuple):
    """What a kind's probability is worth in a language, on texts of unseen sources.

    `area` is that under the ROC curve, `least_area` the lower end of its interval, `within` the
    mean of those of single sources with both answers, `precision` the area under the
    precision-recall curve; `error` is the mean difference between probability and share.
    """

    kind: str
    language: str
    holding: int
    absent: int
    area: float
    least_area: float
    within: float | None
    precision: float
    error: float
    covered: bool


class Labelled(NamedTuple):
    """Texts with features (texts, landmarks), and what is known of them (texts, kinds)."""

    rows: Sequence[Row]
    features: NDArray[np.float32]
    known: Truths
    holds: Truths
    taught: Truths
    teaches: Truths

    @classmethod
    def of(
        cls, rows: Sequence[Row], landmarks: NDArray[np.float32], cache: Path | None
    ) -> "Labelled":
        """Embed the texts (of a long one its first window), and read what is known of them."""
        embeddings = embeddings_of([windows(row.text)[0] for row in rows], cache)
        whiten = whitening(np.rint(landmarks / LANDMARK_UNIT).astype(np.int8)).astype(np.float32)
        features = (meaning.nearness(embeddings, landmarks) @ whiten).astype(np.float32)
        holds = np.array([[kind in row.holds for kind in KINDS] for row in rows], np.bool_)
        absent = np.array([[kind in row.absent for kind in KINDS] for row in rows], np.bool_)
        teaches, unlike = holds.copy(), absent.copy()
        for kind, categories in TAUGHT_BY.items():
            at = KINDS.index(kind)
            for category in categories:
                teaches[:, at] |= holds[:, KINDS.index(category)]
                unlike[:, at] |= absent[:, KINDS.index(category)]
        return cls(rows, features, holds | absent, holds, teaches | unlike, teaches)


class Linear(NamedTuple):
    """A linear score of the features."""

    coefficients: Floats
    intercept: float

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """The log-odds of each text."""
        return np.asarray(features @ self.coefficients.astype(np.float32) + self.intercept, float)


def _linear(labelled: Labelled, goal: Truths, chosen: Truths, weight: Floats) -> Linear | None:
    """Fit on the chosen texts; None where they hold too little of either answer."""
    if min((goal & chosen).sum(), (~goal & chosen).sum()) < LEAST_TAUGHT:
        return None
    model = LogisticRegression(C=OUTSIDE_C, max_iter=MOST_STEPS)
    worth = _balanced(weight, goal, chosen)[chosen]
    model.fit(labelled.features[chosen], goal[chosen], sample_weight=worth * chosen.sum())
    return Linear(model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def fit_score(labelled: Labelled, at: int, chosen: Truths) -> Linear | None:
    """The score of the kind at that position of `KINDS`, fitted on the chosen texts."""
    goal, of = labelled.teaches[:, at], chosen & labelled.taught[:, at]
    return _linear(labelled, goal, of, _two_sided(labelled.rows, of, goal))


def _balanced(weight: Floats, goal: Truths, chosen: Truths) -> Floats:
    """The weights so that both answers weigh half: no fold's share of them moves a score."""
    worth = np.zeros(len(weight))
    for answer in (chosen & goal, chosen & ~goal):
        worth[answer] = 0.5 * weight[answer] / weight[answer].sum()
    return worth


def _two_sided(rows: Sequence[Row], chosen: Truths, goal: Truths) -> Floats:
    """Weights by source, those of one-sided sources lowered."""
    keys = [(row.source, row.language) for row in rows]
    holding = Counter(key for key, of in zip(keys, (chosen & goal).tolist(), strict=True) if of)
    without = Counter(key for key, of in zip(keys, (chosen & ~goal).tolist(), strict=True) if of)
    worth = [1.0 if min(holding[key], without[key]) >= TWO_SIDED else ONE_SIDED for key in keys]
    weight: Floats = source_weights(rows, chosen, POWER) * np.array(worth)
    return weight


def natural_weights(
    rows: Sequence[Row], kind: Category | Attribute, known: Truths, counts: Answers
) -> Floats:
    """Weights of the texts of which it is known whether a kind holds.

    Of a source and language both answers weigh as they occur there, however many were read; where
    there is one answer only, it says nothing of how often a kind occurs, and weighs less.
    """
    keys = [(row.source, row.language, str(kind), kind in row.holds) for row in rows]
    read = Counter(key for key, of in zip(keys, known.tolist(), strict=True) if of)
    weight = np.zeros(len(keys))
    for position, (key, of) in enumerate(zip(keys, known.tolist(), strict=True)):
        if of:
            both = counts[key] + counts[(*key[:3], not key[3])]
            share = ONE_SIDED if both == counts[key] else counts[key] / both
            weight[position] = both**POWER * share / read[key]
    return weight


class Learned(NamedTuple):
    """The scores as they are packed, and the figures of each kind and language."""

    kinds: Kinds
    figures: tuple[Figures, ...]


def fit(
    rows: Sequence[Row],
    counts: Answers,
    landmarks: NDArray[np.float32],
    cache: Path | None = None,
    *,
    of: Collection[Category | Attribute] = FIRST,
) -> Learned:
    """Fit, calibrate and measure these kinds over these landmarks (n, 512)."""
    rows = [row for row, known in zip(rows, readable(rows).tolist(), strict=True) if known]
    if not rows:
        return Learned(
            Kinds((), np.zeros((len(landmarks), 0), np.float32), np.zeros(0, np.float32)), ()
        )
    labelled = Labelled.of(rows, landmarks, cache)
    folds = np.array([row.fold for row in rows])
    positions = [at for at, kind in enumerate(KINDS) if kind in of]
    scores = np.full((len(rows), len(KINDS)), np.nan)
    for fold in track(range(FOLDS), "categories", console=console):
        own = folds == fold
        for at in positions:
            linear = fit_score(labelled, at, ~own)
            if linear is not None:
                scores[own, at] = linear.scores(labelled.features[own])
    whiten = whitening(np.rint(landmarks / LANDMARK_UNIT).astype(np.int8))
    figures: list[Figures] = []
    kinds: list[Kind] = []
    columns, intercepts = [np.zeros((len(landmarks), 0))], []
    for at in positions:
        linear = fit_score(labelled, at, np.ones(len(rows), np.bool_))
        known = labelled.known[:, at] & np.isfinite(scores[:, at])
        weight = natural_weights(rows, KINDS[at], known, counts)
        holds = labelled.holds[:, at]
        if linear is None or not (holds & known).any():
            continue
        measured = measured_of(KINDS[at], rows, scores[:, at], holds, weight)
        figures += measured
        covered = [one.language for one in measured if one.covered]
        if covered:
            calibrated = calibrations_of(rows, scores[:, at], holds, weight)
            kinds.append(
                Kind(KINDS[at], {one: calibrated.get(one, calibrated[""]) for one in covered})
            )
            columns.append((whiten @ linear.coefficients)[:, None])
            intercepts.append(linear.intercept)
    coefficients = np.concatenate(columns, axis=1).astype(np.float32)
    packed = Kinds(tuple(kinds), coefficients, np.array(intercepts, np.float32))
    return Learned(packed, tuple(figures))


def calibrations_of(
    rows: Sequence[Row], scores: Floats, holds: Truths, weight: Floats
) -> dict[str, Platt]:
    """The calibration of each language with enough texts, and under "" that of all others."""
    spoken = np.array([row.language for row in rows])
    known = weight > 0
    found = {"": fit_platt(scores[known], holds[known], weight[known] / weight[known].mean())}
    for language in sorted(set(spoken[known])):
        of = known & (spoken == language)
        if min((of & holds).sum(), (of & ~holds).sum()) >= LEAST_OWN:
            found[language] = fit_platt(scores[of], holds[of], weight[of] / weight[of].mean())
    return found


def measured_of(
    kind: Category | Attribute, rows: Sequence[Row], scores: Floats, holds: Truths, weight: Floats
) -> list[Figures]:
    """The figures of each language from scores of unseen sources, where `weight` is not 0.

    For the error they are calibrated on the texts of the other folds, sources not held together.
    """
    known = weight > 0
    folds = np.array([text_fold(row.text) for row in rows])
    probabilities = np.zeros(len(rows))
    for fold in range(FOLDS):
        calibrated = calibrations_of(rows, scores, holds, weight * (folds != fold))
        for at in np.flatnonzero(known & (folds == fold)).tolist():
            platt = calibrated.get(rows[at].language, calibrated[""])
            probabilities[at] = platt.probability(float(scores[at]))
    spoken = np.array([row.language for row in rows])
    named = np.array([row.source for row in rows])
    found = []
    for language in sorted(set(spoken[known])):
        of = known & (spoken == language)
        holding, absent = int((of & holds).sum()), int((of & ~holds).sum())
        if min(holding, absent) < LEAST_TAUGHT:
            continue
        area = float(roc_auc_score(holds[of], scores[of]))
        least = area - Z * _deviation(area, holding, absent)
        precision = average_precision(holds[of], scores[of])
        error = _error(holds[of], probabilities[of], weight[of])
        within = [
            float(roc_auc_score(holds[one], scores[one]))
            for one in (of & (named == source) for source in sorted(set(named[of])))
            if min((one & holds).sum(), (one & ~holds).sum()) >= LEAST_HOLDING
        ]
        found.append(
            Figures(
                kind=str(kind),
                language=str(language),
                holding=holding,
                absent=absent,
                area=round(area, 3),
                least_area=round(least, 3),
                within=round(float(np.mean(within)), 3) if within else None,
                precision=round(precision, 3),
                error=round(error, 3),
                covered=(
                    holding >= LEAST_HOLDING
                    and absent >= LEAST_ABSENT
                    and least >= LEAST_AREA
                    and (not within or float(np.mean(within)) >= LEAST_WITHIN)
                    and precision >= LEAST_PRECISION
                    and error <= MOST_ERROR
                ),
            )
        )
    return found


def _deviation(area: float, holding: int, absent: int) -> float:
    """The standard error of an area under the ROC curve (Hanley and McNeil 1982)."""
    both = area / (2 - area) - area**2
    other = 2 * area**2 / (1 + area) - area**2
    variance = area * (1 - area) + (holding - 1) * both + (absent - 1) * other
    return math.sqrt(variance / (holding * absent))


def _error(holds: Truths, probabilities: Floats, weight: Floats) -> float:
    """The mean difference between probability and share, over fifths by probability."""
    order = np.argsort(probabilities, kind="stable")
    total = 0.0
    for part in np.array_split(order, BINS):
        worth = weight[part] / weight[part].sum()
        difference = worth @ probabilities[part] - worth @ holds[part]
        total += abs(float(difference)) * float(weight[part].sum())
    return total / float(weight.sum())


def add(
    file: Path,
    rows: Sequence[Row],
    counts: Answers,
    cache: Path | None = None,
    *,
    of: Collection[Category | Attribute] = FIRST,
) -> tuple[Figures, ...]:
    """Fit these kinds on labelled texts, and put them into a file of weights.

    The numbers of the other kinds in the file stay as they are. The same file and texts give the
    same bytes, whether the file had these kinds or not. Gives the figures; a file without a second
    opinion gets no kinds.
    """
    read = weights.load(file, meaning.VOTER)
    scorer = meaning.Scorer.of(read)
    if scorer.unlike is None:
        return ()
    header = {key: value for key, value in read.header.items() if key != "kinds"}
    payload = read.payload
    if scorer.kinds is not None:
        numbers = scorer.kinds.coefficients.size + scorer.kinds.intercepts.size
        payload = payload[: len(payload) - 4 * numbers]
    learned = fit(rows, counts, scorer.unlike.landmarks, cache, of=of)
    packed = _joined(scorer.kinds, learned.kinds, of)
    header["kinds"] = [
        {
            "name": str(kind.name),
            "calibrations": {
                language: list(platt) for language, platt in kind.calibrations.items()
            },
        }
        for kind in packed.kinds
    ]
    payload += packed.coefficients.astype("<f4").tobytes()
    payload += packed.intercepts.astype("<f4").tobytes()
    file.write_bytes(weights.pack(header, payload))
    report(learned.figures)
    return learned.figures


def _joined(had: Kinds | None, new: Kinds, of: Collection[Category | Attribute]) -> Kinds:
    """The kinds that a file had, but for these, and the new ones, in the order of `KINDS`."""
    both = [
        (kind, known.coefficients[:, at], known.intercepts[at])
        for known in (had, new)
        if known is not None
        for at, kind in enumerate(known.kinds)
        if known is new or kind.name not in of
    ]
    both.sort(key=lambda one: KINDS.index(one[0].name))
    columns = [np.zeros((len(new.coefficients), 0), np.float32), *(one[1][:, None] for one in both)]
    return Kinds(
        tuple(kind for kind, _, _ in both),
        np.concatenate(columns, axis=1),
        np.array([intercept for _, _, intercept in both], np.float32),
    )


def joined_figures(
    had: Sequence[Figures], new: Sequence[Figures], of: Collection[Category | Attribute]
) -> tuple[Figures, ...]:
    """The figures there were, but for those of these kinds, and the new ones, kind by kind."""
    order = [str(kind) for kind in (*KINDS, *Attribute)]
    both = [one for one in had if one.kind not in of] + list(new)
    return tuple(sorted(both, key=lambda one: order.index(one.kind)))


def write_figures(path: Path, figures: Sequence[Figures]) -> None:
    """Write the figures as JSON, a line for each kind and language."""
    lines = ",\n ".join(json.dumps(one._asdict()) for one in figures)
    path.write_text(f"[\n {lines}\n]\n", encoding="utf-8")


def read_figures(path: Path) -> tuple[Figures, ...]:
    """The figures that were written."""
    return tuple(Figures(**one) for one in json.loads(path.read_text(encoding="utf-8")))


def report(figures: Sequence[Figures]) -> None:
    """Print the figures."""
    table = Table(title="categories and attributes, unseen sources")
    for column in Figures._fields:
        table.add_column(column)
    for one in figures:
        table.add_row(*map(str, one))
    console.print(table)
