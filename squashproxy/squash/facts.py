"""What a pass over the layers must know beforehand, and how it says that it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """What earlier passes found out.

    `superseded`: by layer, the ordinals of entries that a later entry of the same layer replaces.
    `described`: headers of directories that stand in a lower layer than entries below them do. With
    a base kept, they must go out first: the base may hold something else at their path.
    """

    superseded: Mapping[int, frozenset[int]] = field(default_factory=dict)
    described: Mapping[bytes, bytes] = field(default_factory=dict)


class RestartNeeded(Exception):
    """Something must be known before layer `layer` is read, and other layers are out already."""

    def __init__(self, layer: int) -> None:
        super().__init__(layer)
        self.layer = layer


class DuplicatePath(RestartNeeded):
    """A path stands twice in the layer, and the first entry may be out; see `find_superseded`."""


class LateDirectory(RestartNeeded):
    """The layer describes a directory whose children may be out; see `find_described`."""
