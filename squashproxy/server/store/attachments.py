"""Signatures and statements about squashed images in a directory.

1. A tag beside an image, such as `sha256-HEX.sig`, is a name in the ledger, and so in `index.json`.
2. The referrers of a manifest are listed in an index under the name `HOST/REPO:sha256-HEX`
   (distribution specification 1.1, referrers tag schema), as in any other OCI image layout.
3. An image needs what is attached to it: they are evicted together, and an image whose signature is
   lost is not whole.
"""

from __future__ import annotations

from collections.abc import Callable

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.registry.referrers import (
    fallback_tag,
    subject_in,
    subject_of,
    with_referrer,
)
from squashproxy.server.store.blob_folder import BlobFolder
from squashproxy.server.store.ledger import Ledger


class Attachments:
    """What is attached to the images of a folder; `on_change` is called after a new name.

    Raises StoreFull and ArchiveError.
    """

    def __init__(self, folder: BlobFolder, ledger: Ledger, on_change: Callable[[], None]) -> None:
        self._folder = folder
        self._ledger = ledger
        self._on_change = on_change

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...]:
        """The manifests of the repository that refer to `subject`, as far as they are there."""
        raw = self._find_named(repository, fallback_tag(subject))
        if raw is None:
            return ()
        parsed = parse_manifest(raw, f"the list of referrers of {subject} in the store")
        if not isinstance(parsed, ImageIndex):
            return ()
        listed = (child.descriptor for child in parsed.children)
        return tuple(each for each in listed if self._is_whole(repository, each.digest))

    def find_companion(self, repository: Repository, tag: str) -> RawManifest | None:
        """The manifest of a tag beside an image, if all that it needs is there."""
        raw = self._find_named(repository, tag)
        return raw if raw is not None and self._is_whole(repository, raw.digest) else None

    def add_referrer(self, repository: Repository, raw: RawManifest) -> None:
        """Keep a manifest with a subject, and list it."""
        self._folder.keep_manifest(repository, raw)
        subject = subject_of(raw)
        listing = with_referrer(self.list_referrers(repository, subject), raw)
        if listing is not None:
            self.put_companion(repository, listing, fallback_tag(subject))

    def put_companion(self, repository: Repository, raw: RawManifest, tag: str) -> None:
        """Keep a manifest under a tag that names the image it belongs to."""
        before = self._ledger.find_name(f"{repository}:{tag}")
        self._folder.keep_manifest(repository, raw)
        subject = subject_in(tag)
        if subject is not None:
            with self._ledger.changes():
                if before is not None:
                    self._ledger.forget_need(subject, before)
                self._ledger.need(subject, [raw.digest])
        if self._ledger.name(f"{repository}:{tag}", raw.digest):
            self._on_change()

    def _find_named(self, repository: Repository, tag: str) -> RawManifest | None:
        found = self._ledger.find_name(f"{repository}:{tag}")
        return None if found is None else self._folder.find_manifest(repository, found)

    def _is_whole(self, repository: Repository, digest: Digest) -> bool:
        """Whether a manifest and the files that it needs are there."""
        if self._folder.find_manifest(repository, digest) is None:
            return False
        children = self._ledger.children(digest)
        return self._ledger.is_whole(digest) and all(
            self._folder.find_blob(repository, each.digest) is not None for each in children
        )
