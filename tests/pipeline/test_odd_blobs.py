"""Blobs that most readers take and some do not: rubbish behind gzip, and large zstd windows."""

from __future__ import annotations

import time

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import LimitExceeded
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import Limits
from squashproxy.reference import parse_reference
from squashproxy.testing import BuiltImage, ImageBuilder, LayerBuilder, Packing, pack
from squashproxy.verify.verification import verify_images
from tests.pipeline.images import APP, LAYERS, OS, RUNTIME, TOP
from tests.pipeline.lab import Lab, Listener, tree

RUBBISH = bytes(600) + b"rubbish"
ENDS = "ends with 7 bytes that are no gzip; ignored, as docker does"
_BLOCK = 128 << 10


def stored(builder: ImageBuilder, blob: bytes, tar: bytes, media_type: str) -> ImageBuilder:
    """Add a layer whose blob a test made."""
    return builder.stored_layer(Descriptor(media_type, digest_of(blob), len(blob)), digest_of(tar))


def with_rubbish(number: int) -> tuple[BuiltImage, bytes]:
    """The image of LAYERS with rubbish behind one of them, and that blob."""
    builder, odd = ImageBuilder(), b""
    for at, layer in enumerate(LAYERS):
        if at == number:
            odd = pack(layer.tar(), Packing.GZIP) + RUBBISH
            stored(builder, odd, layer.tar(), OCI_LAYER_GZIP)
        else:
            builder.layer(layer)
    return builder.build(), odd


def put(lab: Lab, built: BuiltImage, odd: bytes) -> None:
    lab.old.put_blob("app", odd)
    lab.put(built)


def in_window(content: bytes, log: int) -> bytes:
    """A zstd frame of stored blocks that claims a window of 2 ** log bytes."""
    frame = b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3])
    pieces = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    for number, piece in enumerate(pieces, 1):
        head = len(piece) << 3 | (number == len(pieces))
        frame += head.to_bytes(3, "little") + piece
    return frame


@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("number", [2, 3])
def test_rubbish_behind_gzip_is_read_with_one_warning(lab: Lab, number: int, mode: Mode) -> None:
    put(lab, *with_rubbish(number))
    plan = lab.plan(base="1")
    listener = Listener()
    result = lab.copy(base="1", mode=mode, observer=listener)
    for warnings in (plan.warnings, result.warnings):
        (warning,) = warnings
        assert warning.startswith(f"layer {number + 1} of 4 (")
        assert warning.endswith(ENDS)
    target = lab.open(parse_reference(f"{lab.new.host}/app:1"))
    proof = verify_images(lab.source(), target, observer=Listener(), clock=time.monotonic)
    assert proof.identical
    assert {warning.endswith(ENDS) for warning in proof.warnings} == {True}


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_a_blob_with_rubbish_that_stays_is_copied_byte_for_byte(lab: Lab, mode: Mode) -> None:
    odd = pack(OS.tar(), Packing.GZIP) + RUBBISH
    builder = stored(ImageBuilder(), odd, OS.tar(), OCI_LAYER_GZIP)
    put(lab, builder.layer(RUNTIME).layer(APP).build(), odd)
    result = lab.copy(mode=mode)
    assert result.warnings == ()
    assert lab.arrived().layers[0] == digest_of(odd)
    assert lab.new.blob("app", Digest(digest_of(odd))) == odd


def test_the_only_layer_above_the_base_stays_with_its_rubbish(lab: Lab) -> None:
    odd = pack(RUNTIME.tar(), Packing.GZIP) + RUBBISH
    builder = stored(ImageBuilder().layer(OS), odd, RUNTIME.tar(), OCI_LAYER_GZIP)
    put(lab, builder.build(), odd)
    assert [warning.endswith(ENDS) for warning in lab.copy(base="1").warnings] == [True]
    assert lab.arrived().layers[1] == digest_of(odd)


WINDOWS = {
    "28 bits": (28, 2 << 30),
    "28 bits, just allowed": (28, 256 << 20),
    "29 bits": (29, None),
}


@pytest.mark.parametrize(("log", "memory"), WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE], ids=lambda mode: mode.value)
def test_a_large_zstd_window_is_read_within_the_memory_limit(
    lab: Lab, log: int, memory: int | None, mode: Mode
) -> None:
    odd = in_window(APP.tar(), log)
    builder = stored(ImageBuilder().layer(OS).layer(RUNTIME), odd, APP.tar(), OCI_LAYER_ZSTD)
    put(lab, builder.layer(TOP, Packing.ZSTD).build(), odd)
    limits = Limits(memory=memory)
    assert lab.plan(base="1", limits=limits).warnings == ()
    assert lab.copy(base="1", mode=mode, limits=limits, verify=True).warnings == ()
    assert lab.arrived().tree() == tree(*LAYERS)


@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE], ids=lambda mode: mode.value)
def test_a_window_past_the_memory_limit_is_refused_by_name(lab: Lab, mode: Mode) -> None:
    top = LayerBuilder().file("top")
    odd = in_window(top.tar(), 28)
    builder = stored(ImageBuilder().layer(OS).layer(APP), odd, top.tar(), OCI_LAYER_ZSTD)
    put(lab, builder.build(), odd)
    for run in (lab.plan, lab.copy):
        with pytest.raises(
            LimitExceeded,
            match=r"^layer 3 of 3 .* needs a zstd window of 256 MiB to be unpacked, and 200 MiB "
            r"are the limit; nothing was pushed; raise the limit with `memory`",
        ):
            run(base="1", mode=mode, limits=Limits(memory=200 << 20))
    assert lab.new.tags("app") == {}


def test_a_window_past_the_limit_does_no_harm_in_a_base_that_stays(lab: Lab) -> None:
    odd = in_window(OS.tar(), 30)
    builder = stored(ImageBuilder(), odd, OS.tar(), OCI_LAYER_ZSTD).layer(APP).layer(RUNTIME)
    put(lab, builder.build(), odd)
    lab.copy(base="1", limits=Limits(memory=150 << 20))
    assert lab.arrived().layers[0] == digest_of(odd)
