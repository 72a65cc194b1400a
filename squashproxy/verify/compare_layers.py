"""Comparing images layer by layer, for systems whose layers are never merged.

A Windows host merges the registry hives of all layers, so there is no tree to compare: two images
are the same only if all their layers are, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.cancellation import Cancellation
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.progress import Observer, watched
from squashproxy.transports.base import ImageReader
from squashproxy.transports.documents import short
from squashproxy.verify.compare import Comparison
from squashproxy.verify.layers import ImageLayer
from squashproxy.verify.results import Difference


def compare_layers(
    ours: Sequence[ImageLayer],
    theirs: Sequence[ImageLayer],
    observer: Observer,
    cancellation: Cancellation,
) -> Comparison:
    """Read every layer of both images and compare what they unpack to, byte for byte.

    How a layer is compressed does not matter. Raises what reading a layer raises.
    """
    for layer in (*ours, *theirs):
        if is_foreign(layer.descriptor.media_type):
            observer.warn(f"{unread(layer)}; it was compared by its diff ID")
        else:
            layer.hash_tar(observer, cancellation)
    differences = [
        Difference("", "layers", _text(one), _text(other))
        for one, other in zip(ours, theirs, strict=False)
        if one.diff_id != other.diff_id
    ]
    if len(ours) != len(theirs):
        differences.append(Difference("", "layers", _count(ours), _count(theirs)))
    return Comparison(0, tuple(differences), layers=max(len(ours), len(theirs)))


def compare_blobs(
    places: Sequence[ImageReader],
    blobs: Sequence[Descriptor],
    observer: Observer,
    cancellation: Cancellation,
) -> Comparison:
    """Read the blobs of what nobody can unpack at each of the places, to check their digests.

    Raises what reading a blob raises.
    """
    for place in places:
        for number, blob in enumerate(blobs, 1):
            if is_foreign(blob.media_type):
                continue
            label = f"blob {number}/{len(blobs)}"
            read = watched(
                place.iter_blob(blob), observer, cancellation, label, blob.size, outcome="read"
            )
            for _ in read:
                pass
    return Comparison(0, (), layers=len(blobs))


def unread(layer: ImageLayer) -> str:
    """Why a foreign layer is not read, for people."""
    return f"{layer.where} may not be distributed, so registries do not hold it"


def _text(layer: ImageLayer) -> str:
    return f"layer {layer.number + 1} is {short(layer.diff_id)}"


def _count(layers: Sequence[ImageLayer]) -> str:
    return f"{len(layers)} {'layer' if len(layers) == 1 else 'layers'}"
