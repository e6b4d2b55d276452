"""Recorded votes: one row per content, one column per voter, read from CSV.

Columns: `language`, `text`, `gold` (or `label`, `toxic`: see
`analysis.gold`), one per voter (`safe`, `unsafe`,
`needs_review`, or empty for an abstention), optionally `<voter>.confidence` (the probability in
[0, 1] that the vote is right; 1 where it is missing), `<voter>.tokens` and `<voter>.cost_usd` (what
the vote took), and optionally `panel` and `panel.score`: the decision of a running panel, and
`policy`: the policy that the row was voted on under, with its version (`gaming@3f2a9c01b7de`). An
empty language means that it is not known. Other columns are
ignored.
"""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Decision
from quorum.core.spreadsheets import meant

from analysis import gold
from analysis import rows as rows_of_files
from analysis.gold import LabelUnknown
from analysis.rows import FileUnreadable, Row

Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NONE, SAFE, UNSAFE, REVIEW = range(4)
"""Codes of decisions in arrays; `NONE` is an abstention, or no decision."""
DECISIONS = (None, Decision.SAFE, Decision.UNSAFE, Decision.NEEDS_REVIEW)
"""The decision of each code."""
CODES: dict[str, int] = {"": NONE, **{str(DECISIONS[code]): code for code in (1, 2, 3)}}

NO_LANGUAGE = "no language"
"""The name that is shown for rows whose language is not known."""
_LANGUAGE = re.compile(r"[\w-]{1,16}")
_NO_VOTER = {"language", "text", "gold", "panel", "policy"}


PAID = ("tokens", "cost_usd")
"""Ends of the columns with what a vote took: input and output together, and its price."""


class VotesUnreadable(ValueError):
    """The CSV does not hold recorded votes; the message names column and line."""


@dataclass(frozen=True, slots=True)
class PanelColumn:
    """The decisions of a running panel, row by row; a score of NaN is unknown."""

    decisions: Codes
    scores: Floats


@dataclass(frozen=True, slots=True)
class Paid:
    """What votes took, rows by voters; NaN where it was not recorded, 0 of embedded voters."""

    tokens: Floats
    dollars: Floats


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded votes as arrays, n rows by v voters.

    `decisions` are codes; `confidences` are in [0, 1], NaN where none was recorded; `gold` is
    `NONE` where the label is missing; `policies` are empty where none is named.
    """

    languages: npt.NDArray[np.str_]
    texts: tuple[str, ...]
    gold: Codes
    voters: tuple[str, ...]
    decisions: Codes
    confidences: Floats
    panel: PanelColumn | None = None
    policies: npt.NDArray[np.str_] | None = None
    paid: Paid | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.gold)

    def column(self, voter: str) -> int:
        """The number of that voter's column."""
        return self.voters.index(voter)

    def rows(self, indices: Indices) -> "Recorded":
        """Those rows only."""
        return Recorded(
            languages=self.languages[indices],
            texts=tuple(self.texts[index] for index in indices),
            gold=self.gold[indices],
            voters=self.voters,
            decisions=self.decisions[indices],
            confidences=self.confidences[indices],
            panel=None
            if self.panel is None
            else PanelColumn(self.panel.decisions[indices], self.panel.scores[indices]),
            policies=None if self.policies is None else self.policies[indices],
            paid=None
            if self.paid is None
            else Paid(self.paid.tokens[indices], self.paid.dollars[indices]),
        )

    def with_votes(
        self, voters: Sequence[str], decisions: Codes, confidences: Floats
    ) -> "Recorded":
        """The same rows with more voters' columns to the right; their votes were free."""
        free = np.zeros(decisions.shape)
        return replace(
            self,
            voters=(*self.voters, *voters),
            decisions=np.hstack([self.decisions, decisions]),
            confidences=np.hstack([self.confidences, confidences]),
            paid=None
            if self.paid is None
            else Paid(
                np.hstack([self.paid.tokens, free]),
                np.hstack([self.paid.dollars, free]),
            ),
        )

    @property
    def voted_under(self) -> tuple[str, ...]:
        """The policies that the rows name, each once."""
        return (
            () if self.policies is None else tuple(filter(None, map(str, np.unique(self.policies))))
        )

    def with_voters(self, voters: Sequence[str]) -> "Recorded":
        """The same rows with the columns of these voters only."""
        columns = [self.column(voter) for voter in voters]
        return replace(
            self,
            voters=tuple(voters),
            decisions=self.decisions[:, columns],
            confidences=self.confidences[:, columns],
            paid=None
            if self.paid is None
            else Paid(self.paid.tokens[:, columns], self.paid.dollars[:, columns]),
        )

    def labelled(self) -> "Recorded":
        """The rows with a gold label."""
        return self.rows(np.flatnonzero(self.gold != NONE))

    def votes(self, row: int, voters: Sequence[str]) -> Iterator[CastVote | Abstention]:
        """The votes of `voters` in that row, in the form in which production tallies them."""
        for voter in voters:
            column = self.voters.index(voter)
            decision = DECISIONS[self.decisions[row, column]]
            if decision is None:
                language = str(self.languages[row])
                yield Abstention(voter=voter, reason=_why_blank(voter, language))
            else:
                confidence = self.confidences[row, column]
                yield CastVote(
                    voter=voter,
                    model=voter,
                    decision=decision,
                    confidence=1.0 if np.isnan(confidence) else float(confidence),
                )


def _why_blank(voter: str, language: str) -> AbstentionReason:
    """The reason for a missing vote.

    Embedded voters never fail: one that reads the language was not sure, and lists found nothing.
    """
    model = next((model for model in registry.voters() if model.name == voter), None)
    if model is not None and model.kind == "embedded":
        if language in model.languages:
            return AbstentionReason.UNLIKE_TRAINING
        return AbstentionReason.NOTHING_FOUND
    return AbstentionReason.FAILED


def read(path: Path) -> Recorded:
    """The recorded votes in the table at `path`; raises `VotesUnreadable`."""
    try:
        with rows_of_files.opened(path, gold.COLUMNS) as table:
            header = table.columns or ()
            rows = list(map(_readable, table))
    except FileUnreadable as problem:
        raise VotesUnreadable(f"{path.name}: {problem}") from None
    labels = gold.column_in(header)
    if labels is None or "language" not in header:
        missing = "gold (or label)" if labels is None else "language"
        raise VotesUnreadable(f"{path.name}: no column {missing}")
    if not rows:
        raise VotesUnreadable(f"{path.name}: no rows")
    columns = tuple(name for name in header if name != labels and _is_voter(name, rows))
    return Recorded(
        languages=_languages(rows, path),
        texts=tuple(meant(row.fields.get("text", "")) for row in rows),
        gold=_gold(rows, labels, path),
        voters=_voters(columns),
        decisions=_stacked([_codes(rows, column, path) for column in columns], len(rows), np.int8),
        confidences=_stacked(
            [_shares(rows, f"{column}.confidence", path) for column in columns],
            len(rows),
            np.float64,
        ),
        panel=PanelColumn(_codes(rows, "panel", path), _shares(rows, "panel.score", path))
        if "panel" in header
        else None,
        policies=np.array([_cell(row, "policy") for row in rows], dtype=np.str_)
        if "policy" in header
        else None,
        paid=_paid(rows, columns, path) if any(_paid_columns(columns, header)) else None,
    )


def _readable(row: Row) -> Row:
    if row.problem is not None:
        raise FileUnreadable(f"row {row.line}: {row.problem}")
    return row


def _is_voter(name: str, rows: list[Row]) -> bool:
    """Whether a column holds decisions. Reading refuses a column with some other values."""
    if name in _NO_VOTER or not name:
        return False
    said = {_cell(row, name) for row in rows}
    return bool(said & (CODES.keys() - {""}))


def _voters(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The voter of each column: a model's dated name is an alias of its own.

    Where two columns would be the same voter, each keeps the name it has.
    """
    voters = tuple(registry.own_name(column) for column in columns)
    return tuple(
        voter if voters.count(voter) == 1 else column
        for voter, column in zip(voters, columns, strict=True)
    )


def _cell(row: Row, name: str) -> str:
    return str(row.fields.get(name, "")).strip()


def _gold(rows: list[Row], name: str, path: Path) -> Codes:
    codes = np.zeros(len(rows), dtype=np.int8)
    for number, row in enumerate(rows):
        try:
            decision = gold.decision_of(row.fields.get(name))
        except LabelUnknown as unknown:
            raise VotesUnreadable(
                f"{path.name}, row {row.line}, column {name!r}: {unknown}"
            ) from None
        codes[number] = DECISIONS.index(decision)
    return codes


def _languages(rows: list[Row], path: Path) -> npt.NDArray[np.str_]:
    """The languages, empty where none is named."""
    for row in rows:
        language = _cell(row, "language")
        if language and not _LANGUAGE.fullmatch(language):
            raise VotesUnreadable(
                f"{path.name}, row {row.line}: {language!r} is no code of a language; leave the "
                "cell empty where it is not known"
            )
    return np.array([_cell(row, "language") for row in rows], dtype=np.str_)


def _codes(rows: list[Row], name: str, path: Path) -> Codes:
    codes = np.zeros(len(rows), dtype=np.int8)
    for number, row in enumerate(rows):
        code = CODES.get(_cell(row, name))
        if code is None:
            raise VotesUnreadable(
                f"{path.name}, row {row.line}, column {name!r}: {_cell(row, name)!r} is none of "
                "safe, unsafe, needs_review or empty"
            )
        codes[number] = code
    return codes


def _shares(rows: list[Row], name: str, path: Path, *, most: float = 1.0) -> Floats:
    shares = np.full(len(rows), np.nan)
    for number, row in enumerate(rows):
        said = _cell(row, name)
        if not said:
            continue
        try:
            shares[number] = float(said)
        except ValueError:
            shares[number] = -1.0
        if not 0 <= shares[number] <= most:
            above = "of 0 or more" if math.isinf(most) else f"between 0 and {most:g}"
            raise VotesUnreadable(
                f"{path.name}, row {row.line}, column {name!r}: no number {above}"
            )
    return shares


def _paid_columns(voters: tuple[str, ...], header: Collection[str]) -> Iterator[str]:
    """The columns with what votes took, as far as they are there."""
    names = (f"{voter}.{end}" for voter in voters for end in PAID)
    return (name for name in names if name in header)


def _paid(rows: list[Row], columns: tuple[str, ...], path: Path) -> Paid:
    """What the votes took; embedded voters' were free."""
    free = {model.name for model in registry.voters() if model.kind == "embedded"}

    def of(end: str) -> Floats:
        found: list[npt.NDArray[np.generic]] = [
            np.zeros(len(rows))
            if registry.own_name(column) in free
            else _shares(rows, f"{column}.{end}", path, most=math.inf)
            for column in columns
        ]
        return _stacked(found, len(rows), np.float64)

    return Paid(*map(of, PAID))


def _stacked(columns: list[npt.NDArray[np.generic]], rows: int, kind: type) -> npt.NDArray[Any]:
    return np.column_stack(columns) if columns else np.zeros((rows, 0), dtype=kind)
