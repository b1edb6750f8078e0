"""Cells of a CSV: whole numbers as they are, words that no spreadsheet takes for a formula, unknown empty."""

from __future__ import annotations

from cleanhours.apps.escaping import escape_csv


def cell(value: object) -> object:
    """A value as the csv writer should get it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return escape_csv(value) if isinstance(value, str) else value
