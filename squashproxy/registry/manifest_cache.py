"""A cache of manifests by digest: a digest always means the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest


class ManifestCache(Protocol):
    """Keeps manifests by digest; usable from several threads."""

    def find(self, digest: Digest) -> RawManifest | None:
        """The exact bytes of a manifest; None where it is not cached."""
        ...

    def find_all(self, digests: Iterable[Digest]) -> Mapping[Digest, RawManifest]:
        """Those of some manifests that are cached."""
        ...

    def add(self, digest: Digest, raw: RawManifest) -> None:
        """Keep a manifest whose digest was checked."""
        ...


class NoCache:
    """Keeps nothing."""

    def find(self, digest: Digest) -> None:  # noqa: ARG002 - the protocol's names
        """Nothing."""
        return

    def find_all(self, digests: Iterable[Digest]) -> Mapping[Digest, RawManifest]:  # noqa: ARG002 - see above
        """Nothing."""
        return {}

    def add(self, digest: Digest, raw: RawManifest) -> None:
        """Do nothing."""
