"""PrunedResult: what pruning a layer gave once, and whether that will do again.

A pruned layer depends on what lies above it, so two versions of an image that hide different files
would get different lower layers. But each entry that can go can also stay (squash/prune.py). So an
earlier result will do wherever all that it lacks can go now:

1. What it dropped can be dropped now.
2. What it replaced by a whiteout can be replaced or dropped now: the whiteout hides the same of
   lower layers as the entry did.
3. What it dropped and has to become a whiteout now is missing: lower layers would show through.

That a result is right in itself (no hard link without its file) follows from the cut that it was
made with, which looked at the same layer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.mediatypes import Compression
from squashproxy.squash.cut import Cut


class Ordinals:
    """Entries of one layer by their ordinals: an immutable set of four bytes an entry."""

    __slots__ = ("column",)

    def __init__(self, ordinals: Iterable[int]) -> None:
        self.column = array("I", sorted(set(ordinals)))

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[int]:
        return iter(self.column)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ordinals) and self.column == other.column

    def __hash__(self) -> int:
        return hash(self.column.tobytes())

    def __repr__(self) -> str:
        return f"Ordinals({self.column.tolist()})"


@dataclass(frozen=True, slots=True)
class PrunedResult:
    """A layer that was written again without some entries.

    `source` is the digest of the layer's blob, `source_diff_id` that of its tar. `dropped` and
    `whiteouts` are the entries of the Cut, and `hidden_bytes` is what the tar lost. `digest` and
    `size` (in bytes) are those of the new blob, `diff_id` and `unpacked` (in bytes) those of its
    tar. For a layer that was left out as a whole, all of these are those of no bytes.
    """

    source: Digest
    source_diff_id: Digest
    dropped: Ordinals
    whiteouts: Ordinals
    hidden_bytes: int
    compression: Compression
    digest: Digest
    size: int
    diff_id: Digest
    unpacked: int

    @property
    def is_nothing(self) -> bool:
        """Whether the layer was left out."""
        return not self.size


def left_out(source: Digest, source_diff_id: Digest, cut: Cut) -> PrunedResult:
    """The result for a layer of which nothing is left."""
    nothing = digest_of(b"")
    return PrunedResult(
        source,
        source_diff_id,
        Ordinals(cut.dropped),
        Ordinals(cut.whiteouts),
        cut.hidden_bytes,
        Compression.NONE,
        nothing,
        0,
        nothing,
        0,
    )


def is_subset(result: PrunedResult, cut: Cut) -> bool:
    """Whether `result`, of the same layer, is right where `cut` is what can go now."""
    if result.hidden_bytes > cut.hidden_bytes:
        return False
    dropped = set(cut.dropped)
    if not dropped.issuperset(result.dropped):
        return False
    return all(each in dropped or each in cut.whiteouts for each in result.whiteouts)


def left_in(result: PrunedResult, cut: Cut) -> Ordinals:
    """The entries that can go now and that `result` still holds.

    They are as many bytes of tar as the `hidden_bytes` of the cut exceed those of the result.
    """
    gone = {*result.dropped, *result.whiteouts}
    return Ordinals(each for each in (*cut.dropped, *cut.whiteouts) if each not in gone)
