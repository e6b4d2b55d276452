"""The picture of a verdict in the README: `make picture` judges texts and draws it.

The embedded voters judge in this process, so the picture shows what they really say, without a
deployment and without a key.
"""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from quorum.core.models import Verdict
from quorum.vote.panel import packaged
from rich.markup import escape

from cli.output import SafeConsole
from cli.tables import show_verdicts
from quorum_moderator import Moderator

PICTURE = Path(__file__).resolve().parent.parent / "docs/verdict.svg"
WIDTH = 88
"""Characters: the width of the picture's terminal."""
TEXTS = (
    "Thanks for the recipe, my kids loved it.",
    "You are a worthless idiot and everybody here hates you.",
    "This game is trash and so are its players.",
)
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""What Rich's pictures would load from another host."""


def legend(verdict: Verdict) -> tuple[str, ...]:
    """The lines that explain a verdict, in markup."""
    thresholds = packaged(verdict.panel).thresholds_of(verdict.language)
    assert thresholds is not None  # noqa: S101 - every packaged panel has them
    return (
        (
            f"[bold]verdict[/]  [red]unsafe[/] from a score of {thresholds.unsafe:.2f} on,"
            f" [green]safe[/] up to {1 - thresholds.safe:.2f}; between them, or if too"
        ),
        "         few voters answered, a person decides: [yellow]needs_review[/]",
        "[bold]score[/]    how unsafe the panel finds the text: the votes, weighed",
        "[bold]votes[/]    each voter's own decision, and how sure it is; an abstention says why",
        "[bold]cost[/]     exact, vote by vote; these three voters ask no model and cost nothing",
        f"[bold]reason[/]   {escape(verdict.reason)}",
    )


def draw(judged: Sequence[tuple[str, Verdict]]) -> str:
    """The SVG of a terminal that shows verdicts; the second one is explained."""
    console = SafeConsole(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print("[bold]$[/] quorum moderate - < comments.txt\n", highlight=False)
    show_verdicts(console, judged)
    console.print()
    for line in legend(judged[1][1]):
        console.print(line, highlight=False)
    drawn = console.export_svg(title="quorum", unique_id="verdict")
    return re.sub(r"[ \t]+$", "", _FONTS.sub("", drawn), flags=re.MULTILINE)


def main() -> None:
    """Judge the texts and write the picture."""
    with Moderator() as moderator:
        moderator.moderate(TEXTS[0])  # loads the voters, which takes seconds
        judged = [(text, moderator.moderate(text)) for text in TEXTS]
    PICTURE.write_text(draw(judged), encoding="utf-8")


if __name__ == "__main__":
    main()
