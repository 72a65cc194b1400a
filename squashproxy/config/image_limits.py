"""Limits on the images that rules copy; serve has its own, which are smaller."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.config.section import Section
from squashproxy.config.value_types import CountLimit, RatioLimit, SizeLimit
from squashproxy.limits import Limits


@dataclass(frozen=True, slots=True)
class ImageLimits(Section):
    """Limits past which promote and cleanup refuse an image; `none` is no limit."""

    memory: SizeLimit = Limits().memory
    """What may be remembered of an image's paths, links and attributes."""
    max_unpacked: SizeLimit = Limits().unpacked
    """What the layers of an image may unpack to."""
    max_entries: CountLimit = Limits().entries
    """How many files, directories and links an image may have."""
    max_ratio: RatioLimit = Limits().ratio
    """What an image may unpack to, in times of its size; the first 100 MiB are free."""

    @property
    def of_images(self) -> Limits:
        """The limits, as a copy takes them."""
        return Limits(self.memory, self.max_unpacked, self.max_entries, self.max_ratio)
