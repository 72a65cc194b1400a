"""Squashing an image in place: the tag moves only if nobody moved it meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.base import SourceOpener
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import CopyResult
from squashproxy.progress import Observer
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.registry import RegistrySink, RegistrySource


class TagMoved(SquashproxyError):
    """Somebody pushed to the tag while its image was squashed; the push wins."""


class GuardedSink(RegistrySink):
    """A tag that is replaced only while it points to what was squashed."""

    def __init__(self, client: RegistryClient, reference: Reference, expected: Digest) -> None:
        super().__init__(client, reference)
        self._expected = expected

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under the tag. Raises TagMoved."""
        if self.find_manifest() != self._expected:
            raise TagMoved(f"{self.name} was pushed to while it was squashed; its push was left")
        super().publish(manifest)


@dataclass(frozen=True, slots=True)
class InPlaceSquasher:
    """Squashes images of one registry's repository into itself."""

    client: RegistryClient
    open_source: SourceOpener
    peek_source: SourceOpener
    observer: Observer

    def squash(
        self, repository: Repository, tag: str, digest: Digest, options: CopyOptions
    ) -> CopyResult:
        """Squash what `tag` points to, which is `digest`. Raises TagMoved and SquashproxyError."""
        source = RegistrySource(self.client, Reference(repository, None, digest))
        sink = GuardedSink(self.client, Reference(repository, tag), digest)
        return copy_image(
            source,
            sink,
            options,
            open_source=self.open_source,
            peek_source=self.peek_source,
            observer=self.observer,
            clock=time.monotonic,
        )

    def retag(self, repository: Repository, tag: str, old: Digest, new: Digest) -> None:
        """Let another tag of the same image point to the squashed one. Raises TagMoved."""
        remote = self.client.repository(repository)
        found = remote.find_manifest(tag)
        if found is None or found.digest != old:
            raise TagMoved(f"{repository}:{tag} was pushed to meanwhile; its push was left")
        remote.put_manifest(remote.get_manifest(new), tag)
