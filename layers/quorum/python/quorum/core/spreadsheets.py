"""Cells of CSV files, which spreadsheets take for formulas if they begin like one. Pure."""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""The beginning of a formula, with or without apostrophes before it."""


def harmless(cell: str) -> str:
    """The cell, after an apostrophe if a spreadsheet would take it for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def meant(cell: str) -> str:
    """The cell without the apostrophe that `harmless` put before it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
