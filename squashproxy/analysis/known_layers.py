"""Layers that the memory knows: what they hold, and whether that is enough for a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from squashproxy.oci.mediatypes import compression_of, is_foreign
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.rewrite.find_cuts import find_listings
from squashproxy.pipeline.rewrite.squash_layers import compression_for
from squashproxy.pipeline.transfer.source_layer import SourceLayer, is_ratio_met
from squashproxy.squash.layer import KnownLayer
from squashproxy.squash.listing import Listing, ListingRecorder


def find_known(layers: Sequence[SourceLayer], options: CopyOptions) -> dict[int, Listing]:
    """The listings that the memory of the options has, by number.

    None counts where the tars themselves are to be hashed, and none of a layer that unpacks to more
    than the options allow: it is read, and refused.
    """
    if options.check_diff_ids:
        return {}
    own = [n for n, layer in enumerate(layers) if not is_foreign(layer.descriptor.media_type)]
    return {
        number: listing
        for number, listing in find_listings(layers, own, options.memory).items()
        if is_ratio_met(listing.unpacked, layers[number].descriptor.size, options.limits.ratio)
    }


def known_layers(
    layers: Sequence[SourceLayer], listings: Mapping[int, Listing]
) -> list[KnownLayer] | None:
    """The layers as a scan reads them; None unless all are known.

    A foreign layer, which no registry holds, counts as known and empty.
    """
    nothing = ListingRecorder().finish(0)
    known = []
    for number, layer in enumerate(layers):
        is_absent = is_foreign(layer.descriptor.media_type)
        listing = nothing if is_absent else listings.get(number)
        if listing is None:
            return None
        known.append(KnownLayer(layer.where, listing))
    return known


def is_estimable(
    layers: Sequence[SourceLayer], kept: int, options: CopyOptions, *, compresses_plain: bool
) -> bool:
    """Whether the sizes of new layers can be estimated from those that they replace.

    That needs the same compression: how well a layer compresses in another way, only its content
    tells. `layers` are all of the image, of which the first `kept` stay.
    """
    above = [layer.descriptor for layer in layers[kept:]]
    if options.mode is Mode.COPY or not above:
        return True
    groups = [above] if options.mode is Mode.SQUASH else [[layer] for layer in above]
    return all(
        compression_of(layer.media_type)
        is compression_for(group, options.compression, compresses_plain=compresses_plain)
        for group in groups
        for layer in group
    )
