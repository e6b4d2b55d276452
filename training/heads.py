"""The voter `meaning`, fitted: heads over landmarks for each language, and their gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from embedded import meaning, weights
from embedded.calibration import Platt
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from training.rows import Floats, Truths
from training.votes import console

Embeddings = NDArray[np.float32]

MEANING_C = 5.0
LANDMARKS = 1_024
"""Landmarks that a head has at most; each takes 516 bytes in the weights file."""
GATE_C = 5.0
LEAST_OF_A_KIND = 200
"""Rows that each source of a language needs for a head of its own; else all share one."""
RIDGE = 1e-4
"""Eigenvalue of the landmarks' kernel below which there is only rounding error."""
LANDMARK_UNIT = 1 / 256
"""Value of one unit of a byte: embeddings lie within ± 0.49 (larger numbers are clipped)."""


def embeddings_of(texts: Sequence[str], cache: Path | None = None) -> Embeddings:
    """Embeddings (n, 512), with progress; kept in the folder `cache` under a hash of the texts."""
    kept = None
    if cache is not None:
        kept = (
            cache / f"{sha256(chr(0).join(texts).encode('utf-8', 'surrogatepass')).hexdigest()}.npy"
        )
        if kept.exists():
            found: Embeddings = np.load(kept)
            return found
    pieces = [
        meaning.embed(texts[at : at + 256])
        for at in track(range(0, len(texts), 256), "embeddings", console=console)
    ]
    embeddings = np.concatenate(pieces)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, embeddings)
    return embeddings


@dataclass(frozen=True)
class MeaningHead:
    """Landmarks as bytes (n, 512), their coefficients (n), and the intercept."""

    landmarks: NDArray[np.int8]
    coefficients: NDArray[np.float32]
    intercept: float


@dataclass(frozen=True)
class MeaningHeads:
    """A head for each kind of text, and the gate: directions (kinds, 512) and offsets (kinds)."""

    heads: tuple[MeaningHead, ...]
    directions: Embeddings
    offsets: Embeddings

    def scores(self, embeddings: Embeddings, owner: NDArray[np.intp]) -> Floats:
        """Log-odds before calibration of each text, by the very code that votes.

        `owner` is the number of each window's text, ascending.
        """
        voting = meaning.Heads(
            heads=tuple(
                meaning.Head(
                    landmarks=head.landmarks.astype(np.float32) * np.float32(LANDMARK_UNIT),
                    coefficients=head.coefficients,
                    intercept=head.intercept,
                )
                for head in self.heads
            ),
            directions=self.directions,
            offsets=self.offsets,
            calibration=Platt(1.0, 0.0),
        )
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        return voting.scores(embeddings, starts).astype(np.float64)


def landmarks_of(embeddings: Embeddings, weight: Floats, most: int, seed: int) -> NDArray[np.int8]:
    """At most so many of the embeddings (n, 512), drawn by weight, as bytes."""
    generator = np.random.default_rng(seed)
    count = min(most, len(embeddings))
    drawn = generator.choice(len(embeddings), count, replace=False, p=weight / weight.sum())
    rounded = np.clip(np.rint(embeddings[np.sort(drawn)] / LANDMARK_UNIT), -127, 127)
    landmarks: NDArray[np.int8] = rounded.astype(np.int8)
    return landmarks


def placed(landmarks: NDArray[np.int8]) -> Embeddings:
    """Landmarks as the code that votes reads them."""
    return landmarks.astype(np.float32) * np.float32(LANDMARK_UNIT)


def whitening(landmarks: NDArray[np.int8]) -> Floats:
    """The matrix that makes nearness to these landmarks features of equal worth (Nyström)."""
    near = meaning.nearness(placed(landmarks), placed(landmarks))
    values, vectors = np.linalg.eigh(near.astype(np.float64))
    return np.asarray(vectors / np.sqrt(np.maximum(values, 0.0) + RIDGE))


def fit_head(embeddings: Embeddings, unsafe: Truths, weight: Floats, seed: int) -> MeaningHead:
    """Kernel logistic regression on landmarks drawn by weight (Nyström)."""
    landmarks = landmarks_of(embeddings, weight, LANDMARKS, seed)
    whiten = whitening(landmarks)
    model = LogisticRegression(C=MEANING_C, max_iter=500)
    near = meaning.nearness(embeddings, placed(landmarks))
    model.fit(near @ whiten, unsafe, sample_weight=weight)
    return MeaningHead(
        landmarks=landmarks,
        coefficients=(whiten @ model.coef_[0]).astype(np.float32),
        intercept=round(float(model.intercept_[0]), 6),
    )


def kinds_of(sources: NDArray[np.str_], unsafe: Truths) -> NDArray[np.intp]:
    """For each row the number of its source; all 0 where a source is too small for a head."""
    names, kinds, counts = np.unique(sources, return_inverse=True, return_counts=True)
    one_sided = any(len(np.unique(unsafe[kinds == kind])) == 1 for kind in range(len(names)))
    if int(np.min(counts)) < LEAST_OF_A_KIND or one_sided:
        return np.zeros(len(sources), np.intp)
    return kinds


def fit_meaning(
    embeddings: Embeddings, unsafe: Truths, weight: Floats, kinds: NDArray[np.intp], seed: int
) -> MeaningHeads:
    """A head for each kind of text, and a gate that tells the kinds apart (logistic regression)."""
    count = int(np.max(kinds)) + 1
    if count == 1:
        return fit_of_one_kind(embeddings, unsafe, weight, seed)
    directions = np.zeros((count, meaning.DIMENSIONS), np.float32)
    offsets = np.zeros(count, np.float32)
    gate = LogisticRegression(C=GATE_C, max_iter=500)
    gate.fit(embeddings, kinds, sample_weight=weight)
    directions[-len(gate.coef_) :] = gate.coef_  # of two kinds, the first is the zero
    offsets[-len(gate.intercept_) :] = gate.intercept_
    heads = tuple(
        fit_head(embeddings[of], unsafe[of], weight[of], seed)
        for of in (kinds == kind for kind in range(count))
    )
    return MeaningHeads(heads, directions, offsets)


def fit_of_one_kind(
    embeddings: Embeddings, unsafe: Truths, weight: Floats, seed: int
) -> MeaningHeads:
    """One head for all of the rows, and a gate that leads to it alone."""
    return MeaningHeads(
        heads=(fit_head(embeddings, unsafe, weight, seed),),
        directions=np.zeros((1, meaning.DIMENSIONS), np.float32),
        offsets=np.zeros(1, np.float32),
    )


def pack_meaning(
    languages: dict[str, MeaningHeads],
    platts: dict[str, Platt],
    outside: tuple[dict[str, object], bytes] | None = None,
) -> bytes:
    """The weights file: for each language its heads (landmarks, coefficients), then its gate.

    Last comes what is known of texts unlike the training collections (`training.outside`).
    """
    described = []
    pieces = []
    for language, fitted in languages.items():
        described.append(
            {
                "language": language,
                "heads": [
                    {"landmarks": len(head.landmarks), "intercept": head.intercept}
                    for head in fitted.heads
                ],
                "calibration": list(platts[language]),
            }
        )
        for head in fitted.heads:
            pieces += [head.landmarks.tobytes(), head.coefficients.astype("<f4").tobytes()]
        pieces += [
            fitted.directions.astype("<f4").tobytes(),
            fitted.offsets.astype("<f4").tobytes(),
        ]
    header: dict[str, object] = {
        "kind": meaning.VOTER,
        "unit": LANDMARK_UNIT,
        "languages": described,
    }
    if outside is not None:
        header["outside"] = outside[0]
        pieces.append(outside[1])
    return weights.pack(header, b"".join(pieces))
