"""Thresholds: the scores between which a person decides, by language, with targets or without."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from quorum.vote.panel import Thresholds

from analysis.plans import Losses
from analysis.recorded import Flags, Floats

_REVIEW_AT_MOST = 0.19
"""Share of rows that thresholds without targets send to a person at most."""
_DECIDED_RIGHT = 0.96
"""Accuracy of decided rows at which a band without targets is wide enough."""
_LEAST_DECIDED_RIGHT = 0.94
"""Accuracy of decided rows below which a band without targets grows, whatever goes to a person."""
_LEAST_DECIDED = 20
"""Decided rows below which their accuracy says nothing."""
LEAST_ROWS = 100
"""Rows from which a language has thresholds of its own, without targets, and from which they show
that too few decisions would be right."""
_EDGE = 0.03
"""Score by which a row may move into the band when a panel is fitted on a few rows more."""
_DOUBT = 0.1
"""Probability, over the labels drawn, that a promise on decided accuracy does not hold."""
_STARTS = (0.3, 0.5, 0.7, 0.85)
"""Shares of decided rows at which the tests of decided accuracy start; they divide `_DOUBT`."""
_WIDTHS = np.round(np.arange(0.0, 0.496, 0.005), 3)
"""Half widths of the band of reviews, around a midpoint of one half."""
_EVEN = 0.5
_NOWHERE = -1.0
"""The distance from the midpoint of a row that is within every band."""
_LEAST_MIDDLE = 0.001
"""Midpoint below which everything would be called unsafe."""


class TargetOutOfReach(ValueError):
    """These labels cannot promise that target; the message says which and why."""


@dataclass(frozen=True, slots=True)
class LanguageThresholds:
    """Thresholds for all contents, a language's own, and why a language is left to a person."""

    pooled: Thresholds
    own: dict[str, Thresholds] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Scored(NamedTuple):
    """Rows with their scores and labels; a panel may not say that a row is safe that is `held`."""

    scores: Floats
    unsafe: Flags
    held: Flags

    def rows(self, chosen: Flags) -> "Scored":
        """Those rows only."""
        return Scored(self.scores[chosen], self.unsafe[chosen], self.held[chosen])

    def undecided(self, middle: float) -> Flags:
        """The rows that no band around `middle` decides.

        Rows above one half are held where too few voters answered: they are never unsafe either.
        """
        return self.held & ((self.scores < middle) | (self.scores >= _EVEN))


def by_language(
    scored: Scored,
    languages: npt.NDArray[np.str_],
    choose: Callable[[Scored], Thresholds],
    *,
    least_rows: int = 0,
    careful: bool = False,
) -> LanguageThresholds:
    """What `choose` finds for all rows, and for each language with at least `least_rows` rows.

    Where it finds none for a language, a person decides there. Where it finds none for all rows, a
    language without rows gets the most careful of the other languages' thresholds. Raises
    `TargetOutOfReach` if it finds none at all.

    With `careful`, no language is decided more readily than all together: one that is easy among
    these rows need not be easy among others.
    """
    own: dict[str, Thresholds] = {}
    refused: dict[str, str] = {}
    for language in np.unique(languages).tolist():
        here = languages == language
        if not language or int(here.sum()) < least_rows:
            continue
        try:
            own[language] = choose(scored.rows(here))
        except TargetOutOfReach as problem:
            refused[language] = str(problem)
    try:
        pooled = choose(scored)
    except TargetOutOfReach:
        if not own:
            raise
        pooled = Thresholds(
            unsafe=max(thresholds.unsafe for thresholds in own.values()),
            safe=max(thresholds.safe for thresholds in own.values()),
        )
    if careful:
        own = {
            language: Thresholds(
                unsafe=max(limits.unsafe, pooled.unsafe), safe=max(limits.safe, pooled.safe)
            )
            for language, limits in own.items()
        }
    own = {language: limits for language, limits in own.items() if limits != pooled}
    return LanguageThresholds(pooled, own, refused)


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of a panel on unseen rows; each may be left open.

    `decided_accuracy`: the least accuracy of decided rows. `recall`: the least share of unsafe rows
    that are found when a decision is forced. `review`: the greatest share of rows sent to a person.
    """

    decided_accuracy: float | None = None
    recall: float | None = None
    review: float | None = None

    def __bool__(self) -> bool:
        """Whether there is any target."""
        return any(
            target is not None for target in (self.decided_accuracy, self.recall, self.review)
        )


def thresholds_losing_least(losses: Losses) -> Thresholds:
    """The thresholds beyond which a decision loses less than asking a person."""
    unsafe, safe = (
        min(max(float(np.ceil(threshold * 1e4) / 1e4), 0.0001), 0.9999)
        for threshold in (losses.unsafe_from, losses.safe_from)
    )
    return Thresholds(unsafe=unsafe, safe=safe)


def promised_thresholds(scored: Scored, targets: Targets) -> Thresholds:
    """Thresholds that keep `targets` on rows drawn as these were; raises `TargetOutOfReach`.

    The scores must be of rows that the panel was not fitted on. Recall and review are kept in
    expectation by conformal risk control (Angelopoulos et al. 2022): the empirical risk with one
    more row counted as lost. Decided accuracy is kept with probability 0.9, by fixed-sequence tests
    of exact binomial bounds (Clopper and Pearson 1934; Angelopoulos et al. 2021).
    """
    scores, unsafe, _ = scored
    middle = _EVEN if targets.recall is None else _middle_for(scores[unsafe], targets.recall)
    away = np.abs(scores - middle) / (2 * middle)
    away[scored.undecided(middle)] = _NOWHERE
    widest = _WIDTHS[-1] if targets.review is None else _widest(away, targets.review)
    if targets.decided_accuracy is not None:
        right = (scores >= middle) == unsafe
        half = _narrowest(away, right, targets.decided_accuracy, widest)
    elif targets.review is not None:
        half = widest
    else:
        half = 0.0
    return _band(middle, half)


def _band(middle: float, half: float) -> Thresholds:
    edge = 2 * middle * half
    upper, lower = round(middle + edge, 4), round(middle - edge, 4)
    return Thresholds(unsafe=min(upper, 0.9999), safe=min(round(1 - lower, 4), 0.9999))


def _middle_for(scores: Floats, recall: float) -> float:
    """The highest midpoint below which at most 1 - `recall` of the unsafe rows are expected."""
    ordered = np.sort(scores)
    missed_at_most = int(np.floor((1 - recall) * (len(scores) + 1))) - 1
    if missed_at_most < 0:
        needed = int(np.ceil(1 / (1 - recall))) if recall < 1 else 0
        raise TargetOutOfReach(
            f"recall {recall}: no number of labels promises it"
            if not needed
            else f"recall {recall}: needs {needed} unsafe rows held out, there are {len(scores)}"
        )
    # A score equal to the midpoint is unsafe, so exactly the scores below it are missed.
    middle = min(float(ordered[missed_at_most]), 0.5)
    middle = np.floor(middle * 1e4) / 1e4
    if middle < _LEAST_MIDDLE:
        raise TargetOutOfReach(f"recall {recall}: everything would be called unsafe")
    return float(middle)


def _widest(away: Floats, review: float) -> float:
    """The widest band that sends at most `review` of the rows to a person, in expectation."""
    reviewed = (away[:, None] < _WIDTHS).sum(axis=0)
    kept = np.flatnonzero((reviewed + 1) / (len(away) + 1) <= review)
    if not len(kept):
        raise TargetOutOfReach(f"review {review}: {len(away)} held-out rows are too few")
    return float(_WIDTHS[kept[-1]])


def _narrowest(away: Floats, right: Flags, accuracy: float, widest: float) -> float:
    """The narrowest band whose decided rows are right enough, tested inwards from wider ones."""
    from scipy.special import betaincinv  # noqa: PLC0415 - heavy, and few commands need it

    decided = away[:, None] >= _WIDTHS
    wrong = (decided & ~right[:, None]).sum(axis=0)
    number = decided.sum(axis=0)
    doubt = _DOUBT / len(_STARTS)
    passed = None
    for start in _STARTS:
        enough = np.flatnonzero(number >= start * len(away))
        for width in enough[::-1]:
            worst = float(betaincinv(wrong[width] + 1, number[width] - wrong[width], 1 - doubt))
            if number[width] == wrong[width] or worst > 1 - accuracy:
                break
            passed = width if passed is None else min(passed, width)
    if passed is None:
        raise TargetOutOfReach(
            f"decided accuracy {accuracy}: {len(away)} held-out rows do not show it at any coverage"
        )
    if _WIDTHS[passed] > widest:
        share = float((away < _WIDTHS[passed]).mean())
        raise TargetOutOfReach(
            f"decided accuracy {accuracy} needs {share:.0%} sent to review, more than allowed"
        )
    return float(_WIDTHS[passed])


def usual_thresholds(scored: Scored) -> Thresholds:
    """Thresholds without targets: the narrowest band outside of which decisions are right enough.

    It sends no more rows to a person than `_REVIEW_AT_MOST`, unless fewer than
    `_LEAST_DECIDED_RIGHT` of the others are right: then it grows until they are. Scores are out
    of fold. Raises `TargetOutOfReach` if no band is wide enough. Fewer rows than `LEAST_ROWS`
    cannot show that.
    """
    scores, unsafe, _ = scored
    middle, chosen, accuracy = _EVEN, 0.0, 0.0
    least_right = _LEAST_DECIDED_RIGHT if len(scores) >= LEAST_ROWS else 0.0
    away = np.abs(scores - middle)
    away[scored.undecided(middle)] = _NOWHERE
    right = (scores >= middle) == unsafe
    doubt = np.sqrt(_REVIEW_AT_MOST * (1 - _REVIEW_AT_MOST) / len(away))
    for width in _WIDTHS:
        # Rows just outside the band may be inside it for a panel fitted on a few rows more.
        many = (away < width + _EDGE).mean() + doubt > _REVIEW_AT_MOST
        if many and accuracy >= least_right:
            break
        decided = away >= width
        if decided.sum() < min(_LEAST_DECIDED, len(away)):
            raise TargetOutOfReach(
                f"fewer than {_LEAST_DECIDED_RIGHT:.0%} of what is decided is right at any coverage"
            )
        chosen, accuracy = float(width), float(right[decided].mean())
        if accuracy >= _DECIDED_RIGHT or (many and accuracy >= least_right):
            break
    return _band(middle, chosen)
