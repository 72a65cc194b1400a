"""Layers fetched and inflated beside the merge, the next ones before they are asked for."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from squashproxy.pipeline.ahead import Ahead
from squashproxy.pipeline.crew import Crew
from squashproxy.pipeline.source_layer import SourceLayer
from squashproxy.span import Inflated

_LAYERS_AHEAD = 2


class Prefetch:
    """Opens layers for a merge, which reads them from the top down to the last above `kept`.

    Fetching and inflating run in threads of `crew`, with which they end.
    """

    def __init__(self, layers: Sequence[SourceLayer], kept: int, crew: Crew) -> None:
        self._layers = layers
        self._kept = kept
        self._crew = crew
        self._begun: dict[int, _Reading] = {}
        self.layers = [PrefetchedLayer(self, number) for number in range(len(layers))]
        """The layers as the merge is to see them, base first."""

    def where(self, number: int) -> str:
        """The layer, for people."""
        return self._layers[number].where

    def open(self, number: int) -> Generator[Inflated, None, None]:
        """A layer's tar from its start. Those below it begin as well."""
        reading = self._begun.pop(number, None) or self._begin(number)
        for below in range(number - 1, max(self._kept, number - _LAYERS_AHEAD) - 1, -1):
            if below not in self._begun:
                self._begun[below] = self._begin(below)
        try:
            yield from reading.inflated
        finally:
            reading.stop()

    def _begin(self, number: int) -> _Reading:
        layer = self._layers[number]
        fetched = self._crew.ahead(layer.iter_fetched(), len, f"fetch {layer.number}")
        chunks = layer.iter_unpacked(iter(fetched))
        inflated = self._crew.ahead(chunks, _weigh, f"inflate {layer.number}")
        return _Reading(fetched, inflated)


@dataclass(frozen=True, slots=True)
class _Reading:
    fetched: Ahead[bytes]
    inflated: Ahead[Inflated]

    def stop(self) -> None:
        """Read no further, where the end was not reached."""
        self.inflated.stop()
        self.fetched.stop()


@dataclass(frozen=True, slots=True)
class PrefetchedLayer:
    """A layer that the merge opens."""

    prefetch: Prefetch
    number: int

    @property
    def where(self) -> str:
        """The layer, for people."""
        return self.prefetch.where(self.number)

    def open(self) -> Generator[Inflated, None, None]:
        """The inflated tar from its start."""
        return self.prefetch.open(self.number)


def _weigh(chunk: Inflated) -> int:
    return len(chunk.content)
