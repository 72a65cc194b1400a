"""Opening sources and sinks outside of registries."""

from __future__ import annotations

from pathlib import Path

from squashproxy.errors import NoSuchImage
from squashproxy.location import COLON_RULE, ArchiveReference, Transport
from squashproxy.transports.archive_sink import ArchiveSink
from squashproxy.transports.archive_source import open_archive_source
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.files import Folder
from squashproxy.transports.layout_sink import LayoutSink
from squashproxy.transports.layout_source import LayoutSource


def open_source(reference: ArchiveReference) -> ImageSource:
    """Open the image that `reference` names; the caller closes it. Raises ArchiveError."""
    if reference.transport is Transport.OCI:
        root = Path(reference.path)
        if not root.is_dir():
            raise _no_layout(root)
        return LayoutSource(Folder(root), reference)
    return open_archive_source(reference)


def _no_layout(root: Path) -> NoSuchImage:
    name = f"the OCI layout {root}"
    if root.exists():
        return NoSuchImage(f"{name} is no folder", advice="name a tar as oci-archive:")
    if root.is_symlink():
        return NoSuchImage(
            f"{name} is a link to {root.readlink()}, which is not there",
            advice="check where it leads",
        )
    return NoSuchImage(f"{name} is not there", advice=f"check the path, {COLON_RULE}")


def open_sink(reference: ArchiveReference) -> ImageSink:
    """Open the place that `reference` names; the caller closes it.

    Raises ArchiveError if it is taken.
    """
    if reference.transport is Transport.OCI:
        return LayoutSink(reference)
    return ArchiveSink(reference)
