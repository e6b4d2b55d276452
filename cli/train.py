"""`quorum train`: train the embedded voters on labelled texts of your own."""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from quorum.core.normalise import normalise

from analysis.counts import counted
from analysis.recorded import SAFE, UNSAFE
from cli import loading
from cli.output import notes

LEAST_OF_A_LABEL = 30
"""Safe and unsafe texts that a language needs: fewer teach nothing and cannot be calibrated on."""
SOURCE = "labels"
"""Name of the user's texts where sources are named."""
TEXTS = "TEXTS.csv"
CARD = "model-card.md"
VOTES = "votes.csv"


def train(
    out: Annotated[Path, typer.Option(help="the folder to write to")],
    texts: Annotated[
        Path | None,
        typer.Argument(
            metavar="TEXTS.csv",
            exists=True,
            dir_okay=False,
            help="columns language, text and gold",
        ),
    ] = None,
    *,
    licence: Annotated[str, typer.Option(help="the licence of the texts, for the cards")] = "yours",
    seed: Annotated[int, typer.Option(help="the random seed")] = 1,
    install: Annotated[
        bool,
        typer.Option(
            "--install",
            help="put the voters in place of those of this checkout, which the next deployment"
            " takes; without TEXTS.csv those that are in the folder",
        ),
    ] = False,
) -> None:
    """Train the embedded voters on labels of your own: weights, out-of-fold votes, model cards.

    The same file and seed give the same bytes on the same machine. Nothing leaves it.
    """
    if texts is None and not install:
        raise typer.BadParameter("is missing: it has the texts to learn from", param_hint=TEXTS)
    if texts is not None:
        _fit(texts, out, licence, seed)
    if install:
        _install(out)


def _fit(texts: Path, out: Path, licence: str, seed: int) -> None:
    # scikit-learn and the encoder take seconds to load: no other command waits for them.
    from training import installing  # noqa: PLC0415 slow to load
    from training.cards import cards  # noqa: PLC0415 slow to load
    from training.rows import Row, distinct  # noqa: PLC0415 slow to load
    from training.train import train as fit  # noqa: PLC0415 slow to load

    recorded = loading.read_votes(texts)
    rows = distinct(
        Row(str(language), normalise(text).text, bool(gold == UNSAFE), SOURCE)
        for language, text, gold in zip(
            recorded.languages, recorded.texts, recorded.gold, strict=True
        )
        if gold in {SAFE, UNSAFE}
    )
    counts = Counter((row.language, row.unsafe) for row in rows)
    for language in sorted({row.language for row in rows}):
        _check(language, safe=counts[language, False], unsafe=counts[language, True])
    if not rows:
        raise typer.BadParameter("no row has a text and a label", param_hint=TEXTS)
    votes = fit(rows, seed, out, out / VOTES).votes
    found = installing.known(out).voters
    versions = {voter: getattr(found, voter).revision for voter in votes}
    digest = sha256(texts.read_bytes()).hexdigest()[:12]
    page = cards(
        rows,
        votes,
        versions,
        data=f"{counted(len(rows), 'text')} of {texts.name} (SHA-256 {digest}…)",
        licence=licence,
        command=f"quorum train {texts.name} --out FOLDER --seed {seed}",
    )
    (out / CARD).write_text(page, encoding="utf-8")
    notes.print(f"{out}: weights of {', '.join(versions)}, {VOTES}, {CARD}", highlight=False)


def _install(folder: Path) -> None:
    from embedded.weights import WeightsUnreadable  # noqa: PLC0415 slow to load

    from training import installing  # noqa: PLC0415 slow to load

    try:
        found = installing.install(folder, installing.ROOT)
    except WeightsUnreadable as error:
        raise typer.BadParameter(f"{folder}: {error}", param_hint="--out") from error
    if not found.meaning.categories:
        notes.print("These voters give no scores of categories.", highlight=False)
    notes.print(
        "Installed in layers/. Next: deploy, and put a panel that was calibrated on their votes.",
        highlight=False,
    )


def _check(language: str, *, safe: int, unsafe: int) -> None:
    if not language:
        raise typer.BadParameter("every row must name its language", param_hint=TEXTS)
    if min(safe, unsafe) < LEAST_OF_A_LABEL:
        raise typer.BadParameter(
            f"{language} has {safe} safe and {unsafe} unsafe texts; each needs {LEAST_OF_A_LABEL}",
            param_hint=TEXTS,
        )
