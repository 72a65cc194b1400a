"""Files that hold one value of a configuration, such as a password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MOST_BYTES = 64 << 10
_AT_ONCE = os.O_NONBLOCK | os.O_NOCTTY
"""Flags with which a pipe without a writer opens at once, and a terminal does not become ours."""


def read_value(path: Path) -> str:
    """The contents of a regular file, without its line end.

    Pipes, sockets and devices are not read, since they may block or never end. Raises OSError, and
    ValueError with a part of a sentence for such a file.
    """
    if not _can_be_called(path):
        raise ValueError("no file can be called that; write another name")
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file; name one")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes; that is no value")
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("it is no text in UTF-8; write the value so") from error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | _AT_ONCE)


def _can_be_called(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
