"""Train, calibrate and measure the embedded voters; write their weights files.

    python training/train.py TRAINING.csv --votes VOTES.csv

TRAINING.csv has the columns language,text,label,source (label: safe or unsafe). The same file and
seed give the same bytes on the same machine.

Texts are normalised, repeated ones dropped, and split into five folds by a hash of the text. Every
figure and every calibration uses scores of unseen rows; the calibration of a fold's recorded votes
uses the other four folds.
"""

import argparse
import csv
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from embedded import characters, meaning, rules, weights
from embedded.calibration import Platt
from embedded.innocent import reworded
from embedded.reading import windows
from numpy.typing import NDArray
from quorum.core.normalise import normalise
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Embeddings = NDArray[np.float32]
Votes = list[tuple[bool, float] | None]
"""Per row: True for unsafe, and the confidence; None where the voter abstains."""

FOLDS = 5
CHARACTERS_C = 10.0
MEANING_C = 5.0
LANDMARKS = 1_024
"""Landmarks that a head has at most; each takes 516 bytes in the weights file."""
GATE_C = 5.0
LEAST_OF_A_KIND = 200
"""Rows that each source of a language needs for a head of its own; else all share one."""
RIDGE = 1e-4
"""Eigenvalue of the landmarks' kernel below which there is only rounding error."""
LEAST_PRECISION = 0.7
"""Precision below which a rule is not used in a language."""
LEAST_HITS = 5
DOUBT_HITS = 10
"""Average hits that are added to a rule's hits, to shrink its precision to its language's."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Row:
    """A labelled text, normalised and with innocent expressions reworded."""

    language: str
    text: str
    unsafe: bool
    source: str

    @property
    def fold(self) -> int:
        """The number of its fold, the same on every machine."""
        return zlib.crc32(self.text.encode("utf-8", "surrogatepass")) % FOLDS


def read_rows(path: Path) -> list[Row]:
    """Labelled texts, normalised; a repeated text counts once, a contradicted one not at all."""
    seen: dict[str, Row | None] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            row = Row(
                language=record["language"],
                text=reworded(normalise(record["text"]).text),
                unsafe=(record.get("label") or record["gold"]) == "unsafe",
                source=record.get("source") or path.stem,
            )
            first = seen.setdefault(row.text, row)
            if first is not None and first.unsafe != row.unsafe:
                seen[row.text] = None
    return [row for row in seen.values() if row is not None and row.text]


def row_weights(rows: Sequence[Row]) -> Floats:
    """Each source of a language weighs as much as the language's largest.

    The sources differ in what counts as unsafe; the larger must not drown the smaller.
    """
    counts = Counter((row.language, row.source) for row in rows)
    largest: dict[str, int] = {}
    for (language, _), count in counts.items():
        largest[language] = max(count, largest.get(language, 0))
    return np.array([largest[row.language] / counts[row.language, row.source] for row in rows])


def truths(rows: Iterable[Row]) -> Truths:
    """True for each unsafe row."""
    return np.array([row.unsafe for row in rows], dtype=np.bool_)


def fit_platt(scores: Floats, unsafe: Truths, weight: Floats) -> Platt:
    """Platt's two numbers; a constant where only one class was seen."""
    if unsafe.all() or not unsafe.any():
        return Platt(0.0, math.copysign(5.0, float(unsafe.any()) - 0.5))
    fitted = LogisticRegression(C=1e4).fit(scores[:, None], unsafe, sample_weight=weight)
    return Platt(round(float(fitted.coef_[0, 0]), 6), round(float(fitted.intercept_[0]), 6))


def vote_of(probability: float) -> tuple[bool, float]:
    """The decision (True: unsafe) and confidence of a probability of unsafe."""
    unsafe = probability >= 0.5  # noqa: PLR2004 -- even odds
    return unsafe, max(probability, 1.0 - probability)


def calibrations(
    rows: Sequence[Row], scores: Floats, chosen: NDArray[np.intp] | None = None
) -> dict[str, Platt]:
    """Platt's numbers for each language, from out-of-fold scores of the chosen rows."""
    weight, unsafe = row_weights(rows), truths(rows)
    positions: dict[str, list[int]] = defaultdict(list)
    for position in range(len(rows)) if chosen is None else chosen.tolist():
        positions[rows[position].language].append(position)
    return {
        language: fit_platt(scores[at], unsafe[at], weight[at])
        for language, at in sorted(positions.items())
    }


def cross_calibrated(rows: Sequence[Row], scores: Floats) -> Votes:
    """Votes of out-of-fold scores, each fold calibrated on the others."""
    folds = np.array([row.fold for row in rows])
    votes: Votes = [None] * len(rows)
    for fold in range(FOLDS):
        platts = calibrations(rows, scores, np.flatnonzero(folds != fold))
        for position in np.flatnonzero(folds == fold).tolist():
            platt = platts.get(rows[position].language)
            votes[position] = platt and vote_of(platt.probability(float(scores[position])))
    return votes


# --- characters ---------------------------------------------------------------------------------


def character_matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """One row per text: its n-gram buckets, each 1/√(number of buckets)."""
    columns: list[int] = []
    ends = [0]
    for text in track(texts, "n-grams", console=console):
        columns.extend(sorted(characters.buckets(text)))
        ends.append(len(columns))
    lengths = np.diff(ends)
    values = np.repeat(1.0 / np.sqrt(lengths), lengths)
    shape = (len(texts), 1 << characters.BITS)
    return sparse.csr_matrix((values, np.array(columns, np.int32), ends), shape=shape)


def fit_characters(matrix: sparse.csr_matrix, unsafe: Truths, weight: Floats) -> LogisticRegression:
    """Logistic regression over the n-grams of one language."""
    model = LogisticRegression(C=CHARACTERS_C, solver="liblinear", tol=1e-3, random_state=0)
    return model.fit(matrix, unsafe, sample_weight=weight)


def pack_characters(spellings: dict[str, LogisticRegression], platts: dict[str, Platt]) -> bytes:
    """The weights file: for each language 2^17 16-bit integers with one unit."""
    described = []
    payload = b""
    for language, model in spellings.items():
        coefficients = model.coef_[0]
        unit = float(np.abs(coefficients).max()) / 32_767
        described.append(
            {
                "language": language,
                "unit": unit,
                "intercept": round(float(model.intercept_[0]), 6),
                "calibration": list(platts[language]),
            }
        )
        payload += np.rint(coefficients / unit).astype("<i2").tobytes()
    return weights.pack({"kind": characters.VOTER, "languages": described}, payload)


# --- meaning ------------------------------------------------------------------------------------


def embeddings_of(texts: Sequence[str]) -> Embeddings:
    """Embeddings (n, 512), with progress."""
    pieces = [
        meaning.embed(texts[at : at + 256])
        for at in track(range(0, len(texts), 256), "embeddings", console=console)
    ]
    return np.concatenate(pieces)


@dataclass(frozen=True)
class MeaningHead:
    """Landmarks as bytes (n, 512), their coefficients (n), and the intercept."""

    landmarks: NDArray[np.int8]
    coefficients: NDArray[np.float32]
    intercept: float


@dataclass(frozen=True)
class MeaningHeads:
    """A head for each kind of text, and the gate: directions (kinds, 512) and offsets (kinds)."""

    heads: tuple[MeaningHead, ...]
    directions: Embeddings
    offsets: Embeddings

    def scores(self, embeddings: Embeddings, owner: NDArray[np.intp]) -> Floats:
        """Log-odds before calibration of each text, by the very code that votes.

        `owner` is the number of each window's text, ascending.
        """
        voting = meaning.Heads(
            heads=tuple(
                meaning.Head(
                    landmarks=head.landmarks.astype(np.float32) * np.float32(LANDMARK_UNIT),
                    coefficients=head.coefficients,
                    intercept=head.intercept,
                )
                for head in self.heads
            ),
            directions=self.directions,
            offsets=self.offsets,
            calibration=Platt(1.0, 0.0),
        )
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        return voting.scores(embeddings, starts).astype(np.float64)


LANDMARK_UNIT = 1 / 256
"""Value of one unit of a byte: embeddings lie within ± 0.49 (larger numbers are clipped)."""


def fit_head(embeddings: Embeddings, unsafe: Truths, weight: Floats, seed: int) -> MeaningHead:
    """Kernel logistic regression on landmarks drawn by weight (Nyström)."""
    generator = np.random.default_rng(seed)
    count = min(LANDMARKS, len(embeddings))
    drawn = generator.choice(len(embeddings), count, replace=False, p=weight / weight.sum())
    landmarks = np.clip(np.rint(embeddings[np.sort(drawn)] / LANDMARK_UNIT), -127, 127)
    placed = landmarks.astype(np.float32) * np.float32(LANDMARK_UNIT)
    values, vectors = np.linalg.eigh(meaning.nearness(placed, placed).astype(np.float64))
    whiten = vectors / np.sqrt(np.maximum(values, 0.0) + RIDGE)
    model = LogisticRegression(C=MEANING_C, max_iter=500)
    model.fit(meaning.nearness(embeddings, placed) @ whiten, unsafe, sample_weight=weight)
    return MeaningHead(
        landmarks=landmarks.astype(np.int8),
        coefficients=(whiten @ model.coef_[0]).astype(np.float32),
        intercept=round(float(model.intercept_[0]), 6),
    )


def kinds_of(sources: NDArray[np.str_], unsafe: Truths) -> NDArray[np.intp]:
    """For each row the number of its source; all 0 where a source is too small for a head."""
    names, kinds, counts = np.unique(sources, return_inverse=True, return_counts=True)
    one_sided = any(len(np.unique(unsafe[kinds == kind])) == 1 for kind in range(len(names)))
    if int(np.min(counts)) < LEAST_OF_A_KIND or one_sided:
        return np.zeros(len(sources), np.intp)
    return kinds


def fit_meaning(
    embeddings: Embeddings, unsafe: Truths, weight: Floats, kinds: NDArray[np.intp], seed: int
) -> MeaningHeads:
    """A head for each kind of text, and a gate that tells the kinds apart (logistic regression)."""
    count = int(np.max(kinds)) + 1
    if count == 1:
        return fit_of_one_kind(embeddings, unsafe, weight, seed)
    directions = np.zeros((count, meaning.DIMENSIONS), np.float32)
    offsets = np.zeros(count, np.float32)
    gate = LogisticRegression(C=GATE_C, max_iter=500)
    gate.fit(embeddings, kinds, sample_weight=weight)
    directions[-len(gate.coef_) :] = gate.coef_  # of two kinds, the first is the zero
    offsets[-len(gate.intercept_) :] = gate.intercept_
    heads = tuple(
        fit_head(embeddings[of], unsafe[of], weight[of], seed)
        for of in (kinds == kind for kind in range(count))
    )
    return MeaningHeads(heads, directions, offsets)


def fit_of_one_kind(
    embeddings: Embeddings, unsafe: Truths, weight: Floats, seed: int
) -> MeaningHeads:
    """One head for all of the rows, and a gate that leads to it alone."""
    return MeaningHeads(
        heads=(fit_head(embeddings, unsafe, weight, seed),),
        directions=np.zeros((1, meaning.DIMENSIONS), np.float32),
        offsets=np.zeros(1, np.float32),
    )


def pack_meaning(languages: dict[str, MeaningHeads], platts: dict[str, Platt]) -> bytes:
    """The weights file: for each language its heads (landmarks, coefficients), then its gate."""
    described = []
    pieces = []
    for language, fitted in languages.items():
        described.append(
            {
                "language": language,
                "heads": [
                    {"landmarks": len(head.landmarks), "intercept": head.intercept}
                    for head in fitted.heads
                ],
                "calibration": list(platts[language]),
            }
        )
        for head in fitted.heads:
            pieces += [head.landmarks.tobytes(), head.coefficients.astype("<f4").tobytes()]
        pieces += [
            fitted.directions.astype("<f4").tobytes(),
            fitted.offsets.astype("<f4").tobytes(),
        ]
    header = {"kind": meaning.VOTER, "unit": LANDMARK_UNIT, "languages": described}
    return weights.pack(header, b"".join(pieces))


# --- rules --------------------------------------------------------------------------------------


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


# --- all of it ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pieces:
    """The windows of some rows, as both trained voters see them; `owner[i]` is window i's row."""

    owner: NDArray[np.intp]
    matrix: sparse.csr_matrix
    embeddings: Embeddings

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Pieces":
        """Cut, count and embed the rows' texts."""
        texts = [windows(row.text) for row in rows]
        flat = [window for cut in texts for window in cut]
        owner = np.repeat(np.arange(len(rows)), [len(cut) for cut in texts])
        return cls(owner, character_matrix(flat), embeddings_of(flat))

    def worst(self, scores: Floats, rows: int) -> Floats:
        """Per row, the score of its worst window."""
        worst = np.full(rows, -np.inf)
        np.maximum.at(worst, self.owner, scores)
        return worst


@dataclass(frozen=True)
class Fitted:
    """Both trained voters before calibration, fitted on some rows."""

    spellings: dict[str, LogisticRegression]
    meanings: dict[str, MeaningHeads]

    @classmethod
    def on(cls, rows: Sequence[Row], pieces: Pieces, chosen: Truths, seed: int) -> "Fitted":
        """Fit on the chosen rows; a long text counts once however many windows it has."""
        weight = (row_weights(rows) / np.bincount(pieces.owner))[pieces.owner]
        unsafe = truths(rows)[pieces.owner]
        spoken = np.array([row.language for row in rows])
        languages = spoken[pieces.owner]
        used = chosen[pieces.owner]
        sources = np.array([row.source for row in rows])[pieces.owner]
        meanings: dict[str, MeaningHeads] = {}
        spellings: dict[str, LogisticRegression] = {}
        for language in sorted(set(spoken)):
            own = used & (languages == language)
            spellings[language] = fit_characters(pieces.matrix[own], unsafe[own], weight[own])
            kinds = kinds_of(sources[own], unsafe[own])
            meanings[language] = fit_meaning(
                pieces.embeddings[own], unsafe[own], weight[own], kinds, seed
            )
        meanings[meaning.OTHER] = fit_of_one_kind(
            pieces.embeddings[used], unsafe[used], weight[used], seed
        )
        return cls(spellings, meanings)

    def characters_scores(self, rows: Sequence[Row], pieces: Pieces) -> Floats:
        """Per row, the worst window's score by its spelling, in its language."""
        scores = np.zeros(len(pieces.owner))
        spoken = np.array([row.language for row in rows])[pieces.owner]
        for language, model in self.spellings.items():
            at = np.flatnonzero(spoken == language)
            if at.size:
                scores[at] = model.decision_function(pieces.matrix[at])
        return pieces.worst(scores, len(rows))

    def meaning_scores(self, rows: Sequence[Row], pieces: Pieces) -> Floats:
        """Per row, the score by its meaning, with its language's heads."""
        scores = np.zeros(len(rows))
        spoken = np.array([row.language for row in rows])
        for language in sorted(set(spoken)):
            of, at = spoken == language, spoken[pieces.owner] == language
            heads = self.meanings.get(language, self.meanings[meaning.OTHER])
            scores[of] = heads.scores(pieces.embeddings[at], pieces.owner[at])
        return scores


def unseen_language_scores(
    rows: Sequence[Row], pieces: Pieces, seed: int
) -> tuple[NDArray[np.intp], Floats]:
    """Leave one language out: rows the encoder can read, scored by a head of the others."""
    spoken = np.array([row.language for row in rows])
    window_spoken = spoken[pieces.owner]
    weight = (row_weights(rows) / np.bincount(pieces.owner))[pieces.owner]
    unsafe = truths(rows)[pieces.owner]
    scores = np.full(len(rows), -np.inf)
    readable = sorted(set(spoken) & meaning.ENCODER_LANGUAGES)
    for language in track(readable, "languages left out", console=console):
        out = window_spoken == language
        if out.all():
            continue
        heads = fit_of_one_kind(pieces.embeddings[~out], unsafe[~out], weight[~out], seed)
        scores[spoken == language] = heads.scores(pieces.embeddings[out], pieces.owner[out])
    return np.flatnonzero(np.isfinite(scores)), scores


def average_precision(unsafe: Truths, scores: Floats) -> float:
    """Area under the precision-recall curve; NaN where no row is unsafe."""
    return float(average_precision_score(unsafe, scores)) if unsafe.any() else math.nan


def log_odds(vote: tuple[bool, float] | None) -> float:
    """A vote as log-odds of unsafe; an abstention is none."""
    if vote is None:
        return 0.0
    unsafe, confidence = vote
    confidence = min(confidence, 0.995)
    return math.copysign(math.log(confidence / (1 - confidence)), 1 if unsafe else -1)


def report(title: str, rows: Sequence[Row], votes: dict[str, Votes]) -> None:
    """Print, per source and language, each voter alone and the plain sum of their log-odds."""
    table = Table(title=title)
    for column in ("source", "language", "rows", *votes, "sum of log-odds"):
        table.add_column(column)
    odds = {voter: np.array([log_odds(vote) for vote in cast]) for voter, cast in votes.items()}
    odds["sum"] = np.sum(list(odds.values()), axis=0)
    unsafe = truths(rows)
    for source, language in sorted({(row.source, row.language) for row in rows}):
        at = np.array([(row.source, row.language) == (source, language) for row in rows])
        cells = []
        for voter, values in odds.items():
            voted = at & (values != 0.0)
            right = ((values > 0) == unsafe)[voted].mean() if voted.any() else math.nan
            share = voted.sum() / at.sum()
            found = average_precision(unsafe[at], values[at])
            cells.append(
                f"{right:.3f} of {share:.0%}" if voter == "rules" else f"{right:.3f} {found:.3f}"
            )
        table.add_row(source, language, str(at.sum()), *cells)
    console.print(table)
    console.print("accuracy of votes cast; AUPRC (rules: how many rows they voted on)")


def vote_columns(votes: dict[str, Votes], position: int) -> list[str]:
    """The cells of one row: decision and confidence of each voter, empty for an abstention."""
    cells = []
    for cast in votes.values():
        vote = cast[position]
        cells += ["", ""] if vote is None else ["unsafe" if vote[0] else "safe", f"{vote[1]:.4f}"]
    return cells


def write_votes(path: Path, rows: Sequence[Row], votes: dict[str, Votes]) -> None:
    """Recorded votes: language,text,gold,source and two columns per voter."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        named = [name for voter in votes for name in (voter, f"{voter}.confidence")]
        writer.writerow(["language", "text", "gold", "source", *named])
        for position, row in enumerate(rows):
            gold = "unsafe" if row.unsafe else "safe"
            cells = vote_columns(votes, position)
            writer.writerow([row.language, row.text, gold, row.source, *cells])


def main() -> None:
    """Fit, calibrate, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("training", type=Path, metavar="TRAINING.csv")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--votes", type=Path, metavar="OUT.csv", help="write out-of-fold votes")
    parser.add_argument(
        "--held-out",
        type=Path,
        nargs=2,
        metavar=("LABELLED.csv", "OUT.csv"),
        help="vote on other labelled texts (language,text,gold,…) with voters trained without them",
    )
    parser.add_argument(
        "--weights", type=Path, default=characters.WEIGHTS.parent, help="folder to write to"
    )
    options = parser.parse_args()
    train(options.training, options.seed, options.weights, options.votes, options.held_out)


# One thread: sums in the same order on any number of cores, and the tests need a tenth of the time.
@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator] # threadpoolctl has no types
def train(
    training: Path,
    seed: int,
    folder: Path,
    votes_file: Path | None = None,
    held_out: Sequence[Path] | None = None,
) -> None:
    """Fit all voters on `training` and write their files into `folder`, then what was asked for."""
    rows = read_rows(training)
    fired = [rules.fired(row.text, row.language) for row in track(rows, "rules", console=console)]
    pieces = Pieces.of(rows)
    folds = np.array([row.fold for row in rows])
    spelled, meant = np.zeros(len(rows)), np.zeros(len(rows))
    ruled: Votes = [None] * len(rows)
    for fold in track(range(FOLDS), "folds", console=console):
        rest, own = folds != fold, np.flatnonzero(folds == fold)
        fitted = Fitted.on(rows, pieces, rest, seed)
        spelled[own] = fitted.characters_scores(rows, pieces)[own]
        meant[own] = fitted.meaning_scores(rows, pieces)[own]
        others = np.flatnonzero(rest).tolist()
        measured = measure_rules([rows[at] for at in others], [fired[at] for at in others])
        precisions = rules.Precisions.of(pack_rules(measured))
        for at in own.tolist():
            ruled[at] = rule_votes([rows[at]], [fired[at]], precisions)[0]
    votes = {
        rules.VOTER: ruled,
        characters.VOTER: cross_calibrated(rows, spelled),
        meaning.VOTER: cross_calibrated(rows, meant),
    }
    report("out of fold", rows, votes)
    if votes_file:
        write_votes(votes_file, rows, votes)

    unseen, unseen_scores = unseen_language_scores(rows, pieces, seed)
    for language in sorted({rows[at].language for at in unseen.tolist()}):
        of = np.array([at for at in unseen.tolist() if rows[at].language == language])
        found = average_precision(truths(rows)[of], unseen_scores[of])
        console.print(f"meaning, never shown {language}: AUPRC {found:.3f}")
    if unseen.size:
        other = fit_platt(unseen_scores[unseen], truths(rows)[unseen], row_weights(rows)[unseen])
    else:
        other = fit_platt(meant, truths(rows), row_weights(rows))

    fitted = Fitted.on(rows, pieces, np.ones(len(rows), np.bool_), seed)
    spelling_platts = calibrations(rows, spelled)
    meaning_platts = {**calibrations(rows, meant), meaning.OTHER: other}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / characters.WEIGHTS.name).write_bytes(
        pack_characters(fitted.spellings, spelling_platts)
    )
    (folder / meaning.WEIGHTS.name).write_bytes(pack_meaning(fitted.meanings, meaning_platts))
    measured = measure_rules(rows, fired)
    (folder / rules.PRECISIONS.name).write_text(pack_rules(measured), encoding="utf-8")
    if held_out:
        vote_on_held_out(rows, pieces, fired, spelling_platts, meaning_platts, seed, *held_out)


def vote_on_held_out(  # noqa: PLR0917 -- what was fitted, and the two files
    rows: Sequence[Row],
    pieces: Pieces,
    fired: Sequence[frozenset[str]],
    spelling_platts: dict[str, Platt],
    meaning_platts: dict[str, Platt],
    seed: int,
    labelled: Path,
    out: Path,
) -> None:
    """Votes on other labelled texts, joined to their columns; none of them was trained on."""
    with labelled.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    others = [
        Row(
            language=record["language"],
            text=reworded(normalise(record["text"]).text),
            unsafe=record["gold"] == "unsafe",
            source=labelled.stem,
        )
        for record in records
    ]
    known = {row.text for row in others}
    allowed = np.array([row.text not in known for row in rows])
    console.print(f"{(~allowed).sum()} rows of {labelled.name} are in the training texts: left out")
    fitted = Fitted.on(rows, pieces, allowed, seed)
    kept = np.flatnonzero(allowed).tolist()
    measured = measure_rules([rows[at] for at in kept], [fired[at] for at in kept])
    precisions = rules.Precisions.of(pack_rules(measured))
    theirs = Pieces.of(others)
    spelled = fitted.characters_scores(others, theirs)
    meant = fitted.meaning_scores(others, theirs)
    votes: dict[str, Votes] = {
        rules.VOTER: rule_votes(
            others, [rules.fired(row.text, row.language) for row in others], precisions
        ),
        characters.VOTER: [
            vote_of(spelling_platts[row.language].probability(float(score)))
            for row, score in zip(others, spelled, strict=True)
        ],
        meaning.VOTER: [
            vote_of(meaning_platts[row.language].probability(float(score)))
            for row, score in zip(others, meant, strict=True)
        ],
    }
    report(f"held out: {labelled.name}", others, votes)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        named = [name for voter in votes for name in (voter, f"{voter}.confidence")]
        writer.writerow([*records[0], *named])
        for position, record in enumerate(records):
            writer.writerow([*record.values(), *vote_columns(votes, position)])


if __name__ == "__main__":
    main()
