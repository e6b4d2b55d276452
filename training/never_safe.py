"""Texts of which `meaning` never says that they are safe, found as it finds them when it votes.

A training run records votes on texts that the voter had not seen; so the categories' scores must
not have seen them either. Those of an outside source come from a fit without the whole source.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from embedded import meaning
from embedded.kinds import Kinds
from numpy.typing import NDArray
from quorum.vote.language import TOO_FEW

from training import kinds
from training.heads import LANDMARK_UNIT, Embeddings, whitening
from training.outside import readable
from training.rows import FOLDS, Row, Truths


def unseen(
    rows: Sequence[Row],
    embeddings: Embeddings,
    owner: NDArray[np.intp],
    trained: meaning.Scorer,
    labelled: Sequence[Row],
    cache: Path | None = None,
) -> Truths:
    """True for each row that is never safe, by scores fitted without its fold.

    `owner` is the number of each window's row. The calibrations are those of the trained voter.
    """
    if trained.unlike is None or trained.kinds is None:
        return np.zeros(len(rows), np.bool_)
    landmarks = trained.unlike.landmarks
    taught = [row for row, known in zip(labelled, readable(labelled), strict=True) if known]
    learned = kinds.Labelled.of(taught, landmarks, cache)
    of_taught = np.array([row.fold for row in taught])
    of_window = np.array([row.fold for row in rows])[owner]
    whiten = whitening(np.rint(landmarks / LANDMARK_UNIT).astype(np.int8))
    scores = np.full((len(rows), len(trained.kinds.kinds)), -np.inf, np.float32)
    for fold in range(FOLDS):
        at = np.flatnonzero(of_window == fold)
        if not at.size:
            continue
        near = meaning.nearness(embeddings[at], landmarks)
        for column, kind in enumerate(trained.kinds.kinds):
            if kind.name not in meaning.NEVER_SAFE:
                continue
            linear = kinds.fit_score(learned, kinds.KINDS.index(kind.name), of_taught != fold)
            if linear is not None:
                weights = (whiten @ linear.coefficients).astype(np.float32)
                said = near @ weights + np.float32(linear.intercept)
                np.maximum.at(scores[:, column], owner[at], said)
    return of_scores(rows, scores, trained.kinds)


def seen(
    rows: Sequence[Row], embeddings: Embeddings, owner: NDArray[np.intp], trained: meaning.Scorer
) -> Truths:
    """The same by the trained voter's own scores, for rows that it learned nothing from."""
    if trained.unlike is None or trained.kinds is None:
        return np.zeros(len(rows), np.bool_)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    near = meaning.nearness(embeddings, trained.unlike.landmarks)
    return of_scores(rows, trained.kinds.scores(near, starts), trained.kinds)


def of_scores(rows: Sequence[Row], scores: NDArray[np.float32], known: Kinds) -> Truths:
    """True for each row with a probability of such a category that makes it never safe.

    `scores` are those of the kinds (rows, kinds). A few letters have none.
    """
    found = np.zeros(len(rows), np.bool_)
    for position, row in enumerate(rows):
        if sum(map(str.isalpha, row.text)) < TOO_FEW:
            continue
        for column, kind in enumerate(known.kinds):
            platt = kind.calibrations.get(row.language)
            if kind.name in meaning.NEVER_SAFE and platt is not None:
                probability = platt.probability(float(scores[position, column]))
                found[position] |= probability >= meaning.NEVER_SAFE_FROM
    return found
