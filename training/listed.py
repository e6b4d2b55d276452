"""The voter `rules`, measured: the precision of each rule in each language."""

import json
from collections import defaultdict
from collections.abc import Sequence

from embedded import rules

from training.rows import Row, row_weights
from training.votes import Votes

LEAST_PRECISION = 0.7
"""Precision below which a rule is not used in a language."""
LEAST_HITS = 5
DOUBT_HITS = 10
"""Average hits that are added to a rule's hits, to shrink its precision to its language's."""


def measure_rules(
    rows: Sequence[Row], fired: Sequence[frozenset[str]]
) -> dict[str, dict[str, float]]:
    """The precision of each rule in each language, shrunk and floored; poor rules are left out."""
    weight = row_weights(rows)
    hits: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    anything: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row, names, worth in zip(rows, fired, weight, strict=True):
        for name in names:
            count = hits[row.language, name]
            count[0] += 1
            count[1] += worth
            count[2] += worth * row.unsafe
        if names:
            anything[row.language][0] += worth
            anything[row.language][1] += worth * row.unsafe
    measured: dict[str, dict[str, float]] = {
        language: {} for language in sorted({row.language for row in rows} & rules.LANGUAGES)
    }
    for (language, name), (count_, total, unsafe) in sorted(hits.items()):
        average = anything[language][1] / anything[language][0]
        precision = (unsafe + DOUBT_HITS * average) / (total + DOUBT_HITS)
        if count_ >= LEAST_HITS and precision >= LEAST_PRECISION:
            measured[language][name] = round(min(precision, 0.99), 4)
    return measured


def pack_rules(measured: dict[str, dict[str, float]]) -> str:
    """The precisions as JSON; unmeasured languages get the least precise measured rule's."""
    every = [precision for known in measured.values() for precision in known.values()]
    unmeasured = min(every, default=LEAST_PRECISION)
    return json.dumps({"measured": measured, "unmeasured": unmeasured}, indent=1) + "\n"


def rule_votes(
    rows: Sequence[Row], fired: Sequence[frozenset[str]], precisions: rules.Precisions
) -> Votes:
    """The votes of the rules with these precisions."""
    return [
        (True, max(sure.values())) if (sure := precisions.sure(names, row.language)) else None
        for row, names in zip(rows, fired, strict=True)
    ]
