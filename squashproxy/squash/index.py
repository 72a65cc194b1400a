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
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import Enum

from squashproxy.archive.path import parent_of
from squashproxy.squash.symlinks import SymlinkMap

VISIBLE = -1
"""The entry belongs to the output."""
DUPLICATE = -2
"""The layer held this path before, or entries below it, and this one is not a directory."""
REDIRECTED = -3
"""The path leads through a symlink of this layer; place the path that `resolve` returns."""
LATE = -4
"""Visible, and it describes a directory that entries of an upper layer implied (rule 5)."""

_DIRECTORY = 0
_OTHER = 1
_IMPLIED = 2
_KIND_BITS = 2
_KIND_MASK = 3
_ABOVE_ALL = 1 << 30
_BYTES_PER_PATH = 230


class Remainder(Enum):
    """A kind of entry to add to the output after all layers are read."""

    DIRECTORY = "directory"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"


class PathIndex:
    """Decides which entry wins each path, by the rules above.

    Directories in `described` count as present as soon as an entry implies them.
    """

    def __init__(self, described: Collection[bytes] = ()) -> None:
        self._described = described
        self._found: list[bytes] = []
        self._winners: dict[bytes, int] = {b"": _ABOVE_ALL << _KIND_BITS | _IMPLIED}
        self._gone: dict[bytes, int] = {}
        self._opaque: dict[bytes, int] = {}
        self._marked: set[bytes] = set()
        self._removed_again: set[bytes] = set()
        self._replaced: set[bytes] = set()
        self._restored: set[bytes] = set()
        self._layer = _ABOVE_ALL
        self._as_directory = self._as_other = 0
        self._hiding: dict[bytes, int] = {}
        self._symlinks = SymlinkMap()
        self._parent: bytes | None = None
        self._parent_hiding = VISIBLE
        self._parent_known = False
        self._parent_redirected = False

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that the index takes."""
        return _BYTES_PER_PATH * (len(self._winners) + len(self._gone) + len(self._opaque))

    def begin_layer(self, number: int) -> None:
        """Start layer `number`, whose entries follow; numbers go down."""
        self._layer = number
        self._as_directory = number << _KIND_BITS | _DIRECTORY
        self._as_other = number << _KIND_BITS | _OTHER
        root = self._opaque.get(b"", VISIBLE)
        self._hiding = {b"": root if root > number else VISIBLE}
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
        known = self._winners.get(path)
        if known is not None:
            return self._place_again(path, known, is_directory=is_directory)
        if self._gone and (gone := self._gone.get(path, VISIBLE)) > self._layer:
            self._removed_again.add(path)
            return gone
        self._winners[path] = self._as_directory if is_directory else self._as_other
        if not self._parent_known:
            self._imply(parent)
            self._parent_known = True
        return VISIBLE

    def remove(self, path: bytes) -> None:
        """Note a whiteout of `path` in this layer."""
        parent = parent_of(path)
        if self._hiding_of(parent) >= 0:
            return
        self._imply(parent)
        self._replaced.discard(path)
        if self._winners.get(path, _DIRECTORY) & _KIND_MASK != _OTHER:
            self._gone.setdefault(path, self._layer)

    def make_opaque(self, directory: bytes) -> bool:
        """Note an opaque marker in this layer; True if it is `directory`'s first that counts."""
        known = self._winners.get(directory)
        if known is not None and known & _KIND_MASK == _OTHER:
            return False
        if self._hiding_of(directory) >= 0 or directory in self._opaque:
            return False
        self._imply(directory)
        self._opaque[directory] = self._layer
        return True

    def hider_of_entries(self, directory: bytes) -> int | None:
        """The layer that hides everything which this layer holds in `directory`, if one does."""
        found = self._hiding_of(directory)
        return found if found >= 0 else None

    def was_entered(self, path: bytes) -> bool:
        """Whether this layer has placed an entry or a marker below `path` so far."""
        return path in self._hiding

    def try_mark(self, directory: bytes) -> bool:
        """Claim the output's opaque marker for `directory`; False if it was written before."""
        if directory in self._marked:
            return False
        self._marked.add(directory)
        return True

    def is_settled(self, directory: bytes) -> bool:
        """Whether the output hides the base's content of `directory`, at it or further up."""
        return directory in self._marked or self._is_covered(directory)

    def is_removed_here(self, path: bytes) -> bool:
        """Whether this layer removed `path`."""
        return self._gone.get(path) == self._layer

    def takes_back(self, path: bytes, *, is_directory: bool) -> bool:
        """Whether the entry just placed at `path`, hidden by an upper layer's directory, undoes
        what earlier entries of this layer did.

        A directory takes the place of something else: what lower layers have there shows again. Or
        something else takes the place of a directory, and with it of this layer's entries below.
        """
        if is_directory:
            return path in self._restored
        return path in self._hiding and self.is_removed_here(path)

    def holds(self, path: bytes) -> bool:
        """Whether any layer so far shows something at `path`."""
        return path in self._winners

    def shows_other(self, path: bytes) -> bool:
        """Whether the layers so far show something at `path` that is not a directory."""
        return self._winners.get(path, _DIRECTORY) & _KIND_MASK == _OTHER

    def other_from(self, path: bytes) -> int | None:
        """The layer whose entry shows at `path`; None if there is none, or it is a directory."""
        return self._from(path, _OTHER)

    def directory_from(self, path: bytes) -> int | None:
        """The layer whose directory entry shows at `path`; None if there is none."""
        return self._from(path, _DIRECTORY)

    def _from(self, path: bytes, kind: int) -> int | None:
        known = self._winners.get(path)
        if known is None or known & _KIND_MASK != kind:
            return None
        return known >> _KIND_BITS

    def holds_directory(self, path: bytes) -> bool:
        """Whether the layers so far show a directory at `path`, implied or with an entry."""
        return self._winners.get(path, _OTHER) & _KIND_MASK != _OTHER

    def is_implied(self, path: bytes) -> bool:
        """Whether entries below `path` were seen, but none for `path` itself."""
        return self._winners.get(path, _OTHER) & _KIND_MASK == _IMPLIED

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

        Raises BadEntry for a circle.
        """
        return self._symlinks.resolve(path)

    def iter_remainders(
        self, *, keeps_base: bool, read_base: Callable[[], PathIndex] | None = None
    ) -> Iterator[tuple[Remainder, bytes]]:
        """The entries that the output still needs, by path, a directory before its marker.

        With a base: whiteouts and opaque markers that may hide its content, and directories that it
        must not describe. Without one: directories implied by hidden entries alone. `read_base` is
        called when only the paths of the base can tell.
        """
        found = [(path, Remainder.DIRECTORY) for path in self._bare_directories(keeps_base)]
        if keeps_base:
            found += self._markers(read_base)
        found.sort(key=lambda item: (item[0], item[1] is not Remainder.DIRECTORY))
        for path, remainder in found:
            yield remainder, path

    def _enter(self, parent: bytes) -> None:
        self._parent = parent
        self._parent_redirected = self._symlinks.lead(parent)
        if self._parent_redirected:  # nothing is placed below it
            return
        self._parent_hiding = self._hiding_of(parent)
        self._parent_known = parent in self._winners

    def _place_again(self, path: bytes, known: int, *, is_directory: bool) -> int:
        by, kind = known >> _KIND_BITS, known & _KIND_MASK
        if is_directory and path in self._replaced:
            self._replaced.discard(path)
            self._restored.add(path)
            del self._gone[path]
        if kind == _IMPLIED:
            gone = self._gone.get(path, VISIBLE)
            if gone > self._layer:
                return gone
            if is_directory:
                self._winners[path] = self._layer << _KIND_BITS | _DIRECTORY
                return VISIBLE if by == self._layer or not path else LATE
        if by == self._layer:
            self._winners[path] = self._as_directory if is_directory else self._as_other
            return DUPLICATE
        if not is_directory and kind != _OTHER and path not in self._gone:
            self._gone[path] = self._layer
            self._replaced.add(path)
        return by

    def take_described(self) -> list[bytes]:
        """Directories of `described` that became implied since the last call, parents first."""
        found = self._found
        if found:
            self._found = []
        return found

    def _imply(self, directory: bytes) -> None:
        implied = []
        while directory not in self._winners:
            implied.append(directory)
            directory = parent_of(directory)
        for path in reversed(implied):
            is_described = path in self._described
            kind = _DIRECTORY if is_described else _IMPLIED
            self._winners[path] = self._layer << _KIND_BITS | kind
            if is_described:
                self._found.append(path)

    def _hiding_of(self, directory: bytes) -> int:
        """The layer that hides everything in `directory` from this one, or VISIBLE."""
        chain = []
        while (found := self._hiding.get(directory)) is None:
            chain.append(directory)
            directory = parent_of(directory)
        for below in reversed(chain):
            if found == VISIBLE:
                found = self._own_hiding(below)
            self._hiding[below] = found
        return found

    def _own_hiding(self, directory: bytes) -> int:
        known = self._winners.get(directory)
        if known is not None and known & _KIND_MASK == _OTHER and known >> _KIND_BITS > self._layer:
            return known >> _KIND_BITS
        gone = self._gone.get(directory, VISIBLE)
        if gone > self._layer:
            self._removed_again.add(directory)
        newest = max(gone, self._opaque.get(directory, VISIBLE))
        return newest if newest > self._layer else VISIBLE

    def _is_covered(self, path: bytes) -> bool:
        """Whether something further up hides all that the base has at `path`."""
        while path:
            path = parent_of(path)
            if path in self._gone or path in self._opaque:
                return True
            if self._winners.get(path, _DIRECTORY) & _KIND_MASK == _OTHER:
                return True
        return False

    def _markers(self, read_base: Callable[[], PathIndex] | None) -> list[tuple[bytes, Remainder]]:
        sure: list[bytes] = []
        doubtful: list[bytes] = []
        opaque: list[bytes] = []
        for path in self._gone:
            if self._is_covered(path) or self.shows_other(path):
                continue
            if path not in self._winners:
                (doubtful if path in self._removed_again else sure).append(path)
            elif path not in self._marked:
                opaque.append(path)
        whiteouts = sure + self._without_doubt(sure, doubtful, read_base)
        return [
            *((path, Remainder.WHITEOUT) for path in whiteouts),
            *((path, Remainder.OPAQUE) for path in opaque),
        ]

    def _without_doubt(
        self,
        sure: Iterable[bytes],
        doubtful: Sequence[bytes],
        read_base: Callable[[], PathIndex] | None,
    ) -> list[bytes]:
        """Those of the `doubtful` whiteouts that the base needs.

        They remove something that these layers made themselves. A whiteout does no harm if the base
        has its directory. The base surely has it if one of the `sure` whiteouts, which hide what
        these layers did not make, lies in it; then all are kept and the base need not be read.
        """
        based = {b""}
        for path in sure:
            directory = parent_of(path)
            while directory not in based:
                based.add(directory)
                directory = parent_of(directory)
        if read_base is None or all(parent_of(path) in based for path in doubtful):
            return list(doubtful)
        base = read_base()
        return [path for path in doubtful if base.holds(path)]

    def _bare_directories(self, keeps_base: bool) -> list[bytes]:
        implied = [
            path for path, known in self._winners.items() if known & _KIND_MASK == _IMPLIED and path
        ]
        if keeps_base:
            return [path for path in implied if path in self._gone or self._is_covered(path)]
        return self._without_children(set(implied)) if implied else []

    def _without_children(self, implied: set[bytes]) -> list[bytes]:
        for path, known in self._winners.items():
            if known & _KIND_MASK != _IMPLIED:
                parent = parent_of(path)
                while parent in implied:
                    implied.discard(parent)
                    parent = parent_of(parent)
        return list(implied)
