"""Opening sources and sinks outside of registries."""

from __future__ import annotations

from pathlib import Path

from squashproxy.errors import NoSuchImage
from squashproxy.location import COLON_RULE, ArchiveReference, Transport
from squashproxy.transports.archive_sink import ArchiveSink
from squashproxy.transports.archive_source import open_archive_source
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.files import Folder
from squashproxy.transports.layout import LayoutSource
from squashproxy.transports.layout_sink import LayoutSink


def open_source(reference: ArchiveReference) -> ImageSource:
    """Open the image that `reference` names; the caller closes it. Raises ArchiveError."""
    if reference.transport is Transport.OCI:
        root = Path(reference.path)
        if not root.is_dir():
            what = f"is not there; check the path, {COLON_RULE}"
            if root.exists():
                what = "is no folder; name a tar as oci-archive:"
            elif root.is_symlink():
                what = f"is a link to {root.readlink()}, which is not there; check where it leads"
            raise NoSuchImage(f"the OCI layout {root} {what}")
        return LayoutSource(Folder(root), reference)
    return open_archive_source(reference)


def open_sink(reference: ArchiveReference) -> ImageSink:
    """Open the place that `reference` names; the caller closes it. Raises ArchiveError where it is
    taken.
    """
    if reference.transport is Transport.OCI:
        return LayoutSink(reference)
    return ArchiveSink(reference)
