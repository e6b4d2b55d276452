"""Scores of the policy's categories and of Perspective's attributes, by the voter `meaning`.

Each is a score over the landmarks that the second opinion rests on, learned from sources that say
whether it holds, and a probability of that score in each language in which texts of unseen sources
showed that it means something. In other languages there is no score.
"""

from typing import TYPE_CHECKING, NamedTuple

from quorum.core.models import Attribute, Category

from embedded.calibration import Platt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Kind(NamedTuple):
    """A category or an attribute, with its calibration in each language that it is covered in."""

    name: Category | Attribute
    calibrations: dict[str, Platt]


class Kinds(NamedTuple):
    """The kinds in the order of the columns: weights (landmarks, kinds) and intercepts (kinds)."""

    kinds: tuple[Kind, ...]
    coefficients: "NDArray[np.float32]"
    intercepts: "NDArray[np.float32]"

    def scores(
        self, near: "NDArray[np.float32]", starts: "Sequence[int] | NDArray[np.intp]"
    ) -> "NDArray[np.float32]":
        """The score of each text and kind (texts, kinds), from its windows' nearness to landmarks.

        `starts` are the texts' first windows. The worst window counts.
        """
        import numpy as np  # noqa: PLC0415 -- only this voter's Lambda pays for numpy

        said = near @ self.coefficients + self.intercepts
        return np.asarray(np.maximum.reduceat(said, starts), np.float32)

    def probabilities(
        self, near: "NDArray[np.float32]", language: str
    ) -> dict[Category | Attribute, float]:
        """The probability of each kind that is covered in a language, of one text."""
        scores = self.scores(near, [0])[0].tolist()
        return {
            kind.name: kind.calibrations[language].probability(score)
            for kind, score in zip(self.kinds, scores, strict=True)
            if language in kind.calibrations
        }


def categories_of(probabilities: "dict[Category | Attribute, float]") -> dict[str, float]:
    """Those of categories, as a vote writes them."""
    return {
        str(name): round(probability, 4)
        for name, probability in probabilities.items()
        if isinstance(name, Category)
    }


def attributes_of(probabilities: "dict[Category | Attribute, float]") -> dict[Attribute, float]:
    """Those of attributes, as a vote writes them."""
    return {
        name: round(probability, 4)
        for name, probability in probabilities.items()
        if isinstance(name, Attribute)
    }
