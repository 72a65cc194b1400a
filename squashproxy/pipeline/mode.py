"""The modes of a copy: what becomes of the layers above the base."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What becomes of the layers above the base."""

    SQUASH = "squash"
    """They become one layer."""
    PRUNE = "prune"
    """Each loses what upper layers hide; layers that lose nothing keep their digests."""
    COPY = "copy"
    """They stay as they are, and so do manifests and configs: the same digests."""


def parse_mode(text: str) -> Mode:
    """Parse the name of a mode. Raises ValueError."""
    try:
        return Mode(text)
    except ValueError:
        raise ValueError(f"{text!r} is no mode; choose {' or '.join(Mode)}") from None


@dataclass(frozen=True, slots=True)
class PruneThreshold:
    """The least that pruning must take from a layer for the layer to be written again.

    Either `size`, in bytes of the layer's blob, or `share` of the blob, from 0 to 1.
    """

    share: float = 0.01
    size: int | None = None

    def is_met_by(self, hidden: int, unpacked: int, packed: int) -> bool:
        """Whether a layer loses enough: `hidden` of its `unpacked` bytes of tar.

        Its blob has `packed` bytes, of which the hidden entries are taken to hold the same share as
        of the tar: what they really hold is known only when the layer has been written.
        """
        if not hidden:
            return False
        if self.size is None:
            return hidden >= self.share * unpacked
        return hidden * packed >= self.size * unpacked

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.size is None else str(self.size)


def parse_prune_threshold(text: str, parse_size: Callable[[str], int]) -> PruneThreshold:
    """Parse a share such as `1%`, or what `parse_size` accepts. Raises ValueError."""
    number, percent, rest = text.strip().partition("%")
    if not percent:
        try:
            return PruneThreshold(size=parse_size(text))
        except ValueError:
            raise ValueError(
                f"{text!r} is neither a share of a layer nor a size; write 0% to 100%, or a size "
                "as in 500k or 10M"
            ) from None
    try:
        share = float(number) if number.isascii() and "_" not in number else math.nan
    except ValueError:
        share = math.nan
    if rest or not 0 <= share <= 100:
        raise ValueError(
            f"{text!r} is no share of a layer; write 0% to 100%, or a size as in 500k or 10M"
        )
    return PruneThreshold(share / 100)
