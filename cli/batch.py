"""`quorum batch`: judge a file of any length, and bring the results back in its order."""

import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.deployment import Where
from cli.errors import DeploymentUnreachable, ExitCode
from cli.output import notes, opened
from cli.service import Service, connect

INLINE_ITEMS = 1_000
INLINE_BYTES = 3 * 1024 * 1024
"""More than this is uploaded. (A request takes 4 MiB.)"""
POLL_SECONDS = 1.0
PAGE_ITEMS = 200
LISTING_TRIES = 10
ENDED = frozenset({"complete", "incomplete", "cancelled"})


def batch(
    file: Annotated[
        Path | None, typer.Argument(help="JSONL, CSV (column content) or TXT; - or none for stdin")
    ] = None,
    where: Where = "local",
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    resume: Annotated[str | None, typer.Option(help="the id of a batch to go on with")] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSONL or CSV, by its ending; else JSONL to stdout")
    ] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, whatever the ending")] = False,
) -> None:
    """Judge a file; Ctrl-C leaves it running, --resume goes on with it."""
    service = connect(where)
    if resume is None:
        resume = submit(service, file, panel)
    try:
        notes.print(f"batch {resume}")
        (view,) = follow(service, [resume])
    except KeyboardInterrupt:
        notes.print(f"\n{going_on(resume)}", soft_wrap=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except DeploymentUnreachable:
        notes.print(going_on(resume), soft_wrap=True)
        raise
    with opened(out) as target:
        written = write(
            service,
            resume,
            target,
            as_csv=as_csv or str(out).endswith(".csv"),
            gaps=view["state"] == "cancelled",
        )
    notes.print(
        f"{view['state']}: {written:,} results, {view['rejected']:,} rejected,"
        f" {view['dead']:,} dead; ${view['cost_usd']}, saved ${view['saved_usd']}"
    )


def going_on(batch_id: str) -> str:
    """What to type to go on with a batch that was handed in."""
    command = f"quorum batch --resume {batch_id}"
    return f"The batch continues in the background. Resume with: [bold]{command}[/]"


def submit(service: Service, file: Path | None, panel: str | None) -> str:
    """The id of a new batch: inline where it is small, else uploaded. In constant memory."""
    with tempfile.TemporaryFile() as spooled:
        count = 0
        for item in items(file):
            spooled.write(json.dumps(item, ensure_ascii=False).encode() + b"\n")
            count += 1
        if not count:
            raise typer.BadParameter("there is nothing to judge")
        size = spooled.tell()
        spooled.seek(0)
        request: dict[str, Any] = {} if panel is None else {"panel": panel}
        if count <= INLINE_ITEMS and size <= INLINE_BYTES:
            request["items"] = [json.loads(line) for line in spooled]
        else:
            upload = service.post("batches/uploads", {})
            service.put(upload["url"], spooled, size)
            request["upload"] = upload["upload"]
        return str(service.post("batches", request)["id"])


def items(file: Path | None) -> Iterator[dict[str, Any]]:
    """The items of a file, one at a time, by its ending; lines of JSON or of text from stdin."""
    if file is None or str(file) == "-":
        yield from _lines(sys.stdin, kind="")
        return
    with file.open(encoding="utf-8", newline="") as opened_file:
        yield from _lines(opened_file, kind=file.suffix.lower())


def _lines(lines: Iterable[str], kind: str) -> Iterator[dict[str, Any]]:
    if kind == ".csv":
        for row in csv.DictReader(lines):
            text = row.get("content", row.get("text"))
            given = {"content": text, "id": row.get("id"), "language": row.get("language")}
            yield {name: value for name, value in given.items() if value is not None}
        return
    for line in lines:
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        # A line of stdin that is a JSON object is an item; what a JSONL holds is the service's
        # to judge, bad lines too: they are reported with their index.
        if kind == ".jsonl" or (not kind and text.lstrip().startswith("{")):
            try:
                yield json.loads(text)
            except ValueError:
                yield {"content": "", "unreadable": True}
        else:
            yield {"content": text}


def follow(service: Service, batches: Sequence[str]) -> list[dict[str, Any]]:
    """Show how far batches are until nothing more happens; the last that is known of each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=notes, transient=True) as progress:
        shown = progress.add_task("", total=None, rate="")
        while True:
            views = [service.get(f"batches/{batch_id}") for batch_id in batches]
            running = [view for view in views if view["state"] not in ENDED]
            progress.update(
                shown,
                total=sum(view["items"] for view in views) or None,
                completed=sum(_done(view) for view in views),
                description=str((running or views)[0]["state"]),
                rate=_rate(views),
            )
            if not running:
                return views
            time.sleep(POLL_SECONDS)


def _done(view: dict[str, Any]) -> int:
    return int(view["settled"] + view["rejected"] + view["dead"] + view["cancelled"])


def _rate(views: Sequence[dict[str, Any]]) -> str:
    rate = sum(view["items_per_second"] or 0 for view in views)
    left = max(view["remaining_seconds"] or 0 for view in views)
    until = min((view["paused_until"] for view in views if view["paused_until"]), default=None)
    shown = f"${sum((Decimal(view['cost_usd']) for view in views), Decimal(0)).normalize():f}"
    if rate:
        shown += f" · {rate:.1f} items/s"
    if left:
        shown += f" · {left:,.0f} s left"
    return shown if until is None else f"{shown} · until {until}"


def write(service: Service, batch_id: str, target: IO[str], *, as_csv: bool, gaps: bool) -> int:
    """Write every result there is in input order, a page in memory at a time; how many."""
    table = csv.writer(target) if as_csv else None
    if table is not None:
        table.writerow(("index", "id", "decision", "score", "confidence", "reason", "cost_usd"))
    written = 0
    for result in results(service, batch_id, gaps=gaps):
        if table is None:
            target.write(json.dumps(result, ensure_ascii=False) + "\n")
        else:
            table.writerow(_row(result))
        written += 1
    return written


def results(service: Service, batch_id: str, *, gaps: bool) -> Iterator[dict[str, Any]]:
    """Every result there is in input order; with `gaps`, also beyond what is not settled."""
    start, patience = 0, LISTING_TRIES
    while True:
        page = service.get(
            f"batches/{batch_id}/results",
            start=str(start),
            limit=str(PAGE_ITEMS),
            gaps=str(gaps).lower(),
        )
        yield from page["items"]
        if page["next"] is None or (gaps and not page["items"]):
            return
        # The index follows a moment later: what is settled may not be listed yet.
        patience = LISTING_TRIES if page["items"] else patience - 1
        if not patience:
            return
        if not page["items"]:
            time.sleep(POLL_SECONDS)
        start = page["next"]


def _row(result: dict[str, Any]) -> tuple[Any, ...]:
    verdict = result.get("verdict")
    if verdict is None:
        kind = "rejected" if "rejected" in result else "dead"
        why = result[kind].get("message") or result[kind].get("reason")
        return (result["index"], "", kind, "", "", why, "")
    names = ("content_id", "decision", "score", "confidence", "reason", "cost_usd")
    return (result["index"], *(verdict[name] for name in names))
