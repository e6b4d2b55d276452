"""The attribute profanity of the voter `rules`, measured.

Learned are two numbers for each language: how probable profanity is in a text with a listed word,
and in one without.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from embedded import rules
from quorum.core.models import Attribute
from rich.progress import track

from training.kinds import Figures, calibrations_of, measured_of, natural_weights
from training.rows import Answers, Row
from training.votes import console

KIND = Attribute.PROFANITY


def measure(
    rows: Sequence[Row], counts: Answers, precisions: rules.Precisions
) -> tuple[dict[str, list[float]], tuple[Figures, ...]]:
    """By covered language the probability of profanity with a listed word and without; figures."""
    rows = [row for row in rows if KIND in row.holds | row.absent]
    hits = [
        bool(precisions.sure(rules.fired(row.text, row.language), row.language))
        for row in track(rows, "profanity", console=console)
    ]
    scores = np.array(hits, float)
    holds = np.array([KIND in row.holds for row in rows], np.bool_)
    known = _of_both_answers(rows, holds)
    if not known:
        return {}, ()
    rows = [rows[at] for at in known]
    scores, holds = scores[known], holds[known]
    weight = natural_weights(rows, KIND, np.ones(len(rows), np.bool_), counts)
    figures = measured_of(KIND, rows, scores, holds, weight)
    platts = calibrations_of(rows, scores, holds, weight)
    shares = {
        one.language: [
            round(platts.get(one.language, platts[""]).probability(hit), 4) for hit in (1.0, 0.0)
        ]
        for one in figures
        if one.covered
    }
    return shares, tuple(figures)


def _of_both_answers(rows: Sequence[Row], holds: np.typing.NDArray[np.bool_]) -> list[int]:
    """The positions of texts whose source and language has both answers: no mere word lists."""
    keys = [(row.source, row.language) for row in rows]
    both = {key for key, holding in zip(keys, holds.tolist(), strict=True) if holding} & {
        key for key, holding in zip(keys, holds.tolist(), strict=True) if not holding
    }
    return [at for at, key in enumerate(keys) if key in both]


def write(file: Path, shares: dict[str, list[float]]) -> None:
    """Put the numbers into the file of the rules' precisions."""
    document = json.loads(file.read_text(encoding="utf-8"))
    document["profanity"] = shares
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
