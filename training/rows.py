"""Labelled texts: read, normalised, weighed, and laid into folds.

Rows are of two kinds. Those of the training collections are laid
into five folds by a hash of their text. Those of other sources, outside, are in one fold with their
whole source: a voter fitted without the fold has never seen the source, so its scores there show
what it is worth on texts unlike its training.
"""

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quorum.core.normalise import normalise

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

FOLDS = 5
MOST_OF_A_SOURCE = 1_500
"""Rows of one source, language and label that are read at most: those with the lowest hash."""
MOST_OF_AN_ANSWER = 200
"""Rows of one source, language, category (or attribute) and answer that are read at most."""
COLLECTIONS = frozenset(("openai_moderation",))
"""Training collections that say which categories hold."""
SOURCES = Path(__file__).with_name("sources.json")
"""What is known of each outside source: fold, whether its unsafe texts are requests, its licence,
and the languages to whose spelling it is added."""


@cache
def sources() -> dict[str, dict[str, Any]]:
    """The facts of each outside source, by its name."""
    listed: dict[str, dict[str, Any]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return listed


@dataclass(frozen=True)
class Row:
    """A labelled text, normalised.

    `holds` and `absent` are the categories and attributes of which its source says so, where they
    were read; of all others nothing is known.
    """

    language: str
    text: str
    unsafe: bool
    source: str
    holds: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    @property
    def outside(self) -> bool:
        """Whether its source is not one of the collections the voters are trained for."""
        return self.source in sources()

    @property
    def fold(self) -> int:
        """The number of its fold, the same on every machine."""
        if self.outside:
            return int(sources()[self.source]["fold"])
        return text_fold(self.text)


def text_fold(text: str) -> int:
    """The number of the fold that a text is in by itself, the same on every machine."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % FOLDS


def read_rows(path: Path, more: Path | None = None, *, share_alike: bool = True) -> list[Row]:
    """Labelled texts, normalised; a repeated text counts once, a contradicted one not at all.

    Of `more` (gzip) rows of the listed outside sources are read, and those of a training
    collection's other split; with `share_alike` false none whose licence is share-alike.
    """
    with path.open(encoding="utf-8", newline="") as file:
        own = [
            Row(
                language=record["language"],
                text=normalise(record["text"]).text,
                unsafe=(record.get("label") or record["gold"]) == "unsafe",
                source=record.get("source") or path.stem,
            )
            for record in csv.DictReader(file)
        ]
    return distinct(own, _more(more, share_alike=share_alike) if more else ())


def distinct(rows: Iterable[Row], more: Iterable[Row] = ()) -> list[Row]:
    """Those rows whose text is not empty, a repeated one once, a contradicted one not at all.

    Of `more` those whose text is new.
    """
    seen: dict[str, Row | None] = {}
    for row in rows:
        first = seen.setdefault(row.text, row)
        if first is not None and first.unsafe != row.unsafe:
            seen[row.text] = None
    for row in more:
        seen.setdefault(row.text, row)
    return [row for row in seen.values() if row is not None and row.text]


def _more(path: Path, *, share_alike: bool) -> Iterable[Row]:
    taken: Counter[tuple[str, str, str]] = Counter()
    for record in _by_hash([path]):
        facts = sources().get(record["source"])
        if facts is None or (facts["share_alike"] and not share_alike):
            continue
        kind = (record["source"], record["language"], record["label"])
        taken[kind] += 1
        if taken[kind] <= MOST_OF_A_SOURCE:
            yield Row(
                language=record["language"],
                text=normalise(record["text"]).text,
                unsafe=record["label"] == "unsafe",
                source=record["source"],
            )


Answers = Counter[tuple[str, str, str, bool]]
"""How many texts a source has in a language for a category or attribute and an answer."""


def read_labelled(
    paths: Iterable[Path], names: Collection[str], *, share_alike: bool = True
) -> tuple[list[Row], Answers]:
    """Texts of which the source says whether some of these categories and attributes hold.

    Of each source, language, name and answer those with the lowest hash, at most
    `MOST_OF_AN_ANSWER`, and no more of what is absent by provenance alone than half of that. A
    source whose categories are too coarse (`sources.json`) is not read, nor one that is unknown.
    The answers are all that there are.
    """
    taken: Answers = Counter()
    rows: dict[str, Row] = {}
    for record in _by_hash(paths):
        facts = sources().get(record["source"])
        if facts is not None and (
            facts.get("coarse") or (facts["share_alike"] and not share_alike)
        ):
            continue
        if facts is None and record["source"] not in COLLECTIONS:
            continue
        holds = _names(record, "categories") | _names(record, "attributes")
        absent = _names(record, "labelled") | _names(record, "attributes_labelled")
        absent -= holds
        most = MOST_OF_AN_ANSWER // (2 if facts and facts["harmless"] else 1)
        wanted = False
        for name in sorted((holds | absent) & set(names)):
            answer = (record["source"], record["language"], name, name in holds)
            taken[answer] += 1
            wanted |= taken[answer] <= most
        if wanted:
            text = normalise(record["text"]).text
            rows.setdefault(
                text,
                Row(
                    language=record["language"],
                    text=text,
                    unsafe=record["label"] == "unsafe",
                    source=record["source"],
                    holds=frozenset(holds & set(names)),
                    absent=frozenset(absent & set(names)),
                ),
            )
    return [row for row in rows.values() if row.text], taken


def _names(record: Mapping[str, str], column: str) -> set[str]:
    return {name for name in record[column].split(";") if name}


def _by_hash(paths: Iterable[Path]) -> list[dict[str, str]]:
    records: list[dict[str, str]] = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            records += csv.DictReader(file)
    return sorted(records, key=lambda record: zlib.crc32(record["text"].encode()))


def row_weights(rows: Sequence[Row]) -> Floats:
    """Each source of a language weighs as much as the language's largest.

    The sources differ in what counts as unsafe; the larger must not drown the smaller.
    """
    counts = Counter((row.language, row.source) for row in rows)
    largest: dict[str, int] = {}
    for (language, _), count in counts.items():
        largest[language] = max(count, largest.get(language, 0))
    return np.array([largest[row.language] / counts[row.language, row.source] for row in rows])


def source_weights(rows: Sequence[Row], chosen: Truths, power: float) -> Floats:
    """Weights that sum to 1 over the chosen rows; n rows of a source and language have n^power."""
    keys = [(row.language, row.source) for row in rows]
    counts = Counter(key for key, of in zip(keys, chosen.tolist(), strict=True) if of)
    weight = np.array(
        [
            counts[key] ** (power - 1) if of else 0.0
            for key, of in zip(keys, chosen.tolist(), strict=True)
        ]
    )
    return weight / weight.sum() if weight.any() else weight


def truths(rows: Iterable[Row]) -> Truths:
    """True for each unsafe row."""
    return np.array([row.unsafe for row in rows], dtype=np.bool_)
