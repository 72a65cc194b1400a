"""Writing to files of a store, and the errors of that."""

from __future__ import annotations

import errno
from typing import IO

from squashproxy.atomic_file import write_all
from squashproxy.digest import Chunk
from squashproxy.errors import ArchiveError, SquashproxyError, advice_of, reason_of

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreFull(SquashproxyError):
    """The store has no room; a blob can still be passed through to its client."""


def write_error(where: str, error: OSError) -> SquashproxyError:
    """The error for a file that could not be written."""
    if error.errno in _FULL:
        return StoreFull(
            f"{where} is full: {reason_of(error)}", advice="make room, or lower its max_size"
        )
    return ArchiveError(
        f"{where} could not be written: {reason_of(error)}", advice=advice_of(error)
    )


def append(file: IO[bytes], chunk: Chunk, where: str) -> None:
    """Write the whole of `chunk`. Raises StoreFull or ArchiveError, which name `where`."""
    try:
        write_all(file, chunk)
    except OSError as error:
        raise write_error(where, error) from error
