"""Limits: past one, an image is refused. Each has a default that no real image meets.

Copies, plans and comparisons take the same. A limit of None is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.errors import LimitExceeded

RATIO_FREE = 100 << 20
"""So many bytes an image may unpack to, whatever its size: zeros compress a thousandfold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits past which an image is refused; None means no limit. Sizes in bytes.

    `memory` is what may be remembered of paths, links and extended attributes, `unpacked` the
    uncompressed size of all layers that are read, with the holes of sparse files, `entries` the
    number of their tar entries, `ratio` the uncompressed to the compressed size of the image.
    """

    memory: int | None = 2 << 30
    unpacked: int | None = 1 << 40
    entries: int | None = 10_000_000
    ratio: float | None = 100

    def most_unpacked(self, packed: int) -> int | None:
        """What an image of `packed` bytes may unpack to by its ratio; None for no limit."""
        return None if not self.ratio else max(RATIO_FREE, int(packed * self.ratio))


def too_large_ratio(where: str, ratio: float | None, packed: int) -> LimitExceeded:
    """The error for an image whose layers unpack to far more than their size; `where` is one."""
    return LimitExceeded(
        f"{where}: the image unpacks to more than {ratio or 0:g} times its size of {packed} bytes; "
        "nothing was pushed",
        advice="raise {max-ratio} if you trust the image",
    )
