"""Images in OCI image layouts, as sources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from squashproxy.digest import Digest
from squashproxy.location import ArchiveReference
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import INDEXES
from squashproxy.registry.referrers import fallback_tag
from squashproxy.transports.file_place import FiledSource
from squashproxy.transports.files import Files
from squashproxy.transports.layout import (
    CONTAINERD_NAME,
    NO_NAME,
    REF_NAME,
    Layout,
    blob_path,
    no_such_image,
    ref_name,
)
from squashproxy.transports.layout_platforms import Present, described, present, try_gather


class LayoutSource(FiledSource):
    """An image, or an index, in a layout."""

    chooses_compression = True
    keeps_digests = True

    def __init__(self, files: Files, reference: ArchiveReference) -> None:
        super().__init__(files, reference)
        self._layout = Layout(files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the layout names and does not hold. Raises NoSuchImage, ArchiveError."""
        return () if self._present is None else self._present.warnings

    @property
    def names(self) -> list[str]:
        """The names of all images that are there, NO_NAME for those without.

        Layouts of docker and containerd have full references, since their tags alone may be equal.
        """
        images = (image.annotations for image in self._layout.images)
        return [names.get(CONTAINERD_NAME) or names.get(REF_NAME) or NO_NAME for names in images]

    def find_digest(self) -> Digest:
        """The digest of the image. Raises NoSuchImage."""
        if self._present is not None:
            return self._present.raw.digest
        return self._find()

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the image, or the one of `digest` beside it; digest verified."""
        own = self._present
        if own is not None and digest in (None, own.raw.digest):
            return own.raw
        return self._layout.read_manifest(digest or self.find_digest())

    @cached_property
    def _present(self) -> Present | None:
        """What the layout holds of an index that is the image; None for anything else.

        It is another index, with a digest of its own, where images of it are absent.
        """
        wanted = self._reference.digest
        gathered = try_gather(self._layout, self._reference.name)
        if gathered is not None and wanted in (None, gathered.digest):
            return present(self._layout, gathered)
        digest = self._find()
        if self._layout.files.find(blob_path(digest)) is None:
            return None
        raw = self._layout.read_manifest(digest)
        return present(self._layout, raw) if raw.media_type in INDEXES else None

    def _find(self) -> Digest:
        if self._reference.digest is not None:
            return self._reference.digest
        found = self._layout.find(self._reference.name)
        if found is None:
            raise no_such_image(self.name, self._reference.name, self._described_names())
        return found.digest

    def _described_names(self) -> list[str]:
        """The names of the images, with digest and platform where a name is none or not unique."""
        found = []
        for image, name in zip(self._layout.images, self.names, strict=True):
            if name == NO_NAME:
                found.append(described(self._layout, image))
            elif self.names.count(name) > 1:
                found.append(f"{name} {described(self._layout, image)}")
            else:
                found.append(name)
        return found

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob; size and digest are checked."""
        return self._layout.iter_blob(blob)

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`."""
        return self._layout.list_referrers(digest)

    def companion_tags(self, digest: Digest) -> tuple[str, ...]:
        """The names that begin as the manifest's list of referrers is called."""
        name = fallback_tag(digest)
        names = [ref_name(child.descriptor) for child in self._layout.index.children]
        return tuple(sorted(each for each in names if each.startswith(name)))

    def find_tag(self, tag: str) -> Digest | None:
        """What another name points to; None for nothing."""
        found = self._layout.find_named(tag)
        return None if found is None else found.digest
