"""The findings on hidden files, collected while the layers are read."""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.analysis.hidden_files import LargestHidden
from squashproxy.analysis.hidden_folders import HiddenFolders
from squashproxy.analysis.secrets import Suspects
from squashproxy.squash.layer import HiddenEntry


@dataclass(frozen=True, slots=True)
class Findings:
    """Passes each hidden entry on to everything that collects findings."""

    largest: LargestHidden = field(default_factory=LargestHidden)
    folders: HiddenFolders = field(default_factory=HiddenFolders)
    suspects: Suspects = field(default_factory=Suspects)

    def clear(self) -> None:
        """Forget everything: the merge begins again."""
        for keeper in (self.largest, self.folders, self.suspects):
            keeper.clear()

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides the entry. Empty files are ignored."""
        if entry.size:
            self.largest.hidden(entry)
            self.folders.hidden(entry)
            self.suspects.hidden(entry)

    def revived(self, path: bytes, layer: int, size: int) -> None:
        """A hidden entry (`size` bytes) is kept after all, as the content of a hard link."""
        if size:
            self.largest.revived(path, layer)
            self.folders.revived(path, size)
            self.suspects.revived(path, layer, size)
