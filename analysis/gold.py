"""Labels of people as data sets write them: safe or unsafe, toxic or not, 0 or 1, false or true."""

from collections.abc import Iterable

from quorum.core.models import Decision

COLUMNS = ("gold", "label", "toxic")
"""The columns that may hold labels, the first that is there."""
_SAFE = (
    "safe", "0", "0.0", "false", "f", "no", "n", "ok", "clean", "ham", "neutral", "normal",
    "non-toxic", "nontoxic", "non_toxic", "not toxic", "not_toxic",
)  # fmt: skip
_UNSAFE = ("unsafe", "1", "1.0", "true", "t", "yes", "y", "toxic")
_MEANINGS = dict.fromkeys(_SAFE, Decision.SAFE) | dict.fromkeys(_UNSAFE, Decision.UNSAFE)


class LabelUnknown(ValueError):
    """A label is neither that of a safe nor that of an unsafe content."""


def column_in(columns: Iterable[str]) -> str | None:
    """The column of labels among these, whatever its case; None if there is none."""
    folded = {name.strip().casefold(): name for name in reversed(list(columns))}
    return next((folded[name] for name in COLUMNS if name in folded), None)


def decision_of(label: object) -> Decision | None:
    """The decision that a label means, None for an empty one; raises `LabelUnknown`."""
    said = "" if label is None else str(label).strip().casefold()
    if not said:
        return None
    if said not in _MEANINGS:
        raise LabelUnknown(
            f"{str(label)[:40]!r} is no label: write safe or unsafe, 0 or 1, false or true, or"
            " leave it empty"
        )
    return _MEANINGS[said]
