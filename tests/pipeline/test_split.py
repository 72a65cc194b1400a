"""A squashed layer that is cut into several looks the same to a container."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
from _pytest.mark import ParameterSet

from squashproxy.digest import digest_of
from squashproxy.errors import BadCompression, LimitExceeded, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.pipeline.mode import Mode
from squashproxy.testing import BuiltImage, Fault, FaultKind, ImageBuilder, LayerBuilder, Packing
from tests.pipeline.images import LAYERS, OS, app, noise
from tests.pipeline.lab import Arrived, Lab, fails, fetched, tree

PACKINGS = tuple(packing for packing in Packing if packing is not Packing.PIGZ)
WORDS = [noise(7, seed) for seed in range(400)]
MIB = 1 << 20


def prose(size: int, seed: int) -> bytes:
    """Bytes that codecs make a good deal smaller."""
    chance = random.Random(seed)
    return b"".join(chance.choices(WORDS, k=size // 7 + 1))[:size]


def lower() -> LayerBuilder:
    """Prose, then noise: the first half of the tar is a small part of the blob."""
    layer = LayerBuilder().directory("srv", mode=0o700, uid=5).directory("srv/prose")
    for number in range(16):
        layer.file(f"srv/prose/{number}", prose(MIB // 4, number))
    layer.directory("srv/noise", mode=0o711)
    for number in range(16):
        layer.file(f"srv/noise/{number}", noise(MIB // 4, number))
    return layer


UPPER = (
    LayerBuilder()
    .directory("etc")
    .whiteout("etc/os-release")
    .directory("srv", mode=0o700, uid=5)
    .directory("srv/noise", mode=0o711)
    .whiteout("srv/noise/3")
    .file("srv/noise/5", b"again")
    .hardlink("srv/noise/link", "srv/noise/5")
)
SPLIT = (OS, lower(), UPPER)


@cache
def image(packing: Packing = Packing.GZIP) -> BuiltImage:
    builder = ImageBuilder()
    for layer in SPLIT:
        builder.layer(layer, packing)
    return builder.build()


def sizes(arrived: Arrived) -> list[int]:
    """The sizes of the layers' blobs above the base."""
    return [layer["size"] for layer in arrived.manifest["layers"]][1:]


def _pairs() -> Iterator[ParameterSet]:
    """Each packing with each compression; each packing with one in turn, all with `--long`."""
    compressions = ("keep", "gzip", "zstd:3")
    for number, packing in enumerate(PACKINGS):
        for turn, compression in enumerate(compressions):
            is_always = packing is Packing.GZIP or turn == number % len(compressions)
            yield pytest.param(
                packing,
                compression,
                id=f"{packing.value}-{compression}",
                marks=[] if is_always else [pytest.mark.long],
            )


class TestTheResult:
    @pytest.mark.parametrize(("packing", "compression"), list(_pairs()))
    def test_looks_the_same_to_a_container(
        self, lab: Lab, packing: Packing, compression: str
    ) -> None:
        built = image(packing)
        lab.put(built)
        (copied,) = lab.copy(max_layer_size=MIB, base="1", compression=compression).platforms
        arrived = lab.arrived()
        assert len(arrived.layers) > 3
        assert arrived.layers[0] == built.layers[0].digest
        assert arrived.tree() == tree(*SPLIT)
        assert copied.layers_after == len(arrived.layers)
        assert [layer.digest for layer in copied.new_layers] == arrived.layers[1:]
        assert [layer.packed for layer in copied.new_layers] == sizes(arrived)
        assert sum(layer.unpacked for layer in copied.new_layers) == copied.unpacked_after
        assert copied.compressed_after == arrived.size
        assert {layer.digest for layer in copied.layers[1:]} == {arrived.layers[1]}

    def test_is_balanced_although_the_content_compresses_unevenly(self, lab: Lab) -> None:
        lab.put(image())
        lab.copy(max_layer_size=MIB, base="1")
        *full, last = sizes(lab.arrived())
        assert all(0.7 * MIB < size < 1.3 * MIB for size in full), "a file is a quarter of a MiB"
        assert last < 1.1 * MIB
        assert len(full) <= 6, full

    def test_is_spliced_as_one_layer_is(self, lab: Lab) -> None:
        lab.put(image())
        (whole,) = lab.copy(base="1").platforms
        (cut,) = lab.copy(target="cut:1", base="1", max_layer_size=MIB).platforms
        assert cut.spliced_bytes > 0.7 * whole.spliced_bytes

    def test_needs_no_second_reading(self, lab: Lab) -> None:
        built = image()
        lab.put(built)
        (whole,) = lab.copy(target="whole:1", base="1").platforms
        lab.forget_requests()
        (copied,) = lab.copy(max_layer_size=MIB, base="1").platforms
        assert copied.fallbacks == whole.fallbacks
        assert fetched(lab.old, built.layers[1].digest) == 1

    @pytest.mark.parametrize("packing", [Packing.GZIP, Packing.ZSTD])
    @pytest.mark.parametrize("compression", ["gzip", "zstd"])
    def test_is_the_same_however_the_source_sends_it(
        self, labs: Callable[..., Lab], packing: Packing, compression: str
    ) -> None:
        found = []
        for broken_at in (None, 100_001, 1_000_003):
            lab = labs()
            built = image(packing)
            lab.put(built)
            if broken_at is not None:
                digest = built.layers[1].digest
                lab.old.arm(Fault("GET", digest, FaultKind.DROP_RESPONSE, after_bytes=broken_at))
            copied = lab.copy(max_layer_size=MIB, base="1", compression=compression)
            found.append(copied.digest)
        assert len(set(found)) == 1

    def test_is_what_a_plan_says(self, lab: Lab) -> None:
        lab.put(image())
        (planned,) = lab.plan(max_layer_size=MIB, base="1").platforms
        (copied,) = lab.copy(max_layer_size=MIB, base="1").platforms
        assert planned.layers_after == copied.layers_after
        assert planned.compressed_after == copied.compressed_after
        assert planned.unpacked_after == copied.unpacked_after
        assert planned.upload_bytes == copied.uploaded_bytes

    def test_passes_the_proof(self, lab: Lab) -> None:
        lab.put(image())
        lab.copy(max_layer_size=MIB, verify=True)
        assert lab.arrived().tree() == tree(*SPLIT)

    def test_is_up_to_date_for_the_same_size_alone(self, lab: Lab) -> None:
        lab.put(image())
        assert not lab.copy(max_layer_size=MIB).skipped
        assert lab.copy(max_layer_size=MIB).skipped
        assert not lab.copy(max_layer_size=2 * MIB).skipped
        assert not lab.copy().skipped


class TestALayerThatIsSmallEnough:
    def test_stays_one(self, lab: Lab) -> None:
        lab.put(app())
        lab.copy(base="1")
        whole = lab.arrived().layers
        lab.copy(base="1", max_layer_size=MIB)
        assert lab.arrived().layers == whole

    def test_stays_as_it_is_where_it_is_the_only_one(self, lab: Lab) -> None:
        built = ImageBuilder().layer(OS).layer(LAYERS[1]).build()
        lab.put(built)
        lab.copy(base="1", max_layer_size=MIB)
        assert lab.arrived().layers == [layer.digest for layer in built.layers]


def test_the_only_layer_above_the_base_is_cut_if_it_is_too_large(lab: Lab) -> None:
    lab.put(ImageBuilder().layer(OS).layer(lower()).build())
    lab.copy(base="1", max_layer_size=2 * MIB)
    assert len(lab.arrived().layers) > 2
    assert lab.arrived().tree() == tree(OS, lower())


def test_a_file_larger_than_the_size_is_never_cut(lab: Lab) -> None:
    layer = LayerBuilder().file("a", noise(MIB, 1)).file("b", noise(100, 2)).file("c", b"c")
    lab.put(ImageBuilder().layer(OS).layer(layer).build())
    lab.copy(base="1", max_layer_size=100_000)
    assert sizes(lab.arrived())[0] > MIB
    assert lab.arrived().tree() == tree(OS, layer)


class TestALinkFarFromItsFile:
    """The file's layer is complete when the link comes, so the layers are read again."""

    layer = (
        LayerBuilder()
        .directory("cache", mode=0o700)
        .file("cache/file", noise(1000))
        .file("cache/other", noise(300_000, 2))
        .directory("opt", mode=0o500)
        .file("opt/large", noise(300_000, 3))
        .directory("opt/deep", mode=0o550, mtime=1_700_000_000)
        .hardlink("opt/deep/one", "cache/file")
        .hardlink("opt/two", "opt/deep/one")
        .file("opt/last", noise(300_000, 4))
    )

    def test_goes_to_the_file(self, lab: Lab) -> None:
        built = ImageBuilder().layer(OS).layer(self.layer).build()
        lab.put(built)
        (copied,) = lab.copy(base="1", max_layer_size=300_000, verify=True).platforms
        arrived = lab.arrived()
        assert len(arrived.layers) == 4
        assert arrived.tree() == tree(OS, self.layer)
        assert copied.fallbacks == 1
        assert lab.new.open_uploads == 0

    def test_gives_the_same_each_time(self, lab: Lab) -> None:
        lab.put(ImageBuilder().layer(OS).layer(self.layer).build())
        first = lab.copy(base="1", max_layer_size=300_000).digest
        assert lab.copy(base="1", max_layer_size=300_000, force=True).digest == first


class TestRefusals:
    def test_more_layers_than_runtimes_take(self, lab: Lab) -> None:
        layer = LayerBuilder()
        for number in range(200):
            layer.file(f"{number}", noise(2000, number))
        lab.put(ImageBuilder().layer(OS).layer(layer).build())
        words = ("more than 126 layers", "127", "max_layer_size")
        fails(lab, LimitExceeded, *words, base="1", max_layer_size=2000)

    def test_a_mode_without_a_squashed_layer(self, lab: Lab) -> None:
        lab.put(app())
        fails(lab, UsageError, "mode prune", mode=Mode.PRUNE, max_layer_size=MIB)
        with pytest.raises(UsageError, match="mode prune"):
            lab.plan(target=None, mode=Mode.PRUNE, max_layer_size=MIB)

    def test_a_layer_that_is_damaged_at_its_end(self, lab: Lab) -> None:
        """Layers that were complete by then stay behind as blobs; nothing names them."""
        blob = image().blobs[image().layers[1].digest][:-5000]
        builder = ImageBuilder().layer(OS)
        cut_short = Descriptor(OCI_LAYER_GZIP, digest_of(blob), len(blob))
        built = builder.stored_layer(cut_short, image().diff_ids[1]).build()
        lab.put(replace(built, blobs={**built.blobs, cut_short.digest: blob}))
        fails(lab, BadCompression, "layer 2 of 2", base="1", max_layer_size=MIB)
