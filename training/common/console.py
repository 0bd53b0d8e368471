"""Where commands print."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
"""Where commands print; lines are left whole, so that paths can be copied and searched for in logs."""


_WIDEST = 10_000  # columns of a table


def print_table(table: Table) -> None:
    """Print a table whole: what is wider than the terminal, or a log's 80 columns, is not cut.

    Columns that are not to be wrapped get all the room that they need, others that of their longest word.
    """
    roomy = console.options.update(max_width=_WIDEST)
    for column in table.columns:
        if column.no_wrap:
            cells = (column.header, *column.cells)
            column.min_width = max(Measurement.get(console, roomy, cell).maximum for cell in cells)
    needed = Measurement.get(console, roomy, table).minimum
    if needed > console.width:
        table.width = needed  # a width that print is given may not exceed the console's
    console.print(table, crop=False, soft_wrap=False)
