"""A console for reports, and tables that read well on a terminal and in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from squashproxy.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

COLUMN_GAP = 2
"""Blanks between two columns of a table."""
_ANY_WIDTH = 1000


class Screen:
    """Writes a report. Without a terminal there are no colours and no drawn lines.

    Lines are plain text, not rich's markup, since references and paths hold brackets. Control
    characters are escaped in lines and in column names; cells of a table must be escaped by the
    caller. rich is imported with the first screen, so that JSON output does not wait for it.
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

    def table(self, *columns: str, left: int = 1, names: int = 0) -> Table:
        """An empty table. The first `left` columns are text, the others figures.

        The first `names` columns hold names that users copy: on a narrow terminal these wrap
        instead of being cut.
        """
        from rich import box  # noqa: PLC0415 - see the class
        from rich.table import Table  # noqa: PLC0415

        drawn = box.SIMPLE_HEAD if self._console.is_terminal else None
        padding = COLUMN_GAP - 1 if drawn else COLUMN_GAP
        table = Table(box=drawn, padding=(0, padding, 0, 0), pad_edge=False, show_edge=False)
        for number, name in enumerate(columns):
            justify = "left" if number < left else "right"
            table.add_column(
                printable(name),
                justify=justify,  # type: ignore[arg-type]  # rich wants a literal
                no_wrap=number >= names,
                overflow="fold" if number < names else "ellipsis",
            )
        return table

    def show(self, table: Table) -> None:
        """Write a table: fitted to a terminal; in a pipe uncut, without blanks at line ends."""
        if self._console.is_terminal:
            self._console.print(table)
            return
        with self._console.capture() as captured:
            narrow, self._console.width = self._console.width, _ANY_WIDTH
            self._console.print(table)
            self._console.width = narrow
        for line in captured.get().splitlines():
            self.line(line.rstrip())


def short_digest(digest: str) -> str:
    """The first twelve hex digits, as docker shows them."""
    return digest.partition(":")[2][:12] or digest
