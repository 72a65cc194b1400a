"""RegistrySource and RegistrySink: what they must keep beyond the contract of all transports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import IntegrityError, NotFound, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository, parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, RegistryOptions
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from squashproxy.transports.registry import RegistrySink, RegistrySource

IMAGE = ImageBuilder().layer(LayerBuilder().file("a", b"data")).build()
LAYER = IMAGE.layers[0]
BLOB = IMAGE.blobs[LAYER.digest]


@dataclass(frozen=True, slots=True)
class Place:
    registry: FakeRegistry
    client: RegistryClient

    def source(self, name: str = "app:1") -> RegistrySource:
        return RegistrySource(self.client, parse_reference(f"{self.registry.host}/{name}"))

    def sink(self, name: str = "app:1") -> RegistrySink:
        return RegistrySink(self.client, parse_reference(f"{self.registry.host}/{name}"))

    def repository(self, path: str) -> Repository:
        return Repository(self.registry.host, path)


@pytest.fixture
def place() -> Iterator[Place]:
    with (
        FakeRegistry() as registry,
        RegistryClient(environ={}, sleep=lambda _seconds: None) as client,
    ):
        yield Place(registry, client)


class TestASource:
    def test_is_one(self, place: Place) -> None:
        source: ImageSource = place.source()
        assert source.name == f"{place.registry.host}/app:1"
        assert source.repository == place.repository("app")

    @pytest.mark.parametrize("heads", [True, False], ids=["head", "get-where-head-says-404"])
    def test_finds_what_the_tag_points_to(self, *, heads: bool) -> None:
        options = RegistryOptions(head_manifests=heads)
        with FakeRegistry(options) as registry, RegistryClient(environ={}) as client:
            IMAGE.push(registry, "app", "1")
            assert Place(registry, client).source().find_digest() == IMAGE.digest

    def test_says_what_it_does_not_find(self, place: Place) -> None:
        with pytest.raises(NotFound, match="app"):
            place.source().find_digest()

    def test_reads_the_manifest_of_the_tag_and_others_beside_it(self, place: Place) -> None:
        IMAGE.push(place.registry, "app", "1")
        other = ImageBuilder().layer(LayerBuilder().file("b")).build()
        other.push(place.registry, "app")
        assert place.source().read_manifest() == IMAGE.manifest
        assert place.source().read_manifest(other.digest) == other.manifest
        assert place.source(f"app@{other.digest}").read_manifest() == other.manifest

    def test_reads_blobs_and_checks_them(self, place: Place) -> None:
        IMAGE.push(place.registry, "app", "1")
        assert b"".join(place.source().iter_blob(LAYER)) == BLOB
        longer = Descriptor(LAYER.media_type, LAYER.digest, LAYER.size + 1)
        with pytest.raises(IntegrityError, match=LAYER.digest):
            b"".join(place.source().iter_blob(longer))


class TestASink:
    def test_is_one(self, place: Place) -> None:
        sink: ImageSink = place.sink("app:new")
        assert (sink.name, sink.tag) == (f"{place.registry.host}/app:new", "new")
        assert sink.repository == place.repository("app")

    @pytest.mark.parametrize("name", [f"app@{IMAGE.digest}", f"app:1@{IMAGE.digest}"])
    def test_is_no_digest(self, place: Place, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be a target"):
            place.sink(name)

    def test_finds_nothing_or_what_is_there(self, place: Place) -> None:
        assert place.sink().find_manifest() is None
        IMAGE.push(place.registry, "app", "1")
        assert place.sink().find_manifest() == IMAGE.digest
        assert place.sink().find_manifest("absent") is None
        assert place.sink("app:2").find_manifest("1") == IMAGE.digest

    def test_reads_what_it_holds(self, place: Place) -> None:
        IMAGE.push(place.registry, "app", "1")
        assert place.sink("app:2").read_manifest(IMAGE.digest) == IMAGE.manifest
        assert b"".join(place.sink("app:2").iter_blob(LAYER)) == BLOB

    def test_knows_its_blobs_and_those_of_other_repositories(self, place: Place) -> None:
        place.registry.put_blob("os", BLOB)
        sink = place.sink()
        assert not sink.has_blob(LAYER)
        assert sink.has_blob(LAYER, place.repository("os"))
        assert not sink.has_blob(LAYER, place.repository("absent"))
        place.registry.put_blob("app", BLOB)
        assert sink.has_blob(LAYER)

    def test_knows_nothing_of_other_registries_and_does_not_ask(self, place: Place) -> None:
        elsewhere = Repository("registry.example.com", "os")
        assert not place.sink().has_blob(LAYER, elsewhere)
        assert not place.sink().try_mount(LAYER, elsewhere)
        assert place.registry.requests == ()

    def test_mounts(self, place: Place) -> None:
        place.registry.put_blob("os", BLOB)
        assert place.sink().try_mount(LAYER, place.repository("os"))
        assert place.registry.blob("app", LAYER.digest) == BLOB

    @pytest.mark.parametrize("path", ["app", "absent"], ids=["from-itself", "from-nothing"])
    def test_does_not_mount(self, place: Place, path: str) -> None:
        assert not place.sink().try_mount(LAYER, place.repository(path))
        assert place.registry.open_uploads == 0
        assert place.registry.blobs("app") == frozenset()

    def test_writes_a_stream_and_says_what_it_was(self, place: Place) -> None:
        written = place.sink().write_blob(iter((b"one", b"", b"two")))
        assert written == WrittenBlob(digest_of(b"onetwo"), 6)
        assert place.registry.blob("app", written.digest) == b"onetwo"

    def test_does_not_keep_other_bytes_than_were_announced(self, place: Place) -> None:
        with pytest.raises(IntegrityError, match="it was not kept"):
            place.sink().write_blob((b"other",), LAYER.digest)
        assert place.registry.blobs("app") == frozenset()
        assert place.registry.open_uploads == 0

    @pytest.mark.parametrize("error", [IntegrityError("damaged"), RuntimeError("a bug")])
    def test_leaves_nothing_behind_where_the_stream_fails(
        self, place: Place, error: Exception
    ) -> None:
        def chunks() -> Iterator[bytes]:
            yield bytes(5 << 20)
            raise error

        with pytest.raises(type(error)):
            place.sink().write_blob(chunks())
        assert place.registry.open_uploads == 0
        assert place.registry.blobs("app") == frozenset()

    def test_writes_manifests_by_digest_or_tag(self, place: Place) -> None:
        for data in IMAGE.blobs.values():
            place.registry.put_blob("app", data)
        place.sink().write_manifest(IMAGE.manifest)
        assert place.registry.tags("app") == {}
        place.sink().write_manifest(IMAGE.manifest, "1")
        assert place.registry.tags("app") == {"1": IMAGE.digest}
        assert place.registry.manifest("app", IMAGE.digest) == IMAGE.manifest
