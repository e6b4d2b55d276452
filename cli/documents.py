"""`quorum documents`: apply one operation to many files; each gets a result file."""

import base64
import json
import shlex
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from quorum.app.settings import DEFAULT_MODEL
from quorum.core.models import Tokens
from quorum.document.estimating import Estimate
from quorum.document.operations import Operation
from rich.markup import escape
from rich.table import Table

from cli import estimate, work
from cli.batch import INLINE_BYTES, INLINE_ITEMS, follow, results
from cli.deployment import Where
from cli.errors import CommandFailed, DeploymentUnreachable, ExitCode
from cli.loading import TASK, progress_bar
from cli.output import AsJson, console, notes, print_json, write_json
from cli.service import Service, connect

UPLOADED_BYTES = 256 * 1024
"""Bytes of a file from which on it is uploaded by itself; smaller files are sent together."""
SUMMARY = "documents.json"
_REASONS = 10
"""Documents without an answer whose reasons are printed; the summary file has all."""
_OBJECTS = frozenset((Operation.CLASSIFY, Operation.EXTRACT))
"""The operations whose answers are data, not text."""


def documents(
    files: Annotated[list[Path] | None, work.FILES] = None,
    operation: work.Asked = Operation.SUMMARIZE,
    model: work.ModelName = DEFAULT_MODEL,
    *,
    out: Annotated[Path, typer.Option(help="the folder for the results", file_okay=False)],
    sentences: work.Sentences = None,
    categories: work.Categories = None,
    target_language: work.TargetLanguage = None,
    schema: work.Schema = None,
    prompt: work.Prompt = None,
    where: Where = "local",
    resume: Annotated[
        list[str] | None,
        typer.Option(help="the id of a batch to resume; repeat the option for several"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask to confirm the cost")] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate, submit, wait, and write OUT/<file>.md or .json; Ctrl-C leaves it running."""
    if not files and not resume:
        raise typer.BadParameter("name the files, or a batch with --resume")
    service = connect(where)
    options = work.Options(sentences, categories, target_language, schema, prompt)
    expected: Estimate | None = None
    unread: list[work.File] = []
    batches = list(resume or [])
    try:
        if not batches:
            asked = work.request(operation, model, options)
            read = work.read(files or [])
            unread = [file for file in read if file.unreadable is not None]
            expected = agreed(service, asked, read, yes=yes)
            for batch_id in hand_in(service, asked, [file for file in read if file not in unread]):
                batches.append(batch_id)
                notes.print(f"batch {batch_id}")
        views = follow(service, batches)
    except (KeyboardInterrupt, DeploymentUnreachable) as stop:
        notes.print(f"\n{going_on(batches, out)}", soft_wrap=True)
        if isinstance(stop, KeyboardInterrupt):
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        raise
    if any(view.get("operation") is None for view in views):
        raise typer.BadParameter("this is a batch of contents: use `quorum batch --resume`")
    entries = list(written(service, batches, views, out)) + [left_out(file) for file in unread]
    summary = summed(views, entries, expected)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / SUMMARY, summary)
    if as_json:
        print_json(summary)
    else:
        tell(summary, out)
    if any(entry["state"] != "done" for entry in entries):
        raise typer.Exit(ExitCode.ERROR)


def agreed(
    service: Service, asked: dict[str, Any], files: Sequence[work.File], *, yes: bool
) -> Estimate:
    """Show the estimate of the files and ask to confirm it; raises `typer.Abort` if refused."""
    expected = estimate.of(files, asked, estimate.learned(service, asked))
    estimate.show(expected, files, notes)
    if not expected.documents:
        raise CommandFailed("None of the files can be read, so there is no document to submit.")
    if not yes:
        typer.confirm("Submit the documents?", abort=True, err=True)
    return expected


def going_on(batches: Sequence[str], out: Path) -> str:
    """The sentence that says how to resume submitted batches; escaped for a console."""
    if not batches:
        return "Nothing was submitted."
    resumed = [word for batch_id in batches for word in ("--resume", batch_id)]
    command = shlex.join(["quorum", "documents", *resumed, "--out", str(out)])
    what = "batch continues" if len(batches) == 1 else "batches continue"
    return f"The {what} in the background. Resume with: [bold]{escape(command)}[/]"


# ---- submitting ------------------------------------------------------------------------------


def hand_in(service: Service, asked: dict[str, Any], files: Sequence[work.File]) -> Iterator[str]:
    """Submit the files; yields the id of each batch. Large files are uploaded by themselves."""
    with progress_bar("handing in", len(files)) as bar:
        group: list[dict[str, Any]] = []
        size = 0
        for file in files:
            one = _document(service, file)
            length = len(one.get("content", ""))
            if group and (len(group) == INLINE_ITEMS or size + length > INLINE_BYTES):
                yield _taken(service, asked, group)
                group, size = [], 0
            group.append(one)
            size += length
            bar.advance(TASK)
        if group:
            yield _taken(service, asked, group)


def _document(service: Service, file: work.File) -> dict[str, Any]:
    size = file.path.stat().st_size
    if size <= UPLOADED_BYTES:
        content = base64.b64encode(file.path.read_bytes()).decode()
        return {"name": file.name, "content": content}
    with file.path.open("rb") as opened:
        return {"name": file.name, "upload": service.upload(opened)}


def _taken(service: Service, asked: dict[str, Any], group: list[dict[str, Any]]) -> str:
    return str(service.post("documents", asked | {"documents": group})["id"])


# ---- results ---------------------------------------------------------------------------------


def written(
    service: Service, batches: Sequence[str], views: Sequence[dict[str, Any]], out: Path
) -> Iterator[dict[str, Any]]:
    """Write each answer into a file of its own; yields the summary's entry of each document."""
    for batch_id, view in zip(batches, views, strict=True):
        objects = Operation(view["operation"]) in _OBJECTS
        found = {
            result["index"]: result
            for result in results(service, batch_id, gaps=view["state"] != "complete")
        }
        for index in range(view["items"]):
            entry = {"batch": batch_id, "index": index} | _entry(found.get(index, {}))
            document = found.get(index, {}).get("document")
            if document is not None and entry["state"] == "done":
                name = _safe(document.get("name")) or f"{batch_id}-{index}"
                file = out / f"{name}{'.json' if objects else '.md'}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(_said(_answer(service, document), as_json=objects), "utf-8")
                entry["file"] = file.relative_to(out).as_posix()
            yield entry


def _entry(result: dict[str, Any]) -> dict[str, Any]:
    """The summary's entry of a result; the answer itself has a file."""
    if "document" in result:
        document = result["document"]
        shown = {
            name: value
            for name, value in document.items()
            if name not in ("answer", "answer_url", "operation", "model") and value is not None
        }
        return {"state": "done" if document.get("failure") is None else "failed"} | shown
    for state in ("rejected", "dead"):
        if state in result:
            return {"state": state, "reason": result[state]}
    return {"state": "missing"}


def left_out(file: work.File) -> dict[str, Any]:
    """The summary's entry of a file that was not submitted."""
    why = file.unreadable
    reason = {} if why is None else {"code": why.code, "message": why.message}
    return {"state": "rejected", "name": file.name, "reason": reason}


def _safe(name: str | None) -> str | None:
    """The name as a path below the results folder; None if it leads out of that folder."""
    path = PurePosixPath(name or "")
    return None if not path.name or path.is_absolute() or ".." in path.parts else str(path)


def _answer(service: Service, document: dict[str, Any]) -> Any:
    """The answer; a long one is fetched from a presigned URL."""
    if document.get("answer_url") is None:
        return document["answer"]
    return service.fetch(document["answer_url"])


def _said(answer: Any, *, as_json: bool) -> str:
    said = json.dumps(answer, indent=2, ensure_ascii=False) if as_json else str(answer)
    return said.rstrip("\n") + "\n"


# ---- the end ---------------------------------------------------------------------------------


def summed(
    views: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]], expected: Estimate | None
) -> dict[str, Any]:
    """The content of `documents.json`: the work, its estimate and actual cost, each document.

    The estimate is the one made before submitting; of a resumed batch, the service's own.
    """
    before = _amounts(views, "estimate")
    if expected is not None:
        before = {
            "input_tokens": expected.input_tokens,
            "output_tokens": expected.output_tokens,
            "cost_usd": str(expected.cost_usd),
        }
    return {
        "operation": views[0]["operation"],
        "model": views[0]["model"],
        "batches": [view["id"] for view in views],
        "estimate": before,
        "actual": _amounts(views, "actual"),
        "saved_usd": str(sum((Decimal(view["saved_usd"]) for view in views), Decimal(0))),
        "documents": list(entries),
    }


def _amounts(views: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Tokens and dollars of all batches together."""
    said = [view[name] for view in views if view.get(name)]
    tokens = Tokens(
        input=sum(one["input_tokens"] for one in said),
        output=sum(one["output_tokens"] for one in said),
    )
    cost_usd = sum((Decimal(one["cost_usd"]) for one in said), Decimal(0))
    return {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cost_usd": str(cost_usd),
    }


def tell(summary: dict[str, Any], out: Path) -> None:
    """Print the estimate beside the actual cost, the documents by state, and the folder."""
    to = console()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("estimated", "actual", "off by"):
        table.add_column(heading, justify="right")
    for name, heading in (("input_tokens", "input tokens"), ("output_tokens", "output tokens")):
        before, actual = summary["estimate"][name], summary["actual"][name]
        table.add_row(heading, f"{before:,}", f"{actual:,}", _off(before, actual))
    before, actual = (Decimal(summary[kind]["cost_usd"]) for kind in ("estimate", "actual"))
    shown = estimate.dollars(before), estimate.dollars(actual)
    table.add_row("cost", *shown, _off(before, actual))
    to.print(table)
    counts = {
        state: sum(entry["state"] == state for entry in summary["documents"])
        for state in ("done", "failed", "rejected", "dead", "missing")
    }
    said = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    saved = Decimal(summary["saved_usd"])
    more = f"; {estimate.dollars(saved)} saved by cached answers" if saved else ""
    for line in _reasons(summary["documents"]):
        to.print(escape(line), soft_wrap=True)
    to.print(f"{said}{more}; results in {escape(str(out))}", soft_wrap=True)


def _reasons(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Lines that say why documents have no answer: the first few, and the number of the rest."""
    without = [entry for entry in entries if entry["state"] not in ("done", "missing")]
    lines = [f"{_name(entry)}: {entry['state']}: {_reason(entry)}" for entry in without[:_REASONS]]
    more = len(without) - len(lines)
    return [*lines, f"… and {more:,} more: see {SUMMARY}"] if more else lines


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("name") or entry.get("id") or entry.get("index", ""))


def _reason(entry: dict[str, Any]) -> str:
    reason = entry.get("failure") or entry.get("reason") or {}
    said = reason if isinstance(reason, str) else reason.get("message") or reason.get("reason")
    return str(said or "no reason given")


def _off(before: Decimal | int, actual: Decimal | int) -> str:
    return f"{(before - actual) / actual:+.1%}" if actual else ""
