"""Trained voters in the layers of a checkout, and what the service has to know of them.

    python -m training.installing

writes what is known of the weights in the embedded layer anew (revisions, languages, categories):
after a change of the voters' lists or code, or of the weights by hand. `quorum train --install`
does the same after it has put the weights there.
"""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from embedded import characters, meaning, rules, weights
from quorum.core.embedded_voters import EmbeddedVoters, Trained
from quorum.core.models import Attribute, Category
from quorum.vote.score_coverage import ScoreCoverage

ROOT = Path(__file__).parent.parent
VOTERS = Path("layers/embedded/python/embedded")
QUORUM = Path("layers/quorum/python/quorum")
STATE = QUORUM / "core/embedded_voters.json"
SCORES = QUORUM / "vote/score_coverage.json"
WRITTEN = (STATE, SCORES)
FILES = (rules.PRECISIONS.name, characters.WEIGHTS.name, meaning.WEIGHTS.name)


class Known(NamedTuple):
    """What the files of a training say of the voters, and of their scores."""

    voters: EmbeddedVoters
    scores: ScoreCoverage


def known(folder: Path) -> Known:
    """Read the files in a folder; raises `WeightsUnreadable` if one is missing or damaged."""
    precisions, spelling, sense = (folder / name for name in FILES)
    by_characters = characters.Scorer.of(weights.load(spelling, characters.VOTER))
    by_meaning = meaning.Scorer.of(weights.load(sense, meaning.VOTER))
    try:
        by_rules = rules.Precisions.of(precisions.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise weights.WeightsUnreadable(f"{precisions.name} is missing or damaged") from error
    scores = _scores(by_rules, by_characters, by_meaning)
    files = b"".join((folder / name).read_bytes() for name in FILES)
    of_rules = {*rules.KORCEN_LEVELS.values(), *rules.SAFETYPE_CATEGORIES.values()}
    return Known(
        EmbeddedVoters(
            weights=sha256(files).hexdigest()[:12],
            rules=Trained(
                revision=rules.version_of(precisions),
                languages=tuple(sorted(rules.LANGUAGES)),
                categories=tuple(one for one in Category if one in of_rules),
            ),
            characters=Trained(
                revision=by_characters.version,
                languages=tuple(sorted(by_characters.languages)),
                categories=(),
            ),
            meaning=Trained(
                revision=by_meaning.version,
                languages=tuple(sorted(by_meaning.known - {meaning.OTHER})),
                categories=tuple(scores.categories),
            ),
        ),
        scores,
    )


def _scores(
    by_rules: rules.Precisions, by_characters: characters.Scorer, by_meaning: meaning.Scorer
) -> ScoreCoverage:
    """The languages of each category and attribute that has scores: none that was not taught."""
    kinds = by_meaning.kinds.kinds if by_meaning.kinds is not None else ()
    taught = {kind.name: tuple(sorted(kind.calibrations)) for kind in kinds}
    taught |= {
        Attribute.PROFANITY: tuple(sorted(by_rules.profanity)),
        Attribute.TOXICITY: tuple(
            sorted(meaning.ENCODER_LANGUAGES | by_characters.languages.keys())
        ),
    }
    return ScoreCoverage(
        categories={each: taught[each] for each in Category if taught.get(each)},
        attributes={each: taught[each] for each in Attribute if taught.get(each)},
    )


def install(folder: Path, root: Path) -> EmbeddedVoters:
    """Put the voters of a training into the layers of the checkout at `root`; what they are.

    Raises `WeightsUnreadable`, before anything is changed, if a file is missing or damaged.
    """
    found = known(folder)
    for name in FILES:
        if (folder / name).resolve() != (root / VOTERS / name).resolve():
            shutil.copyfile(folder / name, root / VOTERS / name)
    for path, said in zip(WRITTEN, found, strict=True):
        (root / path).write_text(said.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return found.voters


if __name__ == "__main__":
    install(ROOT / VOTERS, ROOT)
