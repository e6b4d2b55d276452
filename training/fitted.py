"""Both trained voters, fitted on some rows, and what they say of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from embedded import meaning
from embedded.reading import windows
from embedded.unlike import Unlike
from numpy.typing import NDArray
from rich.progress import track
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from training.heads import (
    Embeddings,
    MeaningHeads,
    embeddings_of,
    fit_meaning,
    fit_of_one_kind,
    kinds_of,
)
from training.outside import fit_scores
from training.rows import Floats, Row, Truths, row_weights, sources, truths
from training.spelling import character_matrix, fit_characters
from training.votes import console

SPELLING_SHARE = 0.5
"""Weight of outside sources in a language's spelling, beside its training collections."""


def spelling_weights(rows: Sequence[Row], chosen: Truths) -> Floats:
    """The weight of each row in the spelling of its language; 0 where it is not learned from."""
    within = np.array([not row.outside for row in rows], np.bool_)
    added = np.array(
        [row.outside and row.language in sources()[row.source].get("spelling", ()) for row in rows]
    )
    spoken = np.array([row.language for row in rows])
    weight = np.zeros(len(rows))
    weight[within] = row_weights([row for row in rows if not row.outside])
    weight *= chosen
    for language in sorted(set(spoken[added & chosen])):
        at = added & chosen & (spoken == language)
        weight[at] = SPELLING_SHARE * weight[within & (spoken == language)].sum() / at.sum()
    return weight


@dataclass(frozen=True)
class Pieces:
    """The windows of some rows, as both trained voters see them; `owner[i]` is window i's row."""

    owner: NDArray[np.intp]
    matrix: sparse.csr_matrix
    embeddings: Embeddings

    @classmethod
    def of(cls, rows: Sequence[Row], cache: Path | None = None) -> "Pieces":
        """Cut, count and embed the rows' texts."""
        texts = [windows(row.text) for row in rows]
        flat = [window for cut in texts for window in cut]
        owner = np.repeat(np.arange(len(rows)), [len(cut) for cut in texts])
        return cls(owner, character_matrix(flat), embeddings_of(flat, cache))

    def worst(self, scores: Floats, rows: int) -> Floats:
        """Per row, the score of its worst window."""
        worst = np.full(rows, -np.inf)
        with np.errstate(invalid="ignore"):  # NaN stays NaN
            np.maximum.at(worst, self.owner, scores)
        return worst


@dataclass(frozen=True)
class Fitted:
    """Both trained voters before calibration, fitted on some rows."""

    spellings: dict[str, LogisticRegression]
    meanings: dict[str, MeaningHeads]
    unlike: Unlike | None

    @classmethod
    def on(cls, rows: Sequence[Row], pieces: Pieces, chosen: Truths, seed: int) -> "Fitted":
        """Fit on the chosen rows; a long text counts once however many windows it has.

        The heads of a language learn from the training collections alone, the spelling from a few
        outside sources too, at half their weight.
        """
        outside = np.array([row.outside for row in rows], np.bool_)
        weight = np.zeros(len(rows))
        weight[~outside] = row_weights([row for row in rows if not row.outside])
        weight = (weight / np.bincount(pieces.owner))[pieces.owner]
        spelled = (
            spelling_weights(rows, chosen)[pieces.owner] / np.bincount(pieces.owner)[pieces.owner]
        )
        unsafe = truths(rows)[pieces.owner]
        spoken = np.array([row.language for row in rows])
        languages = spoken[pieces.owner]
        used = (chosen & ~outside)[pieces.owner]
        sources = np.array([row.source for row in rows])[pieces.owner]
        meanings: dict[str, MeaningHeads] = {}
        spellings: dict[str, LogisticRegression] = {}
        for language in sorted(set(spoken[~outside])):
            own = used & (languages == language)
            written = (spelled > 0) & (languages == language)
            spellings[language] = fit_characters(
                pieces.matrix[written], unsafe[written], spelled[written]
            )
            kinds = kinds_of(sources[own], unsafe[own])
            meanings[language] = fit_meaning(
                pieces.embeddings[own], unsafe[own], weight[own], kinds, seed
            )
        meanings[meaning.OTHER] = fit_of_one_kind(
            pieces.embeddings[used], unsafe[used], weight[used], seed
        )
        unlike = (
            fit_scores(rows, pieces.embeddings, pieces.owner, chosen, seed)
            if outside.any()
            else None
        )
        return cls(spellings, meanings, unlike)

    def characters_scores(self, rows: Sequence[Row], pieces: Pieces) -> Floats:
        """Per row, the worst window's score by its spelling; NaN in languages without one."""
        scores = np.full(len(pieces.owner), np.nan)
        spoken = np.array([row.language for row in rows])[pieces.owner]
        for language, model in self.spellings.items():
            at = np.flatnonzero(spoken == language)
            if at.size:
                scores[at] = model.decision_function(pieces.matrix[at])
        return pieces.worst(scores, len(rows))

    def meaning_scores(self, rows: Sequence[Row], pieces: Pieces) -> Floats:
        """Per row, the score by its meaning, with its language's heads."""
        scores = np.zeros(len(rows))
        spoken = np.array([row.language for row in rows])
        for language in sorted(set(spoken)):
            of, at = spoken == language, spoken[pieces.owner] == language
            heads = self.meanings.get(language, self.meanings[meaning.OTHER])
            scores[of] = heads.scores(pieces.embeddings[at], pieces.owner[at])
        return scores


def unseen_language_scores(
    rows: Sequence[Row], pieces: Pieces, seed: int
) -> tuple[NDArray[np.intp], Floats]:
    """Leave one language out: rows the encoder can read, scored by a head of the others."""
    spoken = np.array([row.language for row in rows])
    window_spoken = spoken[pieces.owner]
    weight = (row_weights(rows) / np.bincount(pieces.owner))[pieces.owner]
    unsafe = truths(rows)[pieces.owner]
    scores = np.full(len(rows), -np.inf)
    outside = np.array([row.outside for row in rows], np.bool_)[pieces.owner]
    readable = sorted(set(spoken[pieces.owner][~outside]) & meaning.ENCODER_LANGUAGES)
    for language in track(readable, "languages left out", console=console):
        out = (window_spoken == language) & ~outside
        others = (window_spoken != language) & ~outside
        if not others.any():
            continue
        heads = fit_of_one_kind(pieces.embeddings[others], unsafe[others], weight[others], seed)
        at = np.unique(pieces.owner[out])
        scores[at] = heads.scores(pieces.embeddings[out], pieces.owner[out])
    return np.flatnonzero(np.isfinite(scores)), scores
