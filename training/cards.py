"""Model cards of trained voters: what they learned from, how well they do, where they fail.

After Mitchell et al. 2019, *Model cards for model reporting*.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from embedded import characters, meaning, rules

from training.rows import Row, truths
from training.votes import Votes, average_precision, log_odds

ABOUT = {
    rules.VOTER: "Lists of words; learned is how precise each is in each language. Votes only on"
    " hits. korcen (Apache-2.0), badwords-py (MIT) and safetype (MIT), and words of our own.",
    characters.VOTER: "Logistic regression over the text's character n-grams, a table for each"
    " language. No text of the training is kept in it.",
    meaning.VOTER: "Logistic regression over the nearness to labelled texts. Sentence embeddings by"
    " the Universal Sentence Encoder, multilingual (Apache-2.0). Its landmarks are embeddings of"
    " training texts: treat the file as confidential as they are.",
}
WEAK = 0.85
"""Share of votes that are right below which a language is named as a weakness."""
OWN_LABELS = (
    "The figures are of texts like these labels: other rows of the same file. Trained without"
    " outside sources, the voters cannot tell that a text is unlike their training."
)


def cards(
    rows: Sequence[Row],
    votes: Mapping[str, Votes],
    versions: Mapping[str, str],
    *,
    data: str,
    licence: str,
    command: str,
    limits: str = OWN_LABELS,
) -> str:
    """One page with a card for each voter; figures are of `votes` that were cast out of fold."""
    kinds = ("trained for", "unseen source")
    keys = [(row.language, kinds[row.outside]) for row in rows]
    unsafe = truths(rows)
    lines = ["# Model cards", "", f"Data: {data}. Licence of the data: {licence}.", ""]
    lines += [f"Made by `{command}`. {limits}"]
    for voter, cast in votes.items():
        said = np.array([log_odds(vote) for vote in cast])
        lines += ["", f"## {voter}", "", f"Version `{versions[voter]}`. {ABOUT[voter]}", ""]
        lines += ["| language | | safe | unsafe | voted on | right | AUPRC |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|"]
        weak = []
        for key in sorted(set(keys)):
            of = np.array([each == key for each in keys])
            voted = of & (said != 0.0)
            right = float(((said > 0) == unsafe)[voted].mean()) if voted.any() else None
            both = unsafe[of].any() and not unsafe[of].all()
            auprc = average_precision(unsafe[of], said[of]) if both else np.nan
            lines.append(
                f"| {' | '.join(key)} | {(of & ~unsafe).sum():,} | {(of & unsafe).sum():,}"
                f" | {voted.sum() / of.sum():.0%} | {'–' if right is None else f'{right:.1%}'}"
                f" | {'–' if np.isnan(auprc) else f'{auprc:.3f}'} |"
            )
            if right is not None and right < WEAK:
                weak.append(" ".join(key))
        fails = f"Fails in: {', '.join(weak)}." if weak else f"No language under {WEAK:.0%} right."
        lines += ["", fails]
    return "\n".join(lines) + "\n"
