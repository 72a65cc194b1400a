"""The contract of a memory of layers, and of the places that keep its records.

A layer is named by a digest that was verified: that of its blob, which always is, or a diff ID that
was compared with the tar. Under a diff ID that only the image claims, one image could tell lies
about the layers of another.
"""

from __future__ import annotations

from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.layer_memory.pruned_result import PrunedResult
from squashproxy.squash.listing import Listing


class LayerMemory(Protocol):
    """Listings of layers, and results of pruning them; usable from several threads.

    Nothing here raises an error of the place where it is kept: that costs time and a warning,
    never a copy.
    """

    def find_listing(self, layer: Digest) -> Listing | None:
        """What a layer holds, if it is known."""
        ...

    def keep_listing(self, layer: Digest, listing: Listing) -> None:
        """Remember what a layer holds, once it was read and its digest verified."""
        ...

    def find_results(self, layer: Digest) -> tuple[PrunedResult, ...]:
        """The known results of pruning a layer, those that lost most first.

        Whether the target still holds them is not known.
        """
        ...

    def keep_result(self, result: PrunedResult) -> None:
        """Remember a result, once it is in the target."""
        ...


class RecordStore(Protocol):
    """Where records are kept: by kind, which says the version too, and by layer.

    Usable from several threads. Errors become warnings.
    """

    def find(self, kind: str, layer: Digest) -> bytes | None:
        """The record, whatever it holds."""
        ...

    def keep(self, kind: str, layer: Digest, record: bytes) -> None:
        """Keep a record; one that is there may be replaced."""
        ...

    def reject(self, kind: str, layer: Digest, reason: str) -> None:
        """Make room for another record: this one `reason`, such as "is cut short"."""
        ...


class Nothing:
    """A memory that keeps nothing."""

    def find_listing(self, layer: Digest) -> Listing | None:  # noqa: ARG002 - the protocol's names
        """None."""
        return None

    def keep_listing(self, layer: Digest, listing: Listing) -> None:
        """Nothing."""

    def find_results(self, layer: Digest) -> tuple[()]:  # noqa: ARG002 - the protocol's names
        """None."""
        return ()

    def keep_result(self, result: PrunedResult) -> None:
        """Nothing."""
