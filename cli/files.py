"""Files that commands read, or standard input in their place."""

from pathlib import Path

import typer

from cli.output import STANDARD_OUTPUT


def there(file: Path | None) -> Path | None:
    """The file of an argument that may be `-`; raises `typer.BadParameter` if there is none.

    Typer's own check (`exists`) takes `-` for the name of a file, whatever `allow_dash` says.
    """
    if file is None or file == STANDARD_OUTPUT:
        return file
    if not file.exists():
        raise typer.BadParameter(f"file {str(file)!r} does not exist.")
    if file.is_dir():
        raise typer.BadParameter(f"file {str(file)!r} is a directory.")
    return file
