"""The merge under test, as one function from layer tars to a layer tar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from squashproxy.span import Inflated
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.merge import Merge
from squashproxy.squash.packed_estimate import PackedEstimate
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.squash.split import Splitter


class MemoryStream:
    """A layer's chunks."""

    def __init__(self, chunks: Iterable[Inflated]) -> None:
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[Inflated]:
        return self._chunks

    def skip_rest(self) -> None:
        """Nothing: there is no digest."""

    def close(self) -> None:
        """Nothing: there is no blob."""


@dataclass(frozen=True, slots=True)
class MemoryLayer:
    """A layer whose tar is in memory, handed out in chunks of `chunk` bytes."""

    where: str
    tar: bytes
    chunk: int

    def open(self) -> MemoryStream:
        """The tar from its start."""
        starts = range(0, len(self.tar), self.chunk)
        return MemoryStream(Inflated(self.tar[at : at + self.chunk]) for at in starts)


def squash_in_process(
    layers: Sequence[bytes], kept: int, chunk: int = 65536, recent_hidden_bytes: int | None = None
) -> bytes:
    """The tar that takes the place of `layers[kept:]`; empty where nothing is left of them.

    `recent_hidden_bytes` is the merge's, by default its own.
    """
    opened = [MemoryLayer(f"layer {n}", tar, chunk) for n, tar in enumerate(layers)]
    options = MergeOptions(kept=kept)
    if recent_hidden_bytes is not None:
        options = replace(options, recent_hidden_bytes=recent_hidden_bytes)
    return merge_with_restarts(opened, options, _joined)


def _joined(merge: Merge) -> bytes:
    return b"".join(bytes(span.data) for span in merge.iter_spans())


def split_in_process(
    layers: Sequence[bytes], kept: int, size: int, chunk: int = 65536
) -> list[bytes]:
    """The tars that take the place of `layers[kept:]`, of about `size` bytes each, lowest first."""
    opened = [MemoryLayer(f"layer {n}", tar, chunk) for n, tar in enumerate(layers)]

    def run(merge: Merge) -> list[bytes]:
        splitter = Splitter(
            merge.iter_spans(),
            size=size,
            most=10_000,
            estimate=PackedEstimate(is_compressed=False),
            early=merge.options.facts.early,
        )
        parts = []
        while not splitter.is_done:
            part = b"".join(bytes(span.data) for span in splitter.iter_part())
            splitter.note_packed(len(part))
            parts.append(part)
        return [part for part in parts if part]

    return merge_with_restarts(opened, MergeOptions(kept=kept), run)
