"""The evidence of votes, learned from labels: a logistic model with quadratic shrinkage.

Voters share a prior: each one's evidence is drawn to the mean of all, and a language's own evidence
to the pooled one, so that fifty labels a language move the numbers a little and two thousand
determine them (a hierarchical model at its posterior mode). Signs are bounded, so no vote for
unsafe can lower a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from quorum.vote.panel import Evidence, LanguageTerms, Pair, Stage
from quorum.vote.tally import confidence_logit

from analysis.recorded import REVIEW, SAFE, UNSAFE, Codes, Flags, Floats, Indices, Recorded

_LABELS_FOR_OWN_TERMS = 20
"""Labels of a language below which it takes the pooled numbers."""
_NEWTON_STEPS = 30
_LOSS_TOLERANCE = 1e-3
_REVIEWS_FOR_EVIDENCE = 10
"""Votes for review below which a voter has no evidence of its own for them."""
_NOTICEABLE = 0.05
"""Log-odds below which a number is left out, so that a panel stays small and readable."""


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Weights of the quadratic penalties, in units of one label's log-loss per squared log-odds."""

    to_zero: float = 0.02
    voters: float = 2.0
    languages: float = 4.0
    pairs: float = 4.0
    bias: float = 0.3


@dataclass(frozen=True, slots=True)
class Design:
    """The columns of the logistic model for some voters, over all rows; folds share them.

    A column is one voter's vote of one kind (`names`) or two voters' agreement (`pairs`). Rows
    with the same votes are one pattern: `pattern[row]` is a row of `columns` and of `spoken`.
    """

    voters: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    pattern: Indices
    columns: Floats
    spoken: Indices

    @classmethod
    def of(cls, recorded: Recorded, voters: Sequence[str]) -> "Design":
        """The columns for `voters`."""
        names: list[tuple[str, str]] = []
        columns: list[Floats] = []
        said = {voter: recorded.decisions[:, recorded.column(voter)] for voter in voters}
        for voter in voters:
            sure = recorded.confidences[:, recorded.column(voter)]
            names += [(voter, "unsafe"), (voter, "safe")]
            columns += [1.0 * (said[voter] == UNSAFE), -1.0 * (said[voter] == SAFE)]
            if (said[voter] == REVIEW).sum() >= _REVIEWS_FOR_EVIDENCE:
                names.append((voter, "needs_review"))
                columns.append(1.0 * (said[voter] == REVIEW))
            if not np.isnan(sure).all():
                names.append((voter, "slope"))
                columns.append(_signed_logits(said[voter], sure))
        pairs = tuple(combinations(voters, 2))
        for first, second in pairs:
            for code, sign in ((UNSAFE, 1.0), (SAFE, -1.0)):
                columns.append(sign * ((said[first] == code) & (said[second] == code)))
        languages, spoken = np.unique(recorded.languages, return_inverse=True)
        table = np.column_stack([*columns, spoken])
        patterns, pattern = np.unique(table, axis=0, return_inverse=True)
        return cls(
            voters=tuple(voters),
            names=tuple(names),
            pairs=pairs,
            languages=tuple(str(language) for language in languages),
            pattern=pattern.reshape(-1).astype(np.int64),
            columns=patterns[:, :-1],
            spoken=patterns[:, -1].astype(np.int64),
        )


def _signed_logits(said: Codes, sure: Floats) -> Floats:
    logits = np.array([confidence_logit(1.0 if np.isnan(value) else value) for value in sure])
    return np.asarray(np.select([said == UNSAFE, said == SAFE], [logits, -logits], default=0.0))


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted stage: the coefficients of a design's columns, pooled and by language."""

    design: Design
    bias: float
    pooled: Floats
    pairs: Floats
    languages: dict[str, tuple[float, Floats]]

    def log_odds(self, rows: Indices) -> Floats:
        """The log-odds of unsafe of those rows."""
        own = self.design.columns[:, : len(self.pooled)]
        found = self.bias + own @ self.pooled
        for language, (bias, coefficients) in self.languages.items():
            here = self.design.spoken == self.design.languages.index(language)
            found[here] = bias + own[here] @ coefficients
        found += self.design.columns[:, len(self.pooled) :] @ self.pairs
        return np.asarray(found[self.design.pattern[rows]])


def fit(design: Design, gold: Codes, rows: Indices, shrinkage: Shrinkage) -> Fit:
    """The posterior mode given the labels of `rows`."""
    patterns = design.pattern[rows]
    count = np.bincount(patterns, minlength=len(design.columns)).astype(float)
    unsafe = np.bincount(patterns, (gold[rows] == UNSAFE).astype(float), len(design.columns))
    seen = np.flatnonzero(count)
    labels = np.bincount(design.spoken, count, minlength=len(design.languages))
    named = np.array([bool(language) for language in design.languages])
    # Rows without a language teach the pooled terms only: no content will ever name theirs.
    own_terms = np.flatnonzero(named & (labels >= _LABELS_FOR_OWN_TERMS))

    # Blocks of coefficients: bias and votes pooled, bias and votes of each language, then pairs.
    width = len(design.names) + 1
    blocks = 1 + len(own_terms)
    votes = np.hstack([np.ones((len(seen), 1)), design.columns[seen, : width - 1]])
    spread = np.zeros((len(seen), blocks, width))
    block = np.zeros(len(design.languages), dtype=np.int64)
    block[own_terms] = np.arange(1, blocks)
    spread[np.arange(len(seen)), block[design.spoken[seen]]] = votes
    matrix = np.hstack([spread.reshape(len(seen), -1), design.columns[seen, width - 1 :]])

    signed = np.array([False, *(kind != "needs_review" for _, kind in design.names)])
    bounded = np.append(np.tile(signed, blocks), np.ones(2 * len(design.pairs), dtype=bool))
    penalty = np.zeros((len(bounded), len(bounded)))
    votes_end = blocks * width
    penalty[:votes_end, :votes_end] = _vote_penalty(design, blocks, shrinkage)
    penalty[votes_end:, votes_end:] = shrinkage.pairs * np.eye(2 * len(design.pairs))
    found = _minimum(matrix, count[seen], unsafe[seen].astype(float), penalty, bounded)
    terms = found[:votes_end].reshape(blocks, width)
    return Fit(
        design=design,
        bias=float(terms[0, 0]),
        pooled=terms[0, 1:],
        pairs=found[votes_end:],
        languages={
            design.languages[language]: (float(terms[number, 0]), terms[number, 1:])
            for number, language in enumerate(own_terms, start=1)
        },
    )


def _vote_penalty(design: Design, blocks: int, shrinkage: Shrinkage) -> Floats:
    """The quadratic form of the shared priors.

    Pooled evidence of one kind is drawn to its mean over voters, and that mean to zero; a
    language's evidence is drawn to the pooled one.
    """
    kinds = ["bias", *("vote" if kind in {"unsafe", "safe"} else kind for _, kind in design.names)]
    prior: Floats = np.zeros((len(kinds), len(kinds)))
    for kind in set(kinds):
        members = np.flatnonzero(np.array(kinds) == kind)
        centred = np.eye(len(members)) - 1 / len(members)
        prior[np.ix_(members, members)] = shrinkage.to_zero * np.eye(len(members)) + (
            shrinkage.voters * centred
        )
    strength = np.full(len(kinds), shrinkage.languages)
    strength[0] = shrinkage.bias
    # Σ strength (own - pooled)², written as a quadratic form over [pooled, own of each language].
    ties = np.diag([blocks - 1.0] + [1.0] * (blocks - 1))
    ties[0, 1:] = ties[1:, 0] = -1.0
    penalty = np.kron(ties, np.diag(strength))
    pooled = penalty[: len(kinds), : len(kinds)]
    penalty[: len(kinds), : len(kinds)] = pooled + prior
    return np.asarray(penalty)


def _minimum(
    matrix: Floats, count: Floats, unsafe: Floats, penalty: Floats, bounded: Flags
) -> Floats:
    """The penalised logistic fit with `bounded` coefficients not negative.

    Newton's method on the coefficients that are off their bound, projected (Bertsekas 1982). The
    loss is convex, so there is one minimum.
    """

    def loss(vector: Floats) -> float:
        log_odds = matrix @ vector
        return float(
            count @ np.logaddexp(0, log_odds) - unsafe @ log_odds + vector @ penalty @ vector
        )

    vector = np.where(bounded, 0.1, 0.0)
    current = loss(vector)
    for _ in range(_NEWTON_STEPS):
        probability = (1 + np.tanh(matrix @ vector / 2)) / 2
        slope = matrix.T @ (count * probability - unsafe) + 2 * penalty @ vector
        curvature = count * np.maximum(probability * (1 - probability), 1e-9)
        free = np.flatnonzero(~(bounded & (vector <= 0) & (slope > 0)))
        inner = (matrix[:, free].T * curvature) @ matrix[:, free] + 2 * penalty[np.ix_(free, free)]
        step = np.zeros_like(vector)
        step[free] = np.linalg.solve(inner + 1e-9 * np.eye(len(free)), -slope[free])
        for length in (1.0, 0.5, 0.25, 0.1, 0.02):
            moved = np.where(
                bounded, np.maximum(vector + length * step, 0.0), vector + length * step
            )
            if (reached := loss(moved)) < current:
                break
        else:
            break
        gained, vector, current = current - reached, moved, reached
        if gained < _LOSS_TOLERANCE:
            break
    return vector


def stage(fitted: Fit) -> Stage:
    """The fit as a panel writes it."""
    pooled = _evidence(fitted.design, fitted.pooled)
    return Stage(
        bias=_written(fitted.bias),
        evidence=pooled,
        pairs=tuple(
            Pair(voters=pair, unsafe=_written(unsafe), safe=-_written(safe))
            for pair, (unsafe, safe) in zip(
                fitted.design.pairs, fitted.pairs.reshape(-1, 2), strict=True
            )
            if max(unsafe, safe) >= _NOTICEABLE
        ),
        languages={
            language: LanguageTerms(
                bias=_written(bias),
                evidence={
                    voter: own
                    for voter, own in _evidence(fitted.design, coefficients).items()
                    if _apart(own, pooled[voter]) >= _NOTICEABLE
                },
            )
            for language, (bias, coefficients) in fitted.languages.items()
        },
    )


def _apart(first: Evidence, second: Evidence) -> float:
    ours, others = first.model_dump(), second.model_dump()
    return max(abs(float(ours[name]) - float(others[name])) for name in ours)


def _evidence(design: Design, coefficients: Floats) -> dict[str, Evidence]:
    numbers: dict[str, dict[str, float]] = {voter: {} for voter in design.voters}
    for (voter, kind), coefficient in zip(design.names, coefficients, strict=True):
        numbers[voter][kind] = _written(-coefficient if kind == "safe" else coefficient)
    for terms in numbers.values():
        if "needs_review" in terms:
            terms["needs_review"] = min(max(terms["needs_review"], terms["safe"]), terms["unsafe"])
    return {voter: Evidence(**terms) for voter, terms in numbers.items()}


def _written(number: float) -> float:
    return round(float(number), 2) + 0.0  # no minus zero
