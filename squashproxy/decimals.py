"""Decimal numbers in text from outside: headers, JSON, names, files.

`int()` accepts too much for such text: signs, underscores, digits of other scripts. It also raises
ValueError above 4,300 digits.
"""

from __future__ import annotations

import re

MOST_DIGITS = 18
"""Any number with this many digits fits into a signed 64-bit integer."""

MOST_PORT = 65535

_DECIMAL = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
_PORT = re.compile(r"[0-9]{1,5}")


def parse_decimal(text: str) -> int | None:
    """The number written in `text`; None unless that is 1 to 18 ASCII digits."""
    return int(text) if _DECIMAL.fullmatch(text) else None


def parse_port(text: str) -> int | None:
    """The TCP port written in `text`, 1 to 65535; None if it is anything else."""
    number = int(text) if _PORT.fullmatch(text) else 0
    return number if 0 < number <= MOST_PORT else None
