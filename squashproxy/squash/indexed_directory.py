"""IndexedDirectory: what is known of the names in a directory, for squash/index.py.

A fact of who shows at a name is one number: the layer, shifted by KIND_BITS, and the kind of what
shows there.
"""

from __future__ import annotations

from typing import Self

from squashproxy.squash.path_tree import PathNode

VISIBLE = -1
"""The entry belongs to the output."""

DIRECTORY = 0
OTHER = 1
IMPLIED = 2
KIND_BITS = 2
KIND_MASK = 3

NO_NAMES: dict[bytes, int] = {}
"""Never filled: most directories have no whiteouts in them."""


class IndexedDirectory(PathNode):
    """A directory that entries or markers lie in, or were looked for in.

    `winners` and `gone` are facts about the names in it: who shows there, and who removed it.
    `again` are names in it that a layer made which an upper one removed. `described` are names in
    it that count as present as soon as an entry implies them. `opaque` is the layer of its own
    marker. `hiding` is the layer that hides all its content in reading `hiding_in`, the last one in
    which that was asked.
    """

    __slots__ = ("again", "described", "gone", "hiding", "hiding_in", "opaque", "winners")

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        super().__init__(above, name)
        self.winners: dict[bytes, int] = {}
        self.gone: dict[bytes, int] = NO_NAMES
        self.again: set[bytes] | None = None
        self.described: set[bytes] | None = None
        self.opaque = VISIBLE
        self.hiding = VISIBLE
        self.hiding_in = 0

    @property
    def own(self) -> tuple[Self, bytes]:
        """The directory that holds it, and its name there; of the root, itself and no name."""
        return self.above, self.name

    @property
    def is_implied(self) -> bool:
        """Whether something below it was seen, but no entry for itself."""
        return self.above.winners.get(self.name, OTHER) & KIND_MASK == IMPLIED

    @property
    def holds_entries(self) -> bool:
        """Whether anything directly in it shows that is more than an implied directory."""
        return any(known & KIND_MASK != IMPLIED for known in self.winners.values())

    @property
    def hides_base(self) -> bool:
        """Whether it hides all that the base has in it."""
        return self.opaque >= 0 or self.name in self.above.gone or self.above.shows_other(self.name)

    def shows_other(self, name: bytes) -> bool:
        """Whether something shows at a name in it that is not a directory."""
        return self.winners.get(name, DIRECTORY) & KIND_MASK == OTHER
