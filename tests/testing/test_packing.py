"""Packings: each unpacks to the tar with another decoder, and is what its name says."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import zlib
from typing import Any

import pytest

from squashproxy.oci.mediatypes import Compression
from squashproxy.testing import LayerBuilder, Packing, iter_packed, pack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def some_tar() -> bytes:
    noise = random.Random(7)
    words = [noise.randbytes(6) for _ in range(500)]
    text = b"".join(noise.choice(words) for _ in range(60_000))
    return LayerBuilder().file("text", text).file("empty").tar()


TAR = some_tar()


def unpack(blob: bytes, compression: Compression) -> bytes:
    if compression is Compression.GZIP:
        return gzip.decompress(blob)
    if compression is Compression.ZSTD:
        return zstd.decompress(blob)
    return blob


def every_packing() -> list[Any]:
    real = {Packing.PIGZ: pytest.mark.real}
    return [
        pytest.param(packing, id=packing.value, marks=real.get(packing, ())) for packing in Packing
    ]


@pytest.mark.parametrize("packing", every_packing())
@pytest.mark.parametrize("tar", [TAR, b""], ids=["a tar", "nothing"])
def test_unpacks_to_the_tar(packing: Packing, tar: bytes) -> None:
    blob = pack(tar, packing)
    assert unpack(blob, packing.compression) == tar
    assert pack(tar, packing) == blob


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_levels_of_gzip(level: int) -> None:
    blob = pack(TAR, Packing.GZIP, level)
    assert gzip.decompress(blob) == TAR
    assert (len(blob) > len(TAR)) == (level == 0)


def members(blob: bytes) -> list[bytes]:
    found = []
    while blob:
        decoder = zlib.decompressobj(31)
        found.append(decoder.decompress(blob))
        blob = decoder.unused_data
    return found


def test_many_members_with_an_empty_one_among_them() -> None:
    found = members(pack(TAR, Packing.GZIP_MULTI))
    assert len(found) == 5
    assert found.index(b"") == 2


def test_a_header_with_every_field() -> None:
    blob = pack(TAR, Packing.GZIP_HEADER)
    assert blob[3] == 0b11111
    assert zlib.decompress(blob, 31) == TAR
    listed = subprocess.run(["gzip", "-tv"], input=blob, capture_output=True, check=True)
    assert b"OK" in listed.stderr


@pytest.mark.parametrize(
    ("packing", "first_block_type"),
    [
        pytest.param(Packing.GZIP_FIXED, 1, id="fixed"),
        pytest.param(Packing.GZIP, 2, id="dynamic"),
    ],
)
def test_the_strategy_shows_in_the_first_block(packing: Packing, first_block_type: int) -> None:
    assert (pack(TAR, packing)[10] >> 1) & 3 == first_block_type


def test_level_0_stores() -> None:
    assert (pack(TAR, Packing.GZIP, 0)[10] >> 1) & 3 == 0


def test_flushed_blocks_end_on_bytes() -> None:
    assert pack(TAR, Packing.GZIP_FLUSHED).count(b"\0\0\xff\xff") >= len(TAR) // (64 << 10)


def test_zstd_in_frames_with_a_skippable_one() -> None:
    blob = pack(TAR, Packing.ZSTD_FRAMES)
    assert b"\x50\x2a\x4d\x18" in blob
    assert blob.count(b"\x28\xb5\x2f\xfd") >= 4


@pytest.mark.parametrize(
    "packing", [Packing.NONE, Packing.GZIP, Packing.GZIP_RLE, Packing.ZLIB_NG, Packing.ZSTD]
)
def test_a_stream_unpacks_to_the_same(packing: Packing) -> None:
    pieces = [TAR[at : at + 5000] for at in range(0, len(TAR), 5000)]
    assert unpack(b"".join(iter_packed(pieces, packing)), packing.compression) == TAR


def test_a_packing_that_needs_the_whole_says_so() -> None:
    with pytest.raises(ValueError, match="gzip-multi needs the whole tar"):
        list(iter_packed([TAR], Packing.GZIP_MULTI))
