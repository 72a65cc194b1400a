"""UnpackLimit: what all layers of an image unpack to together, held against the image's size."""

from __future__ import annotations

from threading import Lock

from squashproxy.limits import Limits, too_large_ratio


class UnpackLimit:
    """Counts what the layers of one image unpack to; `packed` is the size of their blobs in bytes.

    A layer that is read again counts once. The layers are inflated in several threads.
    """

    def __init__(self, limits: Limits, packed: int) -> None:
        self._ratio = limits.ratio
        self._packed = packed
        self._most = limits.most_unpacked(packed)
        self._lock = Lock()
        self._by_layer: dict[int, int] = {}
        self._unpacked = 0

    def note(self, layer: int, unpacked: int, where: str) -> None:
        """Note that `layer` has unpacked to so many bytes so far. Raises LimitExceeded."""
        with self._lock:
            more = unpacked - self._by_layer.get(layer, 0)
            if more <= 0:
                return
            self._by_layer[layer] = unpacked
            self._unpacked += more
            if self._most is not None and self._unpacked > self._most:
                raise too_large_ratio(where, self._ratio, self._packed)
