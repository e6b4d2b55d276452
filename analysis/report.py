"""The evaluation as Markdown, with plots a reader understands without the text."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from quorum.vote.panel import Panel, Stop

from analysis import evaluation
from analysis.counts import counted
from analysis.evaluation import Answers, Evaluation, Figures, percent
from analysis.recorded import NO_LANGUAGE, REVIEW, SAFE, UNSAFE, Flags, Floats, Indices, Recorded

_INK, _GREY, _ACCENT, _SOFT = "#222222", "#8a8a8a", "#c0392b", "#e8b4ae"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
}
_COLUMNS = ("accuracy", "decided_accuracy", "review_rate", "precision", "recall", "f1", "auprc")
_SCALES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Multiples of a panel's risk bounds, for the frontier."""
_ROWS_FOR_THE_LINE = 10_000
"""Rows beyond which the frontier line is left out: it would take nine more replays."""
_SHOWN_BELOW_THE_BEST = 0.15
_LANGUAGES_SHOWN = 9
"""Languages that have a line or a plot of their own: more could not be told apart."""
_LEAST_ROWS_SHOWN = 30
"""Rows of a language below which a line of its own would be chance."""


def write(
    folder: Path,
    measured: Evaluation,
    rows: Recorded,
    panel: Panel | None,
    costs: Mapping[str, Decimal],
) -> Path:
    """Write `report.md` and its plots into `folder`; returns the path of the former."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Evaluation",
        _opening(measured, panel, len(rows)),
        "## Overall",
        _table(measured.overall.panel, measured.overall.voters),
    ]
    with mpl.rc_context(_STYLE):
        parts += _plots(folder, measured, rows, panel, costs)
    parts.append("## By language")
    for language, section in measured.languages.items():
        parts += [
            f"### {language or NO_LANGUAGE} ({counted(section.rows, 'row')})",
            _table(section.panel, section.voters),
        ]
    path = folder / "report.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _opening(measured: Evaluation, panel: Panel | None, number: int) -> str:
    about = f"{number} labelled rows"
    if panel is not None:
        rounds = " → ".join(", ".join(voters) for voters in panel.rounds)
        about += f"; panel `{panel.name}` (version `{panel.version}`): {rounds}"
    reference = f" Costs are compared with `{measured.reference}`." if measured.reference else ""
    return (
        f"{about}.{reference} Figures are followed by half the width of their bootstrap 95 % "
        "interval. Accuracy, precision, recall and F1 force a decision where a person would be "
        "asked; decided accuracy counts only what was decided."
    )


def _table(panel: Figures | None, voters: Mapping[str, Figures]) -> str:
    names = [*_COLUMNS, "calls_per_1000", "cost_per_1000_usd", "cost_vs_reference"]
    lines = [
        "| |" + "|".join(name.replace("_", " ") for name in names) + "|",
        "|---|" + "---:|" * len(names),
    ]
    named = ({"**panel**": panel} if panel is not None else {}) | dict(voters)
    for name, found in named.items():
        cells = [percent(found[column]) for column in _COLUMNS]
        calls, dollars = found["calls_per_1000"], found["cost_per_1000_usd"]
        cells.append("–" if calls is None else f"{calls.value:.0f}")
        cells.append("–" if dollars is None else f"{dollars.value:.3f}")
        cells.append(percent(found["cost_vs_reference"]))
        lines.append(f"|{name}|" + "|".join(cells) + "|")
    return "\n".join(lines)


def _plots(
    folder: Path,
    measured: Evaluation,
    rows: Recorded,
    panel: Panel | None,
    costs: Mapping[str, Decimal],
) -> list[str]:
    parts: list[str] = []

    def save(name: str, figure: Figure, words: str) -> None:
        figure.savefig(folder / name)
        parts.extend([f"![{words}]({name})"])

    if measured.reference is not None:
        save(
            "frontier.png",
            _frontier(measured, rows, panel, costs),
            "Cost and accuracy of the panel and of every voter alone",
        )
    if measured.panel is not None:
        save("confusion.png", _confusion(measured.panel, rows), "Verdicts by language and label")
        if not np.isnan(measured.panel.scores).any():
            middles = (
                np.full(len(rows), 0.5) if panel is None else evaluation.midpoints(panel, rows)
            )
            save(
                "coverage.png",
                _coverage(measured.panel, rows, middles),
                "Accuracy of the surest rows, by how many are decided",
            )
            save(
                "reliability.png",
                _reliability(measured.panel, rows),
                "How often a content is unsafe, by score",
            )
            if _shown_languages(rows):
                save(
                    "reliability-by-language.png",
                    _reliability_by_language(measured.panel, rows),
                    "How often a content is unsafe, by score and language",
                )
    return parts


# --- cost and accuracy ---------------------------------------------------------------------------


def _frontier(
    measured: Evaluation, rows: Recorded, panel: Panel | None, costs: Mapping[str, Decimal]
) -> Figure:
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    points: list[tuple[float, float, str]] = []
    for name, found in measured.overall.voters.items():
        share, accuracy = found["cost_vs_reference"], found["accuracy"]
        if share is not None and accuracy is not None:
            points.append((share.value, accuracy.value, name))
    curve = [] if panel is None else _at_other_bounds(measured, rows, panel, costs)
    if curve:
        axes.plot(
            [share for share, _ in curve], [right for _, right in curve], color=_SOFT, zorder=1
        )
    # A voter far below the best would compress the plot; it is named at the lower edge.
    floor = max((y for _, y, _ in points), default=1.0) - _SHOWN_BELOW_THE_BEST
    labels = [
        (x, y, name, _INK) if y >= floor else (x, floor, f"{name}: {y:.0%}, below", _GREY)
        for x, y, name in points
    ]
    axes.scatter([x for x, *_ in labels], [y for _, y, *_ in labels], s=22, color=_GREY, zorder=2)
    found_panel = measured.overall.panel
    if found_panel is not None:
        share, accuracy = found_panel["cost_vs_reference"], found_panel["accuracy"]
        if share is not None and accuracy is not None:
            axes.errorbar(
                share.value,
                accuracy.value,
                yerr=[[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]],
                fmt="o",
                color=_ACCENT,
                zorder=3,
            )
            labels.append((share.value, accuracy.value, "panel", _ACCENT))
    axes.set_xscale("symlog", linthresh=0.02, linscale=0.4)
    ticks = [0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0]
    dearest = max((x for x, *_ in labels), default=1.0)
    shown = [tick for tick in ticks if tick <= dearest * 1.3]
    axes.set_xticks(shown, [f"{tick:.0%}" for tick in shown])
    axes.minorticks_off()
    axes.set_xlim(-0.004, dearest * 2.2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.set_xlabel(f"cost, as a share of {measured.reference} alone")
    axes.set_ylabel("accuracy, decisions forced")
    axes.set_title("What accuracy costs" + (" (line: other risk bounds)" if curve else ""))
    figure.draw_without_rendering()  # settles the layout, so that positions are known
    _label(axes, labels)
    return figure


def _at_other_bounds(
    measured: Evaluation, rows: Recorded, panel: Panel, costs: Mapping[str, Decimal]
) -> list[tuple[float, float]]:
    """Cost and accuracy of the panel, were it to stop earlier or later."""
    if panel.stop is not Stop.RISK or panel.risk is None or measured.reference is None:
        return []
    if len(rows) > _ROWS_FOR_THE_LINE:
        return []
    reference = float(costs[measured.reference])
    found = []
    for scale in _SCALES:
        risk = tuple(min(bound * scale, 0.5) for bound in panel.risk)
        answers = evaluation.replay(panel.model_copy(update={"risk": risk}), rows, costs)
        if answers.dollars is not None:
            right = float((answers.forced == rows.gold).mean())
            found.append((float(answers.dollars.mean()) / reference, right))
    return sorted(found)


def _label(axes: Axes, labels: Sequence[tuple[float, float, str, str]]) -> None:
    """Names beside their points, moved up or down until none covers another."""
    # Points themselves are in the way of names, too.
    dots = (axes.transData.transform(label[:2]) * 72 / axes.figure.dpi for label in labels)
    placed = [(float(x) - 4, float(x) + 4, float(y)) for x, y in dots]
    line = 11.0  # points from one line of text to the next
    letter = 4.6  # points a letter takes, at this size
    for x, y, name, colour in sorted(labels, key=lambda label: (label[3] != _ACCENT, -label[1])):
        left, middle = (
            float(value) * 72 / axes.figure.dpi for value in axes.transData.transform((x, y))
        )
        left += 7
        right = left + letter * len(name)
        shift = 0.0
        for attempt in range(60):
            shift = line * 0.5 * ((attempt + 1) // 2) * (-1 if attempt % 2 else 1)
            if all(
                abs(middle + shift - other) >= line or right < start or left > end
                for start, end, other in placed
            ):
                break
        placed.append((left, right, middle + shift))
        axes.annotate(
            name,
            (x, y),
            xytext=(7, shift),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
            fontweight="bold" if colour == _ACCENT else "normal",
            arrowprops={"arrowstyle": "-", "color": _GREY, "lw": 0.4, "relpos": (0, 0.5)}
            if abs(shift) > line
            else None,
        )


# --- what the score is worth ---------------------------------------------------------------------


def _coverage(answers: Answers, rows: Recorded, middles: Floats) -> Figure:
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    right = np.where(answers.scores >= middles, UNSAFE, SAFE) == rows.gold
    sureness = np.abs(answers.scores - middles)
    languages = _shown_languages(rows)
    for language, here in languages.items():
        share, accuracy = _covered(right[here], sureness[here])
        axes.plot(share, accuracy, lw=1.0, color=_shade(language, languages), label=language)
    share, accuracy = _covered(right, sureness)
    axes.plot(share, accuracy, color=_INK, lw=1.6, label="all" if languages else None)
    if languages:
        axes.legend(frameon=False, fontsize=8, loc="lower left", ncols=3)
    decided = (answers.decisions != REVIEW) & (answers.decisions != 0)
    if decided.any():
        x = float(decided.mean())
        y = float((answers.decisions[decided] == rows.gold[decided]).mean())
        axes.plot(x, y, "o", color=_ACCENT)
        axes.annotate(
            f"this panel decides {x:.0%},\n{y:.1%} of it right",
            (x, y),
            xytext=(-14, -14),
            textcoords="offset points",
            ha="right",
            va="top",
            color=_ACCENT,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share of contents decided, the surest first")
    axes.set_ylabel("accuracy of decided contents")
    axes.set_title("More reviews make the remaining decisions more certain")
    return figure


def _covered(right: Flags, sureness: Floats) -> tuple[Floats, Floats]:
    """The share decided and its accuracy, from the surest rows on."""
    order = np.argsort(-sureness, kind="stable")
    # Rows equally sure are decided together: only the ends of ties are points of the curve.
    ends = np.flatnonzero(np.append(np.diff(sureness[order]) != 0, True))
    number = np.arange(1, len(right) + 1)
    accuracy = np.cumsum(right[order]) / number
    share = number / len(right)
    shown = ends[share[ends] >= 0.05]  # noqa: PLR2004 - the accuracy of a handful says nothing
    return share[shown], accuracy[shown]


def _shown_languages(rows: Recorded) -> dict[str, Indices]:
    """The rows of each language, the commonest first; none if there is only one language."""
    languages, counts = np.unique(rows.languages, return_counts=True)
    if len(languages) == 1:
        return {}
    commonest = languages[np.argsort(-counts, kind="stable")][:_LANGUAGES_SHOWN]
    return {
        str(language) or NO_LANGUAGE: np.flatnonzero(rows.languages == language)
        for language in commonest
        if (rows.languages == language).sum() >= _LEAST_ROWS_SHOWN
    }


def _shade(language: str, languages: Mapping[str, object]) -> Any:
    return mpl.colormaps["tab10"](list(languages).index(language) % 10)


def _reliability_by_language(answers: Answers, rows: Recorded) -> Figure:
    languages = _shown_languages(rows)
    across = min(len(languages), 4)
    down = -(-len(languages) // across)
    figure = Figure(figsize=(2.4 * across + 0.6, 2.4 * down + 0.6))
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(languages) :]:
        axes.set_axis_off()
    for axes, (language, here) in zip(grid.flat, languages.items(), strict=False):
        _calibration(axes, answers.scores[here], rows.gold[here] == UNSAFE, bins=5)
        axes.set_title(f"{language} ({len(here):,})")
    figure.supxlabel("score: the panel's probability of unsafe", fontsize=10)
    figure.supylabel("share that is unsafe", fontsize=10)
    return figure


def _calibration(axes: Axes, scores: Floats, unsafe: Flags, bins: int) -> None:
    """The share that is unsafe by score, with 95 % bars, and the diagonal."""
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.digitize(scores, edges) - 1, 0, bins - 1)
    axes.plot([0, 1], [0, 1], color=_GREY, lw=0.8, ls=":")
    for index in np.unique(which):
        here = which == index
        said, was = float(scores[here].mean()), float(unsafe[here].mean())
        low, high = _wilson(was, int(here.sum()))
        axes.plot([said, said], [low, high], color=_ACCENT, lw=1)
        axes.plot(said, was, "o", color=_ACCENT, ms=5)


def _reliability(answers: Answers, rows: Recorded) -> Figure:
    figure = Figure(figsize=(5.6, 5.6))
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(answers.scores, edges) - 1, 0, 9)
    number = np.bincount(bins, minlength=10)
    _calibration(axes, answers.scores, rows.gold == UNSAFE, bins=10)
    counts.bar(edges[:-1] + 0.05, number, width=0.09, color=_GREY)
    for position, count in enumerate(number):
        counts.annotate(
            str(count), (edges[position] + 0.05, count), ha="center", va="bottom", fontsize=8
        )
    counts.set_ylim(0, 1.25 * max(int(np.max(number)), 1))
    counts.set_yticks([])
    counts.spines["left"].set_visible(False)
    counts.set_xlabel("score: the panel's probability of unsafe")
    counts.set_ylabel("contents")
    axes.set_ylabel("share that is unsafe")
    axes.set_title("Calibration of the score (bars: 95 %)")
    return figure


def _wilson(share: float, number: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `number` rows."""
    z = 1.96
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    spread = share * (1 - share) / number + z * z / (4 * number * number)
    half = z * float(np.sqrt(spread)) / (1 + z * z / number)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _confusion(answers: Answers, rows: Recorded) -> Figure:
    languages = [str(language) for language in np.unique(rows.languages)]
    across = min(len(languages), 4)
    down = -(-len(languages) // across)
    figure = Figure(figsize=(2.6 * across + 0.6, 2.2 * down + 0.5))
    grid = figure.subplots(down, across, squeeze=False)
    shades = mpl.colormaps["Greys"]
    verdicts = (("safe", SAFE), ("review", REVIEW), ("unsafe", UNSAFE))
    for position, axes in enumerate(grid.flat):
        if position >= len(languages):
            axes.set_axis_off()
            continue
        here = rows.languages == languages[position]
        table: Floats = np.array(
            [
                [
                    ((answers.decisions == verdict) & (rows.gold == label) & here).sum()
                    for _, verdict in verdicts
                ]
                for label in (SAFE, UNSAFE)
            ],
            dtype=np.float64,
        )
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap=shades, vmin=0, vmax=1.3, aspect="auto")
        for (row, column), count in np.ndenumerate(table):
            wrong = (row, column) in {(0, 2), (1, 0)}
            dark = shares[row, column] > 0.6  # noqa: PLR2004 - where black would not be read
            axes.text(
                column,
                row,
                f"{count:.0f}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                fontsize=9,
                color=_ACCENT if wrong else ("white" if dark else _INK),
            )
        axes.set_xticks(range(3), [name for name, _ in verdicts])
        axes.set_yticks(range(2), ["safe", "unsafe"] if position % across == 0 else ["", ""])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(languages[position] or NO_LANGUAGE)
    figure.supxlabel("verdict (errors in red)", fontsize=10)
    figure.supylabel("label", fontsize=10)
    return figure
