"""The contract of sources and sinks, checked for every kind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import IntegrityError, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import ImageBuilder, LayerBuilder, index_of
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from tests.pipeline.images import ARM64, noise
from tests.transports.places import HOLDING_INDEXES, KINDS, Place, open_places, write_blobs

IMAGE = ImageBuilder().layer(LayerBuilder().file("a", noise(300_000))).build()
OTHER = ImageBuilder().layer(LayerBuilder().file("b", b"other")).build()
LAYER = IMAGE.layers[0]
BLOB = IMAGE.blobs[LAYER.digest]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with open_places(tmp_path, request.param) as places:
        yield places[0]


@pytest.fixture(params=KINDS[1:])
def in_files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with open_places(tmp_path, request.param) as places:
        yield places[0]


class TestASource:
    def test_reads_what_a_sink_wrote(self, place: Place) -> None:
        place.put(IMAGE)
        source: ImageSource = place.source()
        assert source.name == place.reference()
        assert source.find_digest() == IMAGE.digest
        assert source.read_manifest() == IMAGE.manifest
        assert source.read_manifest(IMAGE.digest) == IMAGE.manifest
        for blob in (IMAGE.config, LAYER):
            assert b"".join(source.iter_blob(blob)) == IMAGE.blobs[blob.digest]

    def test_gives_chunks_of_at_most_256_kib(self, place: Place) -> None:
        place.put(IMAGE)
        assert max(map(len, place.source().iter_blob(LAYER))) <= 256 << 10

    def test_reads_a_blob_twice_and_two_at_once(self, place: Place) -> None:
        place.put(IMAGE)
        source = place.source()
        one, two = source.iter_blob(LAYER), source.iter_blob(LAYER)
        assert next(one) + next(two) == 2 * next(source.iter_blob(LAYER))
        assert b"".join(source.iter_blob(LAYER)) == BLOB

    @pytest.mark.parametrize("more", [-1, 1], ids=["shorter", "longer"])
    def test_checks_the_size(self, place: Place, more: int) -> None:
        place.put(IMAGE)
        lying = Descriptor(LAYER.media_type, LAYER.digest, LAYER.size + more)
        with pytest.raises(IntegrityError, match=LAYER.digest[:19]):
            b"".join(place.source().iter_blob(lying))

    def test_says_what_it_does_not_find(self, place: Place) -> None:
        place.put(IMAGE)
        with pytest.raises(SquashproxyError, match="2") as caught:
            place.source("app:2").find_digest()
        assert caught.value.exit_code == 1

    def test_says_that_nothing_is_there(self, place: Place) -> None:
        with pytest.raises(SquashproxyError) as caught:
            place.source().find_digest()
        assert caught.value.exit_code == 1

    def test_says_that_a_blob_is_missing(self, place: Place) -> None:
        sink = place.sink()
        config = IMAGE.blobs[IMAGE.config.digest]
        sink.write_blob((config,), IMAGE.config.digest, len(config))
        if place.kind == "registry":
            place.registry.put_manifest("app", "1", IMAGE.manifest.data, IMAGE.manifest.media_type)
        else:
            sink.publish(IMAGE.manifest)
        with pytest.raises(SquashproxyError, match=r"holds no|no such|404|not there"):
            b"".join(place.source().iter_blob(LAYER))


class TestASink:
    def test_is_empty_at_first(self, place: Place) -> None:
        sink: ImageSink = place.sink()
        assert sink.name == place.reference()
        assert sink.find_manifest() is None
        assert not sink.has_blob(LAYER)

    def test_writes_a_stream_and_says_what_it_was(self, place: Place) -> None:
        sink = place.sink()
        written = sink.write_blob(iter((b"one", b"", memoryview(b"two"))))
        assert written == WrittenBlob(digest_of(b"onetwo"), 6)
        blob = Descriptor(LAYER.media_type, written.digest, written.size)
        assert sink.has_blob(blob)
        assert b"".join(sink.iter_blob(blob)) == b"onetwo"

    def test_does_not_keep_other_bytes_than_were_announced(self, place: Place) -> None:
        sink = place.sink()
        write_blobs(sink, OTHER)
        with pytest.raises(IntegrityError):
            sink.write_blob((b"other",), LAYER.digest, 5)
        assert not sink.has_blob(LAYER)
        sink.publish(OTHER.manifest)
        assert place.source().read_manifest() == OTHER.manifest

    @pytest.mark.parametrize("error", [IntegrityError("damaged"), RuntimeError("a bug")])
    def test_goes_on_after_a_stream_that_failed(self, place: Place, error: Exception) -> None:
        def chunks() -> Iterator[bytes]:
            yield bytes(5 << 20)
            raise error

        sink = place.sink()
        with pytest.raises(type(error)):
            sink.write_blob(chunks())
        place.put(IMAGE)
        assert b"".join(place.source().iter_blob(LAYER)) == BLOB
        assert len(place.leftovers()) < 12

    def test_leaves_the_old_image_until_the_new_one_is_published(self, place: Place) -> None:
        place.put(OTHER)
        sink = place.sink()
        assert sink.find_manifest() == OTHER.digest
        assert sink.read_manifest(OTHER.digest) == OTHER.manifest
        assert b"".join(sink.iter_blob(OTHER.config)) == OTHER.blobs[OTHER.config.digest]
        write_blobs(sink, IMAGE)
        sink.write_manifest(IMAGE.manifest)
        assert place.source().find_digest() == OTHER.digest
        sink.publish(IMAGE.manifest)
        assert place.source().find_digest() == IMAGE.digest

    def test_takes_blobs_from_several_threads(self, place: Place) -> None:
        sink = place.sink()
        datas = [noise(200_000, seed) for seed in range(8)]
        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(lambda data: sink.write_blob((data,)), datas))
        for data, blob in zip(datas, written, strict=True):
            descriptor = Descriptor(LAYER.media_type, blob.digest, blob.size)
            assert b"".join(sink.iter_blob(descriptor)) == data


class TestASinkInFiles:
    """A registry's files are its own, and it collects what was not published by itself."""

    def test_leaves_nothing_of_what_was_not_published(self, in_files: Place) -> None:
        sink = in_files.sink()
        write_blobs(sink, IMAGE)
        sink.write_manifest(IMAGE.manifest)
        sink.close()
        assert in_files.leftovers() == []

    def test_writes_the_same_bytes_again(self, in_files: Place) -> None:
        in_files.put(IMAGE)
        first = {path: path.read_bytes() for path in in_files.folder.rglob("*") if path.is_file()}
        in_files.put(IMAGE)
        second = {path: path.read_bytes() for path in in_files.folder.rglob("*") if path.is_file()}
        assert first == second


@pytest.mark.parametrize("kind", HOLDING_INDEXES)
def test_an_index_with_its_images(kind: str, tmp_path: Path) -> None:
    index = index_of([IMAGE, ImageBuilder(platform=ARM64).layer(b"").build()])
    with open_places(tmp_path, kind) as (place,):
        place.put(index)
        source = place.source()
        assert source.read_manifest() == index.manifest
        for child in index.images:
            assert source.read_manifest(child.digest) == child.manifest
