"""The plot of `quorum cost-model`: one bar for each panel and stop rule, by item."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from analysis.cost_model import Cost

_COLOURS = ("#c0392b", "#b9b9b9", "#2c3e50", "#8a8a8a", "#7f9bb3")


def draw(path: Path, costs: Sequence[tuple[str, Cost]]) -> None:
    """Draw the costs of a million verdicts, none of them cached, as stacked bars into a PNG."""
    figure = Figure(figsize=(9, 1 + 0.6 * len(costs)), layout="constrained")
    axes = figure.subplots()
    names = [name for name, _ in costs]
    left = [0.0] * len(costs)
    items = list(costs[0][1].items) if costs else []
    for item, colour in zip(items, _COLOURS, strict=False):
        widths = [float(cost.items[item]) for _, cost in costs]
        axes.barh(names, widths, left=left, color=colour, label=item, height=0.65)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        axes.text(total, place, f"  ${total:,.0f}", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("dollars per million verdicts, none cached (list prices)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=150, metadata={"Software": None})
