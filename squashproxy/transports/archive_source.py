"""Images in archives, whatever kind of archive it is."""

from __future__ import annotations

from squashproxy.location import ArchiveReference, Transport
from squashproxy.transports.docker_archive import DockerArchiveSource
from squashproxy.transports.layout import LayoutSource
from squashproxy.transports.open import open_archive

ArchiveSource = LayoutSource | DockerArchiveSource


def open_archive_source(reference: ArchiveReference) -> ArchiveSource:
    """The image that `reference` names in a tar; to be closed. Raises what opening the tar does."""
    files = open_archive(reference.path)
    if reference.transport is Transport.DOCKER_ARCHIVE:
        return DockerArchiveSource(files, reference)
    return LayoutSource(files, reference)
