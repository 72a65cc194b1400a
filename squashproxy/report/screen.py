"""A console for reports, and tables that read well on a terminal and in a pipe."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from squashproxy.printable import printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

COLUMN_GAP = 2
"""Blanks between two columns of a table."""
_ANY_WIDTH = 1000


@dataclass(slots=True)
class Table:
    """A table: the first `left` columns, and the last if `left_end`, are text, the others figures.

    The first `names` columns hold names that users copy: on a narrow terminal these wrap instead of
    being cut.
    """

    columns: tuple[str, ...]
    left: int = 1
    names: int = 0
    left_end: bool = False
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Add one row, with a cell for each column or fewer."""
        self.rows.append(cells)


class Screen:
    """Writes a report. Without a terminal there are no colours and no drawn lines.

    Lines and cells are plain text, not rich's markup, since references and paths hold brackets.
    Control characters are escaped in all of them. rich is imported with the first screen, so that
    JSON output does not wait for it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console  # noqa: PLC0415 - see the class

        self._console = Console(
            file=stream or sys.stdout, markup=False, highlight=False, emoji=False
        )

    @property
    def width(self) -> int:
        """The width in columns; 80 in a pipe."""
        return self._console.width

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line of any length. A terminal may wrap it; a pipe gets it whole."""
        from rich.text import Text  # noqa: PLC0415 - see the class

        self._console.print(Text(printable(text), style=style), soft_wrap=True)

    def fact(self, label: str, text: str) -> None:
        """Write one line that begins with a label."""
        self.line(f"{label:<11} {text}")

    def show(self, table: Table) -> None:
        """Write a table: fitted to a terminal; in a pipe uncut, without blanks at line ends."""
        drawn = self._draw(table)
        if self._console.is_terminal:
            self._console.print(drawn)
            return
        with self._console.capture() as captured:
            narrow, self._console.width = self._console.width, _ANY_WIDTH
            self._console.print(drawn)
            self._console.width = narrow
        for line in captured.get().splitlines():
            self.line(line.rstrip())

    def _draw(self, table: Table) -> RichTable:
        from rich import box  # noqa: PLC0415 - see the class
        from rich.table import Table as RichTable  # noqa: PLC0415

        lines = box.SIMPLE_HEAD if self._console.is_terminal else None
        padding = COLUMN_GAP - 1 if lines else COLUMN_GAP
        drawn = RichTable(box=lines, padding=(0, padding, 0, 0), pad_edge=False, show_edge=False)
        last = len(table.columns) - 1
        for number, name in enumerate(table.columns):
            is_text = number < table.left or (table.left_end and number == last)
            drawn.add_column(
                printable(name),
                justify="left" if is_text else "right",
                no_wrap=number >= table.names,
                overflow="fold" if number < table.names else "ellipsis",
            )
        for row in table.rows:
            drawn.add_row(*map(printable, row))
        return drawn


def short_digest(digest: str) -> str:
    """The first twelve hex digits, as docker shows them."""
    return digest.partition(":")[2][:12] or digest
