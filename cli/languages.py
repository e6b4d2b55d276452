"""`quorum languages`, and the options that name a language, as ISO 639 writes it."""

import re
from typing import Annotated

import typer
from quorum.vote.coverage import Coverage, Decided, LanguageCoverage

from cli.deployment import Where
from cli.output import AsJson, console, notes, print_json
from cli.service import connect
from cli.tables import Column, show

_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_]\w+)*")


def as_code(tag: str) -> str | None:
    """`EN`, `en-US` and `en_us` are `en`; None for anything else."""
    told = _TAG.fullmatch(tag.strip())
    return told[1].lower() if told else None


def _option(given: str | None) -> str | None:
    if not given:
        return None
    code = as_code(given)
    if code is None:
        raise typer.BadParameter(f"{given} is no language as ISO 639 writes it: en, ko, …")
    return code


Language = Annotated[
    str | None,
    typer.Option(
        help="the language of texts that name none (ISO 639): en, ko, …", callback=_option
    ),
]
DefaultLanguage = Annotated[
    str | None,
    typer.Option(
        help="the language to assume if it is not recognised: en, ko, …", callback=_option
    ),
]


COLUMNS = (
    Column("language", left=True),
    Column("decides", left=True),
    Column("like training", rank=1),
    Column("right", rank=1),
    Column("unseen source", rank=2),
    Column("right there", rank=2),
    Column("categories", rank=3),
    Column("attributes", rank=3),
    Column("voters", rank=4, left=True),
)


def languages(where: Where = "local", *, as_json: AsJson = False) -> None:
    """List the languages that the embedded voters know, and how much the panel decides of them.

    `--json` names the categories and the attributes of each language that have scores.

    Shares are of texts that no voter had seen: of the collections that they are trained for, and of
    sources of which they had seen nothing.
    """
    found = Coverage.model_validate(connect(where).get("languages"))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    show(console(), COLUMNS, [[_row(one) for one in found.languages]])
    notes.print(f"panel {found.panel}, version {found.panel_version}, {found.measured_on}")


def _row(one: LanguageCoverage) -> list[str]:
    figures = (*_shares(one.trained_for), *_shares(one.unseen_source))
    decides = "the panel" if one.decided_by == "panel" else "a person"
    scored = (str(len(one.categories)), str(len(one.attributes)))
    return [one.language, decides, *figures, *scored, ", ".join(one.voters)]


def _shares(found: Decided | None) -> tuple[str, str]:
    if found is None:
        return "–", "–"
    return f"{found.decided:.0%}", "–" if found.right is None else f"{found.right:.0%}"
