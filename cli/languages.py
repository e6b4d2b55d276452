"""The options that name a language, as ISO 639 writes it."""

import re
from typing import Annotated

import typer

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
