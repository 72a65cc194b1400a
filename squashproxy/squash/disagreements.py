"""Layers about which unpackers disagree, and hard links that none of them can make: the sentences.

The merge follows overlay file systems and warns. In strict mode, a disagreement is an error.
"""

from __future__ import annotations

from squashproxy.archive.path import shown
from squashproxy.errors import Ambiguous, BadArchive
from squashproxy.squash.layer import MergeReport
from squashproxy.squash.links import Link


class Disagreements:
    """Reports disagreements about one layer after the other.

    Every method but `begin_layer` adds a warning to `report`; if `is_strict`, it raises Ambiguous.
    `repairs`: the layers are merged, and unpackers agree about the result.
    """

    def __init__(self, report: MergeReport, *, is_strict: bool, repairs: bool = True) -> None:
        self._report = report
        self._is_strict = is_strict
        self._repairs = repairs
        self._number = -1
        self._where = ""

    def begin_layer(self, number: int, where: str) -> None:
        """Start layer `number`, which messages call `where`."""
        self._number = number
        self._where = where

    def implied(self, path: bytes) -> None:
        """Report a file at a path below which an upper layer has entries."""
        self._report_one(
            f"{self._where}: {shown(path)} is no directory, but an upper layer has entries "
            "below it; as on overlay file systems, the upper layer's directory replaces it",
            "implied",
        )

    def duplicate(self, path: bytes) -> None:
        """Report a path that occurs twice in the layer."""
        self._report_one(
            f"{self._where} holds {shown(path)} more than once; the last one counts", "duplicate"
        )

    def roundabout(self, path: bytes) -> None:
        """Report an entry that is written with a `..` inside its name, or its link's target."""
        self._report_one(
            f"{self._where}: the name of {shown(path)}, or of the file that it links to, leads "
            "there with '..'; some unpackers refuse that"
            + (", so the result has it without" if self._repairs else ""),
            "roundabout",
        )

    def lower_link(self, path: bytes, target: bytes) -> None:
        """Report a hard link whose target is in a lower layer."""
        self._report_one(
            f"{self._where}: the hard link {shown(path)} points to "
            f"{shown(target)}, which its layer does not hold; overlay unpackers fail on "
            "that" + (", so the result holds the file itself" if self._repairs else ""),
            "lower link",
        )

    def _report_one(self, sentence: str, kind: str) -> None:
        if self._is_strict:
            deed = "squash it with a warning" if self._repairs else "prune it as it is"
            raise Ambiguous(sentence, advice=f"leave {{strict}} off to {deed}")
        self._report.warn(self._number, kind, sentence)


def broken_link(where: str, link: Link, target: bytes) -> BadArchive:
    """The error for a link of layer `where` whose file no layer holds."""
    return BadArchive(
        f"{where}: the hard link {shown(link.path)} points to "
        f"{shown(target)}, which neither its layer nor one below holds, so no unpacker can "
        "make it",
        advice="build the image again",
    )


def linked_directory(where: str, link: Link, target: bytes) -> BadArchive:
    """The error for a link of layer `where` to a directory."""
    return BadArchive(
        f"{where}: the hard link {shown(link.path)} points to the "
        f"directory {shown(target)}, which no unpacker can make",
        advice="build the image again",
    )
