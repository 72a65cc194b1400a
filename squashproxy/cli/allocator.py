"""The C library's allocator, told how this program uses memory."""

from __future__ import annotations

import ctypes

_ARENAS_MOST = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""


def share_freed_memory() -> None:
    """Let every thread use what another one freed.

    glibc gives each thread an arena of its own (mallopt(3)). Chunks are made in one thread and
    freed in another, so that each arena would keep room for as many as there ever were in it. Does
    nothing where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENAS_MOST, 1)
