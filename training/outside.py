"""What `meaning` knows of texts unlike those of its training collections, fitted.

Three scores over shared landmarks, of all sources and languages at once: how unsafe a text is, how
like a request for harm, and how like the training collections. A logistic regression makes an
opinion of the first two and of the language's own score, fitted on scores of sources that no part
of them had seen.
"""

from collections.abc import Sequence

import numpy as np
from embedded import meaning
from embedded.calibration import Platt
from embedded.unlike import Opinion, Unlike, features
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from training.heads import LANDMARK_UNIT, Embeddings, landmarks_of, placed, whitening
from training.rows import Floats, Row, Truths, source_weights, sources, truths

LANDMARKS = 1_536
OUTSIDE_C = 3.0
OPINION_C = 10.0
POWER = 0.5
"""A source of n rows weighs n to this power: neither as much as its rows, nor as any other."""
LIKE_SHARE = 0.2
"""Weight of the training collections beside the outside sources where the opinion is fitted."""
LEAST_OF_BOTH = 100
"""Safe and unsafe outside texts that a language needs for an offset of its own."""
MOST_STEPS = 150


def readable(rows: Sequence[Row]) -> Truths:
    """True for each row in a language that the encoder knows: no other can be learned from."""
    return np.array([row.language in meaning.ENCODER_LANGUAGES for row in rows], np.bool_)


def fit_scores(
    rows: Sequence[Row], embeddings: Embeddings, owner: NDArray[np.intp], chosen: Truths, seed: int
) -> Unlike:
    """Fit the three scores on the chosen rows; landmarks are never drawn from share-alike texts."""
    facts = sources()
    outside = np.array([row.outside for row in rows])
    unsafe = truths(rows)
    requests = unsafe & np.array([row.outside and facts[row.source]["requests"] for row in rows])
    harmless = np.array([row.outside and facts[row.source]["harmless"] for row in rows])
    shared = np.array([row.outside and facts[row.source]["share_alike"] for row in rows])
    used = chosen & readable(rows)
    weight = source_weights(rows, used, POWER)
    asked = weight * np.where(harmless | requests, 1.0, 0.3)
    asked[requests] *= 0.5 * asked[~requests].sum() / max(asked[requests].sum(), 1e-12)
    alike = weight.copy()
    alike[~outside] *= weight[outside].sum() / max(weight[~outside].sum(), 1e-12)
    at = np.flatnonzero(used[owner])
    share = 1.0 / np.bincount(owner)[owner]
    drawn = np.flatnonzero((used & ~shared)[owner])
    landmarks = landmarks_of(embeddings[drawn], (weight[owner] * share)[drawn], LANDMARKS, seed)
    near = meaning.nearness(embeddings[at], placed(landmarks))
    whiten = whitening(landmarks).astype(np.float32)
    features = (near @ whiten).astype(np.float32)
    coefficients, intercepts = [], []
    for goal, worth in ((unsafe, weight), (requests, asked), (~outside, alike)):
        each = (worth[owner] * share)[at]
        model = LogisticRegression(C=OUTSIDE_C, max_iter=MOST_STEPS)
        model.fit(features, goal[owner][at], sample_weight=each * len(at) / each.sum())
        coefficients.append(whiten @ model.coef_[0])
        intercepts.append(model.intercept_[0])
    return Unlike(
        landmarks=placed(landmarks),
        coefficients=np.stack(coefficients, axis=1).astype(np.float32),
        intercepts=np.array(intercepts, np.float32).round(6),
        opinion=Opinion((), {}, {}),
    )


def text_scores(unlike: Unlike, embeddings: Embeddings, owner: NDArray[np.intp]) -> Floats:
    """Per text its three scores (texts, 3); `owner` is the number of each window's text."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    near = meaning.nearness(embeddings, unlike.landmarks)
    return unlike.scores(near, starts).astype(np.float64)


def fit_opinion(rows: Sequence[Row], own: Floats, scored: Floats, chosen: Truths) -> Opinion:
    """Fit on scores of rows whose source, or fold, the scores had not seen."""
    outside = np.array([row.outside for row in rows])
    unsafe = truths(rows)
    used = chosen & readable(rows)
    within = source_weights(rows, used & ~outside, 0.0)
    beyond = source_weights(rows, used & outside, POWER)
    spoken = np.array([row.language for row in rows])
    languages = [
        language
        for language in sorted(set(spoken[used]))
        if min(
            (used & outside & unsafe & (spoken == language)).sum(),
            (used & outside & ~unsafe & (spoken == language)).sum(),
        )
        >= LEAST_OF_BOTH
    ]
    one_hot = (spoken[:, None] == np.array(languages)[None, :]).astype(float)
    measured = [
        features(one, unsafe_score, request)
        for one, (unsafe_score, request, _) in zip(own.tolist(), scored.tolist(), strict=True)
    ]
    table = np.concatenate([np.array(measured), one_hot], axis=1)
    weight = beyond + LIKE_SHARE * within
    model = LogisticRegression(C=OPINION_C, max_iter=500)
    model.fit(table[used], unsafe[used], sample_weight=weight[used] * len(rows))
    count = table.shape[1] - len(languages)
    numbers = [round(float(number), 5) for number in model.coef_[0]]
    intercept = float(model.intercept_[0])
    offsets = {
        language: round(intercept + number, 5)
        for language, number in zip(languages, numbers[count:], strict=True)
    }
    offsets[""] = round(intercept, 5)
    likeness = {}
    for language in sorted(set(spoken[used & ~outside])):
        of = used & (spoken == language)
        if (outside & of).any():
            model = LogisticRegression(C=OPINION_C, max_iter=500)
            worth = (within + beyond)[of]
            worth[outside[of]] *= worth[~outside[of]].sum() / worth[outside[of]].sum()
            model.fit(scored[of, 2:], ~outside[of], sample_weight=worth * of.sum() / worth.sum())
            likeness[language] = Platt(
                round(float(model.coef_[0, 0]), 5), round(float(model.intercept_[0]), 5)
            )
    return Opinion(tuple(numbers[:count]), offsets, likeness)


def payload(unlike: Unlike, opinion: Opinion) -> tuple[dict[str, object], bytes]:
    """The part of the header and of the payload of a weights file."""
    header = {
        "landmarks": len(unlike.landmarks),
        "intercepts": [round(float(number), 6) for number in unlike.intercepts],
        "opinion": list(opinion.weights),
        "offsets": opinion.offsets,
        "likeness": {language: list(platt) for language, platt in opinion.likeness.items()},
    }
    landmarks = np.rint(unlike.landmarks / LANDMARK_UNIT).astype(np.int8)
    return header, landmarks.tobytes() + unlike.coefficients.astype("<f4").tobytes()
