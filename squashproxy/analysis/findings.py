"""All that a plan notes of hidden files while the layers go by."""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.analysis.hidden_files import LargestHidden
from squashproxy.analysis.hidden_folders import HiddenFolders
from squashproxy.analysis.secrets import Suspects
from squashproxy.squash.layer import HiddenEntry


@dataclass(frozen=True, slots=True)
class Findings:
    """Hands what a merge tells of hidden entries to everyone who keeps something of it."""

    largest: LargestHidden = field(default_factory=LargestHidden)
    folders: HiddenFolders = field(default_factory=HiddenFolders)
    suspects: Suspects = field(default_factory=Suspects)

    def clear(self) -> None:
        """Forget all: the merge begins again."""
        for keeper in (self.largest, self.folders, self.suspects):
            keeper.clear()

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides the entry; what has no content takes no room and tells nothing."""
        if entry.size:
            self.largest.hidden(entry)
            self.folders.hidden(entry)
            self.suspects.hidden(entry)

    def revived(self, path: bytes, layer: int, size: int) -> None:
        """The hidden entry's content, of `size` bytes, lives on after all as a hard link's."""
        if size:
            self.largest.revived(path, layer)
            self.folders.revived(path, size)
            self.suspects.revived(path, layer, size)
