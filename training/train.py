r"""Train, calibrate and measure the embedded voters; write their weights files.

    python -m training.train TRAINING.csv --more MORE.csv.gz --categories CATEGORIES.csv.gz \
        --votes VOTES.csv

TRAINING.csv has the columns language,text,label,source (label: safe or unsafe), MORE the same for
the outside sources that `training/sources.json` lists; without it the voters know nothing of texts
unlike their training, and never abstain from them. MORE and CATEGORIES, which is of texts of a
training collection, also have the columns categories,labelled,attributes,attributes_labelled: from
these come the scores of categories and attributes (`training.kinds`). `--severe SEVERE.csv.gz`, in
the columns of MORE, teaches SEVERE_TOXICITY and nothing else (docs/decisions/0027 says from which
public files it is made). `--only-categories` fits those alone, for weights that are there; scores
that no given file teaches stay as they are. The same files and seed give the same bytes on the same
machine.

Every figure and every calibration uses scores of unseen rows (`training.rows` says how folds are
laid), and votes are calibrated on the other four folds.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from embedded import characters, groups, meaning, rules, weights
from embedded.calibration import Platt
from embedded.unlike import Opinion, judged_without
from numpy.typing import NDArray
from quorum.core.normalise import normalise
from rich.progress import track
from threadpoolctl import threadpool_limits

from training import installing, kinds, never_safe, outside, profanity
from training.fitted import Fitted, Pieces, unseen_language_scores
from training.heads import pack_meaning
from training.listed import measure_rules, pack_rules, rule_votes
from training.rows import (
    FOLDS,
    Answers,
    Floats,
    Row,
    Truths,
    read_labelled,
    read_rows,
    row_weights,
    truths,
)
from training.spelling import pack_characters
from training.votes import (
    Votes,
    average_precision,
    calibrations,
    console,
    cross_calibrated,
    deserved_weights,
    fit_platt,
    report,
    vote_columns,
    vote_of,
    write_votes,
)

KIND_FIGURES = Path(__file__).with_name("kinds.json")
"""Figures of the packaged voters' scores of categories and attributes."""


def main() -> None:
    """Fit, calibrate, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("training", type=Path, metavar="TRAINING.csv")
    parser.add_argument("--more", type=Path, metavar="MORE.csv.gz", help="the outside sources")
    parser.add_argument(
        "--categories", type=Path, metavar="CATEGORIES.csv.gz", help="more texts with categories"
    )
    parser.add_argument(
        "--severe", type=Path, metavar="SEVERE.csv.gz", help="texts that say what is severely toxic"
    )
    parser.add_argument(
        "--only-categories", action="store_true", help="fit the scores of categories alone"
    )
    parser.add_argument(
        "--without-share-alike", action="store_true", help="leave out share-alike sources"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--votes", type=Path, metavar="OUT.csv", help="write out-of-fold votes")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep embeddings here")
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
    shared = not options.without_share_alike
    paths = [path for path in (options.more, options.categories) if path]
    names = [str(kind) for kind in (*kinds.KINDS, profanity.KIND)]
    labelled = read_labelled(paths, names, share_alike=shared) if paths else None
    # Its sources are share-alike: without those nothing teaches it, and a file loses it.
    severe_paths = [options.severe] if options.severe else []
    severe = (
        read_labelled(severe_paths, [kinds.SEVERE], share_alike=shared)
        if severe_paths or not shared
        else None
    )
    if options.only_categories:
        figures = add_kinds(options.weights, labelled, severe, options.cache)
    else:
        figures = train(
            read_rows(options.training, options.more, share_alike=shared),
            options.seed,
            options.weights,
            options.votes,
            options.held_out,
            labelled=labelled,
            severe=severe,
            cache=options.cache,
        ).figures
    if options.weights != characters.WEIGHTS.parent:
        return
    if figures:
        fitted = [*(kinds.FIRST if labelled else ()), *((kinds.SEVERE,) if severe else ())]
        fitted += [profanity.KIND] if labelled else []
        figures = kinds.joined_figures(kinds.read_figures(KIND_FIGURES), figures, fitted)
        kinds.write_figures(KIND_FIGURES, figures)
    installing.install(options.weights, installing.ROOT)


class Trained(NamedTuple):
    """Each voter's out-of-fold votes, and the figures of categories and attributes."""

    votes: dict[str, Votes]
    figures: tuple[kinds.Figures, ...]


LabelledTexts = tuple[Sequence[Row], Answers]
"""Texts with categories and attributes, and how many answers of each there are."""


@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator] # threadpoolctl has no types
def add_kinds(
    folder: Path,
    labelled: LabelledTexts | None,
    severe: LabelledTexts | None = None,
    cache: Path | None = None,
) -> tuple[kinds.Figures, ...]:
    """Fit the scores of categories and attributes into the weights of a folder; their figures.

    `severe` are the texts that teach SEVERE_TOXICITY. Scores that nothing teaches stay.
    """
    file = folder / meaning.WEIGHTS.name
    figures: tuple[kinds.Figures, ...] = ()
    if labelled is not None:
        precisions = folder / rules.PRECISIONS.name
        known = rules.Precisions.of(precisions.read_text(encoding="utf-8"))
        shares, of_profanity = profanity.measure(*labelled, known)
        profanity.write(precisions, shares)
        figures += kinds.add(file, *labelled, cache) + of_profanity
    if severe is not None:
        figures += kinds.add(file, *severe, cache, of=(kinds.SEVERE,))
    return figures


# One thread: sums in the same order on any number of cores, and the tests need a tenth of the time.
@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator] # threadpoolctl has no types
def train(
    rows: Sequence[Row],
    seed: int,
    folder: Path,
    votes_file: Path | None = None,
    held_out: Sequence[Path] | None = None,
    *,
    labelled: LabelledTexts | None = None,
    severe: LabelledTexts | None = None,
    cache: Path | None = None,
) -> Trained:
    """Fit all voters on `rows` and write their files into `folder`, then what was asked for.

    Texts that are `labelled` with categories and attributes teach their scores, and those of
    `severe` that of SEVERE_TOXICITY.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = [row for row in rows if not row.outside]
    fired = [rules.fired(row.text, row.language) for row in track(rows, "rules", console=console)]
    pieces = Pieces.of(rows, cache)
    folds = np.array([row.fold for row in rows])
    within = np.array([not row.outside for row in rows], np.bool_)
    spelled, meant = np.zeros(len(rows)), np.zeros(len(rows))
    scored = np.zeros((len(rows), 3))
    ruled: Votes = [None] * len(rows)
    for fold in track(range(FOLDS), "folds", console=console):
        rest, own = folds != fold, np.flatnonzero(folds == fold)
        fitted = Fitted.on(rows, pieces, rest, seed)
        spelled[own] = fitted.characters_scores(rows, pieces)[own]
        meant[own] = fitted.meaning_scores(rows, pieces)[own]
        if fitted.unlike is not None:
            said = outside.text_scores(fitted.unlike, pieces.embeddings, pieces.owner)
            scored[own] = said[own]
        others = np.flatnonzero(rest & within).tolist()
        measured = measure_rules([rows[at] for at in others], [fired[at] for at in others])
        precisions = rules.Precisions.of(pack_rules(measured))
        for at in own.tolist():
            ruled[at] = rule_votes([rows[at]], [fired[at]], precisions)[0]
    weight = deserved_weights(rows)
    plain = np.zeros(len(rows))
    plain[within] = row_weights(known)
    other = other_calibration(rows, pieces, meant, plain, seed)
    every = np.ones(len(rows), np.bool_)
    fitted = Fitted.on(rows, pieces, every, seed)
    spelling_platts = calibrations(rows, spelled, weight, every)
    meaning_platts = {**calibrations(rows, meant, plain, every), meaning.OTHER: other}
    opinion = None if within.all() else outside.fit_opinion(rows, meant, scored, every)
    (folder / characters.WEIGHTS.name).write_bytes(
        pack_characters(fitted.spellings, spelling_platts)
    )
    unlike = fitted.unlike and opinion and outside.payload(fitted.unlike, opinion)
    (folder / meaning.WEIGHTS.name).write_bytes(
        pack_meaning(fitted.meanings, meaning_platts, unlike or None)
    )
    known_fired = [fired[at] for at in np.flatnonzero(within).tolist()]
    measured = measure_rules(known, known_fired)
    (folder / rules.PRECISIONS.name).write_text(pack_rules(measured), encoding="utf-8")
    figures = add_kinds(folder, labelled, severe, cache)
    trained = meaning.Scorer.of(weights.load(folder / meaning.WEIGHTS.name, meaning.VOTER))
    grave = np.zeros(len(rows), np.bool_)
    if labelled is not None:
        taught = labelled[0]
        grave = never_safe.unseen(rows, pieces.embeddings, pieces.owner, trained, taught, cache)
    votes = {
        rules.VOTER: ruled,
        characters.VOTER: cross_calibrated(rows, spelled, weight),
        meaning.VOTER: meaning_votes(rows, meant, scored, plain, other, grave),
    }
    report("out of fold, and out of source", rows, votes)
    if votes_file:
        write_votes(votes_file, rows, votes)
    if held_out:
        Held(rows, pieces, fired, spelling_platts, meaning_platts, opinion, trained, seed).vote(
            *held_out
        )
    return Trained(votes, figures)


def other_calibration(
    rows: Sequence[Row], pieces: Pieces, meant: Floats, plain: Floats, seed: int
) -> Platt:
    """The calibration of languages without labels, of scores of languages left out of the fit."""
    unseen, scores = unseen_language_scores(rows, pieces, seed)
    unsafe = truths(rows)
    if not unseen.size:
        return fit_platt(meant[plain > 0], unsafe[plain > 0], plain[plain > 0])
    for language in sorted({rows[at].language for at in unseen.tolist()}):
        of = np.array([at for at in unseen.tolist() if rows[at].language == language])
        found = average_precision(unsafe[of], scores[of])
        console.print(f"meaning, never shown {language}: AUPRC {found:.3f}")
    return fit_platt(scores[unseen], unsafe[unseen], row_weights(rows)[unseen])


def meaning_votes(
    rows: Sequence[Row],
    own: Floats,
    scored: Floats,
    plain: Floats,
    other: Platt,
    grave: Truths,
) -> Votes:
    """The votes of `meaning` on out-of-fold scores, each fold calibrated on the others.

    Those that are `grave` are never safe.
    """
    folds = np.array([row.fold for row in rows])
    votes: Votes = [None] * len(rows)
    for fold in range(FOLDS):
        rest = folds != fold
        platts = {**calibrations(rows, own, plain, rest), meaning.OTHER: other}
        knows = any(row.outside for row in rows)
        opinion = outside.fit_opinion(rows, own, scored, rest) if knows else None
        for position in np.flatnonzero(folds == fold).tolist():
            vote = meaning_vote(
                rows[position], float(own[position]), scored[position], platts, opinion
            )
            votes[position] = unless_grave(vote, grave=bool(grave[position]))
    return votes


def unless_grave(vote: tuple[bool, float] | None, *, grave: bool) -> tuple[bool, float] | None:
    """The vote; None in place of one for safe on a grave text."""
    return None if grave and vote is not None and not vote[0] else vote


def meaning_vote(
    row: Row,
    own: float,
    scored: NDArray[np.float64],
    platts: dict[str, Platt],
    opinion: Opinion | None,
) -> tuple[bool, float] | None:
    """The vote on one text, by the code that votes; None in a language the voter cannot read."""
    if row.language not in meaning.ENCODER_LANGUAGES | platts.keys():
        return None
    inside = platts.get(row.language, platts[meaning.OTHER]).probability(own)
    if opinion is None:
        return _vote_on(row, inside)
    judged = (
        opinion.judged(inside, own, scored.tolist(), row.language)
        if row.language in meaning.ENCODER_LANGUAGES
        else judged_without(inside)
    )
    return None if judged.sure is None else _vote_on(row, judged.sure)


def _vote_on(row: Row, unsafe: float) -> tuple[bool, float] | None:
    """The vote with that probability of unsafe, or with what it is worth if a group is named."""
    named = groups.named(row.text, row.language)
    deserved = meaning.of_a_group(unsafe) if named else unsafe
    return None if deserved is None else vote_of(deserved)


class Held(NamedTuple):
    """What a training run knows, to vote on labelled texts with voters that never saw them."""

    rows: Sequence[Row]
    pieces: Pieces
    fired: Sequence[frozenset[str]]
    spelling_platts: dict[str, Platt]
    meaning_platts: dict[str, Platt]
    opinion: Opinion | None
    trained: meaning.Scorer
    seed: int

    def vote(self, labelled: Path, out: Path) -> None:
        """Votes on other labelled texts, joined to their columns; none of them was trained on."""
        with labelled.open(encoding="utf-8", newline="") as file:
            records = list(csv.DictReader(file))
        others = [
            Row(
                language=record["language"],
                text=normalise(record["text"]).text,
                unsafe=record["gold"] == "unsafe",
                source=labelled.stem,
            )
            for record in records
        ]
        known = {row.text for row in others}
        allowed = np.array([row.text not in known for row in self.rows])
        console.print(
            f"{(~allowed).sum()} rows of {labelled.name} are in the training texts: left out"
        )
        fitted = Fitted.on(self.rows, self.pieces, allowed, self.seed)
        within = [at for at in np.flatnonzero(allowed).tolist() if not self.rows[at].outside]
        measured = measure_rules(
            [self.rows[at] for at in within], [self.fired[at] for at in within]
        )
        precisions = rules.Precisions.of(pack_rules(measured))
        theirs = Pieces.of(others)
        spelled = fitted.characters_scores(others, theirs)
        meant = fitted.meaning_scores(others, theirs)
        scored = np.zeros((len(others), 3))
        if fitted.unlike is not None:
            scored = outside.text_scores(fitted.unlike, theirs.embeddings, theirs.owner)
        grave = never_safe.seen(others, theirs.embeddings, theirs.owner, self.trained)
        votes: dict[str, Votes] = {
            rules.VOTER: rule_votes(
                others, [rules.fired(row.text, row.language) for row in others], precisions
            ),
            characters.VOTER: [
                vote_of(self.spelling_platts[row.language].probability(float(score)))
                for row, score in zip(others, spelled, strict=True)
            ],
            meaning.VOTER: [
                unless_grave(
                    meaning_vote(row, float(own), score, self.meaning_platts, self.opinion),
                    grave=bool(of),
                )
                for row, own, score, of in zip(others, meant, scored, grave, strict=True)
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
