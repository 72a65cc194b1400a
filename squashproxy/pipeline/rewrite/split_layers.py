"""Making several layers of one merge, each of about the size that the user asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from squashproxy.digest import Hasher
from squashproxy.errors import IntegrityError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression
from squashproxy.pipeline.rewrite.merge_passes import MergePasses
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.span import Span
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
    passes: MergePasses, above: Sequence[Descriptor], maker: LayerMaker, size: int
) -> tuple[NewLayer, ...]:
    """The layers that a merge of those `above` the base becomes, lowest first.

    One after the other is made and stored, so parts before a failure stay behind as blobs that no
    manifest names. Raises what a Splitter and `maker` raise.
    """
    splitting = _Splitting(passes, above, maker, size)
    while not splitting.is_done:
        splitting.make_next()
    return tuple(layer for layer in splitting.made if layer is not None)


@dataclass(slots=True)
class _Splitting:
    """The parts so far; `made` has None for one that is empty."""

    passes: MergePasses
    above: Sequence[Descriptor]
    maker: LayerMaker
    size: int
    made: list[NewLayer | None] = field(default_factory=list)
    _splitter: Splitter | None = None

    @property
    def is_done(self) -> bool:
        """Whether the last part was made."""
        return self._splitter is not None and self._splitter.is_done

    def make_next(self) -> None:
        """Make and store the next part."""
        layer = self.maker.make(self._iter_next, "merge")
        if layer is not None and self._splitter is not None:
            self._splitter.note_packed(layer.descriptor.size)
        self.made.append(layer)

    def _iter_next(self) -> Iterator[Span]:
        """The spans of the next part. If they went by already, another pass leads there."""
        splitter = self._splitter
        if splitter is None or splitter.parts > len(self.made):
            if splitter is not None:
                splitter.close()
            splitter = self._splitter = self._begin()
            for layer in self.made:
                _skip(splitter, layer)
        return splitter.iter_part()

    def _begin(self) -> Splitter:
        spans = self.passes.iter_spans()
        options = self.passes.merge.options
        return Splitter(
            spans,
            size=_balanced(sum(layer.size for layer in self.above), self.size),
            most=max(1, MOST_LAYERS - options.kept),
            estimate=PackedEstimate(is_compressed=self.maker.compression is not Compression.NONE),
            early=options.facts.early,
            max_memory=options.max_memory,
        )


def _skip(splitter: Splitter, layer: NewLayer | None) -> None:
    """Read a part that was stored before. Raises IntegrityError if it is another one now."""
    content = Hasher()
    for span in splitter.iter_part():
        content.update(span.data)
    if layer is None:
        return
    if content.digest != layer.diff_id:
        raise IntegrityError(
            f"a part of the squashed layer was made twice, and differs ({layer.diff_id}): what it "
            "is made of changed in its place or on the way",
            advice="try again",
            blob=layer.diff_id,
        )
    splitter.note_packed(layer.descriptor.size)


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
