"""The voter `characters`, fitted: logistic regression over hashed n-grams, one per language.

Each n-gram counts by how much it tells unsafe texts from safe ones by itself (log-count ratios:
Wang and Manning 2012, *Baselines and bigrams*). The factors are in the weights, so the voter
multiplies nothing.
"""

from collections.abc import Sequence

import numpy as np
from embedded import characters, weights
from embedded.calibration import Platt
from rich.progress import track
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from training.rows import Floats, Truths
from training.votes import console

CHARACTERS_C = 10.0
SMOOTHING = 1.0
"""Texts of either answer that each n-gram is taken to be in beside those that it is in."""

LEAST_RATIO = 1e-9
"""Mean ratio below which no n-gram tells anything, and all are as nothing."""


def character_matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """One row per text: its n-gram buckets, each 1/√(number of buckets)."""
    columns: list[int] = []
    ends = [0]
    for text in track(texts, "n-grams", console=console):
        columns.extend(sorted(characters.buckets(text)))
        ends.append(len(columns))
    lengths = np.diff(ends)
    values = np.repeat(1.0 / np.sqrt(lengths), lengths)
    shape = (len(texts), 1 << characters.BITS)
    return sparse.csr_matrix((values, np.array(columns, np.int32), ends), shape=shape)


def fit_characters(matrix: sparse.csr_matrix, unsafe: Truths, weight: Floats) -> LogisticRegression:
    """Logistic regression over the n-grams of one language, for which they are not scaled."""
    ratios = log_count_ratios(matrix, unsafe, weight)
    model = LogisticRegression(C=CHARACTERS_C, solver="liblinear", tol=1e-3, random_state=0)
    model.fit(matrix @ sparse.diags(ratios), unsafe, sample_weight=weight)
    model.coef_ *= ratios
    return model


def log_count_ratios(matrix: sparse.csr_matrix, unsafe: Truths, weight: Floats) -> Floats:
    """Of each n-gram how unevenly it is spread over unsafe and safe texts; 1 on average."""
    found = sparse.csr_matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), matrix.shape)
    with_unsafe = found[unsafe].T @ weight[unsafe] + SMOOTHING
    with_safe = found[~unsafe].T @ weight[~unsafe] + SMOOTHING
    ratios = np.abs(np.log(with_unsafe / with_unsafe.sum()) - np.log(with_safe / with_safe.sum()))
    counts = np.asarray(found.sum(axis=0)).ravel()
    scaled: Floats = ratios / max(np.sqrt((ratios**2 @ counts) / counts.sum()), LEAST_RATIO)
    return scaled


def pack_characters(spellings: dict[str, LogisticRegression], platts: dict[str, Platt]) -> bytes:
    """The weights file: for each language 2^17 16-bit integers with one unit."""
    described = []
    payload = b""
    for language, model in spellings.items():
        coefficients = model.coef_[0]
        unit = float(np.abs(coefficients).max()) / 32_767
        described.append(
            {
                "language": language,
                "unit": unit,
                "intercept": round(float(model.intercept_[0]), 6),
                "calibration": list(platts[language]),
            }
        )
        payload += np.rint(coefficients / unit).astype("<i2").tobytes()
    return weights.pack({"kind": characters.VOTER, "languages": described}, payload)
