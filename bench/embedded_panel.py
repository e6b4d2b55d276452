"""Calibrate the packaged panel `embedded`, and show what each choice of thresholds costs.

    python -m bench.embedded_panel VOTES.csv --out embedded.json

VOTES.csv is what `python -m training.train … --votes VOTES.csv` writes: votes on texts of the
training collections, of folds the voters had not seen, and on texts of outside sources, by voters
that had not seen the source. The evidence is learned on both, the outside sources weighing half as
much. The thresholds are those under which the most texts of the training collections are decided
while at most `--wrong` of the texts of an average outside source are decided wrongly. A language
whose own rows show that more is needed has thresholds of its own: at least 94 % of what is decided
must be right, at most `--wrong` of its average outside source wrong and at most twice that of any
one (but requests), next to no plain text (news, questions, manuals) unsafe, and none is called safe
more easily than under the thresholds of all. Where no outside source shows unsafe texts, neither
threshold is below what three of four languages need where one does. A Korean curse in initials,
which only the lists can read, stays unsafe.
"""

import argparse
import csv
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from embedded import characters, meaning, rules
from numpy.typing import NDArray
from quorum.core import registry
from quorum.core.models import Content
from quorum.vote.panel import Calibrated, Panel, Stop, Thresholds
from quorum.vote.tally import tally
from rich.console import Console
from rich.table import Table

from analysis.evaluation import replay
from analysis.evidence import Design, Shrinkage, fit, stage
from analysis.recorded import NONE, REVIEW, UNSAFE, Indices, Recorded, read
from training.rows import sources

VOTERS = ("rules", "characters", "meaning")
OUTSIDE_SHARE = 0.5
"""Rows of outside sources among those the evidence is learned from, per row of the collections."""
LEAST_OF_A_SOURCE = 150
"""Rows that a source has in a language, for its share of wrong decisions to count."""
LEAST_SHOWN = 60
"""Rows below which a language or a source is not shown."""
BETWEEN = 0.999
"""Thresholds that leave every score in between, to see the scores alone."""
GRID = np.round(np.arange(0.6, 0.96, 0.01), 2)
OWN_GRID = np.round(np.arange(0.6, 0.995, 0.01), 2)
"""Thresholds of single languages."""
LEAST_RIGHT = 0.94
"""Share of a language's decided texts of the training collections that must be right, at the lower
end of a one-sided 90 % interval."""
Z = 1.2816
MOST_PLAIN_UNSAFE = 0.01
"""Share of a language's plain texts that may be called unsafe."""
WORST = 2
"""How many times what an average outside source may have wrong any one may have."""
NEARLY = 0.005
"""Share of a language's texts by which less is still nearly the most decided."""
LEAST_UNSAFE = 150
"""Unsafe outside texts of a language, without which it has `CAUTION` of the others' thresholds."""
CAUTION = 0.75
"""Share of the languages with unsafe outside texts that a language without them is as strict as."""
INITIALS = "ㅅㄲ"
"""A Korean curse in initials: the trained voters cannot read it, and do not outvote the lists."""


class Choice(NamedTuple):
    """Two thresholds, and what comes of them: shares of rows, and of decided rows."""

    unsafe: float
    safe: float
    decided: float
    right: float
    outside_decided: float
    outside_wrong: float


class Scored(NamedTuple):
    """Rows with the panel's score; `held` where it may not say safe, `mute` where it cannot decide.

    `worth` sums to 1 over the training collections (by row) and over outside sources (each alike).
    """

    scores: NDArray[np.float64]
    unsafe: NDArray[np.bool_]
    held: NDArray[np.bool_]
    mute: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    worth: NDArray[np.float64]

    def only(self, at: NDArray[np.bool_]) -> "Scored":
        """The rows that are true in `at`."""
        return Scored(
            self.scores[at],
            self.unsafe[at],
            self.held[at],
            self.mute[at],
            self.outside[at],
            self.worth[at],
        )

    def decisions(
        self, unsafe: float | NDArray[np.float64], safe: float | NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The rows called unsafe and those called safe under these thresholds, one or by row."""
        said_unsafe = (self.scores >= unsafe) & ~self.mute
        return said_unsafe, (self.scores <= 1 - safe) & ~self.mute & ~self.held

    def wrong(self, unsafe: float, safe: float) -> NDArray[np.bool_]:
        """The rows that are decided wrongly under these thresholds."""
        said_unsafe, said_safe = self.decisions(unsafe, safe)
        return (said_unsafe & ~self.unsafe) | (said_safe & self.unsafe)

    def choice(self, unsafe: float, safe: float) -> Choice:
        """What these thresholds come to."""
        said_unsafe, said_safe = self.decisions(unsafe, safe)
        decided = said_unsafe | said_safe
        wrong = self.wrong(unsafe, safe)
        within = np.where(self.outside, 0.0, self.worth)
        beyond = np.where(self.outside, self.worth, 0.0)
        share = float(within @ decided)
        return Choice(
            unsafe=unsafe,
            safe=safe,
            decided=share,
            right=1 - float(within @ wrong) / max(share, 1e-9),
            outside_decided=float(beyond @ decided),
            outside_wrong=float(beyond @ wrong),
        )


class Own(NamedTuple):
    """The rows of a language: what its own thresholds must keep, and what they may not be below.

    `large` are its outside sources that are large enough, but those of requests: the lists of
    topics and the categories' scores are there for these.
    """

    found: Scored
    plain: NDArray[np.bool_]
    least: tuple[float, float]
    most: float
    large: tuple[Scored, ...]

    @classmethod
    def of(
        cls,
        found: Scored,
        source: NDArray[np.str_],
        chosen: NDArray[np.bool_],
        general: Thresholds,
        usual: Thresholds,
        most: float,
    ) -> "Own":
        """Those of the chosen rows; `usual` is not gone below where no unsafe texts are shown.

        `most` is the highest threshold of unsafe that there may be.
        """
        names = source[chosen]
        outside = found.outside[chosen]
        large = [
            name
            for name, count in Counter(names[outside].tolist()).items()
            if count >= LEAST_OF_A_SOURCE
        ]
        worth = np.zeros(len(names))
        worth[~outside] = 1 / max(int((~outside).sum()), 1)
        for name in large:
            worth[names == name] = 1 / (len(large) * (names == name).sum())
        rows = found.only(chosen)._replace(worth=worth)
        plain = np.array(
            [bool(name in sources() and sources()[name]["harmless"]) for name in names]
        )
        shown = int((outside & rows.unsafe).sum()) >= LEAST_UNSAFE
        least = (0.0, general.safe) if shown else (usual.unsafe, usual.safe)
        judged = [names == name for name in large if not sources()[name]["requests"]]
        return cls(rows, plain, least, most, tuple(rows.only(at) for at in judged))

    def keeps(self, choice: Choice, wrong: float) -> bool:
        """Whether a language may be decided by these thresholds."""
        decided = choice.decided * float((~self.found.outside).sum())
        doubt = Z * float(np.sqrt(choice.right * (1 - choice.right) / max(decided, 1.0)))
        said_unsafe, _ = self.found.decisions(choice.unsafe, choice.safe)
        called = float(said_unsafe[self.plain].mean()) if self.plain.any() else 0.0
        return (
            self.least[0] <= choice.unsafe <= self.most
            and choice.safe >= self.least[1]
            and choice.right - doubt >= LEAST_RIGHT
            and choice.outside_wrong <= wrong
            and called <= MOST_PLAIN_UNSAFE
            and all(
                one.wrong(choice.unsafe, choice.safe).mean() <= WORST * wrong for one in self.large
            )
        )


def by_language(
    found: Scored,
    languages: NDArray[np.str_],
    source: NDArray[np.str_],
    general: Thresholds,
    wrong: float,
    most: Mapping[str, float],
) -> dict[str, Choice | None]:
    """Of each language trained for, the thresholds that decide most; None where none may.

    `most` are the highest thresholds of unsafe that a language may have, where there are any.

    Of those that decide nearly as much, the least strict: a listed curse alone, or "wow", has a
    middling score, and the collections hold next to none of them.
    """
    shown = Counter(languages[found.outside & found.unsafe].tolist())
    trained_for = sorted(set(languages[~found.outside].tolist()))
    chosen: dict[str, Choice | None] = {}
    usual, seen = general, list[Choice]()
    for language in sorted(trained_for, key=lambda one: shown[one] < LEAST_UNSAFE):
        own = Own.of(found, source, languages == language, general, usual, most.get(language, 1))
        choices = [
            own.found.choice(float(unsafe), float(safe)) for unsafe in OWN_GRID for safe in OWN_GRID
        ]
        allowed = [choice for choice in choices if own.keeps(choice, wrong)]
        widest = max((choice.decided for choice in allowed), default=0.0)
        best = min(
            (choice for choice in allowed if choice.decided >= widest - NEARLY),
            key=lambda choice: (round(choice.unsafe + choice.safe, 2), choice.safe),
            default=None,
        )
        chosen[language] = best
        if best is not None and shown[language] >= LEAST_UNSAFE:
            seen.append(best)
            usual = Thresholds(
                unsafe=round(float(np.quantile([one.unsafe for one in seen], CAUTION)), 2),
                safe=round(float(np.quantile([one.safe for one in seen], CAUTION)), 2),
            )
    return {language: chosen[language] for language in trained_for}


def score_of(panel: Panel, text: str) -> float:
    """The panel's score of a Korean text by the packaged voters."""
    content = Content(text=text, language="ko")
    cast = [voter.vote(content) for voter in (rules, characters, meaning)]
    return tally(panel, cast, "ko", final=True).score


def learned_from(languages: NDArray[np.str_], source: NDArray[np.str_], seed: int) -> Indices:
    """All rows of the training collections, and outside ones by the root of their source's size."""
    listed = sources()
    outside = np.array([name in listed for name in source])
    spoken = set(languages[~outside])
    usable = outside & np.array([language in spoken for language in languages])
    counts = Counter(zip(languages[usable], source[usable], strict=True))
    weight = np.array(
        [
            counts[language, name] ** -0.5 if use else 0.0
            for language, name, use in zip(languages, source, usable, strict=True)
        ]
    )
    number = min(int(OUTSIDE_SHARE * (~outside).sum()), int(usable.sum()))
    drawn = np.random.default_rng(seed).choice(
        len(source), number, replace=False, p=weight / weight.sum()
    )
    return np.sort(np.concatenate([np.flatnonzero(~outside), drawn]))


def scored(panel: Panel, votes: Recorded, source: NDArray[np.str_]) -> Scored:
    """The panel's score of each row, and whether it could decide."""
    listed = sources()
    outside = np.array([name in listed for name in source])
    answers = replay(panel, votes, {})
    said = votes.decisions[:, [votes.column(voter) for voter in VOTERS]]
    by_list, spelled, meant = said.T
    held = np.isin(by_list, (UNSAFE, REVIEW)) | np.isin(meant, (UNSAFE, REVIEW))
    trained_for = set(votes.languages[~outside])
    knows = np.array([language in trained_for for language in votes.languages])
    mute = (meant == NONE) & (by_list == NONE) & (spelled != NONE) & knows
    counts = Counter(zip(votes.languages, source, strict=True))
    large = {
        key for key, count in counts.items() if count >= LEAST_OF_A_SOURCE and key[1] in listed
    }
    worth = np.array(
        [
            (1 / (counts[key] * len(large)) if key in large else 0.0) if beyond else 1.0
            for key, beyond in zip(zip(votes.languages, source, strict=True), outside, strict=True)
        ]
    )
    worth[~outside] /= (~outside).sum()
    return Scored(answers.scores, votes.gold == UNSAFE, held, mute, outside, worth)


def main() -> None:
    """Learn, choose, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("votes", type=Path, metavar="VOTES.csv")
    parser.add_argument("--wrong", type=float, default=0.04, help="of an average outside source")
    parser.add_argument(
        "--thresholds", type=float, nargs=2, metavar=("UNSAFE", "SAFE"), help="chosen by hand"
    )
    parser.add_argument("--out", type=Path, help="write the panel to this file")
    options = parser.parse_args()
    votes = read(options.votes)
    with options.votes.open(encoding="utf-8", newline="") as file:
        source = np.array([row["source"] for row in csv.DictReader(file)])
    rows = learned_from(votes.languages, source, seed=1)
    learned = votes.rows(rows)
    fitted = fit(Design.of(learned, VOTERS), learned.gold, np.arange(len(learned)), Shrinkage())
    panel = Panel(
        name="embedded",
        description=DESCRIPTION,
        rounds=(VOTERS,),
        stop=Stop.ALL,
        quorum=2,
        thresholds=Thresholds(unsafe=BETWEEN, safe=BETWEEN),
        rule=Calibrated(stages=(stage(fitted),)),
        escalates=("rules", "meaning"),
    )
    found = scored(panel, votes, source)
    choices = [found.choice(unsafe, safe) for unsafe in GRID for safe in GRID]
    allowed = [choice for choice in choices if choice.outside_wrong <= options.wrong]
    best = max(allowed, key=lambda choice: choice.decided)
    if options.thresholds:
        best = found.choice(*options.thresholds)
    show([*frontier(choices), best])
    general = Thresholds(unsafe=float(best.unsafe), safe=float(best.safe))
    most = {"ko": score_of(panel, INITIALS)}
    own = by_language(found, votes.languages, source, general, options.wrong, most)
    show_languages(own)
    of_rows = [own.get(language) or best for language in votes.languages.tolist()]
    said = found.decisions(
        np.array([each.unsafe for each in of_rows]), np.array([each.safe for each in of_rows])
    )
    known = {language for language in votes.languages if language in meaning_reads()}
    readable = np.array([language in known for language in votes.languages])
    for title, keys in (("language", votes.languages), ("source", source)):
        print(markdown(title, keys, found, said, readable))
    chosen = panel.model_copy(
        update={
            "thresholds": general,
            "thresholds_by_language": {
                language: Thresholds(unsafe=choice.unsafe, safe=choice.safe)
                for language, choice in own.items()
                if choice is not None and choice[:2] != best[:2]
            },
            "reviewed_languages": tuple(one for one, choice in own.items() if choice is None),
        }
    )
    if options.out:
        document = json.dumps(chosen.document(), indent=2, ensure_ascii=False)
        options.out.write_text(document + "\n", encoding="utf-8")


def frontier(choices: list[Choice]) -> list[Choice]:
    """The choice that decides most, for each share of wrong decisions on outside sources."""
    steps = (0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12)
    return [
        max((each for each in choices if each.outside_wrong <= step), key=lambda each: each.decided)
        for step in steps
        if any(each.outside_wrong <= step for each in choices)
    ]


def show(choices: list[Choice]) -> None:
    """Print the choices, the chosen one last."""
    table = Table(title="thresholds; training collections; outside sources (unseen)")
    for column in ("unsafe", "safe", "decided", "right", "decided outside", "wrong outside"):
        table.add_column(column)
    for choice in choices:
        table.add_row(*(f"{value:.3f}" for value in choice))
    Console(width=100).print(table)


def show_languages(own: dict[str, Choice | None]) -> None:
    """Print the thresholds of each language, and what they come to."""
    table = Table(title="thresholds by language")
    for column in (
        "language",
        "unsafe",
        "safe",
        "decided",
        "right",
        "decided outside",
        "wrong outside",
    ):
        table.add_column(column)
    for language, choice in own.items():
        table.add_row(language, *(f"{value:.3f}" for value in choice or ()))
    Console(width=100).print(table)


def meaning_reads() -> frozenset[str]:
    """The languages that the voter `meaning` reads."""
    return frozenset(registry.model("meaning").languages)


def markdown(
    title: str,
    keys: NDArray[np.str_],
    found: Scored,
    said: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    readable: NDArray[np.bool_],
) -> str:
    """A table by language or source: the training collections' rows, and unseen sources' rows."""
    said_unsafe, said_safe = said
    decided = said_unsafe | said_safe
    wrong = (said_unsafe & ~found.unsafe) | (said_safe & found.unsafe)
    lines = [
        (
            f"| {title} | | texts | decided | right of what is decided | unsafe passed as safe "
            "| safe called unsafe |"
        ),
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for key in sorted(set(keys[readable])):
        for kind, of in (("trained for", ~found.outside), ("unseen source", found.outside)):
            at = (keys == key) & of & readable
            if at.sum() < LEAST_SHOWN:
                continue
            right = f"{1 - wrong[at].sum() / max(decided[at].sum(), 1):.0%}"
            cells = [
                f"{at.sum():,}",
                f"{decided[at].mean():.0%}",
                right,
                share(said_safe, at & found.unsafe),
                share(said_unsafe, at & ~found.unsafe),
            ]
            lines.append(f"| {key} | {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def share(said: NDArray[np.bool_], of: NDArray[np.bool_]) -> str:
    """The share of those rows that were called so, in percent."""
    return f"{said[of].mean():.1%}" if of.any() else "–"


DESCRIPTION = (
    "The voters that run inside their Lambdas: no network, no key, no cost. Calibrated on votes of"
    " voters that had not seen the texts (training collections) or the source (outside sources):"
    " see NOTICE for both. A text that the voters find unlike their training goes to a person."
)

if __name__ == "__main__":
    main()
