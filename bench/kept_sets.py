"""Measure the packaged panel `embedded` on public sets kept to measure with.

    python -m bench.kept_sets FOLDER [--most 1200]

No voter was trained on these sets, and no threshold or rule was chosen on them. FOLDER holds clones
of their repositories (any that is missing is left out); nothing of them is in this one:

    hatecheck-data            github.com/paul-rottger/hatecheck-data (CC BY 4.0)
    multilingual-hatecheck    github.com/rewire-online/multilingual-hatecheck (CC BY 4.0)
    korean-hate-speech        github.com/kocohub/korean-hate-speech (CC BY-SA 4.0; BEEP)
    APEACH                    github.com/jason9693/APEACH (CC BY-SA 4.0)
    exaggerated-safety        github.com/paul-rottger/exaggerated-safety (CC BY 4.0; XSTest)

At most `--most` texts of a set are judged, those with the lowest hash, with their language given.
Writes the table in `docs/benchmarks.md`.
"""

import argparse
import csv
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from quorum.core.models import Decision
from quorum.vote.panel import load, packaged

from training.functional import Decided, Sentence, decide

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEADING = "| set kept apart | language | texts | decided | wrong | passed as safe | called unsafe |"
LANGUAGES = {
    "arabic": "ar",
    "dutch": "nl",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "mandarin": "zh",
    "polish": "pl",
    "portuguese": "pt",
    "spanish": "es",
}
"""Languages of Multilingual HateCheck, by their names in its files; Hindi is in Latin letters."""
WRONG_UP_TO = 0.05
"""The aim: the share of a set's texts that may be decided wrongly."""


class Source(NamedTuple):
    """A file of a set: how a record becomes text and truth (None: the record says nothing)."""

    name: str
    language: str
    path: str
    read: Callable[[Mapping[str, str]], tuple[str, bool] | None]


def hatecheck(record: Mapping[str, str]) -> tuple[str, bool]:
    """A case of HateCheck, in any language."""
    return record["test_case"], record["label_gold"] == "hateful"


def news_comment(record: Mapping[str, str]) -> tuple[str, bool]:
    """A Korean news comment; offensive ones are unsafe as hateful ones are."""
    return record["comments"], record["hate"] != "none"


def generated(record: Mapping[str, str]) -> tuple[str, bool]:
    """A Korean text that somebody wrote to be hateful, or not to be."""
    return record["text"], record["class"] != "Default"


def prompt(record: Mapping[str, str]) -> tuple[str, bool]:
    """A prompt that is safe, or its unsafe contrast."""
    return record["prompt"], record["label"] == "unsafe"


SOURCES = (
    Source("HateCheck", "en", "hatecheck-data/test_suite_cases.csv", hatecheck),
    *(
        Source(
            "HateCheck",
            code,
            f"multilingual-hatecheck/MHC Final Cases/hatecheck_cases_final_{name}.csv",
            hatecheck,
        )
        for name, code in LANGUAGES.items()
    ),
    Source("news comments", "ko", "korean-hate-speech/labeled/train.tsv", news_comment),
    Source("generated", "ko", "APEACH/APEACH/test.csv", generated),
    Source("XSTest", "en", "exaggerated-safety/xstest_prompts.csv", prompt),
)


class Outcome(NamedTuple):
    """What the panel made of a set: numbers of texts."""

    name: str
    language: str
    texts: int
    decided: int
    passed: int
    called: int

    @property
    def wrong(self) -> int:
        """Texts decided wrongly."""
        return self.passed + self.called

    @classmethod
    def of(cls, source: Source, decided: Iterable[Decided]) -> "Outcome":
        """Count the decisions on a set."""
        every = list(decided)
        wrong = [each for each in every if each.outcome == "wrong"]
        passed = sum(each.decision is Decision.SAFE for each in wrong)
        return cls(
            source.name,
            source.language,
            len(every),
            sum(each.outcome != "review" for each in every),
            passed,
            len(wrong) - passed,
        )


def sentences(source: Source, folder: Path, most: int) -> list[Sentence]:
    """At most so many texts of a set, those with the lowest hash; none where it is not there."""
    path = folder / source.path
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = (
            csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if path.suffix == ".tsv"
            else csv.DictReader(file)
        )
        labelled = dict(found for record in records if (found := source.read(record)))
    texts = sorted(labelled, key=lambda text: (zlib.crc32(text.encode()), text))[:most]
    expected = {True: Decision.UNSAFE, False: Decision.SAFE}
    return [Sentence(source.name, source.language, expected[labelled[one]], one) for one in texts]


def outcomes(folder: Path, most: int, panel: Path | None = None) -> Iterator[Outcome]:
    """The outcome of each set that is there."""
    judged = load(panel.read_text(encoding="utf-8")) if panel else packaged("embedded")
    for source in SOURCES:
        kept = sentences(source, folder, most)
        if kept:
            yield Outcome.of(source, [decide(sentence, judged) for sentence in kept])


def table(found: Iterable[Outcome]) -> str:
    """The outcomes as the documentation shows them."""
    lines = [HEADING, "|---|---|---:|---:|---:|---:|---:|"]
    met = 0
    total = 0
    for one in found:
        counts = (one.decided, one.wrong, one.passed, one.called)
        shares = " | ".join(f"{count / one.texts:.1%}" for count in counts)
        lines.append(f"| {one.name} | {one.language} | {one.texts:,} | {shares} |")
        met += one.wrong <= WRONG_UP_TO * one.texts
        total += 1
    return "\n".join([*lines, "", f"At most {WRONG_UP_TO:.0%} wrong: {met} of {total} sets."])


def with_table(page: str, shown: str) -> str:
    """The page with that table in place of the one it has."""
    before, rest = page.split(HEADING)
    _, _, after = rest.partition(f"\nAt most {WRONG_UP_TO:.0%} wrong: ")[2].partition("\n")
    return f"{before}{shown}\n{after}"


def main() -> None:
    """Judge the sets, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--most", type=int, default=1_200, help="texts of a set")
    parser.add_argument(
        "--panel", type=Path, help="a panel of embedded voters: print, do not write"
    )
    options = parser.parse_args()
    shown = table(outcomes(options.folder, options.most, options.panel))
    print(shown)
    if not options.panel:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_table(page, shown), encoding="utf-8")


if __name__ == "__main__":
    main()
