"""The plots of docs/benchmarks.md, as SVG beside the JSON that they show."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench import results
from bench.page import SIDES, WAYS

_COLOURS = ("#1f6feb", "#8c959f", "#bf8700", "#8250df", "#2da44e")
Draw = Callable[[Mapping[str, Any]], Figure]


def moderation(figures: Mapping[str, Any]) -> Figure:
    """Moderations a second, by the delay of the stand-in and the number at once."""
    upstream = figures["upstream_ms"]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, len(upstream), squeeze=False)[0]
    for one, (ms, part) in zip(axes, upstream.items(), strict=True):
        cells = part["at_once"]
        width = 0.8 / len(WAYS)
        for number, (name, way) in enumerate(WAYS.items()):
            one.bar(
                [place + number * width for place in range(len(cells))],
                [cell[name]["texts_per_second"] for cell in cells.values()],
                width,
                color=_COLOURS[number],
                label=way.replace("`", ""),
            )
        middle = width * (len(WAYS) - 1) / 2
        one.set_xticks([place + middle for place in range(len(cells))], [*cells])
        one.set_xlabel("at once")
        one.set_title(f"{ms} ms upstream", fontsize=10)
    axes[0].set_ylabel("moderations a second")
    axes[-1].legend(fontsize=7, frameon=False, loc="upper left")
    return figure


def growth(figures: Mapping[str, Any]) -> Figure:
    """Each measure over its size, beside what would be linear."""
    parts = {name: one for name, one in figures["by"].items() if one["sizes"]}
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(2, (len(parts) + 1) // 2, squeeze=False).flat
    for one, (name, part) in zip(axes, parts.items(), strict=False):
        sizes = part["sizes"]
        for number, (measure, found) in enumerate(part["measures"].items()):
            first = found["values"][0]
            relative = [value / first for value in found["values"]]
            one.plot(sizes, relative, "o-", ms=3, color=_COLOURS[number], label=measure)
        linear = [size / sizes[0] for size in sizes]
        one.plot(sizes, linear, ":", color="#8c959f", label="linear")
        one.set(xscale="log", yscale="log", xlabel=part["unit"])
        one.set_title(f"{name}: times the first", fontsize=9)
        one.legend(fontsize=6, frameon=False)
    return figure


def risk(figures: Mapping[str, Any]) -> Figure:
    """What is decided wrongly by how much is decided, as curves, and what a score is worth."""
    figure = Figure(figsize=(9, 7.4), layout="constrained")
    *sides, worth = figure.subplots(2, 2).flat
    languages = [*figures["curves"]["like"]]
    for one, (side, words) in zip(sides, SIDES.items(), strict=True):
        drawn: set[str] = set()
        for name, curve in figures["curves"][side].items():
            language = name.rpartition(", ")[2]
            colour = mpl.colormaps["tab10"](languages.index(language))
            style = "--" if language in drawn else "-"
            drawn.add(language)
            decided, wrong = zip((0.0, 0.0), *curve["points"], strict=True)
            one.plot(decided, wrong, style, color=colour, lw=1.2, label=name)
            one.plot(*curve["packaged"], "o", color=colour, ms=5)
        one.axhline(0.05, color="#8c959f", lw=0.8, ls=":")
        one.set(xlim=(0, 1), ylim=(0, 0.25), xlabel="share decided")
        one.set_title(f"texts {words}", fontsize=10)
        one.legend(fontsize=7, frameon=False, loc="lower right" if side == "kept" else "upper left")
    for one in (sides[0], sides[2]):
        one.set_ylabel("share decided wrongly")
    worth.plot([0, 1], [0, 1], color="#8c959f", lw=0.8, ls=":")
    for (side, bins), shade in zip(figures["reliability"].items(), _COLOURS, strict=False):
        scores, unsafe, share = zip(*bins, strict=True)
        worth.plot(scores, unsafe, color=shade, lw=1, label=f"texts {SIDES[side]}")
        worth.scatter(scores, unsafe, [300 * each for each in share], color=shade)
    worth.set(xlim=(0, 1), ylim=(0, 1), xlabel="score: the panel's probability of unsafe")
    worth.set_ylabel("share that is unsafe")
    worth.set_title("what the score is worth (dots: share of the texts)", fontsize=10)
    worth.legend(fontsize=7, frameon=False, loc="upper left")
    return figure


PLOTS: Mapping[str, Draw] = {"moderation": moderation, "growth": growth, "risk": risk}


def fingerprint(name: str) -> str:
    """The hash of the JSON that a plot shows."""
    return hashlib.sha256((results.FOLDER / f"{name}.json").read_bytes()).hexdigest()


def draw(name: str) -> Path:
    """Draw the plot of the benchmark called `name`; it tells which JSON it shows."""
    path = results.FOLDER / f"{name}.svg"
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        PLOTS[name](results.load(name)["figures"]).savefig(
            path, metadata={"Date": None, "Identifier": fingerprint(name)}
        )
    return path
