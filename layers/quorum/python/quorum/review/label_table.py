"""Labels as a table, as `quorum evaluate` and `quorum calibrate` read it."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from quorum.core import registry
from quorum.core.models import CastVote, Verdict
from quorum.core.spreadsheets import harmless
from quorum.vote.reviews import Label


class LabelTable(NamedTuple):
    """A table as CSV, and the number of its rows; `complete`: no label was left out for size."""

    text: str
    rows: int
    complete: bool


def columns(verdicts: Iterable[Verdict]) -> list[str]:
    """The columns of a table about verdicts: two for each voter that one of them heard."""
    heard = {vote.voter for verdict in verdicts for vote in verdict.votes}
    known = [model.name for model in registry.MODELS if model.name in heard]
    voters = known + sorted(heard.difference(known))
    found = ["language", "text", "gold"]
    found += [column for voter in voters for column in (voter, f"{voter}.confidence")]
    return [*found, "panel", "panel.score", "policy", "weight", "labelled_by"]


def teaches(label: Label) -> bool:
    """Whether a label says anything: it has a text, or votes."""
    voted = any(isinstance(vote, CastVote) for vote in label.verdict.votes)
    return label.content is not None or voted


def row(label: Label) -> dict[str, Any]:
    """The cells of a label."""
    return {
        "language": label.verdict.language or "",
        "text": harmless(label.content or ""),
        "gold": label.reviews[-1].decision,
        "labelled_by": "review",
        "weight": f"{label.weight:.6g}",
        **judged(label.verdict),
    }


def judged(verdict: Verdict) -> dict[str, Any]:
    """The cells about what the panel and its voters said."""
    cells: dict[str, Any] = {
        "panel": verdict.decision,
        "panel.score": f"{verdict.score:.6f}",
        "policy": f"{verdict.policy}@{verdict.policy_version}",
    }
    for vote in verdict.votes:
        if isinstance(vote, CastVote):
            cells |= {vote.voter: vote.decision, f"{vote.voter}.confidence": vote.confidence}
    return cells


def table(newest_first: Iterable[Label], most_bytes: int) -> LabelTable:
    """The table of labels in the order in which they came, of the latest that fit in so much."""
    kept: list[Label] = []
    size, complete = 0, True
    for label in filter(teaches, newest_first):
        # About what the row takes: the text, and the figures of each vote.
        size += len((label.content or "").encode()) + 100 + 40 * len(label.verdict.votes)
        if size > most_bytes:
            complete = False
            break
        kept.append(label)
    return LabelTable(_text(kept[::-1]), len(kept), complete)


def _text(labels: Sequence[Label]) -> str:
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, columns(one.verdict for one in labels), restval="")
    writer.writeheader()
    writer.writerows(map(row, labels))
    return written.getvalue()
