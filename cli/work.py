"""The operation and the files that the commands about documents share."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from quorum.app.settings import DEFAULT_MODEL
from quorum.core import registry
from quorum.core.errors import DocumentUnreadable, ModelUnknown
from quorum.core.rejection import rejection
from quorum.document.estimating import Document
from quorum.document.operations import Operation, Work
from quorum.document.parsing import text_of
from quorum.document.requests import OperationRequest

from cli.loading import TASK, progress_bar

FILES = typer.Argument(help="text, Markdown, HTML, PDF, DOCX", exists=True, dir_okay=False)
Asked = Annotated[
    Operation, typer.Option("--operation", help="the operation to apply to each document")
]
ModelName = Annotated[str, typer.Option("--model", help="the model that answers")]
Sentences = Annotated[int | None, typer.Option(help="sentences of a summary (3)")]
Categories = Annotated[
    list[str] | None,
    typer.Option("--category", help="a category to classify into; repeat the option"),
]
TargetLanguage = Annotated[
    str | None, typer.Option(help="the language to translate into (English)")
]
Schema = Annotated[
    Path | None,
    typer.Option(help="the JSON schema of the object to extract", exists=True, dir_okay=False),
]
Prompt = Annotated[str | None, typer.Option(help="the instructions of --operation custom")]

_READERS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the operations; each belongs to one operation."""

    sentences: int | None = None
    categories: Sequence[str] | None = None
    target_language: str | None = None
    schema: Path | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file with its name in the results, and its text or the reason why it has none."""

    path: Path
    document: Document
    unreadable: DocumentUnreadable | None = None

    @property
    def name(self) -> str:
        """The path below the folder that holds all files."""
        return str(self.document.name)


def request(operation: Operation, model: str, options: Options) -> dict[str, Any]:
    """The fields of `POST /documents` about the work; raises `typer.BadParameter`."""
    given: dict[str, Any] = {
        "operation": operation,
        "model": model,
        "sentences": options.sentences,
        "categories": list(options.categories) if options.categories else None,
        "target_language": options.target_language,
        "schema": _schema(options.schema),
        "prompt": options.prompt,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    try:
        OperationRequest.model_validate(asked)
        if registry.model(model).kind != "gateway":
            raise typer.BadParameter(_only_a_classifier(model))
    except ValidationError as error:
        raise typer.BadParameter(rejection(error).message) from None
    except ModelUnknown as error:
        raise typer.BadParameter(str(error)) from None
    return asked


def _only_a_classifier(model: str) -> str:
    answering = ", ".join(one.name for one in registry.MODELS if one.kind == "gateway")
    return (
        f"`{model}` is a classifier: it can vote but cannot generate text. Choose one of:"
        f" {answering}."
    )


def work_of(asked: dict[str, Any]) -> Work:
    """The work a request asks for."""
    work = OperationRequest.model_validate(asked).to_work(DEFAULT_MODEL)
    return work.model_copy(update={"model": registry.model(work.model).name})


def read(paths: Sequence[Path]) -> list[File]:
    """Every file, in order, with its text if it has one."""
    folder = Path(commonpath([path.absolute().parent for path in paths]))

    def one(numbered: tuple[int, Path]) -> File:
        index, path = numbered
        name = path.absolute().relative_to(folder).as_posix()
        try:
            parsed = text_of(path.read_bytes(), None, name)
        except DocumentUnreadable as unreadable:
            return File(path, Document("", index, name), unreadable)
        return File(path, Document(parsed.text, index, name, parsed.pages))

    read_files: list[File] = []
    with progress_bar("reading", len(paths)) as bar, ThreadPoolExecutor(_READERS) as readers:
        for file in readers.map(one, enumerate(paths)):
            read_files.append(file)
            bar.advance(TASK)
    return read_files


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise typer.BadParameter(f"{path.name} is not JSON") from None
