"""Distinct layers of the images that a run copied or found up to date, by registry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from squashproxy.digest import Digest
from squashproxy.pipeline.distinct_layers import DistinctBytes, DistinctLayers, distinct_bytes
from squashproxy.promotion.results import ImageOutcome, ImageResult
from squashproxy.reference import parse_reference
from squashproxy.state.promotions import PromotionMemory

_PRESENT = (ImageOutcome.COPIED, ImageOutcome.CURRENT)


class FleetLayers:
    """Collects the layers on record of promoted images. `images` is how many had any."""

    def __init__(self, memory: PromotionMemory) -> None:
        self._memory = memory
        self._found: defaultdict[str, list[DistinctLayers]] = defaultdict(list)
        self.images = 0

    def add(self, results: Iterable[ImageResult]) -> None:
        """Add the images that are at their targets now; before their record is forgotten."""
        for image in results:
            if image.outcome not in _PRESENT or image.digest is None:
                continue
            target = parse_reference(image.target)
            layers = self._memory.find_layers(image.rule, target, Digest(image.digest))
            if layers is not None:
                self._found[target.repository.host].append(layers)
                self.images += 1

    @property
    def total(self) -> DistinctBytes:
        """The bytes in all registries, each of which stores a layer once."""
        return sum(map(distinct_bytes, self._found.values()), DistinctBytes())
