"""RememberedLayers: a memory of layers over a store of records."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.layer_memory.base import RecordStore
from squashproxy.layer_memory.pruned_result import PrunedResult
from squashproxy.layer_memory.results_record import (
    MOST_RESULTS,
    RESULTS_VERSION,
    decode_results,
    encode_results,
)
from squashproxy.squash.listing import MOST_LISTED, Listing
from squashproxy.squash.listing_record import (
    LISTING_VERSION,
    decode_listing,
    encode_listing,
)

_LISTING = f"listing-{LISTING_VERSION}"


@dataclass(frozen=True, slots=True)
class RememberedLayers:
    """See LayerMemory. Results count only for the same `engine` (pipeline/stamp.py)."""

    store: RecordStore
    engine: int

    def find_listing(self, layer: Digest) -> Listing | None:
        """What a layer holds."""
        record = self.store.find(_LISTING, layer)
        if record is None:
            return None
        try:
            return decode_listing(record, layer)
        except FormatError as error:
            self.store.reject(_LISTING, layer, error.fact)
            return None

    def keep_listing(self, layer: Digest, listing: Listing) -> None:
        """Remember what a layer holds, unless it is out of all proportion."""
        if listing.memory <= MOST_LISTED:
            self.store.keep(_LISTING, layer, encode_listing(listing, layer))

    def find_results(self, layer: Digest) -> tuple[PrunedResult, ...]:
        """The known results, those that lost most first."""
        results = self._results(layer)
        return tuple(sorted(results, key=lambda each: (-each.hidden_bytes, each.digest)))

    def keep_result(self, result: PrunedResult) -> None:
        """Remember a result, and no more than the latest of its layer.

        If two processes do that at once, one of the results may be forgotten.
        """
        known = self._results(result.source)
        if result not in known[-1:]:
            latest = [each for each in known if each != result][1 - MOST_RESULTS :]
            record = encode_results([*latest, result], result.source, self.engine)
            self.store.keep(self._kind, result.source, record)

    @property
    def _kind(self) -> str:
        return f"results-{RESULTS_VERSION}-{self.engine}"

    def _results(self, layer: Digest) -> tuple[PrunedResult, ...]:
        """The known results, the latest last."""
        record = self.store.find(self._kind, layer)
        if record is None:
            return ()
        try:
            return decode_results(record, layer, self.engine)
        except FormatError as error:
            self.store.reject(self._kind, layer, error.fact)
            return ()
