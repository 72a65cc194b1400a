"""Two images in registries, from their manifests to the verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import BadArchive, IntegrityError, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import DOCKER_FOREIGN_LAYER, Family
from squashproxy.testing import Fault, FaultKind, ImageBuilder, LayerBuilder, Packing
from squashproxy.transports.base import ImageReader
from squashproxy.verify.results import VerifyResult
from squashproxy.verify.verification import verify_images
from tests.model.stacks import random_stack
from tests.pipeline.images import APP, OS, TOP, app, image_of
from tests.pipeline.lab import Lab, Listener

FIRST = 9000
STACKS = 24


def verify(a: ImageReader, b: ImageReader, observer: Listener | None = None) -> VerifyResult:
    return verify_images(a, b, observer=observer or Listener(), clock=time.monotonic)


def target(lab: Lab, name: str = "app:1") -> ImageReader:
    """What the target registry has under a name."""
    return replace(lab, old=lab.new).source(name)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + STACKS))
def test_a_copied_stack_verifies_with_any_base(lab: Lab, seed: int) -> None:
    tars = random_stack(seed).build().tars
    lab.put(image_of(*tars))
    for base in ("none", str(Random(seed).randrange(1, len(tars) + 1))):
        lab.copy(base=base, force=True)
        result = verify(lab.source(), target(lab))
        assert result.identical, f"{result.platforms[0].differences}, base {base}"


@pytest.mark.parametrize("packing", [Packing.NONE, Packing.GZIP_MULTI, Packing.ZSTD_FRAMES])
@pytest.mark.parametrize("family", Family)
def test_families_and_packings_do_not_matter(lab: Lab, family: Family, packing: Packing) -> None:
    lab.put(app(family, packing=packing))
    lab.put(app(), "other:1")
    assert verify(lab.source(), lab.source("other:1")).identical


def test_the_result_names_both_images(lab: Lab) -> None:
    a, b = lab.put(app()), lab.put(image_of(OS, APP), "other:1")
    result = verify(lab.source(), lab.source("other:1"))
    assert (result.a_digest, result.b_digest) == (a, b)
    assert result.a.endswith("/app:1")
    assert result.b.endswith("/other:1")
    assert result.identical is False


def test_foreign_layers_of_both_are_left_out_with_a_warning(lab: Lab) -> None:
    absent = Descriptor(DOCKER_FOREIGN_LAYER, image_of(OS).layers[0].digest, 1000)
    for name, layers in (("app:1", (APP, TOP)), ("other:1", (APP,))):
        builder = ImageBuilder(Family.DOCKER).stored_layer(absent, Digest("sha256:" + "0" * 64))
        for layer in layers:
            builder.layer(layer)
        lab.put(builder, name)
    result = verify(lab.source(), lab.source("other:1"))
    (warning,) = result.warnings
    assert "may not be distributed" in warning
    assert {found.path for found in result.platforms[0].differences} >= {"app/large", "app/new"}


def test_a_wrong_digest_is_told_where_the_damage_also_breaks_the_archive(lab: Lab) -> None:
    built = image_of(OS, APP)
    lab.put(built)
    damage = Fault("GET", built.layers[1].digest, FaultKind.CORRUPT, after_bytes=20, times=100)
    lab.old.arm(damage)
    with pytest.raises(IntegrityError, match="has the digest"):
        verify(lab.source(), lab.source())


def test_a_diff_id_that_only_one_image_states_wrongly_is_found(lab: Lab) -> None:
    built = image_of(OS)
    lab.put(built)
    lab.put(ImageBuilder().stored_layer(built.layers[0], Digest("sha256:" + "0" * 64)), "b:1")
    built.push(lab.old, "b")
    with pytest.raises(IntegrityError, match=r"layer 1 of 1 .* of .*/b:1 unpacks to"):
        verify(lab.source(), lab.source("b:1"))


def test_what_stands_behind_the_end_of_an_archive_belongs_to_its_diff_id(lab: Lab) -> None:
    lab.put(image_of(OS, APP.tar(record_size=1 << 20)))
    lab.put(image_of(OS, APP), "other:1")
    assert verify(lab.source(), lab.source("other:1")).identical


def test_a_link_to_nothing_in_a_common_layer_is_found_on_the_side_that_shows_it(lab: Lab) -> None:
    bottom = LayerBuilder().hardlink("b", "nothing")
    lab.put(image_of(bottom, LayerBuilder().whiteout("b")))
    lab.put(image_of(bottom, LayerBuilder().file("k")), "other:1")
    assert verify(lab.source(), lab.source()).identical
    for a, b in (("app:1", "other:1"), ("other:1", "app:1")):
        with pytest.raises(BadArchive, match="/b points to /nothing"):
            verify(lab.source(a), lab.source(b))


def test_an_aufs_store_in_a_common_layer_serves_both_sides(lab: Lab) -> None:
    store = LayerBuilder().file(".wh..wh.plnk/1.2", b"data")
    for name, path in (("app:1", "a"), ("other:1", "b")):
        layer = LayerBuilder().hardlink(path, ".wh..wh.plnk/1.2")
        lab.put(image_of(store, layer), name)
    (platform,) = verify(lab.source(), lab.source("other:1")).platforms
    assert [found.kind for found in platform.differences] == ["missing", "extra"]


def test_every_layer_is_a_task_that_the_observer_sees(lab: Lab) -> None:
    lab.put(image_of(OS, APP))
    lab.put(image_of(OS, TOP), "other:1")
    listener = Listener()
    verify(lab.source(), lab.source("other:1"), listener)
    assert listener.labels == ["layer 1/2", "layer 1/2", "layer 2/2", "layer 2/2"]


@pytest.mark.parametrize("damaged", ["old", "new"])
def test_damage_in_a_layer_that_both_begin_with_is_found_on_either_side(
    lab: Lab, damaged: str
) -> None:
    built = image_of(OS, APP)
    lab.put(built)
    built.push(lab.new, "app", "1")
    side = getattr(lab, damaged)
    side.arm(Fault("GET", built.layers[0].digest, FaultKind.CORRUPT, after_bytes=20, times=100))
    with pytest.raises(IntegrityError, match=rf"blob .* of {side.host}/app.* has the digest"):
        verify(lab.source(), target(lab))


@dataclass(slots=True)
class Watched:
    """A source that counts the streams that are open."""

    source: ImageReader
    name: str = "watched"
    repository: None = None
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        return self.source.read_manifest(digest)

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        self.opened.append(blob.digest)
        try:
            yield from self.source.iter_blob(blob)
        finally:
            self.closed.append(blob.digest)


@pytest.mark.parametrize(
    "top",
    [
        pytest.param(LayerBuilder().file("../x").large_file("y", 3 << 20), id="bad-entry"),
        pytest.param(LayerBuilder().raw(b"rubbish" * 200_000), id="no-archive"),
    ],
)
def test_streams_are_closed_after_an_error(lab: Lab, top: LayerBuilder) -> None:
    lab.put(image_of(OS, top))
    watched = Watched(lab.source())
    with pytest.raises(SquashproxyError):
        verify(watched, watched)
    assert watched.opened == watched.closed
