"""Layers that the memory knows: what they hold, and whether that is enough for a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from squashproxy.oci.mediatypes import compression_of, is_foreign
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.rewrite.find_cuts import find_listings
from squashproxy.pipeline.rewrite.squash_layers import compression_for
from squashproxy.pipeline.transfer.source_layer import SourceLayer, packed_size
from squashproxy.squash.layer import KnownLayer
from squashproxy.squash.listing import Listing, empty_listing


def find_known(layers: Sequence[SourceLayer], options: CopyOptions) -> dict[int, Listing]:
    """The listings that the memory of the options has, by number.

    None counts where the tars themselves are to be hashed, and where they unpack to more than the
    options allow: then they are read, and the image is refused.
    """
    if options.check_diff_ids:
        return {}
    own = [n for n, layer in enumerate(layers) if not is_foreign(layer.descriptor.media_type)]
    listings = find_listings(layers, own, options.memory)
    most = options.limits.most_unpacked(packed_size(layer.descriptor for layer in layers))
    unpacked = sum(listing.unpacked for listing in listings.values())
    return {} if most is not None and unpacked > most else listings


def known_layers(
    layers: Sequence[SourceLayer], listings: Mapping[int, Listing]
) -> list[KnownLayer] | None:
    """The layers as a scan reads them; None unless all are known.

    A foreign layer, which no registry holds, counts as known and empty.
    """
    nothing = empty_listing()
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
