"""Prefetching layers: they are fetched and inflated in threads before the merge asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from squashproxy.pipeline.transfer.read_ahead import ReadAhead
from squashproxy.pipeline.transfer.source_layer import SourceLayer
from squashproxy.pipeline.transfer.stream_group import StreamGroup
from squashproxy.span import Inflated

_LAYERS_AHEAD = 2


Passes = Callable[[int, Iterator[bytes]], Iterator[bytes]]
"""Takes a layer's number and its blob, and gives the blob back, looked at in passing."""


class Prefetch:
    """Opens layers for a merge, which reads them from the top down.

    Layers below `kept` are opened only when they are asked for. Fetching and inflating run in
    `threads`, and end with it. With `passes`, each blob goes through it, and no layer is begun
    early: what it passes the blob on to might wait too long in the middle of it.
    """

    def __init__(
        self,
        layers: Sequence[SourceLayer],
        kept: int,
        threads: StreamGroup,
        passes: Passes | None = None,
    ) -> None:
        self._layers = layers
        self._kept = kept
        self._threads = threads
        self._passes = passes
        self._begun: dict[int, PrefetchedStream] = {}
        self.layers = [PrefetchedLayer(self, number) for number in range(len(layers))]
        """The layers as the merge is to see them, base first."""

    def where(self, number: int) -> str:
        """The layer, for people."""
        return self._layers[number].where

    def open(self, number: int) -> PrefetchedStream:
        """Start to read a layer, and the next ones below it."""
        reading = self._begun.pop(number, None) or self._begin(number)
        ahead = _LAYERS_AHEAD if self._passes is None else 0
        for below in range(number - 1, max(self._kept, number - ahead) - 1, -1):
            if below not in self._begun:
                self._begun[below] = self._begin(below)
        return reading

    def _begin(self, number: int) -> PrefetchedStream:
        layer = self._layers[number]
        blob = layer.iter_fetched()
        if self._passes is not None:
            blob = self._passes(number, blob)
        fetched = self._threads.read_ahead(blob, len, f"fetch {layer.number}")
        skipped = Event()
        chunks = layer.iter_unpacked(iter(fetched), skipped.is_set)
        inflated = self._threads.read_ahead(chunks, _weigh, f"inflate {layer.number}")
        checked = layer.iter_checked(inflated, skipped.is_set)
        return PrefetchedStream(fetched, inflated, checked, skipped)


class PrefetchedStream:
    """The tar of a layer that is being fetched and inflated."""

    def __init__(
        self,
        fetched: ReadAhead[bytes],
        inflated: ReadAhead[Inflated],
        checked: Iterator[Inflated],
        skipped: Event,
    ) -> None:
        self._fetched = fetched
        self._inflated = inflated
        self._chunks = checked
        self._skipped = skipped

    def __iter__(self) -> Iterator[Inflated]:
        return self._chunks

    def skip_rest(self) -> None:
        """Read to the end without inflating, so that the blob's digest is still checked.

        How much was inflated by then depends on timing, so the diff ID is not checked.
        """
        self._skipped.set()
        for _ in self._chunks:
            pass

    def close(self) -> None:
        """Stop reading before the end."""
        self._inflated.stop()
        self._fetched.stop()


@dataclass(frozen=True, slots=True)
class PrefetchedLayer:
    """A layer as the merge sees it."""

    prefetch: Prefetch
    number: int

    @property
    def where(self) -> str:
        """The layer, for people."""
        return self.prefetch.where(self.number)

    def open(self) -> PrefetchedStream:
        """Start to read the layer; the caller closes the stream."""
        return self.prefetch.open(self.number)


def _weigh(chunk: Inflated) -> int:
    return len(chunk.content)
