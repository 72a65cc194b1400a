"""Standard input and output as archives; refused where a terminal or nothing is connected."""

from __future__ import annotations

import fcntl
import os
from typing import IO

from squashproxy.errors import UsageError

_STDIN, _STDOUT = 0, 1


def open_standard_input() -> IO[bytes]:
    """Standard input, unbuffered, to be closed. Raises UsageError."""
    if os.isatty(_STDIN):
        raise UsageError(
            "standard input is a terminal",
            advice="pipe an archive into this command, or name its file",
        )
    if _way_of(_STDIN) == os.O_WRONLY:
        raise UsageError(
            "standard input is closed", advice="pipe an archive into this command, or name its file"
        )
    return os.fdopen(os.dup(_STDIN), "rb", buffering=0)


def open_standard_output() -> IO[bytes]:
    """Standard output, unbuffered, to be closed. Raises UsageError."""
    if os.isatty(_STDOUT):
        raise UsageError(
            "standard output is a terminal, which shows no archives",
            advice="pipe it into another program, or name a file",
        )
    if _way_of(_STDOUT) == os.O_RDONLY:
        raise UsageError(
            "standard output is closed", advice="pipe it into another program, or name a file"
        )
    return os.fdopen(os.dup(_STDOUT), "wb", buffering=0)


def _way_of(descriptor: int) -> int:
    """Whether a descriptor can be read or written; the replacement of a closed stream cannot."""
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
