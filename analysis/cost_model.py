"""What verdicts cost by panel, stop rule and cache: list prices × measured quantities, exactly.

The facts, each with source and date, are in `cost_facts.json`, and the calls of a verdict, which
`python -m bench.asked` counts, in `asked.json`. A verdict whose votes are all cached
costs no model and no state machine; an intermediate cache hit rate is the mean of the two.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from quorum.core import registry
from quorum.core.models import Frozen

FACTS: Final = Path(__file__).with_name("cost_facts.json")
ASKED: Final = Path(__file__).with_name("asked.json")
MODELS, API, LAMBDA, MACHINE, STORE = (
    "models",
    "API Gateway",
    "Lambda",
    "Step Functions",
    "DynamoDB",
)
"""The items of a cost."""
INSTRUCTIONS, WAITING, BOOKING = (
    "the same instructions with every call",
    "Api, which waits for the votes",
    "writes that book and cache votes",
)
"""The items that are avoidable: by packed calls, by an answer without waiting, by booking less."""
Amount = Annotated[Decimal, Field(ge=0)]


class Fact(Frozen):
    """A price or a quantity: what it is of, where it is from, and when that was learned."""

    value: Amount
    unit: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Calls(Frozen):
    """A verdict's calls of each voter (`asked`) and rounds, by panel and stop rule.

    `panels` are the versions of the panels that they were counted with.
    """

    source: str
    panels: dict[str, str]
    asked: dict[str, dict[str, dict[str, Amount]]]
    rounds: dict[str, dict[str, Amount]]


class Facts(Frozen):
    """All facts of the model."""

    prices: dict[str, Fact]
    quantities: dict[str, Fact]
    calls: Calls

    def __getitem__(self, name: str) -> Decimal:
        """The value of a price or of a quantity."""
        return (self.prices | self.quantities)[name].value


@cache
def facts() -> Facts:
    """The packaged facts."""
    found, calls = (json.loads(path.read_text(encoding="utf-8")) for path in (FACTS, ASKED))
    return Facts.model_validate(found | {"calls": calls})


@dataclass(frozen=True, slots=True)
class Use:
    """What a verdict uses: the calls of each voter, and the rounds in which they are made."""

    asked: Mapping[str, Decimal]
    rounds: Decimal
    packed: int = 1
    """Contents in one call, which then pay the instructions once."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars by item, and by model of the item `models`."""

    items: Mapping[str, Decimal]
    by_model: Mapping[str, Decimal] = field(default_factory=dict)
    avoidable: Mapping[str, Decimal] = field(default_factory=dict)
    """Dollars, contained in `items`, that another way of doing the same would save."""

    @property
    def total(self) -> Decimal:
        """Dollars of all items."""
        return sum(self.items.values(), Decimal(0))

    def times(self, factor: Decimal) -> "Cost":
        """The cost of `factor` verdicts of this one."""
        return Cost(
            {name: dollars * factor for name, dollars in self.items.items()},
            {name: dollars * factor for name, dollars in self.by_model.items()},
            {name: dollars * factor for name, dollars in self.avoidable.items()},
        )

    @property
    def largest(self) -> tuple[str, Decimal]:
        """The largest avoidable item and its dollars; no dollars if nothing was judged."""
        return max(self.avoidable.items(), key=lambda item: item[1], default=(WAITING, Decimal(0)))


def million(use: Use, hit_rate: Decimal = Decimal(0), known: Facts | None = None) -> Cost:
    """The cost of a million verdicts, of which `hit_rate` (0 to 1) are answered from cached votes.

    Raises `ValueError` for a rate outside 0 to 1 and for fewer than one content a call.
    """
    if not 0 <= hit_rate <= 1:
        raise ValueError("the cache hit rate is a share between 0 and 1")
    if use.packed < 1:
        raise ValueError("a call holds one content at least")
    known = known or facts()
    missed = judged(use, known).times(1 - hit_rate)
    every = entered(known)
    items = {
        name: every.get(name, Decimal(0)) + missed.items.get(name, Decimal(0))
        for name in (MODELS, API, LAMBDA, MACHINE, STORE)
    }
    return Cost(items, missed.by_model, missed.avoidable).times(registry.MILLION)


def entered(known: Facts) -> dict[str, Decimal]:
    """What any verdict costs, cached or not: the request, its two functions, and the record."""
    seconds = (
        known["authorize_seconds"] * known["voter_gb"] + known["api_seconds"] * known["api_gb"]
    )
    return {
        API: known["api_request"],
        LAMBDA: 2 * known["lambda_request"] + seconds * known["lambda_gb_second"],
        STORE: known["verdict_writes"] * known["write_unit"]
        + known["verdict_reads"] * known["read_unit"],
    }


def judged(use: Use, known: Facts) -> Cost:
    """What a verdict costs besides, if its votes are not cached: voters, machine and bookings."""
    by_model: dict[str, Decimal] = {}
    instructions = Decimal(0)
    for name, calls in _paid(use):
        by_model[name] = calls * _vote(name, use.packed, known)
        instructions += calls * _instructions(name, use.packed, known)
    waits = use.rounds * (_longest(use, known) + known["aggregate_seconds"])
    seconds = (
        sum(
            (calls * _seconds(name, known) * _gb(name, known) for name, calls in use.asked.items()),
            Decimal(0),
        )
        + use.rounds * known["aggregate_seconds"] * known["aggregate_gb"]
        + waits * known["api_gb"]
    )
    invocations = sum(use.asked.values(), use.rounds)
    writes = sum(
        (
            calls * known["free_vote_writes" if _free(name) else "paid_vote_writes"]
            for name, calls in use.asked.items()
        ),
        Decimal(0),
    )
    items = {
        MODELS: sum(by_model.values(), Decimal(0)),
        LAMBDA: invocations * known["lambda_request"] + seconds * known["lambda_gb_second"],
        MACHINE: known["express_request"]
        + waits * known["express_gb"] * known["express_gb_second"],
        STORE: writes * known["write_unit"],
    }
    avoidable = {
        INSTRUCTIONS: instructions,
        WAITING: waits * known["api_gb"] * known["lambda_gb_second"],
        BOOKING: items[STORE],
    }
    return Cost(items, by_model, avoidable)


def uses(known: Facts | None = None, *, packed: int = 1) -> Iterator[tuple[str, str, Use]]:
    """The packaged panels under each stop rule that was measured: panel, stop rule, use."""
    known = known or facts()
    for panel, rules in known.calls.asked.items():
        for stop, asked in rules.items():
            yield panel, stop, Use(asked, known.calls.rounds[panel][stop], packed)


def _paid(use: Use) -> Iterator[tuple[str, Decimal]]:
    return ((name, calls) for name, calls in use.asked.items() if not _free(name))


def _free(voter: str) -> bool:
    return registry.model(voter).kind == "embedded"


def _vote(voter: str, packed: int, known: Facts) -> Decimal:
    """Dollars of one content's share of a call."""
    model = registry.model(voter)
    per_content = known["content_tokens"] * _factor(voter) * model.price.input
    reply = known["reply_tokens"] * _factor(voter) * model.price.output
    return _instructions(voter, packed, known) + (per_content + reply) / registry.MILLION


def _instructions(voter: str, packed: int, known: Facts) -> Decimal:
    tokens = known["instruction_tokens"] * _factor(voter) / packed
    return tokens * registry.model(voter).price.input / registry.MILLION


def _factor(voter: str) -> Decimal:
    return Decimal(str(registry.model(voter).token_factor))


def _seconds(voter: str, known: Facts) -> Decimal:
    return known[f"{voter}_seconds" if _free(voter) else "gateway_seconds"]


def _gb(voter: str, known: Facts) -> Decimal:
    return known["meaning_gb" if voter == "meaning" else "voter_gb"]


def _longest(use: Use, known: Facts) -> Decimal:
    return max((_seconds(name, known) for name in use.asked), default=Decimal(0))
