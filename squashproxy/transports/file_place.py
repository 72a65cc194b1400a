"""The common part of sources and sinks in files."""

from __future__ import annotations

from squashproxy.location import ArchiveReference
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.transports.files import Files


class _FiledPlace:
    repository = None

    def __init__(self, reference: ArchiveReference) -> None:
        self._reference = reference

    @property
    def name(self) -> str:
        """The reference, for people."""
        return str(self._reference)


class FiledSource(_FiledPlace):
    """An image that is read from files."""

    def __init__(self, files: Files, reference: ArchiveReference) -> None:
        super().__init__(reference)
        self._files = files

    @property
    def spooled_bytes(self) -> int:
        """What went to a temporary file."""
        return self._files.spooled_bytes

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()


class FiledSink(_FiledPlace):
    """A place in files that an image is written to."""

    @property
    def tag(self) -> str | None:
        """The image's name in the layout or archive."""
        return self._reference.name

    def try_mount(self, blob: Descriptor, repository: Repository) -> bool:  # noqa: ARG002 - the protocol's names
        """Files have no neighbours to take blobs from."""
        return False
