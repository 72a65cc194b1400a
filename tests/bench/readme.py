"""The tables that benchmarks write into the README of this folder."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parent / "README.md"


def write_table(name: str, table: str) -> None:
    """Put a table between the comments `<name> begins` and `<name> ends`."""
    begin, end = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->\n"
    before, _, rest = README.read_text().partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}{table}{end}{after}")
