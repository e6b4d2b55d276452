"""`quorum batch`: judge a file of any length and write the results in its order."""

import csv
import json
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from quorum.core.models import Decision
from quorum.core.spreadsheets import harmless
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from analysis.rows import KINDS
from cli.deployment import Where
from cli.errors import DeploymentUnreachable, ExitCode
from cli.files import there
from cli.items import Known, Spooled, spooled
from cli.languages import DefaultLanguage, Language
from cli.output import STANDARD_OUTPUT, as_json_line, notes, opened
from cli.service import Service, below, connect

INLINE_ITEMS = 1_000
INLINE_BYTES = 3 * 1024 * 1024
"""Bytes of items in one request; more are uploaded. (A request holds at most 4 MiB.)"""
POLL_SECONDS = 1.0
PAGE_ITEMS = 200
LISTING_TRIES = 10
ENDED = frozenset({"complete", "incomplete", "cancelled"})
COLUMNS = (
    *("index", "line", "id", "decision", "score", "confidence", "categories", "reason"),
    "cost_usd",
)
"""The columns of results as CSV."""
DIGITS = 4
"""Decimal places of a score in CSV; JSON has all of them."""


def batch(
    file: Annotated[
        Path | None,
        typer.Argument(
            callback=there,
            help="CSV, TSV, JSON Lines, JSON, TXT or a workbook; - or none: stdin",
        ),
    ] = None,
    where: Where = "local",
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    policy: Annotated[
        str | None, typer.Option(help="the policy, or one of its versions (name@version)")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="the id of a batch to resume; name its file too, for lines and ids"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="the file of results: .jsonl or .csv; none: JSONL to stdout")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help=f"the format of the input: {', '.join(KINDS)}", metavar="KIND"),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="the column or field to judge (default: content or text)")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="the encoding of the input if it is not recognised: cp949, big5, …"),
    ] = None,
    language: Language = None,
    default_language: DefaultLanguage = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="write results as CSV")] = False,
    contents: Annotated[bool, typer.Option(help="write each content beside its result")] = False,
) -> None:
    """Judge a file. Ctrl-C leaves the batch running; --resume continues with it.

    Every row is an item. A row that cannot be judged is reported with its line and the reason, and
    the others are judged all the same. Exits with 1 if any item has no verdict.
    """
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(
            f"{kind!r} is not a format; choose one of {', '.join(KINDS)}", param_hint="--kind"
        )
    service = connect(where)
    if resume is not None and file is None:
        _finish(service, resume, None, file, out, as_csv=as_csv, contents=contents)
        return
    languages = {"language": language, "default_language": default_language}
    with spooled(file, kind=kind, column=column, encoding=encoding, languages=languages) as given:
        batch_id = resume or submit(service, given, panel=panel, policy=policy)
        _finish(service, batch_id, given, file, out, as_csv=as_csv, contents=contents)


def _finish(
    service: Service,
    batch_id: str,
    given: Spooled | None,
    file: Path | None,
    out: Path | None,
    *,
    as_csv: bool,
    contents: bool,
) -> None:
    """Follow a batch to its end, write its results and print a summary."""
    resumed = going_on(batch_id, file)
    try:
        notes.print(f"batch {batch_id}")
        (view,) = follow(service, [batch_id])
    except KeyboardInterrupt:
        notes.print(f"\n{resumed}", soft_wrap=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except DeploymentUnreachable:
        notes.print(resumed, soft_wrap=True)
        raise
    found = results(service, batch_id, gaps=view["state"] == "cancelled")
    as_csv = as_csv or str(out).lower().endswith(".csv")
    with opened(out, for_spreadsheets=as_csv) as target:
        counts = write(_named(found, given), target, as_csv=as_csv, contents=contents)
    notes.print(summary(view, counts), highlight=False)
    if any(counts[name] for name in ("rejected", "dead")) or counts.total() < view["items"]:
        raise typer.Exit(ExitCode.ERROR)


def summary(view: dict[str, Any], counts: Counter[str]) -> str:
    """One line: how the batch ended, the number of items by decision, and the cost."""
    decided = ", ".join(
        f"{counts[decision]:,} {'to review' if decision == Decision.NEEDS_REVIEW else decision}"
        for decision in Decision
    )
    without = {name: counts[name] for name in ("rejected", "dead")}
    without["without a result"] = view["items"] - counts.total()
    others = "".join(f", {count:,} {name}" for name, count in without.items() if count > 0)
    return (
        f"{view['state']}: {decided}{others}; {_dollars(view['cost_usd'])},"
        f" saved {_dollars(view['saved_usd'])}"
    )


def _dollars(amount: str) -> str:
    return f"${Decimal(amount).normalize():f}"


def going_on(batch_id: str, file: Path | None = None) -> str:
    """The sentence that says how to resume a submitted batch; escaped for a console."""
    named = [] if file is None or file == STANDARD_OUTPUT else [str(file)]
    command = shlex.join(["quorum", "batch", *named, "--resume", batch_id])
    return f"The batch continues in the background. Resume with: [bold]{escape(command)}[/]"


def submit(service: Service, given: Spooled, **chosen: str | None) -> str:
    """Submit a batch, inline if it is small, else by upload; returns its id. Constant memory.

    `chosen` are fields of the request: panel and policy.
    """
    size = given.size
    given.items.seek(0)
    request: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if given.count <= INLINE_ITEMS and size <= INLINE_BYTES:
        request["items"] = [json.loads(line) for line in given.items]
    else:
        request["upload"] = service.upload(given.items)
    return str(service.post("batches", request)["id"])


def follow(service: Service, batches: Sequence[str]) -> list[dict[str, Any]]:
    """Show the progress of batches until all have ended; returns the last view of each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=notes, transient=True) as progress:
        shown = progress.add_task("", total=None, rate="")
        while True:
            views = [service.get(below("batches", batch_id)) for batch_id in batches]
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
    shown = _dollars(str(sum(Decimal(view["cost_usd"]) for view in views)))
    if rate:
        shown += f" · {rate:.1f} items/s"
    if left:
        shown += f" · {left:,.0f} s left"
    return shown if until is None else f"{shown} · until {until}"


def write(
    found: Iterable[tuple[dict[str, Any], Known | None]],
    target: IO[str],
    *,
    as_csv: bool,
    contents: bool,
) -> Counter[str]:
    """Write results in input order as they arrive; returns their number by ending."""
    table = csv.writer(target) if as_csv else None
    if table is not None:
        table.writerow(COLUMNS + (("content",) if contents else ()))
    counts: Counter[str] = Counter()
    for result, known in found:
        more = {"content": known.content} if contents and known is not None else {}
        counts[_ending(result)] += 1
        if table is None:
            target.write(as_json_line(result | more) + "\n")
        else:
            table.writerow((*_row(result), *map(harmless, more.values())))
    return counts


def _named(
    found: Iterator[dict[str, Any]], given: Spooled | None
) -> Iterator[tuple[dict[str, Any], Known | None]]:
    """Each result with its line and id, and the reason if the row itself could not be read."""
    facts = iter(()) if given is None else enumerate(given.facts())
    for result in found:
        known = next((one for index, one in facts if index == result["index"]), None)
        named: dict[str, Any] = {"index": result["index"]}
        ended = result
        if known is not None:
            named |= {"line": known.line} | ({} if known.id is None else {"id": known.id})
            if known.problem is not None:
                ended = {"rejected": {"code": "unreadable_row", "message": known.problem}}
        yield named | ended, known


def _ending(result: dict[str, Any]) -> str:
    if "verdict" in result:
        return str(result["verdict"]["decision"])
    return "rejected" if "rejected" in result else "dead"


def results(service: Service, batch_id: str, *, gaps: bool) -> Iterator[dict[str, Any]]:
    """All results in input order up to the first unsettled item; with `gaps`, beyond it too."""
    start, patience = 0, LISTING_TRIES
    while True:
        page = service.get(
            below("batches", batch_id, "results"),
            start=str(start),
            limit=str(PAGE_ITEMS),
            gaps=str(gaps).lower(),
        )
        yield from page["items"]
        if page["next"] is None or (gaps and not page["items"]):
            return
        # The index lags a little: a settled item may not be listed yet.
        patience = LISTING_TRIES if page["items"] else patience - 1
        if not patience:
            return
        if not page["items"]:
            time.sleep(POLL_SECONDS)
        start = page["next"]


def _row(result: dict[str, Any]) -> tuple[Any, ...]:
    ending = _ending(result)
    named = (result["index"], result.get("line", ""))
    verdict = result.get("verdict")
    if verdict is None:
        why = result[ending].get("message") or result[ending].get("reason")
        return (*named, harmless(result.get("id", "")), ending, "", "", "", harmless(why), "")
    return (
        *named,
        harmless(result.get("id") or verdict["content_id"] or ""),
        ending,
        *(round(verdict[name], DIGITS) for name in ("score", "confidence")),
        harmless(" ".join(verdict["categories"])),
        harmless(verdict["reason"]),
        verdict["cost_usd"],
    )
