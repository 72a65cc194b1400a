"""Making several layers of one merge, each of about the size that the user asked for."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.squash.merge import Merge
from squashproxy.squash.packed_estimate import PackedEstimate
from squashproxy.squash.split import MOST_LAYERS, Splitter

_SLACK = 20
"""Parts are planned for a twentieth more than the source holds: without it, small errors of the
estimates would add up to a last part of a few bytes.
"""


def is_split(above: Sequence[Descriptor], size: int | None) -> bool:
    """Whether the layer made of those `above` the base may be larger than `size` bytes."""
    return size is not None and sum(layer.size for layer in above) > size


def make_split(
    merge: Merge, above: Sequence[Descriptor], maker: LayerMaker, size: int
) -> tuple[NewLayer, ...]:
    """The layers that a merge of those `above` the base becomes, lowest first.

    One after the other is made and stored, so parts before a failure stay behind as blobs that no
    manifest names. Raises what a Splitter and `maker` raise.
    """
    options = merge.options
    splitter = Splitter(
        merge.iter_spans(),
        size=_balanced(sum(layer.size for layer in above), size),
        most=max(1, MOST_LAYERS - options.kept),
        estimate=PackedEstimate(is_compressed=maker.compression is not Compression.NONE),
        early=options.facts.early,
        max_memory=options.max_memory,
    )
    made = []
    while not splitter.is_done:
        layer = maker.make(splitter.iter_part(), "merge")
        if layer is not None:
            splitter.note_packed(layer.descriptor.size)
            made.append(layer)
    return tuple(made)


def count_parts(above: Sequence[Descriptor], made: int, size: int | None, kept: int) -> int:
    """About how many layers are made of `made` bytes of those `above` the first `kept`."""
    if size is None or not is_split(above, size):
        return 1
    part = _balanced(sum(layer.size for layer in above), size)
    return min(max(1, -(-made // part)), max(1, MOST_LAYERS - kept))


def _balanced(total: int, size: int) -> int:
    """The size of each part, so that `total` bytes become equal ones of at most `size` each."""
    planned = total + total // _SLACK
    return -(-planned // -(-planned // size))
