"""`quorum record`: run a panel's voters over labelled texts and write down what they voted.

Embedded voters vote in this process; gateway voters through the same client as in production, with
the key in GATEWAY_API_KEY. Nothing is cached and nothing is booked: this is for measuring.
"""

import csv
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import PanelInvalid, VoteUnavailable
from quorum.core.models import CONTENT_LIMIT, Abstention, CastVote, Content
from quorum.core.normalise import normalise
from quorum.gateway.client import Gateway, GatewaySettings, parse_base_urls
from quorum.gateway.deadline import Deadline
from quorum.vote import voter
from quorum.vote.language import detect
from quorum.vote.panel import PACKAGED, Panel, load, packaged
from quorum.vote.tally import tally
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Ask = Callable[[Content], CastVote | Abstention]

GATEWAY = "https://api.holysheep.ai/v1"
VOTE_SECONDS = 60.0
"""Nobody waits for a recorded vote, so it may take longer than one in production."""
_GOLD = ("gold", "label")


def record(
    texts: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with text, gold")],
    out: Annotated[Path, typer.Option(help="where the recorded votes go")],
    panel: Annotated[str, typer.Option(help="a packaged panel, or a panel file")] = "embedded",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="texts asked at once")] = 8,
) -> None:
    """Write language, text, gold, every voter's vote and confidence, and the panel's verdict."""
    chosen = _panel(panel)
    rows = list(_rows(texts))
    with _asking(chosen) as voters:
        _write(rows, chosen, voters, out, concurrency)


def _write(
    rows: list[dict[str, str]], chosen: Panel, voters: dict[str, Ask], out: Path, concurrency: int
) -> None:
    columns = ["language", "text", "gold"]
    columns += [column for name in voters for column in (name, f"{name}.confidence")]
    columns += ["panel", "panel.score"]
    everyone_is_here = all(registry.model(name).kind == "embedded" for name in voters)
    # Embedded voters hold the interpreter; more threads would only wait for each other.
    threads = 1 if everyone_is_here else concurrency
    with (
        out.open("w", encoding="utf-8", newline="") as file,
        ThreadPoolExecutor(threads) as pool,
        Progress(
            TextColumn("recording"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as progress,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        task = progress.add_task("recording", total=len(rows))
        for written in pool.map(lambda row: _judged(row, chosen, voters), rows):
            writer.writerow(written)
            progress.advance(task)


def _panel(name: str) -> Panel:
    try:
        return packaged(name) if name in PACKAGED else load(Path(name).read_text(encoding="utf-8"))
    except (PanelInvalid, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--panel") from error


def _rows(texts: Path) -> Iterator[dict[str, str]]:
    """The rows of `texts` as language, text, gold; raises `typer.BadParameter`."""
    with texts.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        named = reader.fieldnames or []
        gold = next((name for name in _GOLD if name in named), None)
        if "text" not in named or gold is None:
            raise typer.BadParameter(f"{texts} needs the columns text and gold (or label)")
        for row in reader:
            if not row["text"].strip():
                continue  # a label whose content is no longer kept
            yield {"language": row.get("language") or "", "text": row["text"], "gold": row[gold]}


def _judged(row: dict[str, str], panel: Panel, voters: dict[str, Ask]) -> dict[str, str]:
    # As in the API: the caller's word for the language, else ours.
    language = row["language"] or detect(normalise(row["text"]).text)
    content = Content(text=row["text"][:CONTENT_LIMIT], language=language)
    votes = [ask(content) for ask in voters.values()]
    outcome = tally(panel, votes, language, final=True)
    cells = {name: cell for vote in votes for name, cell in _cells(vote).items()}
    verdict = {"panel": str(outcome.decision), "panel.score": f"{outcome.score:.6f}"}
    return row | {"language": language or ""} | cells | verdict


def _cells(vote: CastVote | Abstention) -> dict[str, str]:
    """A vote's two cells; an abstention leaves both empty."""
    if isinstance(vote, Abstention):
        return {vote.voter: "", f"{vote.voter}.confidence": ""}
    return {
        vote.voter: str(vote.decision),
        f"{vote.voter}.confidence": f"{vote.confidence:.6f}",
    }


@contextmanager
def _asking(panel: Panel) -> Iterator[dict[str, Ask]]:
    """How each of the panel's voters is asked, for as long as the block lasts."""
    models = [registry.model(name) for name in panel.voters]
    asks = {model.name: _embedded_voter(model) for model in models if model.kind == "embedded"}
    behind = [model for model in models if model.kind == "gateway"]
    if not behind:
        yield asks
        return
    gateway = _gateway()
    try:
        yield asks | {model.name: _gateway_voter(model, gateway) for model in behind}
    finally:
        loop.run(gateway.close())


def _embedded_voter(model: registry.Model) -> Ask:
    # Each is heavy to load, and only the panel's are wanted.
    from embedded import characters, meaning, rules  # noqa: PLC0415 - when needed

    asks: dict[str, Ask] = {
        "rules": rules.vote,
        "characters": characters.vote,
        "meaning": meaning.vote,
    }
    return asks[model.name]


def _gateway() -> Gateway:
    key = os.environ.get("GATEWAY_API_KEY")
    if not key:
        raise typer.BadParameter("this panel asks a gateway: put its key into GATEWAY_API_KEY")
    urls = os.environ.get("GATEWAY_BASE_URL", GATEWAY)
    return Gateway(GatewaySettings(base_urls=parse_base_urls(urls, key)))


def _gateway_voter(model: registry.Model, gateway: Gateway) -> Ask:
    def ask(content: Content) -> CastVote | Abstention:
        deadline = Deadline.after(VOTE_SECONDS)
        try:
            shown = normalise(content.text)
            return loop.run(voter.ask(gateway, model, shown, deadline)).vote
        except VoteUnavailable as error:
            return voter.abstention_of(model.name, error, 0)

    return ask
