"""Counting the layers of a kept base for a plan; a copy does not read them."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.errors import FormatError, LimitExceeded, WrongDiffId
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.progress import Observer
from squashproxy.squash.census import Census
from squashproxy.squash.layer import LayerCount, ScannedLayer


def count_base(
    census: Census, layers: Sequence[ScannedLayer], base: Sequence[Descriptor], observer: Observer
) -> dict[int, LayerCount]:
    """The counts of the `base` layers that can be read, by number; `layers` are all of the image.

    Foreign layers are left out: no registry holds them. A layer that is damaged or past a limit
    ends the counting with a warning, since a copy would keep it anyway. Raises what fetching a
    layer raises.
    """
    counts: dict[int, LayerCount] = {}
    for number in reversed(range(len(base))):
        if is_foreign(base[number].media_type):
            continue
        try:
            counts[number] = census.count(number, layers[number])
        except (FormatError, LimitExceeded, WrongDiffId) as error:
            observer.warn(
                f"the base is counted only above layer {number + 1}, which a copy would keep as it "
                f"is: {error}"
            )
            break
    return counts
