"""What a pass over the layers must know beforehand, and how it says that it does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """What earlier passes found out.

    `superseded`: by layer, the ordinals of entries that a later entry of the same layer replaces.
    `described`: headers of directories that stand in a lower layer than entries below them do. With
    a base kept, they must go out first: the base may hold something else at their path.
    `replaced`: directories that a lower layer, still above the base, removed before. Their opaque
    markers go out with them: behind their children, naive unpackers would touch those.
    """

    superseded: Mapping[int, frozenset[int]] = field(default_factory=dict)
    described: Mapping[bytes, bytes] = field(default_factory=dict)
    replaced: Collection[bytes] = frozenset()


@dataclass(slots=True)
class Survey:
    """Facts that a pass collects when it is only made for them."""

    described: dict[bytes, bytes] = field(default_factory=dict)
    replaced: set[bytes] = field(default_factory=set)


class RestartNeeded(Exception):
    """Something must be known before layer `layer` is read, and other layers are out already."""

    def __init__(self, layer: int) -> None:
        super().__init__(layer)
        self.layer = layer


class DuplicatePath(RestartNeeded):
    """A path stands twice in the layer, and the first entry may be out; see `find_superseded`."""


class SurveyNeeded(RestartNeeded):
    """What the layer says of a directory had to be known above it; see `Survey`."""
