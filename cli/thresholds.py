"""`quorum thresholds`: the threshold of an attribute's scores that keeps a flag rate.

For clients of the Perspective API: its thresholds mean nothing for other scores. The texts are
judged in this process; nothing is stored.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from quorum.core import registry
from quorum.core.models import CONTENT_LIMIT, Attribute, Content
from quorum.core.spreadsheets import meant
from quorum.vote.attributes import pooled
from quorum.vote.perspective import attribute_of
from quorum.vote.policy import DEFAULT

from analysis.flag_rates import Agreement, FlagRate, agreement, keeping
from analysis.rows import FileUnreadable, Row, opened
from cli import entries, loading
from cli.languages import DefaultLanguage
from cli.output import AsJson, console, notes, print_json
from cli.record import EMBEDDED, TEXT_COLUMNS, moderator_of
from cli.tables import Column, show
from quorum_moderator import Moderator

LEAST_TEXTS = 50
"""Scored texts of a language below which it has no line of its own."""
ALL = "all"
COLUMNS = (
    Column("language", left=True),
    Column("texts"),
    Column("scored"),
    Column("threshold"),
    Column("flagged"),
    Column("share"),
    Column("Perspective flags", rank=1),
    Column("same flag", rank=1),
    Column("overlap", rank=2),
    Column("rank correlation", rank=3),
)


class Scored(NamedTuple):
    """A text's language, its score, and Perspective's; None where there is none."""

    language: str | None
    score: float | None
    perspective: float | None


class Line(NamedTuple):
    """The figures of one language, or of all; `agreed` where Perspective's scores are known."""

    language: str
    texts: int
    found: FlagRate
    perspective_flagged: int | None
    agreed: Agreement | None


def _attribute(name: str) -> str:
    _read(name)
    return name.upper()


def _read(name: str) -> Attribute:
    found = attribute_of(name.upper())
    if found is None:
        raise typer.BadParameter(f"{name} is none of {', '.join(one.name for one in Attribute)}")
    return found


def _share(given: float | None) -> float | None:
    if given is not None and not 0 <= given <= 1:
        raise typer.BadParameter("must be a share between 0 and 1, such as 0.05")
    return given


def thresholds(
    texts: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="a table with text, or a text a line"),
    ],
    attribute: Annotated[
        str, typer.Option(help="TOXICITY, INSULT, …", callback=_attribute)
    ] = "TOXICITY",
    flag_rate: Annotated[
        float | None, typer.Option(help="the share of texts to flag", callback=_share)
    ] = None,
    perspective: Annotated[
        str | None, typer.Option(help="the column with Perspective's own scores")
    ] = None,
    perspective_threshold: Annotated[
        float, typer.Option(help="the threshold in use for Perspective's scores", callback=_share)
    ] = 0.8,
    panel: Annotated[str, typer.Option(help="a packaged panel, or a panel file")] = "embedded",
    default_language: DefaultLanguage = "en",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="texts scored at once")] = 8,
    models: entries.Entries = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the threshold of an attribute that flags a share of your texts.

    With Perspective's own scores of the texts (--perspective), the share is by default that which
    they flag from --perspective-threshold on, and the table says how far the flags agree. A text is
    flagged if its score is at least the threshold. Languages with few texts have no line.
    """
    if flag_rate is None and perspective is None:
        raise typer.BadParameter("give --flag-rate, or --perspective with the column of its scores")
    wanted = _read(attribute)
    known = entries.read(models)
    chosen = loading.read_panel(panel, [model.name for model in registry.voters()], known.keys)
    if chosen.default_language is None and default_language:
        chosen = chosen.model_copy(update={"default_language": default_language})
    rows = list(_rows(texts, perspective))
    with moderator_of(chosen, known, DEFAULT, everyone=False) as moderator:
        scored = _scored(rows, moderator, wanted, concurrency)
    lines = list(lines_of(scored, flag_rate, perspective_threshold))
    if not lines:
        raise typer.BadParameter(
            f"{texts}: no text has a score of {attribute} from the panel {chosen.name}"
        )
    if as_json:
        print_json({"attribute": attribute, "panel": chosen.name, "lines": _document(lines)})
        return
    show(console(), COLUMNS, [[_cells(line) for line in lines]])
    without = sum(one.score is None for one in scored)
    if without:
        have = "text has" if without == 1 else "texts have"
        notes.print(f"{without:,} {have} no score: no voter gives one in that language")


def lines_of(
    scored: Sequence[Scored], flag_rate: float | None, perspective_threshold: float
) -> Iterator[Line]:
    """The line of all texts, and those of languages with enough of them."""
    languages = sorted({one.language for one in scored if one.language is not None})
    groups = [(ALL, list(scored))]
    groups += [(name, [one for one in scored if one.language == name]) for name in languages]
    for name, of_group in groups:
        with_score = [one for one in of_group if one.score is not None]
        if len(with_score) < (1 if name == ALL else LEAST_TEXTS):
            continue
        line = _line(name, len(of_group), with_score, flag_rate, perspective_threshold)
        if line is not None:
            yield line


def _line(
    name: str,
    texts: int,
    scored: Sequence[Scored],
    flag_rate: float | None,
    perspective_threshold: float,
) -> Line | None:
    """The figures of some texts; None without a rate that is given, or that Perspective's show."""
    scores = np.array([one.score for one in scored], dtype=np.float64)
    compared = [one for one in scored if one.perspective is not None]
    theirs = np.array([one.perspective for one in compared], dtype=np.float64)
    flagged = int((theirs >= perspective_threshold).sum()) if compared else None
    if flag_rate is not None:
        found = keeping(scores, flag_rate)
    elif flagged is not None:
        found = keeping(scores, flagged / len(compared))
    else:
        return None
    ours = np.array([one.score for one in compared], dtype=np.float64)
    agreed = agreement(ours, found.threshold, theirs, perspective_threshold) if compared else None
    return Line(name, texts, found, flagged, agreed)


def _rows(texts: Path, perspective: str | None) -> Iterator[tuple[str, str | None, float | None]]:
    """Text, language and Perspective's score of each row; raises `typer.BadParameter`."""
    try:
        with opened(texts, TEXT_COLUMNS) as table:
            for row in table:
                found = _row(row, perspective)
                if found[0]:
                    yield found
    except FileUnreadable as problem:
        raise typer.BadParameter(f"{texts}: {problem}") from None


def _row(row: Row, perspective: str | None) -> tuple[str, str | None, float | None]:
    if row.problem is not None:
        raise FileUnreadable(f"line {row.line:,}: {row.problem}")
    folded = {name.casefold(): str(value) for name, value in row.fields.items()}
    text = next((folded[name] for name in TEXT_COLUMNS if name in folded), "")
    if perspective is None:
        return meant(text), folded.get("language") or None, None
    if perspective.casefold() not in folded:
        raise FileUnreadable(f"there is no column {perspective}")
    cell = folded[perspective.casefold()].strip()
    try:
        score = float(cell) if cell else None
    except ValueError:
        score = -1.0
    if score is not None and not 0 <= score <= 1:
        raise FileUnreadable(f"line {row.line:,}, column {perspective}: no number from 0 to 1")
    return meant(text), folded.get("language") or None, score


def _scored(
    rows: Sequence[tuple[str, str | None, float | None]],
    moderator: Moderator,
    attribute: Attribute,
    concurrency: int,
) -> list[Scored]:
    # Embedded voters hold the interpreter's lock: more threads would only wait for each other.
    threads = 1 if set(moderator.panel.voters) <= EMBEDDED else concurrency

    def score(row: tuple[str, str | None, float | None]) -> Scored:
        text, language, perspective = row
        verdict = moderator.judge(Content(text=text[:CONTENT_LIMIT], language=language))
        scores = pooled(moderator.policy, moderator.panel, verdict.votes)
        return Scored(verdict.language, scores.get(attribute), perspective)

    scored: list[Scored] = []
    with (
        loading.progress_bar("scoring", len(rows)) as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for one in pool.map(score, rows):
            scored.append(one)
            progress.advance(loading.TASK)
    return scored


def _cells(line: Line) -> list[str]:
    found, agreed = line.found, line.agreed
    cells = [
        line.language,
        f"{line.texts:,}",
        f"{found.texts:,}",
        f"{found.threshold:.4f}",
        f"{found.flagged:,}",
        f"{found.share:.1%}",
    ]
    if agreed is None or line.perspective_flagged is None:
        return [*cells, "", "", "", ""]
    ranks = agreed.rank_correlation
    return [
        *cells,
        f"{line.perspective_flagged:,}",
        f"{agreed.agreement:.1%}",
        f"{agreed.overlap:.2f}",
        "" if ranks is None else f"{ranks:.2f}",
    ]


def _document(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            "language": line.language,
            "texts": line.texts,
            "scored": line.found.texts,
            "threshold": line.found.threshold,
            "flagged": line.found.flagged,
            "perspective_flagged": line.perspective_flagged,
            "agreement": None if line.agreed is None else line.agreed._asdict(),
        }
        for line in lines
    ]
