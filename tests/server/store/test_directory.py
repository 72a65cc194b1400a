"""A directory as the store: a valid layout, whatever happens to the process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest, digest_of
from squashproxy.errors import UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from squashproxy.pipeline.distinct_layers import DistinctLayers
from squashproxy.pipeline.stamp import Stamp
from squashproxy.reference import Repository
from squashproxy.server.store.base import KnownTag, SquashKey, SquashRecord
from squashproxy.server.store.directory import DirectoryStore
from squashproxy.server.store.eviction import GRACE

ONE = Repository("up.example", "one")
TWO = Repository("up.example", "two")
ELSEWHERE = Repository("other.example", "one")
GIB = 1 << 30


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DirectoryStore]:
    opened = DirectoryStore(tmp_path / "store", GIB, clock=clock)
    yield opened
    opened.close()


def keep(store: DirectoryStore, repository: Repository, data: bytes) -> Descriptor:
    """A blob, put in as one that is passed through."""
    blob = Descriptor(OCI_LAYER, digest_of(data), len(data))
    with closing(store.open_spool()) as spool:
        spool.write(data)
        spool.keep(repository, blob, Cancellation())
    return blob


def manifest_of(
    config: Descriptor, *layers: Descriptor, annotations: Mapping[str, str] | None = None
) -> RawManifest:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json() | {"mediaType": OCI_CONFIG},
        "layers": [layer.to_json() for layer in layers],
        "annotations": dict(annotations or {}),
    }
    return RawManifest(json.dumps(document).encode(), OCI_MANIFEST)


def squash(
    store: DirectoryStore, repository: Repository, name: str, size: int = 100
) -> tuple[SquashKey, RawManifest, list[Descriptor]]:
    """An image, put in as a job puts it."""
    key = SquashKey(repository, digest_of(name.encode()), "options")
    with closing(store.open_sink(key, name, lambda _: False, Cancellation())) as sink:
        written = [
            sink.write_blob((f"{name} {part}".encode() * size,)) for part in ("config", "layer")
        ]
        blobs = [Descriptor(OCI_LAYER, blob.digest, blob.size) for blob in written]
        manifest = manifest_of(*blobs, annotations=Stamp(key.source, key.options).annotations)
        sink.publish(manifest)
        sink.record(record_of(name, key.source, manifest.digest))
    return key, manifest, blobs


def record_of(name: str, source: Digest, digest: Digest) -> SquashRecord:
    return SquashRecord(name, source, digest, 1.0, 2.0, ("linux/amd64",), 4, 2, 100, 50, 40)


def found(store: DirectoryStore, repository: Repository, digest: Digest) -> bool:
    return store.find_blob(repository, digest) is not None


def test_a_blob_belongs_to_the_repository_that_brought_it(store: DirectoryStore) -> None:
    blob = keep(store, ONE, b"content")
    kept = store.find_blob(ONE, blob.digest)
    assert kept is not None
    assert kept.path is not None
    assert kept.path.read_bytes() == b"content"
    assert not found(store, TWO, blob.digest)
    assert not found(store, ELSEWHERE, blob.digest)


def test_a_blob_is_adopted_within_a_host_where_upstream_says_so(store: DirectoryStore) -> None:
    blob = keep(store, ONE, b"content")
    assert store.adopt_blob(TWO, blob.digest, lambda _: False) is None
    assert store.adopt_blob(ELSEWHERE, blob.digest, lambda _: True) is None
    assert store.adopt_blob(TWO, blob.digest, lambda _: True) is not None
    assert found(store, TWO, blob.digest)
    assert not found(store, ELSEWHERE, blob.digest)


def test_what_is_not_kept_leaves_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    spool = store.open_spool()
    spool.write(b"half")
    spool.close()
    assert list((tmp_path / "store" / "blobs" / "sha256").iterdir()) == []
    assert list((tmp_path / "store").glob(".squashproxy-*")) == []


def test_a_squashed_image_is_found_by_its_key(store: DirectoryStore) -> None:
    key, manifest, blobs = squash(store, ONE, "app")
    assert store.find_squashed(key) == manifest.digest
    assert store.find_manifest(ONE, manifest.digest) == manifest
    assert all(found(store, ONE, blob.digest) for blob in blobs)
    other = SquashKey(ONE, key.source, "other options")
    assert store.find_squashed(other) is None
    assert store.find_key(ONE, manifest.digest) == key


def test_a_result_is_shared_within_a_host_alone(store: DirectoryStore) -> None:
    """A repository gets the result only if upstream says that it holds the source."""
    key, manifest, blobs = squash(store, ONE, "app")
    assert store.find_manifest(TWO, manifest.digest) is None
    assert store.find_squashed(SquashKey(TWO, key.source, key.options)) == manifest.digest
    assert store.find_manifest(TWO, manifest.digest) == manifest
    assert all(found(store, TWO, blob.digest) for blob in blobs)
    assert store.find_squashed(SquashKey(ELSEWHERE, key.source, key.options)) is None


def test_everything_is_there_after_a_restart(
    store: DirectoryStore, tmp_path: Path, clock: Clock
) -> None:
    key, manifest, _ = squash(store, ONE, "app")
    store.name_image(ONE, "1", manifest.digest)
    known = KnownTag(Descriptor(OCI_MANIFEST, key.source, 10), clock.now)
    store.keep_tag(ONE, "1", known)
    blob = keep(store, ONE, b"content")
    store.close()
    again = DirectoryStore(tmp_path / "store", GIB, clock=clock)
    assert again.find_squashed(key) == manifest.digest
    assert again.find_tag(ONE, "1") == known
    assert found(again, ONE, blob.digest)
    assert [record.image for record in again.records(10)] == ["app"]
    again.close()


def test_records_keep_layers_and_those_of_older_versions_have_none(
    store: DirectoryStore, tmp_path: Path
) -> None:
    key, manifest, _ = squash(store, ONE, "new")
    layers = DistinctLayers({key.source: 7}, {manifest.digest: 5})
    record = replace(record_of("new", key.source, manifest.digest), layers=layers)
    store._ledger.keep_result(key, record)
    squash(store, TWO, "old")
    db = store._ledger._db
    db.write("UPDATE results SET record = json_remove(record, '$.layers') WHERE path = 'two'")
    store.close()
    again = DirectoryStore(tmp_path / "store", GIB)
    found = {record.image: record.layers for record in again.records(10)}
    assert found == {"new": layers, "old": None}
    again.close()


def test_the_index_names_the_squashed_images(store: DirectoryStore, tmp_path: Path) -> None:
    key, manifest, _ = squash(store, ONE, "app")
    store.name_image(ONE, "1", manifest.digest)
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert index["mediaType"] == OCI_INDEX
    [entry] = index["manifests"]
    assert entry["digest"] == manifest.digest
    assert entry["annotations"] == {
        "org.opencontainers.image.ref.name": "up.example/one:1",
        **Stamp(key.source, key.options).annotations,
    }


def test_a_file_that_is_gone_or_cut_is_forgotten(store: DirectoryStore) -> None:
    key, _, blobs = squash(store, ONE, "app")
    generation = store.generation
    store._folder.path_of(blobs[1].digest).unlink()
    assert store.find_squashed(key) is None
    assert not found(store, ONE, blobs[1].digest)
    assert store.generation > generation
    again = keep(store, ONE, b"content")
    store._folder.path_of(again.digest).write_bytes(b"cont")
    assert not found(store, ONE, again.digest)


def test_a_manifest_that_was_changed_is_not_handed_out(store: DirectoryStore) -> None:
    _, manifest, _ = squash(store, ONE, "app")
    path = store._folder.path_of(manifest.digest)
    path.write_bytes(manifest.data.replace(b"2", b"3", 1))
    assert store.find_manifest(ONE, manifest.digest) is None


def test_the_oldest_goes_first(store: DirectoryStore, clock: Clock) -> None:
    blobs = []
    for number in range(4):
        blobs.append(keep(store, ONE, bytes([number]) * 1000))
        clock.now += 1
    clock.now += GRACE
    store.touch([(blobs[0].digest, clock.now - GRACE - 0.5)])
    store._max_bytes = 2000
    assert store.trim() == 2
    assert [found(store, ONE, blob.digest) for blob in blobs] == [True, False, False, True]
    assert store.usage().used == 2000


def test_what_a_manifest_needs_stays_with_it(store: DirectoryStore, clock: Clock) -> None:
    """An image goes whole; its blobs are not taken from under it, however old they are."""
    _, old, old_blobs = squash(store, ONE, "old")
    clock.now += 1
    _, new, new_blobs = squash(store, ONE, "new")
    clock.now += GRACE + 1
    store.touch([(old.digest, clock.now - GRACE - 0.5)])
    store._max_bytes = sum(blob.size for blob in old_blobs) + len(old.data)
    assert store.trim() == 3
    assert store.find_manifest(ONE, old.digest) == old
    assert all(found(store, ONE, blob.digest) for blob in old_blobs)
    assert store.find_manifest(ONE, new.digest) is None
    assert not any(found(store, ONE, blob.digest) for blob in new_blobs)
    assert not any(store._folder.path_of(blob.digest).exists() for blob in new_blobs)


def test_a_pull_under_way_keeps_its_image(store: DirectoryStore, clock: Clock) -> None:
    _, manifest, blobs = squash(store, ONE, "app")
    store._max_bytes = 1
    assert store.trim() == 0, "it was used just now"
    clock.now += GRACE + 1
    store.hold(blobs[1].digest)
    assert store.trim() == 0, "a part of it is being sent"
    store.release(blobs[1].digest)
    store.touch([(blobs[0].digest, clock.now - 1)])
    assert store.trim() == 0, "a part of it was asked for just now"
    clock.now += GRACE + 1
    assert store.trim() == 3
    assert store.find_manifest(ONE, manifest.digest) is None
    assert store.usage() == type(store.usage())("directory", str(store._root), 0, 1, 3)


def test_a_shared_blob_stays_while_any_image_needs_it(store: DirectoryStore, clock: Clock) -> None:
    base = keep(store, ONE, b"base" * 100)
    config = keep(store, ONE, b"config")
    for number in range(2):
        layer = keep(store, ONE, bytes([number]) * 500)
        store.keep_manifest(ONE, manifest_of(config, base, layer))
        clock.now += 10
    clock.now += GRACE
    store._max_bytes = 1900
    store.trim()
    assert found(store, ONE, base.digest)
    store._max_bytes = 1
    store.trim()
    assert not found(store, ONE, base.digest)
    assert store.usage().used == 0


def test_an_evicted_image_is_no_longer_named(
    store: DirectoryStore, clock: Clock, tmp_path: Path
) -> None:
    key, manifest, _ = squash(store, ONE, "app")
    store.name_image(ONE, "1", manifest.digest)
    clock.now += GRACE + 1
    store._max_bytes = 1
    store.trim()
    assert json.loads((tmp_path / "store" / "index.json").read_text())["manifests"] == []
    assert store.find_squashed(key) is None
    assert store.find_key(ONE, manifest.digest) == key, "so that it can be made again"


def test_files_that_no_ledger_knows_belong_to_nobody_and_are_evicted(
    store: DirectoryStore, clock: Clock, tmp_path: Path
) -> None:
    """The process was killed between a file and its entry."""
    data = b"orphan" * 100
    path = store._folder.path_of(digest_of(data))
    store.close()
    path.write_bytes(data)
    (tmp_path / "store" / ".squashproxy-0123.partial").write_bytes(b"half")
    again = DirectoryStore(tmp_path / "store", 1, clock=clock)
    assert not (tmp_path / "store" / ".squashproxy-0123.partial").exists()
    assert not found(again, ONE, digest_of(data))
    assert again.usage().used == len(data)
    clock.now += GRACE + 1
    assert again.trim() == 1
    assert not path.exists()
    again.close()


def test_an_orphan_is_used_once_somebody_brings_it_again(store: DirectoryStore) -> None:
    data = b"orphan" * 100
    store._folder.path_of(digest_of(data)).write_bytes(data)
    blob = keep(store, ONE, data)
    assert found(store, ONE, blob.digest)


def test_entries_without_files_are_forgotten_at_the_start(
    store: DirectoryStore, clock: Clock, tmp_path: Path
) -> None:
    key, _, blobs = squash(store, ONE, "app")
    store._folder.path_of(blobs[0].digest).unlink()
    store._folder.path_of(blobs[1].digest).write_bytes(b"x")
    store.close()
    again = DirectoryStore(tmp_path / "store", GIB, clock=clock)
    assert again.find_squashed(key) is None
    assert not again._folder.path_of(blobs[1].digest).exists()
    again.close()


def test_a_ledger_that_is_broken_is_put_aside(store: DirectoryStore, tmp_path: Path) -> None:
    blob = keep(store, ONE, b"content")
    store.close()
    root = tmp_path / "store"
    for end in ("-wal", "-shm"):
        Path(f"{root / 'squashproxy.db'}{end}").unlink(missing_ok=True)
    (root / "squashproxy.db").write_bytes(b"this is no database, and has never been one" * 100)
    again = DirectoryStore(root, GIB)
    assert not found(again, ONE, blob.digest)
    assert (root / "squashproxy.broken").exists()
    again.close()


def test_two_servers_do_not_share_a_directory(tmp_path: Path) -> None:
    first = DirectoryStore(tmp_path / "store", GIB)
    with pytest.raises(UsageError, match="in use by another"):
        DirectoryStore(tmp_path / "store", GIB)
    first.close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(UsageError, match="other files"):
        DirectoryStore(tmp_path, GIB)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_job_counts_on_blobs_that_are_there(store: DirectoryStore, clock: Clock) -> None:
    blob = keep(store, ONE, b"base" * 100)
    sink = store.open_sink(SquashKey(ONE, blob.digest, "o"), "app", lambda _: False, Cancellation())
    assert sink.has_blob(blob)
    store._max_bytes = 1
    clock.now += GRACE + 1
    assert store.trim() == 0
    sink.close()
    assert store.trim() == 1


def test_a_name_costs_the_same_however_many_there_are(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a hundred names, the index is written from time to time and at the end."""
    _, manifest, _ = squash(store, ONE, "app")
    written: list[int] = []
    put = store._folder.put

    def count(path: Path, data: bytes) -> None:
        written.append(len(data))
        put(path, data)

    monkeypatch.setattr(store._folder, "put", count)
    for number in range(300):
        store.name_image(ONE, str(number), manifest.digest)
    assert len(written) <= 101
    store.look_after(Cancellation())
    store.look_after(Cancellation())
    assert len(written) <= 102
    store.name_image(ONE, "last", manifest.digest)
    store.close()
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert len(index["manifests"]) == 301
