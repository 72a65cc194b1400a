"""Facts that a pass over the layers must know in advance, and the exceptions that ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that earlier passes found.

    `superseded`: by layer, the ordinals of entries that a later entry of the same layer replaces.
    `described`: by path, headers of directories whose entry stands in a lower layer than entries
    below them. With a base kept, the header must go out before those: the base may hold something
    else at that path.
    `replaced`: directories that a lower layer, still above the base, removed first. Their opaque
    marker must directly follow them: after their children, some unpackers would remove those too.
    """

    superseded: Mapping[int, frozenset[int]] = field(default_factory=dict)
    described: Mapping[bytes, bytes] = field(default_factory=dict)
    replaced: Collection[bytes] = frozenset()


@dataclass(slots=True)
class Survey:
    """Facts collected by a pass that is made only for them; see Facts."""

    described: dict[bytes, bytes] = field(default_factory=dict)
    replaced: set[bytes] = field(default_factory=set)


class RestartNeeded(Exception):
    """A fact must be known before layer `layer` is read, but output has been written already."""

    def __init__(self, layer: int) -> None:
        super().__init__(layer)
        self.layer = layer


class DuplicatePath(RestartNeeded):
    """A path stands twice in the layer, and its first entry may be out; see `find_superseded`."""


class SurveyNeeded(RestartNeeded):
    """The layer describes a directory that had to be known in the layers above; see `Survey`."""
