"""Images in archives of any kind."""

from __future__ import annotations

from squashproxy.location import ArchiveReference, Transport
from squashproxy.transports.docker_archive import DockerArchiveSource
from squashproxy.transports.layout_source import LayoutSource
from squashproxy.transports.open import open_archive

ArchiveSource = LayoutSource | DockerArchiveSource


def open_archive_source(reference: ArchiveReference) -> ArchiveSource:
    """Open the image that `reference` names in a tar; the caller closes it. Raises what opening the
    tar raises.
    """
    files = open_archive(reference.path)
    if reference.transport is Transport.DOCKER_ARCHIVE:
        return DockerArchiveSource(files, reference)
    return LayoutSource(files, reference)
