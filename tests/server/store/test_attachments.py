"""Signatures in a directory: they stay with their image, and go with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest, digest_of
from squashproxy.oci.artifact import EMPTY, artifact_manifest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.registry.referrers import fallback_tag
from squashproxy.server.store.base import SquashKey
from squashproxy.server.store.directory import DirectoryStore
from squashproxy.server.store.eviction import GRACE
from squashproxy.signing.signature_manifest import tag_for
from tests.server.store.test_directory import GIB, ONE, TWO, Clock, squash

KIND = "application/vnd.example.signature"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DirectoryStore]:
    opened = DirectoryStore(tmp_path / "store", GIB, clock=clock)
    yield opened
    opened.close()


def _attach(
    store: DirectoryStore, key: SquashKey, subject: RawManifest, data: bytes, tag: str | None = None
) -> RawManifest:
    """Attach something to an image, as its referrer or under a tag."""
    layer = Descriptor(KIND, digest_of(data), len(data))
    manifest = artifact_manifest(KIND, [layer], subject=subject.descriptor)
    with closing(store.open_sink(key, "app", lambda _: False, Cancellation())) as sink:
        for blob in (data, EMPTY):
            sink.write_blob((blob,), digest_of(blob), len(blob))
        if tag is None:
            sink.write_referrer(manifest)
        else:
            sink.write_companion(manifest, tag)
    return manifest


def _listed(store: DirectoryStore, subject: Digest) -> list[Digest]:
    return [each.digest for each in store.list_referrers(ONE, subject)]


def test_referrers_are_listed_in_their_repository_alone(store: DirectoryStore) -> None:
    key, image, _ = squash(store, ONE, "app")
    attached = [_attach(store, key, image, data).digest for data in (b"one", b"two")]
    assert _listed(store, image.digest) == attached
    assert store.list_referrers(ONE, image.digest)[0].extra["artifactType"] == KIND
    assert store.list_referrers(TWO, image.digest) == ()


def test_what_is_attached_twice_is_listed_once(store: DirectoryStore) -> None:
    key, image, _ = squash(store, ONE, "app")
    attached = [_attach(store, key, image, b"one").digest for _ in range(2)]
    assert _listed(store, image.digest) == attached[:1]


def test_a_tag_beside_an_image_moves(store: DirectoryStore) -> None:
    key, image, _ = squash(store, ONE, "app")
    tag = tag_for(image.digest)
    for data in (b"one", b"two"):
        attached = _attach(store, key, image, data, tag)
        assert store.find_companion(ONE, tag) == attached
    assert store.find_companion(TWO, tag) is None


def test_an_image_is_evicted_with_all_that_is_attached(
    store: DirectoryStore, clock: Clock, tmp_path: Path
) -> None:
    key, image, _ = squash(store, ONE, "app")
    _attach(store, key, image, b"one")
    _attach(store, key, image, b"two")
    _attach(store, key, image, b"three", tag_for(image.digest))
    assert store.find_squashed(key) == image.digest
    clock.now += GRACE * 2
    store._max_bytes = 0
    assert store.trim() > 0
    assert store.find_squashed(key) is None
    assert _listed(store, image.digest) == []
    assert not [each for each in (tmp_path / "store" / "blobs").rglob("*") if each.is_file()]
    assert "sha256-" not in (tmp_path / "store" / "index.json").read_text()


def test_what_is_attached_stays_with_an_image_that_is_used(
    store: DirectoryStore, clock: Clock
) -> None:
    key, image, _ = squash(store, ONE, "app")
    signature = _attach(store, key, image, b"one")
    squash(store, ONE, "other", size=10_000)
    clock.now += GRACE * 2
    store.touch([(image.digest, clock.now)])
    store._max_bytes = 5_000
    assert store.trim() > 0
    assert store.find_squashed(key) == image.digest
    assert _listed(store, image.digest) == [signature.digest]
    assert store.find_manifest(ONE, signature.digest) == signature


def test_an_image_without_its_signature_is_not_whole(store: DirectoryStore, tmp_path: Path) -> None:
    key, image, _ = squash(store, ONE, "app")
    signature = _attach(store, key, image, b"one")
    (tmp_path / "store" / "blobs" / signature.digest.replace(":", "/")).unlink()
    assert store.find_squashed(key) is None


def test_a_list_that_is_damaged_lists_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    key, image, _ = squash(store, ONE, "app")
    _attach(store, key, image, b"one")
    listing = store.find_companion(ONE, fallback_tag(image.digest))
    assert listing is not None
    path = tmp_path / "store" / "blobs" / listing.digest.replace(":", "/")
    path.write_bytes(b"[]" + path.read_bytes()[2:])
    assert _listed(store, image.digest) == []
    assert store.find_squashed(key) is None


def test_checks_are_noted_for_an_image_and_its_parts(store: DirectoryStore) -> None:
    key, image, [layer, *_] = squash(store, ONE, "app")
    store.note_checked(ONE, "policy", image.digest)
    for digest in (image.digest, layer.digest):
        assert store.is_checked(ONE, "policy", digest)
        assert not store.is_checked(ONE, "other", digest)
        assert not store.is_checked(TWO, "policy", digest)
    assert not store.is_checked(ONE, "policy", key.source)
