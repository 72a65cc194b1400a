"""The settings of the C library's allocator."""

from __future__ import annotations

import ctypes

_ARENAS_MOST = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""


def share_freed_memory() -> None:
    """Let all threads allocate from one arena.

    glibc gives each thread its own arena (mallopt(3)). Chunks are allocated in one thread and freed
    in another, so each arena would grow to the most chunks that it ever held. With another C
    library, this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENAS_MOST, 1)
