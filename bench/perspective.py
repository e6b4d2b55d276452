"""Measure the attributes' scores on public texts, and how far flags agree with Perspective's.

    python -m bench.perspective VOTES.csv

VOTES.csv has `language`, `text`, `gold` and, as `perspective55`, whether Perspective's TOXICITY was
at least 0.55. Prints the tables of docs/perspective.md: the distribution of TOXICITY from the panel
`embedded`, thresholds that keep a flag rate, and the agreement at Perspective's own flag rate.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from quorum.core.models import Attribute, Content
from quorum.vote.attributes import pooled

from analysis import recorded
from analysis.flag_rates import Scores, agreement, keeping
from analysis.recorded import SAFE, UNSAFE, Recorded
from quorum_moderator import Moderator

PERSPECTIVE = "perspective55"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
FLAG_RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
_HALF = 0.5


class Group(NamedTuple):
    """The texts of a language that have a score."""

    language: str
    scores: Scores
    gold: NDArray[np.int8]
    theirs: Scores


def scores_of(votes: Recorded) -> Scores:
    """TOXICITY of each text from the panel `embedded`; NaN where there is none."""
    found = []
    with Moderator("embedded", default_language="en") as moderator:
        for text, language in zip(votes.texts, votes.languages, strict=True):
            verdict = moderator.judge(Content(text=text, language=str(language)))
            scores = pooled(moderator.policy, moderator.panel, verdict.votes)
            found.append(scores.get(Attribute.TOXICITY, np.nan))
    return np.array(found)


def groups(votes: Recorded, scores: Scores) -> list[Group]:
    """All texts, and those of each language."""
    theirs = (votes.decisions[:, votes.column(PERSPECTIVE)] == UNSAFE).astype(np.float64)
    there = ~np.isnan(scores)
    languages = ["all", *sorted(set(map(str, votes.languages)))]
    made = []
    for language in languages:
        of = there if language == "all" else there & (votes.languages == language)
        made.append(Group(language, scores[of], votes.gold[of], theirs[of]))
    return made


def distribution(group: Group) -> list[str]:
    """The rows of a language: quantiles of the score of safe and of unsafe texts."""
    rows = []
    for code, name in ((SAFE, "safe"), (UNSAFE, "unsafe")):
        scores = group.scores[group.gold == code]
        cells = " | ".join(f"{value:.2f}" for value in np.quantile(scores, QUANTILES))
        rows.append(f"| {group.language} | {name} | {len(scores):,} | {cells} |")
    return rows


def flag_rates(group: Group) -> str:
    """The row of a language: the thresholds that keep each flag rate."""
    found = [keeping(group.scores, rate) for rate in FLAG_RATES]
    cells = " | ".join(f"{one.threshold:.4f}" for one in found)
    return f"| {group.language} | {len(group.scores):,} | {cells} |"


def agreed(group: Group) -> str:
    """The row of a language: flags at Perspective's own flag rate, and how many are right."""
    rate = float(group.theirs.mean())
    found = keeping(group.scores, rate)
    same = agreement(group.scores, found.threshold, group.theirs, _HALF)
    truth = group.gold == UNSAFE
    right = float(((group.scores >= found.threshold) == truth).mean())
    theirs = float(((group.theirs >= _HALF) == truth).mean())
    return (
        f"| {group.language} | {rate:.1%} | {found.threshold:.4f} | {same.agreement:.1%} |"
        f" {same.overlap:.2f} | {right:.1%} | {theirs:.1%} |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("votes", type=Path)
    votes = recorded.read(parser.parse_args().votes)
    found = groups(votes, scores_of(votes))
    print("\n".join(line for group in found for line in distribution(group)), end="\n\n")
    print("\n".join(map(flag_rates, found)), end="\n\n")
    print("\n".join(map(agreed, found)))


if __name__ == "__main__":
    main()
