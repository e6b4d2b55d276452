"""The page docs/costs.md, which `quorum cost-model --report` writes."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain

from analysis import cost_model
from analysis.cost_model import BOOKING, INSTRUCTIONS, MODELS, WAITING, Cost, Fact, Use

PACKED = 8
_RATES = (Decimal(0), Decimal("0.5"), Decimal(1))
_HEAD = """# What a million verdicts cost

`quorum cost-model --report docs/costs.md --plot docs/costs.png` writes this page and its plot. Everything is computed, in decimals, from
list prices and from quantities that were measured, counted or assumed, each named [below](#facts); nothing is from a bill. Storage, logs,
traces and what is paid [while idle](deploy.md#what-it-costs) come on top.

![dollars per million verdicts, by item](costs.png)

"""
_DIFFERENCE = """
The costs of models on other pages ([benchmarks](benchmarks.md#accuracy-and-cost-of-panels)) are for 400 tokens in and 60 out of every model, without the factors by which
vendors count the same text differently. They are a little higher.

"""


def page() -> str:
    """The page, in Markdown."""
    return "".join(
        chain([_HEAD], _table(), [_DIFFERENCE], _models(), _avoidable(), _facts(), _asked())
    )


def _table() -> Iterator[str]:
    names = list(cost_model.million(_default()).items)
    yield f"| panel | stop rule | cached | {' | '.join(names)} | sum |\n"
    yield f"|---|---|---:|{'---:|' * (len(names) + 1)}\n"
    for panel, stop, use in cost_model.uses():
        for rate in _RATES:
            cost = cost_model.million(use, rate)
            amounts = " | ".join(_dollars(amount) for amount in cost.items.values())
            yield f"| {panel} | {stop} | {rate:.0%} | {amounts} | **{_dollars(cost.total)}** |\n"


def _models() -> Iterator[str]:
    yield "## By model\n\nNone cached.\n\n| panel | stop rule | model | dollars |\n|---|---|---|---:|\n"
    for panel, stop, use in cost_model.uses():
        for model, dollars in cost_model.million(use).by_model.items():
            yield f"| {panel} | {stop} | {model} | {_dollars(dollars)} |\n"


def _avoidable() -> Iterator[str]:
    use = _default()
    cost = cost_model.million(use)
    name, dollars = cost.largest
    packed = cost_model.million(Use(use.asked, use.rounds, PACKED))
    everybody = cost_model.million(_use("default", "all"))
    yield "\n## The largest avoidable item\n\n"
    yield f"With `default` it is **{name}: {_dollars(dollars)}** of {_dollars(cost.total)}. "
    yield (
        f"If {PACKED} contents of one policy shared a call, models would cost"
        f" {_dollars(packed.items[MODELS])} instead of {_dollars(cost.items[MODELS])}. Panels"
        " can [pack batches](panels.md#pack-a-batch). Discounts of vendors for cached prompts are not counted.\n\nWhat is avoided already: asking everybody about every text would cost"
        f" {_dollars(everybody.total)}; the stop rule `settled` saves"
        f" {_dollars(everybody.total - cost.total)}, and each verdict answered from the cache"
        f" {_share(cost)} of its cost.\n\n"
    )
    yield "| avoidable, none cached | " + f"{INSTRUCTIONS} | {WAITING} | {BOOKING} |\n"
    yield "|---|---:|---:|---:|\n"
    for panel, stop, one in cost_model.uses():
        found = cost_model.million(one).avoidable
        amounts = " | ".join(_dollars(found[item]) for item in (INSTRUCTIONS, WAITING, BOOKING))
        yield f"| {panel}, {stop} | {amounts} |\n"


def _share(cost: Cost) -> str:
    cached = cost_model.million(_default(), Decimal(1))
    return f"{1 - cached.total / cost.total:.0%}"


def _facts() -> Iterator[str]:
    known = cost_model.facts()
    yield "\n## Facts\n\nIn `analysis/cost_facts.json` and `analysis/asked.json`. Prices of models: `quorum/core/registry.py`.\n\n"
    yield "| value | of | source | date |\n|---:|---|---|---|\n"
    for fact in chain(known.prices.values(), known.quantities.values()):
        yield _fact(fact)


def _fact(fact: Fact) -> str:
    return f"| {fact.value:f} | {fact.unit} | {fact.source} | {fact.date} |\n"


def _asked() -> Iterator[str]:
    known = cost_model.facts()
    yield f"\nCalls of a verdict: {known.calls.source}.\n\n"
    yield "| panel | stop rule | calls | rounds |\n|---|---|---|---:|\n"
    for panel, stop, use in cost_model.uses():
        calls = ", ".join(f"{name} {share}" for name, share in use.asked.items())
        yield f"| {panel} | {stop} | {calls} | {use.rounds} |\n"


def _default() -> Use:
    return _use("default", "settled")


def _use(panel: str, stop: str) -> Use:
    known = cost_model.facts()
    return Use(known.calls.asked[panel][stop], known.calls.rounds[panel][stop])


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.1f}"
