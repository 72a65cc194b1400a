"""The ledger of a directory: who may see a file, what a manifest needs, when it was used.

It is a file of SQLite, so that a process that is killed leaves no change half done. `ledger_file`
says what happens to a file that is damaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.server.store.base import KnownTag, SquashKey, SquashRecord, parse_record
from squashproxy.server.store.ledger_file import LedgerFile

_SCHEMA = """
CREATE TABLE blobs(digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT, used REAL);
CREATE INDEX blobs_by_use ON blobs(used);
CREATE TABLE links(host TEXT, path TEXT, digest TEXT, PRIMARY KEY(digest, host, path))
    WITHOUT ROWID;
CREATE TABLE needs(parent TEXT, child TEXT, PRIMARY KEY(parent, child)) WITHOUT ROWID;
CREATE INDEX needs_by_child ON needs(child);
CREATE TABLE results(
    host TEXT, source TEXT, options TEXT, path TEXT, result TEXT, made REAL, record TEXT,
    PRIMARY KEY(host, source, options)
) WITHOUT ROWID;
CREATE INDEX results_by_result ON results(result);
CREATE TABLE tags(
    host TEXT, path TEXT, tag TEXT, digest TEXT, media_type TEXT, size INTEGER, checked REAL,
    PRIMARY KEY(host, path, tag)
) WITHOUT ROWID;
CREATE TABLE names(name TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
"""
_RESULTS_BY_REPOSITORY = """
CREATE TABLE own_results(
    host TEXT, source TEXT, options TEXT, path TEXT, result TEXT, made REAL, record TEXT,
    PRIMARY KEY(host, source, options, path)
) WITHOUT ROWID;
INSERT INTO own_results SELECT * FROM results;
DROP TABLE results;
ALTER TABLE own_results RENAME TO results;
CREATE INDEX results_by_result ON results(result);
CREATE INDEX results_by_path ON results(host, path)
"""
_CHECKED = """
CREATE TABLE checked(host TEXT, path TEXT, policy TEXT, digest TEXT,
    PRIMARY KEY(digest, host, path, policy)
) WITHOUT ROWID
"""
_TREE = """WITH RECURSIVE tree(digest) AS (
    VALUES(?) UNION SELECT needs.child FROM needs JOIN tree ON needs.parent = tree.digest
) """
_ABOVE = """WITH RECURSIVE above(digest) AS (
    VALUES(?) UNION SELECT needs.parent FROM needs JOIN above ON needs.child = above.digest
) SELECT source, options, result FROM results JOIN above ON results.result = above.digest
WHERE host = ? AND path = ? ORDER BY made DESC LIMIT 1
"""
_COUNT_CHECKED = """WITH RECURSIVE above(digest) AS (
    VALUES(?) UNION SELECT needs.parent FROM needs JOIN above ON needs.child = above.digest
) SELECT count(*) FROM above JOIN checked USING(digest)
WHERE host = ? AND path = ? AND policy = ?
"""
_PARENTS = """WITH RECURSIVE above(digest) AS (
    SELECT parent FROM needs WHERE child = ?
    UNION SELECT needs.parent FROM needs JOIN above ON needs.child = above.digest
) SELECT digest FROM above JOIN links USING(digest) JOIN blobs USING(digest)
WHERE host = ? AND path = ? ORDER BY used DESC LIMIT ?
"""
_READ_TREE = _TREE + "SELECT digest FROM tree"  # noqa: S608 - both are constants
_LINK_TREE = _TREE + "INSERT OR IGNORE INTO links SELECT ?, ?, digest FROM tree"  # noqa: S608 - see above
_COUNT_MISSING = (
    _TREE + "SELECT count(*) FROM tree WHERE digest NOT IN (SELECT digest FROM blobs)"  # noqa: S608 - see above
)
_COUNT_USED = _TREE + "SELECT count(*) FROM tree JOIN blobs USING(digest) WHERE used >= ?"  # noqa: S608 - see above


@dataclass(frozen=True, slots=True)
class Entry:
    """A blob or manifest; `size` in bytes, `media_type` None for a blob."""

    digest: Digest
    size: int
    media_type: str | None


@dataclass(frozen=True, slots=True)
class Named:
    """A manifest with its name, and what it was made from, if it is a squashed image."""

    name: str
    descriptor: Descriptor
    source: str | None = None
    options: str | None = None


class Ledger:
    """The tables of the ledger; usable from several threads. Times are unix seconds.

    `refill` enters what lies in the store, when the ledger had to be begun anew while in use.
    `on_warning` gets a sentence for the operator. Raises StoreFull and ArchiveError.
    """

    def __init__(
        self, path: Path, refill: Callable[[Ledger], None], on_warning: Callable[[str], None]
    ) -> None:
        self._db = LedgerFile(
            path, (_SCHEMA, _RESULTS_BY_REPOSITORY, _CHECKED), lambda: refill(self), on_warning
        )

    def look_after(self) -> None:
        """Write the file again if it is gone."""
        self._db.look_after()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def changes(self) -> AbstractContextManager[None]:
        """All changes in the block, or none."""
        return self._db.changes()

    def entries(self) -> list[Entry]:
        """All blobs and manifests."""
        return [Entry(*row) for row in self._db.read("SELECT digest, size, media_type FROM blobs")]

    def find(self, repository: Repository, digest: Digest) -> Entry | None:
        """The entry of a digest, if the repository may see it."""
        rows = self._db.read(
            "SELECT digest, size, media_type FROM blobs JOIN links USING(digest) "
            "WHERE digest = ? AND host = ? AND path = ?",
            (digest, repository.host, repository.path),
        )
        return Entry(*rows[0]) if rows else None

    def find_on_host(self, host: str, digest: Digest) -> Entry | None:
        """The entry of a digest, if any repository of the host may see it."""
        rows = self._db.read(
            "SELECT digest, size, media_type FROM blobs JOIN links USING(digest) "
            "WHERE digest = ? AND host = ? LIMIT 1",
            (digest, host),
        )
        return Entry(*rows[0]) if rows else None

    def add(self, entry: Entry, used: float) -> None:
        """Add an entry, or note its use."""
        self._db.write(
            "INSERT INTO blobs VALUES(?, ?, ?, ?) ON CONFLICT(digest) DO UPDATE SET "
            "size = excluded.size, media_type = coalesce(excluded.media_type, media_type), "
            "used = max(used, excluded.used)",
            (entry.digest, entry.size, entry.media_type, used),
        )

    def link(self, repository: Repository, digest: Digest) -> None:
        """Let a repository see an entry."""
        self._db.write(
            "INSERT OR IGNORE INTO links VALUES(?, ?, ?)",
            (repository.host, repository.path, digest),
        )

    def link_tree(self, repository: Repository, root: Digest) -> None:
        """Let a repository see a manifest and all that it needs."""
        self._db.write(
            _LINK_TREE,
            (root, repository.host, repository.path),
        )

    def need(self, parent: Digest, children: Iterable[Digest]) -> None:
        """Note which digests a manifest names."""
        self._db.write_many(
            "INSERT OR IGNORE INTO needs VALUES(?, ?)", [(parent, child) for child in children]
        )

    def forget_need(self, parent: Digest, child: Digest) -> None:
        """Note that a manifest does not need a digest any more."""
        self._db.write("DELETE FROM needs WHERE parent = ? AND child = ?", (parent, child))

    def parents(self, repository: Repository, digest: Digest, most: int) -> list[Digest]:
        """Manifests of the repository that need a digest, directly or not, the last used first."""
        rows = self._db.read(_PARENTS, (digest, repository.host, repository.path, most))
        return [Digest(row[0]) for row in rows]

    def tree(self, root: Digest) -> set[Digest]:
        """A manifest and all that it needs, whether it is kept or not."""
        return {row[0] for row in self._db.read(_READ_TREE, (root,))}

    def is_whole(self, root: Digest) -> bool:
        """Whether a manifest and all that it needs are kept."""
        [[missing]] = self._db.read(
            _COUNT_MISSING,
            (root,),
        )
        return not missing

    def children(self, parent: Digest) -> list[Entry]:
        """The entries that a manifest names."""
        rows = self._db.read(
            "SELECT digest, size, media_type FROM needs JOIN blobs ON child = digest "
            "WHERE parent = ?",
            (parent,),
        )
        return [Entry(*row) for row in rows]

    def is_needed(self, digest: Digest) -> bool:
        """Whether any manifest names the digest."""
        return bool(self._db.read("SELECT 1 FROM needs WHERE child = ? LIMIT 1", (digest,)))

    def own_children(self, parent: Digest) -> list[Digest]:
        """What no other manifest than `parent` needs."""
        rows = self._db.read(
            "SELECT child FROM needs AS own WHERE parent = ? AND NOT EXISTS "
            "(SELECT 1 FROM needs WHERE child = own.child AND parent <> own.parent)",
            (parent,),
        )
        return [Digest(row[0]) for row in rows]

    def remove(self, digest: Digest) -> None:
        """Remove an entry, with its links, its needs and its names."""
        for table, column in (
            ("blobs", "digest"),
            ("links", "digest"),
            ("needs", "parent"),
            ("names", "digest"),
            ("checked", "digest"),
        ):
            self._db.write(f"DELETE FROM {table} WHERE {column} = ?", (digest,))  # noqa: S608 - two lines above

    def touch(self, uses: Sequence[tuple[Digest, float]]) -> None:
        """Note when entries were last used."""
        with self.changes():
            self._db.write_many(
                "UPDATE blobs SET used = max(used, ?) WHERE digest = ?",
                [(when, digest) for digest, when in uses],
            )

    def used_bytes(self) -> int:
        """The size of all entries together."""
        [[size]] = self._db.read("SELECT coalesce(sum(size), 0) FROM blobs")
        return int(size)

    def idle_roots(self, before: float) -> list[Entry]:
        """Entries that no manifest needs and nobody used since `before`, the oldest first."""
        rows = self._db.read(
            "SELECT digest, size, media_type FROM blobs WHERE used < ? AND NOT EXISTS "
            "(SELECT 1 FROM needs WHERE child = blobs.digest) ORDER BY used",
            (before,),
        )
        return [Entry(*row) for row in rows]

    def is_idle(self, root: Digest, before: float) -> bool:
        """Whether neither a manifest nor any part of it was used since `before`."""
        [[busy]] = self._db.read(
            _COUNT_USED,
            (root, before),
        )
        return not busy

    def find_result(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source, from any repository of the host."""
        rows = self._db.read(
            "SELECT result FROM results WHERE host = ? AND source = ? AND options = ?",
            (key.repository.host, key.source, key.options),
        )
        return Digest(rows[0][0]) if rows else None

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image of the repository was made from."""
        rows = self._db.read(
            "SELECT source, options FROM results WHERE result = ? AND host = ? AND path = ?",
            (result, repository.host, repository.path),
        )
        return SquashKey(repository, Digest(rows[0][0]), rows[0][1]) if rows else None

    def find_source(self, repository: Repository) -> Digest | None:
        """The source in this repository that was squashed last."""
        rows = self._db.read(
            "SELECT source FROM results WHERE host = ? AND path = ? ORDER BY made DESC LIMIT 1",
            (repository.host, repository.path),
        )
        return Digest(rows[0][0]) if rows else None

    def find_above(self, repository: Repository, digest: Digest) -> tuple[SquashKey, Digest] | None:
        """The squashed image of the repository that needs a blob: what it was made from, and its
        digest.
        """
        rows = self._db.read(_ABOVE, (digest, repository.host, repository.path))
        if not rows:
            return None
        source, options, result = rows[0]
        return SquashKey(repository, Digest(source), options), Digest(result)

    def keep_result(self, key: SquashKey, record: SquashRecord) -> None:
        """Enter a squashed image in the map."""
        self._keep_result(key, record.digest, record.made_at, json.dumps(record.to_json()))

    def share_result(self, key: SquashKey, result: Digest, when: float) -> None:
        """Enter a squashed image that another repository's job made, or that was there already."""
        if not self._db.read(
            "SELECT 1 FROM results WHERE host = ? AND source = ? AND options = ? AND path = ? "
            "AND result = ?",
            (key.repository.host, key.source, key.options, key.repository.path, result),
        ):
            self._keep_result(key, result, when, None)

    def note_checked(self, repository: Repository, policy: str, result: Digest) -> None:
        """Note that the source of a squashed image was checked by a policy."""
        self._db.write(
            "INSERT OR IGNORE INTO checked VALUES(?, ?, ?, ?)",
            (repository.host, repository.path, policy, result),
        )

    def is_checked(self, repository: Repository, policy: str, digest: Digest) -> bool:
        """Whether that was noted for a squashed image, or for one that needs the digest."""
        [[count]] = self._db.read(
            _COUNT_CHECKED, (digest, repository.host, repository.path, policy)
        )
        return bool(count)

    def records(self, most: int) -> list[SquashRecord]:
        """Records of squashed images, the newest first; unreadable ones are left out."""
        rows = self._db.read(
            "SELECT record FROM results WHERE record IS NOT NULL ORDER BY made DESC LIMIT ?",
            (most,),
        )
        return [record for row in rows if (record := _decode(row[0])) is not None]

    def find_tag(self, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag was last known to point to."""
        rows = self._db.read(
            "SELECT media_type, digest, size, checked FROM tags "
            "WHERE host = ? AND path = ? AND tag = ?",
            (repository.host, repository.path, tag),
        )
        if not rows:
            return None
        media_type, digest, size, checked = rows[0]
        return KnownTag(Descriptor(media_type, digest, size), checked)

    def keep_tag(self, repository: Repository, tag: str, known: KnownTag) -> None:
        """Remember what a tag points to."""
        source = known.source
        self._db.write(
            "INSERT OR REPLACE INTO tags VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                *(repository.host, repository.path, tag),
                *(source.digest, source.media_type, source.size, known.checked),
            ),
        )

    def name(self, name: str, digest: Digest) -> bool:
        """Let a name mean a manifest; False if it did already."""
        if self._db.read("SELECT 1 FROM names WHERE name = ? AND digest = ?", (name, digest)):
            return False
        self._db.write("INSERT OR REPLACE INTO names VALUES(?, ?)", (name, digest))
        return True

    def find_name(self, name: str) -> Digest | None:
        """The manifest that a name means."""
        rows = self._db.read("SELECT digest FROM names WHERE name = ?", (name,))
        return Digest(rows[0][0]) if rows else None

    def has_names_at_most(self, count: int) -> bool:
        """Whether there are no more names than `count`; costs no more the more there are."""
        [[found]] = self._db.read(
            "SELECT count(*) FROM (SELECT 1 FROM names LIMIT ?)", (count + 1,)
        )
        return bool(found <= count)

    def named(self) -> list[Named]:
        """The names with their manifests, in order."""
        rows = self._db.read(
            "SELECT name, media_type, digest, size, source, options "
            "FROM names JOIN blobs USING(digest) LEFT JOIN results ON result = digest "
            "WHERE media_type IS NOT NULL GROUP BY name ORDER BY name"
        )
        return [Named(row[0], Descriptor(*row[1:4]), row[4], row[5]) for row in rows]

    def _keep_result(self, key: SquashKey, result: Digest, when: float, record: str | None) -> None:
        repository = key.repository
        self._db.write(
            "INSERT OR REPLACE INTO results VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                *(repository.host, key.source, key.options, repository.path),
                *(result, when, record),
            ),
        )


def _decode(text: str) -> SquashRecord | None:
    try:
        return parse_record(json.loads(text))
    except ValueError:
        return None
