"""The rules of sources and sinks for referrers, in every kind of place that keeps digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.registry.referrers import fallback_tag
from squashproxy.testing import artifact_manifest
from squashproxy.transports.base import ImageSink, ReferrerSink, ReferrerSource
from tests.pipeline.images import app, other
from tests.transports.places import HOLDING_INDEXES, Place, open_places, write_blobs

IMAGE = app()
TAG = fallback_tag(IMAGE.digest) + ".sig"


@pytest.fixture(params=HOLDING_INDEXES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with open_places(tmp_path, request.param) as places:
        yield places[0]


def signature(sink: ImageSink, text: bytes = b"one") -> RawManifest:
    """A referrer of the image whose blobs the sink has."""
    blob = sink.write_blob((text,))
    descriptor = Descriptor("text/plain", blob.digest, blob.size)
    return artifact_manifest(
        "text/plain", [descriptor], config=descriptor, subject=IMAGE.manifest.descriptor
    )


def written(place: Place, *texts: bytes) -> set[Digest]:
    """Publish the image with referrers, and one of them under a tag too; their digests."""
    sink = place.sink()
    assert isinstance(sink, ReferrerSink)
    write_blobs(sink, IMAGE)
    sink.write_manifest(IMAGE.manifest)
    raws = [signature(sink, text) for text in texts]
    for raw in raws:
        sink.write_referrer(raw)
    sink.write_companion(raws[0], TAG)
    sink.publish(IMAGE.manifest)
    sink.close()
    return {raw.digest for raw in raws}


def test_a_source_tells_what_was_written(place: Place) -> None:
    digests = written(place, b"one", b"two")
    source = place.source()
    assert isinstance(source, ReferrerSource)
    listed = source.list_referrers(IMAGE.digest)
    assert listed is not None
    assert {each.digest for each in listed} == digests
    assert TAG in source.companion_tags(IMAGE.digest)
    assert source.find_tag(TAG) in digests
    assert source.find_tag(TAG + "x") is None
    assert source.companion_tags(other().digest) == ()
    assert not source.list_referrers(other().digest)
    for digest in digests:
        assert source.read_manifest(digest).digest == digest


def test_a_sink_tells_what_was_there_before(place: Place) -> None:
    digests = written(place, b"one", b"two")
    sink = place.sink()
    assert isinstance(sink, ReferrerSink)
    assert {each.digest for each in sink.list_referrers(IMAGE.digest)} == digests
    assert sink.find_manifest(TAG) in digests
    assert sink.list_referrers(other().digest) == ()
    assert place.source().find_digest() == IMAGE.digest


def test_lists_and_tags_are_no_images(place: Place) -> None:
    written(place, b"one")
    if place.kind != "registry":
        assert place.source("").find_digest() == IMAGE.digest


def test_a_layout_may_list_referrers_beside_images_as_oras_has_it(tmp_path: Path) -> None:
    with open_places(tmp_path, "oci") as [place]:
        place.put(IMAGE)
        sink = place.sink("app:signature")
        raw = signature(sink)
        sink.publish(raw)
        source = place.source()
        assert isinstance(source, ReferrerSource)
        listed = source.list_referrers(IMAGE.digest)
        assert listed is not None
        assert [each.digest for each in listed] == [raw.digest]


def test_files_name_referrers_only_with_the_image(tmp_path: Path) -> None:
    with open_places(tmp_path, "oci") as [place]:
        place.put(other())
        sink = place.sink()
        assert isinstance(sink, ReferrerSink)
        write_blobs(sink, IMAGE)
        sink.write_referrer(signature(sink))
        sink.write_companion(IMAGE.manifest, TAG)
        place.source().find_digest()
        assert sink.find_manifest(TAG) is None
        assert sink.list_referrers(IMAGE.digest) == ()
        sink.close()
        source = place.source()
        assert source.find_digest() == other().digest
        assert isinstance(source, ReferrerSource)
        assert source.list_referrers(IMAGE.digest) == ()
