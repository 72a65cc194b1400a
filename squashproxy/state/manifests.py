"""A cache of manifests by digest. A digest's content never changes, so no entry goes stale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.oci.manifest import RawManifest

_DAY = 86400
_KEPT_DAYS = 90
_NOTED_DAYS = 7
"""A use is recorded at most once in this many days, so that reading seldom writes."""
_MOST_ASKED = 500
"""Digests in one query; SQLite takes 999 values at least."""


class ManifestMemory:
    """The cache; usable from several threads. `now` gives unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def forget_unused(self) -> None:
        """Drop manifests that were not used for 90 days."""
        self._database.write("DELETE FROM manifests WHERE used < ?", (self._today - _KEPT_DAYS,))

    def find(self, digest: Digest) -> RawManifest | None:
        """The exact bytes of a manifest; None where it is not cached, or its row is damaged."""
        return self.find_all([digest]).get(digest)

    def find_all(self, digests: Iterable[Digest]) -> dict[Digest, RawManifest]:
        """Those of some manifests that are cached and whose rows are not damaged."""
        wanted = list(digests)
        found: dict[Digest, RawManifest] = {}
        for start in range(0, len(wanted), _MOST_ASKED):
            found.update(self._find_some(wanted[start : start + _MOST_ASKED]))
        return found

    def _find_some(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, RawManifest]]:
        marks = ", ".join("?" * len(digests))
        rows = self._database.read(
            f"SELECT digest, data, media_type, used FROM manifests WHERE digest IN ({marks})",  # noqa: S608 - only question marks
            digests,
        )
        today = self._today
        unnoted: list[tuple[int, str]] = []
        for digest, data, media_type, used in rows:
            if not (isinstance(data, bytes) and isinstance(media_type, str)):
                continue
            if not isinstance(used, int) or used <= today - _NOTED_DAYS:
                unnoted.append((today, digest))
            raw = RawManifest(data, media_type)
            if raw.digest == digest:
                yield Digest(digest), raw
        if unnoted:
            self._note_used(unnoted)

    def _note_used(self, rows: Sequence[tuple[int, str]]) -> None:
        with self._database.changes():
            self._database.write_many("UPDATE manifests SET used = ? WHERE digest = ?", rows)

    def add(self, digest: Digest, raw: RawManifest) -> None:
        """Cache a manifest whose digest was checked."""
        self._database.write(
            "INSERT OR IGNORE INTO manifests(digest, media_type, data, used) VALUES(?, ?, ?, ?)",
            (digest, raw.media_type, raw.data, self._today),
        )

    def created(self, digest: Digest) -> tuple[float | None] | None:
        """When an image was made, in unix seconds; None where that was never looked up."""
        rows = self._database.read(
            "SELECT created FROM manifests WHERE digest = ? AND has_created", (digest,)
        )
        known = rows[0] if rows else ("unknown",)
        return known if known[0] is None or isinstance(known[0], (int, float)) else None

    def note_created(self, digest: Digest, created: float | None) -> None:
        """Record when an image was made; None where its config does not say."""
        self._database.write(
            "UPDATE manifests SET created = ?, has_created = 1 WHERE digest = ?",
            (created, digest),
        )

    @property
    def _today(self) -> int:
        return int(self._now() // _DAY)
