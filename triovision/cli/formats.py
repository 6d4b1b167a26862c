"""Rows on standard output as a table for people, JSON lines for programs, or CSV for spreadsheets: `--format`."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

import click

from triovision.cli.terminal import one_line
from triovision.photo.names import spreadsheet_safe

#: Control, format (bidi overrides), surrogate, private and unassigned characters, and those that break lines.
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="table for people, json (one object a line) for programs, csv for spreadsheets.",
)


def json_line(value: dict[str, Any]) -> str:
    """Serialise a value as one line of JSON from which a program gets every character back.

    Letters stay readable. Control characters, and the bytes of a file name that are no UTF-8 (lone surrogates in
    Python), are escaped; `os.fsencode` turns such a name into its bytes again.
    """
    return "".join(
        json.dumps(char)[1:-1] if unicodedata.category(char) in _ESCAPED else char
        for char in json.dumps(value, ensure_ascii=False)
    )


def csv_line(values: Iterable[object]) -> str:
    """Write one line of CSV without its line end, for people with a spreadsheet.

    None is an empty field. Texts lose their control characters, and none is run as a formula.
    """
    line = io.StringIO()
    cells = [spreadsheet_safe(one_line(value)) if isinstance(value, str) else value for value in values]
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def print_rows(rows: Iterable[dict[str, Any]], form: str, *, err: bool = False) -> None:
    """Print rows in a form that a program reads; how a table looks, each command knows itself.

    Args:
        rows: Values by column; all rows have the columns of the first one.
        form: `json` or `csv`.
        err: Whether to print on standard error.
    """
    for number, row in enumerate(rows):
        if form == "json":
            click.echo(json_line(row), err=err)
            continue
        if number == 0:
            click.echo(csv_line(row), err=err)
        click.echo(csv_line(row.values()), err=err)
