"""What the voter `meaning` knows of texts unlike those of its training collections.

Beside the heads of a language it has three scores that were fitted on many other sources and all
languages at once: how unsafe a text is, how like a request for harm, and how like the training
collections. From them comes a second probability of unsafe, calibrated on sources that no part of
it had seen. A text's probability is the mean of both, the first counted with the probability that
the text is like the training collections. Where the second is not low enough the voter does not
say safe: it abstains. In a language that the encoder does not read there are no such scores, and
it never says safe.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from embedded.calibration import LEAST_DOUBT, Platt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNSAFE, REQUEST, LIKE = range(3)
"""The columns of the three scores."""
SAFE_UP_TO = 0.35
"""Second probability of unsafe above which the voter never says safe."""
REQUEST_FROM = 0.0
"""Score (log-odds) from which a text may ask for harm: the voter never says it is safe."""


def features(own: float, unsafe: float, request: float) -> tuple[float, ...]:
    """What the second probability rests on: the language's own score and two of the others."""
    return (
        own,
        unsafe,
        max(request, 0.0),
        request,
        min(own, unsafe),
        max(own, unsafe),
    )


class Judged(NamedTuple):
    """The probability that a text is unsafe, and whether such a text may be called safe at all."""

    unsafe: float
    may_be_safe: bool

    @property
    def sure(self) -> float | None:
        """The probability of unsafe; None where it speaks for safe and that cannot be said."""
        return self.unsafe if self.may_be_safe or self.unsafe >= 0.5 else None  # noqa: PLR2004 -- even odds

    @property
    def probability(self) -> float:
        """The same, with even odds in place of None."""
        return 0.5 if self.sure is None else self.sure


def judged_without(inside: float) -> Judged:
    """The judgement in a language without a second opinion, of this probability of unsafe.

    Nobody could tell there that a text is unlike the training, so none of its texts is safe.
    """
    return Judged(inside, may_be_safe=False)


class Opinion(NamedTuple):
    """Two regressions: `weights` of the features with `offsets` by language, and `likeness`.

    The offset under "" is for languages without one.
    """

    weights: tuple[float, ...]
    offsets: dict[str, float]
    likeness: dict[str, Platt]

    def probability(self, own: float, scores: Sequence[float], language: str) -> float:
        """The second probability of unsafe."""
        measured = features(own, scores[UNSAFE], scores[REQUEST])
        odds = sum(weight * value for weight, value in zip(self.weights, measured, strict=True))
        odds += self.offsets.get(language, self.offsets[""])
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds))))

    def judged(self, inside: float, own: float, scores: Sequence[float], language: str) -> "Judged":
        """The judgement on a text.

        `inside` is the probability if the text is like the training collections, `own` the score it
        was made of.
        """
        second = self.probability(own, scores, language)
        known = self.likeness.get(language)
        like = 0.0 if known is None else known.probability(scores[LIKE])
        unsafe = like * inside + (1.0 - like) * second
        doubtful = second > SAFE_UP_TO or scores[REQUEST] > REQUEST_FROM
        return Judged(min(1.0 - LEAST_DOUBT, max(LEAST_DOUBT, unsafe)), may_be_safe=not doubtful)


class Unlike(NamedTuple):
    """Landmarks (n, 512) shared by the three scores, their weights (n, 3), and the opinion."""

    landmarks: "NDArray[np.float32]"
    coefficients: "NDArray[np.float32]"
    intercepts: "NDArray[np.float32]"
    opinion: Opinion

    def scores(
        self, near: "NDArray[np.float32]", starts: "Sequence[int] | NDArray[np.intp]"
    ) -> "NDArray[np.float32]":
        """The three scores of each text (texts, 3), from its windows' nearness to the landmarks.

        `starts` are the texts' first windows. The worst window counts; for likeness their mean.
        """
        import numpy as np  # noqa: PLC0415 -- only this voter's Lambda pays for numpy

        said = near @ self.coefficients + self.intercepts
        scores = np.maximum.reduceat(said, starts)
        windows_of = np.diff(starts, append=len(near))
        scores[:, LIKE] = np.add.reduceat(said[:, LIKE], starts) / windows_of
        return np.asarray(scores, np.float32)
