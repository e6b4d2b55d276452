"""The cost of one vote: list price × stated token counts."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.core.json_names import unrepeated
from quorum.core.models import Dollars, Frozen


class ListPrice(Frozen):
    """US dollars per million tokens, and the voter's own token counts per vote, if known."""

    input: Dollars
    output: Dollars
    input_tokens: Annotated[int, Field(ge=0)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None


_PRICES: TypeAdapter[dict[str, ListPrice]] = TypeAdapter(dict[str, ListPrice])


def read(path: Path) -> dict[str, ListPrice]:
    """The prices in a JSON file, by voter; entries that are plain text are notes.

    A model may be named by an alias of the registry. Raises `ValueError` for other files.
    """
    document = json.loads(
        path.read_text(encoding="utf-8"), parse_float=Decimal, object_pairs_hook=unrepeated
    )
    if not isinstance(document, dict):
        raise ValueError("must be a JSON object from names of models to their prices")  # noqa: TRY004 one kind of error for whatever the file holds
    return _PRICES.validate_python(
        {
            registry.own_name(name): price
            for name, price in document.items()
            if not isinstance(price, str)
        }
    )


def costs(
    voters: Iterable[str],
    prices: Mapping[str, ListPrice],
    *,
    input_tokens: int = 400,
    output_tokens: int = 60,
) -> dict[str, Decimal]:
    """Dollars of one vote, by voter: from `prices`, else from the registry.

    Voters that neither knows are left out.
    """
    known: dict[str, Decimal] = {}
    for voter in voters:
        price = prices.get(voter) or _registered(voter)
        if price is not None:
            tokens_in = input_tokens if price.input_tokens is None else price.input_tokens
            tokens_out = output_tokens if price.output_tokens is None else price.output_tokens
            dollars = tokens_in * price.input + tokens_out * price.output
            known[voter] = dollars / registry.MILLION
    return known


def reference(voters: Iterable[str], known: Mapping[str, Decimal]) -> str | None:
    """The default reference of costs: gpt-4.1, or else the most expensive voter."""
    priced = [voter for voter in voters if known.get(voter)]
    for voter in priced:
        try:
            if registry.model(voter).name == "gpt-4.1":
                return voter
        except ModelUnknown:
            continue
    return max(priced, key=lambda voter: known[voter], default=None)


def _registered(voter: str) -> ListPrice | None:
    try:
        price = registry.model(voter).price
    except ModelUnknown:
        return None
    return ListPrice(input=price.input, output=price.output)
