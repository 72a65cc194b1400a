"""`copy --verify`: the result is unpacked and compared before the tag moves."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import IntegrityError, TreesDiffer, UsageError
from squashproxy.location import ArchiveReference, Transport
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP, Family
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import SilentObserver
from squashproxy.squash.decide import EntryDecider
from squashproxy.testing import BuiltImage, ImageBuilder, index_of
from squashproxy.transports import archives
from squashproxy.transports.layout import blob_path
from tests.pipeline.images import ARM64, OS, app
from tests.pipeline.lab import Lab
from tests.transports.copying import NEW, TREE, copy, tree_of
from tests.transports.places import KINDS, Place, open_places


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", ["1", "none", "4"])
def test_what_is_right_is_published(kind: str, base: str, tmp_path: Path) -> None:
    with open_places(tmp_path, "registry", kind) as (old, new):
        old.put(app())
        copy(old, new, base=base, verify=True)
        assert tree_of(new.source(NEW)) == TREE


@pytest.mark.parametrize("family", Family)
def test_every_platform_of_an_index(lab: Lab, family: Family) -> None:
    index_of([app(family), app(family, platform=ARM64)], family).push(lab.old, "app", "1")
    lab.copy(verify=True)
    read = {
        exchange.path.rpartition("/")[2]
        for exchange in lab.new.requests
        if exchange.method == "GET" and "/blobs/sha256:" in exchange.path
    }
    assert read == lab.new.blobs("app"), "what the target held before may be damaged, too"


def _sealed() -> BuiltImage:
    """An image that is copied as it is, since nobody but its owner can unpack it."""
    first, *_ = app().layers
    encrypted = replace(first, media_type=OCI_LAYER_GZIP + "+encrypted")
    return ImageBuilder().layer(OS).stored_layer(encrypted, app().diff_ids[0]).build()


@pytest.mark.parametrize(
    ("image", "base"),
    [
        pytest.param(app(), "1", id="base-kept"),
        pytest.param(app(), "4", id="nothing-to-squash"),
        pytest.param(_sealed(), "auto", id="encrypted"),
    ],
)
def test_a_damaged_blob_that_the_layout_held_before_is_not_published_again(
    image: BuiltImage, base: str, tmp_path: Path
) -> None:
    """A layout knows its blobs by name and size, and this damage changes neither."""
    with open_places(tmp_path, "oci", "oci") as (old, new):
        _write(old, image)
        copy(old, new, base=base, verify=True)
        held = new.folder / "layout" / blob_path(image.layers[0].digest)
        held.write_bytes(held.read_bytes()[:-1] + b"!")
        with pytest.raises(IntegrityError, match="has the digest"):
            copy(old, new, base=base, verify=True, force=True)


def _write(place: Place, image: BuiltImage) -> None:
    """Write the image with all its blobs; a blob that it does not hold comes from `app`."""
    sink = place.sink()
    for digest, data in {**app().blobs, **image.blobs}.items():
        sink.write_blob((data,), digest, len(data))
    sink.publish(image.manifest)
    sink.close()


@pytest.fixture
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken merge that loses one file."""
    decide = EntryDecider.decide

    def lose(decider: EntryDecider, scanner: TarScanner) -> None:
        if scanner.path == b"app/new":
            scanner.drop()
        else:
            decide(decider, scanner)

    monkeypatch.setattr(EntryDecider, "decide", lose)


@pytest.mark.usefixtures("_forgetful")
class TestAMergeThatLosesAFile:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_not_published(self, kind: str, tmp_path: Path) -> None:
        with open_places(tmp_path, "registry", kind) as (old, new):
            old.put(app())
            with pytest.raises(TreesDiffer, match=r"missing of 'app/new'") as caught:
                copy(old, new, verify=True)
            assert caught.value.exit_code == 4
            assert new.sink(NEW).find_manifest() is None
            if kind != "registry":
                assert new.leftovers() == []

    def test_would_be_otherwise(self, lab: Lab) -> None:
        lab.put(app())
        assert not lab.copy().skipped


def test_a_pipe_cannot_be_read_back(lab: Lab) -> None:
    lab.put(app())
    sink = archives.open_sink(ArchiveReference(Transport.DOCKER_ARCHIVE, "-"))
    with pytest.raises(UsageError, match="before it is published to verify it"):
        copy_image(
            lab.source(),
            sink,
            CopyOptions(verify=True),
            open_source=lab.open,
            observer=SilentObserver(),
            clock=time.monotonic,
        )
