"""The tables of docs/benchmarks.md that are generated from docs/benchmarks/*.json, and their plots.

``python -m bench.page`` writes between the page's markers, ``<!-- measured: NAME -->`` and
``<!-- end of NAME -->``, what the benchmark NAME measured, and draws its plots beside the JSON.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench import results
from local.state import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
WAYS = {
    "quorum": "Quorum",
    "published": "the published agent's way",
    "openai": "`openai` SDK",
    "litellm": "LiteLLM",
    "any-llm": "any-llm",
}
BUSY = 2.0
"""The load from which on something else took the machine's time as well: it has two processors."""
Section = Callable[[Mapping[str, Any]], Iterator[str]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def ran(runs: Sequence[Mapping[str, Any]]) -> str:
    """How the figures came about: the commands, the days and the loads before them."""
    commands = dict.fromkeys(str(run["command"]) for run in runs)
    days = sorted({str(run["date"]) for run in runs})
    loads = sorted(float(run["load_before"]) for run in runs)
    load = f"{loads[0]:.1f}" if loads[0] == loads[-1] else f"{loads[0]:.1f} to {loads[-1]:.1f}"
    said = ", ".join(f"`{command}`" for command in commands)
    busy = "; **a busy machine: read the ratios**" if loads[-1] > BUSY else ""
    others = dict.fromkeys(
        f"; of {run['date']} with {where(run)}" for run in runs if "machine" in run
    )
    return f"{said} ({', '.join(days)}; load before: {load}{busy}{''.join(others)})"


def where(measured: Mapping[str, Any]) -> str:
    """The machine and the versions."""
    machine, versions = measured["machine"], dict(measured["versions"])
    packages = [f"{name} {number}" for name, number in versions.items() if name != "python"]
    listed = f"; {', '.join(packages)}" if packages else ""
    return (
        f"{machine['cores']} cores, {machine['architecture']}, Python {versions['python']}{listed}"
    )


def moderation(measured: Mapping[str, Any]) -> Iterator[str]:
    """A moderation end to end, by contestant."""
    figures = measured["figures"]
    upstream, faults = figures["upstream_ms"], figures["faults"]
    runs = [part["run"] for part in upstream.values()]
    yield f"{ran([*runs, faults['run']])}. {where(measured)}.\n\n"
    yield "Milliseconds of a moderation, one at a time, p50 / p95 / p99:\n\n"
    alone = {ms: part["at_once"]["1"] for ms, part in upstream.items()}
    yield table(
        ["", *(f"{ms} ms upstream ({_texts(cell)} texts)" for ms, cell in alone.items())],
        [[way, *(_times(cell[name]) for cell in alone.values())] for name, way in WAYS.items()],
    )
    yield "\nModerations a second, and the most memory of the process at 0 ms:\n\n"
    cells = [
        (f"{ms} ms, {at_once} at once", cell)
        for ms, part in upstream.items()
        for at_once, cell in part["at_once"].items()
    ]
    memory = upstream["0"]["peak_mib"]
    yield table(
        ["", *(head for head, _ in cells), "MiB", "processor ms a text, 0 ms, 10 at once"],
        [
            [
                way,
                *(_rate(cell[name]) for _, cell in cells),
                f"{memory[name]:.0f}",
                f"{upstream['0']['at_once']['10'][name]['processor_ms']:.1f}",
            ]
            for name, way in WAYS.items()
        ],
    )
    yield "\n![moderations a second](benchmarks/moderation.svg)\n\n"
    some = next(iter(faults["each"].values()))["texts"]
    yield f"{some} texts, ten at once, 10 % answers of 429, 5 % of 500, 2 % that break off:\n\n"
    yield table(
        ["", "all three votes", "votes", "calls", "counted, $", "charged, $", "counted of charged"],
        [[way, *_books(faults["each"][name])] for name, way in WAYS.items()],
    )


def _texts(cell: Mapping[str, Any]) -> str:
    return str(next(iter(cell.values()))["texts"])


def _times(one: Mapping[str, Any]) -> str:
    return " / ".join(f"{one[f'p{percent}_ms']:.1f}" for percent in (50, 95, 99))


def _rate(one: Mapping[str, Any]) -> str:
    return f"{one['texts_per_second']:.0f}"


def _books(one: Mapping[str, Any]) -> list[str]:
    right = one["counted_usd"] == one["charged_usd"]
    share = "to the last digit" if right else f"{one['counted_of_charged']:.1%}"
    numbers = (str(one[name]) for name in ("three_votes", "votes", "calls"))
    return [*numbers, one["counted_usd"], one["charged_usd"], share]


def plumbing(measured: Mapping[str, Any]) -> Iterator[str]:
    """Quorum's own time."""
    figures = measured["figures"]
    yield f"{ran([figures['run'], figures['tally_run']])}. {where(measured)}.\n\n"
    yield table(
        ["Quorum's own time, ms", "p50", "p99", "aim at p50"],
        [
            ["a vote in the handler", *_own(figures["vote_in_handler"]), "5"],
            [
                "a verdict from cached votes in the API function",
                *_own(figures["cached_verdict"]),
                "15",
            ],
        ],
    )
    yield "\nVerdicts a second on one core, all votes there:\n\n"
    yield table(
        ["", "tally", "with policy and category scores"],
        [
            [name, *(f"{number:,}" for number in one.values())]
            for name, one in figures["tally"].items()
        ],
    )
    yield "\nMilliseconds of a core for a text, by voter, language and characters:\n\n"
    voters = figures["embedded"]
    languages = next(iter(voters.values()))
    lengths = next(iter(languages.values()))
    yield table(
        ["", *(f"{language}, {length}" for language in languages for length in lengths)],
        [
            [f"`{voter}`", *(f"{ms:.1f}" for each in one.values() for ms in each.values())]
            for voter, one in voters.items()
        ],
    )


def _own(one: Mapping[str, Any]) -> list[str]:
    return [f"{one[name]:.1f}" for name in ("p50_ms", "p99_ms")]


def growth(measured: Mapping[str, Any]) -> Iterator[str]:
    """How each measure grows."""
    figures = measured["figures"]
    yield f"{ran([figures['run']])}. {where(measured)}.\n\n"
    yield table(
        ["what grows", "from", "to", "measure", "at first", "at last", "exponent"],
        [
            [
                name,
                *(f"{size:,}" for size in (one["sizes"][0], one["sizes"][-1])),
                measure,
                *(_amount(found["values"][end]) for end in (0, -1)),
                "" if found["exponent"] is None else f"{found['exponent']:.2f}",
            ]
            for name, one in figures["by"].items()
            for measure, found in one["measures"].items()
        ],
    )
    yield "\n![growth](benchmarks/growth.svg)\n"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 three digits


CLIENTS = {"bare httpx": "bare httpx", "quorum.gateway": "Quorum", "openai SDK": "`openai` SDK"}


def gateway(measured: Mapping[str, Any]) -> Iterator[str]:
    """The time that the client adds to a call."""
    figures = measured["figures"]
    called = figures["client"]
    bare = called["bare httpx"]
    yield f"{ran([figures['run']])}. {where(measured)}.\n\n"
    yield table(
        [f"{figures['calls']:,} calls each, ms", "p50", "p99", "added at p50", "p99 ÷ bare"],
        [
            [
                shown,
                *(f"{called[name][one]:.2f}" for one in ("p50_ms", "p99_ms")),
                f"{called[name]['p50_ms'] - bare['p50_ms']:+.2f}",
                f"{called[name]['p99_ms'] / bare['p99_ms']:.2f}",
            ]
            for name, shown in CLIENTS.items()
        ],
    )


def chat(measured: Mapping[str, Any]) -> Iterator[str]:
    """The time that the chat adds to a stream."""
    figures = measured["figures"]
    size, first, cancel = figures["size"], figures["first_token"], figures["cancel"]
    ways, ends = ("directly", "by bare functions", "by chat"), figures["end_after_last_token_ms"]
    yield f"{ran([figures['run']])}. {where(measured)}.\n\n"
    yield table(
        ["first token, ms", *ways, "added", "aim", "Quorum's own"],
        [
            [
                f"{shown} of {size['chats']} answers",
                *(f"{first[way][name]:.0f}" for way in ways),
                f"{first['by chat'][name] - first['directly'][name]:+.0f}",
                aim,
                f"{first['by chat'][name] - first['by bare functions'][name]:+.0f}",
            ]
            for name, shown, aim in (("p50_ms", "p50", "+15"), ("p99_ms", "p99", ""))
        ],
    )
    yield "\n"
    yield table(
        ["tokens a second, first to last", "directly", "by chat", "share", "aim"],
        [
            [
                f"{figures['tokens']:,} sent {pace} ({size['long']} answers)",
                *(f"{speed[way]:,}" for way in ("directly", "by chat")),
                f"{speed['by chat'] / speed['directly']:.0%}",
                "85 %",
            ]
            for pace, speed in figures["tokens_per_second"].items()
        ],
    )
    yield "\n"
    yield table(
        ["other times, ms", "p50", "longest", "aim"],
        [
            ["a call of the stack's store", f"{figures['store_call_ms']:.1f}", "", ""],
            ["from the last token to the message that ends", f"{ends['by chat']}", "", ""],
            [
                f"a cancel ({size['cancels']} cancels)",
                f"{cancel['p50_ms']:,}",
                f"{cancel['longest_ms']:,}",
                "1,000",
            ],
        ],
    )


def batch(measured: Mapping[str, Any]) -> Iterator[str]:
    """How much of a rate limit a batch uses, and how often its transactions meet."""
    rate, conflicts = (measured["figures"][part] for part in ("rate", "conflicts"))
    yield f"{ran([rate['run'], conflicts['run']])}. {where(measured)}.\n\n"
    yield table(
        ["limit a minute", "seconds", "items settled", "of the limit", "aim", "answers of 429"],
        [
            [
                f"{rate['requests_per_minute']:,}",
                f"{rate['seconds']:.0f}",
                f"{rate['settled']:,}",
                f"{rate['share_of_limit']:.1%}",
                "95 %",
                f"{rate['refused']} of {rate['asked']:,}",
            ]
        ],
    )
    yield "\n"
    yield table(
        [
            f"{conflicts['workers']} workers, counters in",
            *("items a second", "transactions", "conflicts", "share"),
        ],
        [
            [
                name,
                f"{one['items_per_second']:.1f}",
                f"{one['transactions']:,}",
                f"{one['conflicts']:,}",
                f"{one['share']:.0%}",
            ]
            for name, one in conflicts["by"].items()
        ],
    )


def doors(measured: Mapping[str, Any]) -> Iterator[str]:
    """Quorum's own time in an answer of each way to a verdict."""
    figures = measured["figures"]
    median = figures["median_ms"]
    yield f"{ran([figures['run']])}. {where(measured)}.\n\n"
    yield f"Medians of {figures['rounds']} rounds, ms:\n\n"
    rows = [
        [name, f"{whole:.0f}", f"{bare:.0f}", f"{machine:.0f}", f"{whole - bare - machine:.0f}"]
        for where_, shown in (("emulator", "under the runtime emulator"), ("stack", "over HTTP"))
        for route in ("POST /verdicts", "POST /moderations")
        for name, whole, bare, machine in [
            (
                f"`{route}`, {shown}",
                median[f"{route}, {where_}"],
                median[f"bare, {where_}"],
                median["machine"],
            )
        ]
    ]
    several, one = median["list, stack"], median["POST /moderations, stack"]
    ratio = "–" if several is None else f"{several:.0f} ({several / one:.1f} × one)"
    yield table(
        ["", "answer", "bare handler", "vote machine", "Quorum's own (aim 60)"],
        [*rows, ["`POST /moderations`, a list of 32 (aim 3 × one)", ratio, "", "", ""]],
    )


def start(measured: Mapping[str, Any]) -> Iterator[str]:
    """The start of every function."""
    figures = measured["figures"]
    yield f"{ran([one['run'] for one in figures.values()])}. {where(measured)}.\n\n"
    fewest = min(one["runs"] for one in figures.values())
    several = f"The fastest of {fewest} new processes for each figure"
    yield f"{'One new process for each figure' if fewest == 1 else several}.\n\n"
    yield table(
        [
            *("function", "MB", "INIT, ms", "bare import, ms", "INIT ÷ import"),
            *("processor, ms of the import", "INIT without bytecode, ms", "÷ INIT"),
            *("first call, ms", "second", "load before"),
        ],
        [
            [
                name.removesuffix("Function"),
                f"{one['memory_mb']:,}",
                f"{one['init_ms']:,}",
                f"{one['import_ms']:,}",
                f"{one['init_ms'] / one['import_ms']:.2f}",
                f"{one['processor_ms']:,}",
                f"{one['init_without_bytecode_ms']:,}",
                f"{one['init_without_bytecode_ms'] / one['init_ms']:.2f}",
                *([f"{ms:,}" for ms in one["calls_ms"]] or ["", ""]),
                f"{one['run']['load_before']:.1f}",
            ]
            for name, one in figures.items()
        ],
    )


SIDES = {
    "like": "like the training",
    "unlike": "of unseen sources",
    "kept": "kept apart",
}
"""Kinds of texts on which the panel `embedded` is measured, and their names."""


def risk(measured: Mapping[str, Any]) -> Iterator[str]:
    """What the panel `embedded` decides wrongly, by how much it decides."""
    figures = measured["figures"]
    yield f"`{figures['run']['command']}` ({figures['run']['date']}). {where(measured)}.\n\n"
    yield table(
        [
            *("texts", "", "number", "decided", "wrong"),
            *("decided where 5 % is wrong", "wrong where 40 % is decided", "decided at most"),
        ],
        [
            [
                words,
                name,
                f"{curve['texts']:,}",
                *(f"{share:.1%}" for share in curve["packaged"]),
                f"{curve['decided_at_5_percent_wrong']:.0%}",
                *(f"{wrong:.1%}" for decided, wrong in curve["points"] if decided == HALFWAY),
                *([] if curve["most_decided"] >= HALFWAY else ["–"]),
                f"{curve['most_decided']:.0%}",
            ]
            for side, words in SIDES.items()
            for name, curve in figures["curves"][side].items()
        ],
    )


HALFWAY = 0.4
"""Share decided of functional tests and comments that was aimed at."""
SECTIONS: Mapping[str, Section] = {
    "moderation": moderation,
    "plumbing": plumbing,
    "growth": growth,
    "gateway": gateway,
    "chat": chat,
    "batch": batch,
    "start": start,
    "doors": doors,
    "risk": risk,
}


def section(name: str) -> str:
    """What the benchmark called `name` measured, in Markdown."""
    return "".join(SECTIONS[name](results.load(name)))


def with_section(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of `name`."""
    begin, end = f"<!-- measured: {name} -->\n", f"<!-- end of {name} -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"{PAGE.name} has no place for {name}")
    return between.sub(lambda _: f"{begin}\n{text}\n{end}", page)


def main() -> None:
    """Write the tables and draw the plots."""
    from bench import plots  # noqa: PLC0415 - matplotlib is slow to import

    page = PAGE.read_text(encoding="utf-8")
    for name in SECTIONS:
        page = with_section(page, name, section(name))
        if name in plots.PLOTS:
            print(plots.draw(name))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
