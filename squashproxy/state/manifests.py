"""Manifests by digest: what was read once need not be read again, since a digest never changes."""

from __future__ import annotations

from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest


class ManifestMemory:
    """Usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, digest: Digest) -> RawManifest | None:
        """The exact bytes of a manifest, None where it was never read, or the file is damaged."""
        rows = self._database.read(
            "SELECT data, media_type FROM manifests WHERE digest = ?", (digest,)
        )
        raw = RawManifest(*rows[0]) if rows else None
        return raw if raw is not None and raw.digest == digest else None

    def add(self, digest: Digest, raw: RawManifest) -> None:
        """Remember a manifest, whose digest was checked."""
        self._database.write(
            "INSERT OR IGNORE INTO manifests(digest, media_type, data) VALUES(?, ?, ?)",
            (digest, raw.media_type, raw.data),
        )

    def created(self, digest: Digest) -> tuple[float | None] | None:
        """When an image was made, in unix seconds; None where nobody looked yet."""
        rows = self._database.read(
            "SELECT created FROM manifests WHERE digest = ? AND has_created", (digest,)
        )
        return (rows[0][0],) if rows else None

    def note_created(self, digest: Digest, created: float | None) -> None:
        """Remember when an image was made; None where it does not say so."""
        self._database.write(
            "UPDATE manifests SET created = ?, has_created = 1 WHERE digest = ?",
            (created, digest),
        )
