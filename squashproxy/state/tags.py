"""A record of tags as they were last seen, and of manifests that lost their last tag.

Registries do not list manifests without a tag, so only this record knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.reference import Repository
from squashproxy.state.rows import digest, number, read_rows, text


class TagMemory:
    """The record of tags; usable from several threads. Times are unix seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tags(self, repository: Repository) -> dict[str, Digest]:
        """The tags of a repository, each with the digest that it pointed to."""
        rows = self._database.read(
            "SELECT tag, digest FROM tags WHERE repository = ?", (str(repository),)
        )
        return dict(read_rows(rows, lambda tag, at: (text(tag), digest(at)), "tags"))

    def untagged(self, repository: Repository) -> dict[Digest, float]:
        """Manifests without a tag, and since when that is known."""
        rows = self._database.read(
            "SELECT digest, since FROM untagged WHERE repository = ?", (str(repository),)
        )
        return dict(read_rows(rows, lambda at, since: (digest(at), number(since)), "manifests"))

    def note(self, repository: Repository, tags: Mapping[str, Digest], now: float) -> None:
        """Record all tags of a repository. Manifests that only earlier tags pointed to are untagged
        now.
        """
        name = str(repository)
        with self._database.changes():
            known = set(self.tags(repository).values())
            lost = known - set(tags.values())
            self._database.write_many(
                "INSERT OR IGNORE INTO untagged VALUES(?, ?, ?)",
                [(name, each, now) for each in sorted(lost)],
            )
            self._database.write_many(
                "DELETE FROM untagged WHERE repository = ? AND digest = ?",
                [(name, each) for each in set(tags.values())],
            )
            self._database.write("DELETE FROM tags WHERE repository = ?", (name,))
            self._database.write_many(
                "INSERT INTO tags VALUES(?, ?, ?)",
                [(name, tag, at) for tag, at in tags.items()],
            )

    def replace(
        self,
        repository: Repository,
        tags: Mapping[str, Digest],
        untagged: Mapping[Digest, float],
    ) -> None:
        """Record what another process learned of a repository, in place of what was known."""
        name = str(repository)
        with self._database.changes():
            for table in ("tags", "untagged"):
                self._database.write(f"DELETE FROM {table} WHERE repository = ?", (name,))  # noqa: S608 - a name of ours
            self._database.write_many(
                "INSERT INTO tags VALUES(?, ?, ?)",
                [(name, tag, at) for tag, at in tags.items()],
            )
            self._database.write_many(
                "INSERT INTO untagged VALUES(?, ?, ?)",
                [(name, each, since) for each, since in untagged.items()],
            )

    def note_untagged(self, repository: Repository, manifest: Digest, now: float) -> None:
        """Record that a manifest has no tag."""
        self._database.write(
            "INSERT OR IGNORE INTO untagged VALUES(?, ?, ?)", (str(repository), manifest, now)
        )

    def forget_untagged(self, repository: Repository, manifest: Digest) -> None:
        """Remove the record of a manifest that is gone."""
        self._database.write(
            "DELETE FROM untagged WHERE repository = ? AND digest = ?", (str(repository), manifest)
        )
