"""Layers fetched and inflated beside the merge, the next ones before they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from squashproxy.pipeline.read_ahead import Ahead
from squashproxy.pipeline.source_layer import SourceLayer
from squashproxy.pipeline.threads import Crew
from squashproxy.span import Inflated

_LAYERS_AHEAD = 2


class Prefetch:
    """Opens layers for a merge, which reads them from the top down.

    Those below `kept` are begun only when they are asked for.

    Fetching and inflating run in threads of `crew`, with which they end.
    """

    def __init__(self, layers: Sequence[SourceLayer], kept: int, crew: Crew) -> None:
        self._layers = layers
        self._kept = kept
        self._crew = crew
        self._begun: dict[int, PrefetchedStream] = {}
        self.layers = [PrefetchedLayer(self, number) for number in range(len(layers))]
        """The layers as the merge is to see them, base first."""

    def where(self, number: int) -> str:
        """The layer, for people."""
        return self._layers[number].where

    def open(self, number: int) -> PrefetchedStream:
        """Begin to read a layer, and those below it as well."""
        reading = self._begun.pop(number, None) or self._begin(number)
        for below in range(number - 1, max(self._kept, number - _LAYERS_AHEAD) - 1, -1):
            if below not in self._begun:
                self._begun[below] = self._begin(below)
        return reading

    def _begin(self, number: int) -> PrefetchedStream:
        layer = self._layers[number]
        fetched = self._crew.ahead(layer.iter_fetched(), len, f"fetch {layer.number}")
        skipped = Event()
        chunks = layer.iter_unpacked(iter(fetched), skipped.is_set)
        inflated = self._crew.ahead(chunks, _weigh, f"inflate {layer.number}")
        checked = layer.iter_checked(inflated, skipped.is_set)
        return PrefetchedStream(fetched, inflated, checked, skipped)


class PrefetchedStream:
    """A layer's tar, while it is fetched and inflated."""

    def __init__(
        self,
        fetched: Ahead[bytes],
        inflated: Ahead[Inflated],
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
        """Read to the end without inflating, so that the digest is checked all the same.

        How far it was inflated already hangs on timing, so the diff ID is not asked for.
        """
        self._skipped.set()
        for _ in self._chunks:
            pass

    def close(self) -> None:
        """Read no further, where the end was not reached."""
        self._inflated.stop()
        self._fetched.stop()


@dataclass(frozen=True, slots=True)
class PrefetchedLayer:
    """A layer that the merge opens."""

    prefetch: Prefetch
    number: int

    @property
    def where(self) -> str:
        """The layer, for people."""
        return self.prefetch.where(self.number)

    def open(self) -> PrefetchedStream:
        """Begin to read the layer; to be closed."""
        return self.prefetch.open(self.number)


def _weigh(chunk: Inflated) -> int:
    return len(chunk.content)
