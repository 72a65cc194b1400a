"""A cache of bounded size that drops the least recently used values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Holds values up to a total weight; each weighs 1 unless `weigh` says otherwise."""

    def __init__(self, max_weight: int, weigh: Callable[[V], int] | None = None) -> None:
        self._max_weight = max_weight
        self._weigh = weigh or (lambda _: 1)
        self._weight = 0
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key)
        self._values[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._max_weight and len(self._values) > 1:
            _, dropped = self._values.popitem(last=False)
            self._weight -= self._weigh(dropped)

    def get(self, key: K, default: V) -> V:
        """The value of a key, or the default; this counts as a use."""
        found = self.find(key)
        return default if found is None else found

    def find(self, key: K) -> V | None:
        """The value of a key, or None; this counts as a use."""
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
        return found

    def find_or_make(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is missing or None; this counts as a use."""
        found = self.find(key)
        if found is None:
            found = self[key] = make()
        return found

    def pop(self, key: K) -> None:
        """Forget a key, if it is there."""
        found = self._values.pop(key, None)
        if found is not None:
            self._weight -= self._weigh(found)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._weight = 0
