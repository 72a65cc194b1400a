"""Images of the builder, pushed to a real registry."""

from __future__ import annotations

from squashproxy.digest import Digest, parse_digest
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions
from tests.real.registries import PASSWORD, USER, RealRegistry


class PushToRegistry:
    """What an ImageBuilder pushes to, in front of a registry."""

    def __init__(self, registry: RealRegistry) -> None:
        self._host = registry.host
        self._client = RegistryClient(ClientOptions(logins={registry.host: (USER, PASSWORD)}))

    def put_blob(self, repo: str, data: bytes, /) -> Digest:
        """Store a blob."""
        return self._remote(repo).upload_blob([data])[0]

    def put_manifest(self, repo: str, tag: str | None, data: bytes, media_type: str, /) -> Digest:
        """Store a manifest, under a tag or by its digest alone."""
        raw = RawManifest(data, media_type)
        self._remote(repo).put_manifest(raw, tag or raw.digest)
        return parse_digest(raw.digest)

    def _remote(self, repo: str) -> RemoteRepository:
        return self._client.repository(Repository(self._host, repo))
