"""PathIndex: the state of each path after the layers read so far, from the top down.

The rules of hiding. What stands at a path P in a layer acts on the layers below it:

1. A file, symlink, device, fifo or hard link hides P and everything under P.
2. A directory hides only the lower directory's own entry; their children merge.
3. A whiteout of P hides P and everything under P.
4. An opaque marker in P hides everything under P, but not P.
5. An entry below P, with none for P itself, implies a directory P. A lower directory then describes
   P; a lower entry that is not a directory is hidden.
6. A hidden entry still hides. With a directory on top, a file at the same path below it and another
   directory below that, the children of the lowest do not come back.
7. Whiteouts and opaque markers act on lower layers only, wherever they stand in their own.
8. A path that stands twice in one layer is a DUPLICATE: the last entry counts, and finding it
   takes another reading. What it hides in lower layers is known at once. Below an upper layer's
   directory it is hidden, but may still undo what earlier entries did (`takes_back`).
9. An entry below a symlink of its own layer lands where the symlink points. Symlinks of lower
   layers are not followed, as on an overlay file system; rule 5 applies.

Each fact carries the number of its layer (0 is the lowest). While layer m is read, a fact of layer
m changes nothing; from layer m-1 on it does. That is all that rule 7 needs: nothing is staged.

Facts about a path are kept with the directory that holds it, by name. A directory inherits from the
one above it whether it is hidden, so work and memory are linear in the bytes of all paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from squashproxy.archive.path import join, parent_of
from squashproxy.squash.indexed_directory import (
    DIRECTORY,
    IMPLIED,
    KIND_BITS,
    KIND_MASK,
    NO_NAMES,
    OTHER,
    VISIBLE,
    IndexedDirectory,
)
from squashproxy.squash.path_tree import BYTES_PER_NODE, parts_of
from squashproxy.squash.remainders import Remainder, Remainders
from squashproxy.squash.symlinks import SymlinkMap

DUPLICATE = -2
"""The layer held this path before, or entries below it, and this one is not a directory."""
REDIRECTED = -3
"""The path leads through a symlink of this layer; place the path that `resolve` returns."""
LATE = -4
"""Visible, and it describes a directory that entries of an upper layer implied (rule 5)."""

_ABOVE_ALL = 1 << 30
_BYTES_PER_PATH = 150
_BYTES_PER_DIRECTORY = BYTES_PER_NODE + 300


class PathIndex:
    """Decides which entry wins each path, by the rules above.

    Directories in `described` count as present as soon as an entry implies them.
    """

    def __init__(self, described: Collection[bytes] = ()) -> None:
        self._root = IndexedDirectory()
        self._root.winners[b""] = _ABOVE_ALL << KIND_BITS | IMPLIED
        self._found: list[bytes] = []
        self._facts = self._directories = self._names = 0
        for path in described:
            above, _, name = path.rpartition(b"/")
            holder = self._root.reach(above)
            if holder.described is None:
                holder.described = set()
            holder.described.add(name)
        self._marked: set[bytes] = set()
        self._replaced: set[bytes] = set()
        self._restored: set[bytes] = set()
        self._layer = _ABOVE_ALL
        self._reading = 0
        self._as_directory = self._as_other = 0
        self._symlinks = SymlinkMap()
        self._parent: bytes | None = None
        self._at = self._root
        self._name_at = 0
        self._parent_hiding = VISIBLE
        self._parent_known = False
        self._parent_redirected = False

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that the index takes, names included."""
        return (
            self._names
            + _BYTES_PER_PATH * self._facts
            + _BYTES_PER_DIRECTORY * self._directories
            + self._symlinks.memory
        )

    def begin_layer(self, number: int) -> None:
        """Start layer `number`, whose entries follow; numbers go down."""
        self._layer = number
        self._reading += 1
        self._as_directory = number << KIND_BITS | DIRECTORY
        self._as_other = number << KIND_BITS | OTHER
        root = self._root
        root.hiding = root.opaque if root.opaque > number else VISIBLE
        root.hiding_in = self._reading
        self._replaced.clear()
        self._restored.clear()
        self._symlinks = SymlinkMap()
        self._parent = None

    def place(self, path: bytes, parent: bytes, *, is_directory: bool) -> int:
        """Claim `path`, which lies in `parent`, for an entry of this layer.

        Returns VISIBLE, LATE, DUPLICATE, REDIRECTED, or the number of the layer that hides the
        entry.
        """
        if parent != self._parent:
            self._enter(parent)
        if self._parent_redirected:
            return REDIRECTED
        if self._parent_hiding >= 0 and path:
            return self._parent_hiding
        at, name = self._at, path[self._name_at :]
        known = at.winners.get(name)
        if known is not None:
            return self._place_again(path, name, known, is_directory=is_directory)
        if at.gone and (gone := at.gone.get(name, VISIBLE)) > self._layer:
            self._note_again(at, name)
            return gone
        at.winners[name] = self._as_directory if is_directory else self._as_other
        self._facts += 1
        self._names += len(name)
        if not self._parent_known:
            self._imply(at)
            self._parent_known = True
        return VISIBLE

    def remove(self, path: bytes) -> None:
        """Note a whiteout of `path` in this layer."""
        parent, _, name = path.rpartition(b"/")
        at = self._reach(parent)
        if at.hiding >= 0:
            return
        self._imply(at)
        self._replaced.discard(path)
        if at.winners.get(name, DIRECTORY) & KIND_MASK != OTHER and name not in at.gone:
            self._note_gone(at, name)

    def make_opaque(self, directory: bytes) -> bool:
        """Note an opaque marker in this layer; True if it is `directory`'s first that counts."""
        if self.shows_other(directory):
            return False
        at = self._reach(directory)
        if at.hiding >= 0 or at.opaque >= 0:
            return False
        self._imply(at)
        at.opaque = self._layer
        return True

    def hider_of_entries(self, directory: bytes) -> int | None:
        """The layer that hides everything which this layer holds in `directory`, if one does."""
        found = self._reach(directory).hiding
        return found if found >= 0 else None

    def was_entered(self, path: bytes) -> bool:
        """Whether this layer has placed an entry or a marker below `path` so far."""
        found = self._root.find(path)
        return found is not None and found.hiding_in == self._reading

    def try_mark(self, directory: bytes) -> bool:
        """Claim the output's opaque marker for `directory`; False if it was written before."""
        if directory in self._marked:
            return False
        self._marked.add(directory)
        self._facts += 1
        self._names += len(directory)
        return True

    def is_settled(self, directory: bytes) -> bool:
        """Whether the output hides the base's content of `directory`, at it or further up."""
        return directory in self._marked or self._is_covered(directory)

    def is_removed_here(self, path: bytes) -> bool:
        """Whether this layer removed `path`."""
        at, name = self._find(path)
        return at is not None and at.gone.get(name) == self._layer

    def takes_back(self, path: bytes, *, is_directory: bool) -> bool:
        """Whether the entry just placed at `path`, hidden by an upper layer's directory, undoes
        what earlier entries of this layer did.

        A directory takes the place of something else: what lower layers have there shows again. Or
        something else takes the place of a directory, and with it of this layer's entries below.
        """
        if is_directory:
            return path in self._restored
        return self.is_removed_here(path) and self.was_entered(path)

    def holds(self, path: bytes) -> bool:
        """Whether any layer so far shows something at `path`."""
        return self._winner(path) is not None

    def shows_other(self, path: bytes) -> bool:
        """Whether the layers so far show something at `path` that is not a directory."""
        known = self._winner(path)
        return known is not None and known & KIND_MASK == OTHER

    def other_from(self, path: bytes) -> int | None:
        """The layer whose entry shows at `path`; None if there is none, or it is a directory."""
        return self._from(path, OTHER)

    def directory_from(self, path: bytes) -> int | None:
        """The layer whose directory entry shows at `path`; None if there is none."""
        return self._from(path, DIRECTORY)

    def _from(self, path: bytes, kind: int) -> int | None:
        known = self._winner(path)
        if known is None or known & KIND_MASK != kind:
            return None
        return known >> KIND_BITS

    def holds_directory(self, path: bytes) -> bool:
        """Whether the layers so far show a directory at `path`, implied or with an entry."""
        known = self._winner(path)
        return known is not None and known & KIND_MASK != OTHER

    def is_implied(self, path: bytes) -> bool:
        """Whether entries below `path` were seen, but none for `path` itself."""
        known = self._winner(path)
        return known is not None and known & KIND_MASK == IMPLIED

    def note_symlink(self, path: bytes, target: bytes) -> None:
        """Note a symlink of this layer at `path`; later entries below it land where it points."""
        self._symlinks.note(path, target)
        self._parent = None

    def forget_symlink(self, path: bytes) -> None:
        """Something else of this layer takes the place of what it had at `path`."""
        if self._symlinks.forget(path):
            self._parent = None

    def resolve(self, path: bytes) -> bytes:
        """The path at which an entry lands once this layer's symlinks above it are followed.

        Raises BadEntry for a circle, and where it lands at a path that is too long.
        """
        return self._symlinks.resolve(path)

    def iter_remainders(
        self,
        *,
        keeps_base: bool,
        read_base: Callable[[], PathIndex] | None = None,
        check: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[Remainder, bytes]]:
        """The entries that the output still needs; see `Remainders`."""
        remainders = Remainders(self._root, self._marked, keeps_base)
        return remainders.iterate(read_base, check)

    def _enter(self, parent: bytes) -> None:
        self._parent = parent
        self._parent_redirected = self._symlinks.lead(parent)
        if self._parent_redirected:  # nothing is placed below it
            return
        at = self._at = self._reach(parent)
        self._name_at = len(parent) + 1 if parent else 0
        self._parent_hiding = at.hiding
        above, name = at.own
        self._parent_known = name in above.winners

    def _reach(self, directory: bytes) -> IndexedDirectory:
        """The node of `directory`, which knows what hides its content from this layer.

        Each directory takes over what hides the one above it.
        """
        node, reading = self._root, self._reading
        for name in parts_of(directory):
            below = node.below.get(name)
            if below is None:
                below = node.add(name)
                self._directories += 1
                self._names += len(name)
            if below.hiding_in != reading:
                hiding = node.hiding
                below.hiding = hiding if hiding >= 0 else self._own_hiding(below)
                below.hiding_in = reading
            node = below
        return node

    def _find(self, path: bytes) -> tuple[IndexedDirectory | None, bytes]:
        """The directory that holds `path`, if anything is known of it, and the name in it."""
        parent, _, name = path.rpartition(b"/")
        if parent == self._parent and not self._parent_redirected:
            return self._at, name
        return self._root.find(parent), name

    def _winner(self, path: bytes) -> int | None:
        at, name = self._find(path)
        return None if at is None else at.winners.get(name)

    def _place_again(self, path: bytes, name: bytes, known: int, *, is_directory: bool) -> int:
        at = self._at
        by, kind = known >> KIND_BITS, known & KIND_MASK
        if is_directory and path in self._replaced:
            self._replaced.discard(path)
            self._restored.add(path)
            del at.gone[name]
        if kind == IMPLIED:
            gone = at.gone.get(name, VISIBLE)
            if gone > self._layer:
                return gone
            if is_directory:
                at.winners[name] = self._layer << KIND_BITS | DIRECTORY
                return VISIBLE if by == self._layer or not path else LATE
        if by == self._layer:
            at.winners[name] = self._as_directory if is_directory else self._as_other
            return DUPLICATE
        if not is_directory and kind != OTHER and name not in at.gone:
            self._note_gone(at, name)
            self._replaced.add(path)
            self._names += len(path)
        return by

    def _note_gone(self, at: IndexedDirectory, name: bytes) -> None:
        """Note that the layer removes a name."""
        if at.gone is NO_NAMES:
            at.gone = {}
        at.gone[name] = self._layer
        self._facts += 1
        self._names += len(name)

    def _note_again(self, at: IndexedDirectory, name: bytes) -> None:
        """Note that the layer made a name that an upper one removed."""
        if at.again is None:
            at.again = set()
        if name not in at.again:
            at.again.add(name)
            self._facts += 1
            self._names += len(name)

    def take_described(self) -> list[bytes]:
        """Directories of `described` that became implied since the last call, parents first."""
        found = self._found
        if found:
            self._found = []
        return found

    def _imply(self, directory: IndexedDirectory) -> None:
        implied = []
        above, name = directory.own
        while name not in above.winners:
            implied.append((above, name))
            above, name = above.own
        for above, name in reversed(implied):
            is_described = above.described is not None and name in above.described
            kind = DIRECTORY if is_described else IMPLIED
            above.winners[name] = self._layer << KIND_BITS | kind
            self._facts += 1
            if is_described:
                self._found.append(join(above.path, name))

    def _own_hiding(self, directory: IndexedDirectory) -> int:
        above, name = directory.own
        known = above.winners.get(name)
        if known is not None and known & KIND_MASK == OTHER and known >> KIND_BITS > self._layer:
            return known >> KIND_BITS
        gone = above.gone.get(name, VISIBLE)
        if gone > self._layer:
            self._note_again(above, name)
        newest = max(gone, directory.opaque)
        return newest if newest > self._layer else VISIBLE

    def _is_covered(self, path: bytes) -> bool:
        """Whether something further up hides all that the base has at `path`."""
        node = self._root
        if not path or node.opaque >= 0:
            return bool(path)
        for name in parts_of(parent_of(path)):
            if name in node.gone or node.shows_other(name):
                return True
            below = node.below.get(name)
            if below is None:
                return False
            if below.opaque >= 0:
                return True
            node = below
        return False
