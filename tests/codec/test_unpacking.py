"""Blobs to tars: every packing, in bounded chunks, and a sentence for what does not inflate."""

from __future__ import annotations

import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.codec.compression import iter_decompressed, sniff
from squashproxy.codec.gzip import MAGIC as GZIP_MAGIC
from squashproxy.codec.library import Library, find_library
from squashproxy.codec.zstd import MAGIC as ZSTD_MAGIC
from squashproxy.errors import BadCompression, LimitExceeded
from squashproxy.oci.mediatypes import Compression
from squashproxy.streams import CHUNK
from squashproxy.testing import Packing, pack
from tests.codec.blobs import (
    CONTENT,
    EMPTY_FRAME,
    EMPTY_MEMBER,
    LIBRARIES,
    SKIPPABLE_FRAME,
    WHERE,
    each_library,
    gzip_of,
    iter_contents,
    iter_gzip_zeros,
    iter_pieces,
    iter_zstd_zeros,
    zstd_of,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def unpack(blob: bytes, size: int = 65536) -> bytes:
    """Unpack with every library; all must agree on the content or on the refusal."""
    first, *others = [_outcome(blob, size, library) for library in LIBRARIES]
    for other in others:
        assert type(other) is type(first)
        assert isinstance(first, Exception) or other == first
    if isinstance(first, Exception):
        raise first
    return first


def _outcome(blob: bytes, size: int, library: Library | None) -> bytes | BadCompression:
    try:
        return b"".join(iter_contents(iter_pieces(blob, size), library))
    except BadCompression as error:
        return error


def every_packing() -> list[Any]:
    real = {Packing.PIGZ: pytest.mark.real}
    return [
        pytest.param(packing, id=packing.value, marks=real.get(packing, ())) for packing in Packing
    ]


@pytest.mark.parametrize("packing", every_packing())
@pytest.mark.parametrize("size", [1, 700, 65536, 1 << 20])
def test_every_packing_unpacks_whatever_its_pieces(packing: Packing, size: int) -> None:
    content = CONTENT[:30_000] if size == 1 else CONTENT
    blob = pack(content, packing)
    assert sniff(blob) is packing.compression
    assert unpack(blob, size) == content


@pytest.mark.parametrize("packing", every_packing())
def test_every_packing_of_nothing(packing: Packing) -> None:
    blob = pack(b"", packing)
    assert unpack(blob) == b""
    assert unpack(blob, 1) == b""


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_gzip(level: int) -> None:
    assert unpack(pack(CONTENT, Packing.GZIP, level)) == CONTENT


@pytest.mark.parametrize("level", [1, 3, 9, 19])
def test_levels_of_zstd(level: int) -> None:
    assert unpack(pack(CONTENT[:100_000], Packing.ZSTD, level)) == CONTENT[:100_000]


@pytest.mark.parametrize(
    ("start", "packing"),
    [
        pytest.param(b"\x1f\x8b\x08\x00", Compression.GZIP, id="gzip"),
        pytest.param(b"\x28\xb5\x2f\xfd", Compression.ZSTD, id="zstd"),
        pytest.param(b"\x50\x2a\x4d\x18", Compression.ZSTD, id="first skippable frame"),
        pytest.param(b"\x5f\x2a\x4d\x18", Compression.ZSTD, id="last skippable frame"),
        pytest.param(b"\x60\x2a\x4d\x18", Compression.NONE, id="past the skippable frames"),
        pytest.param(b"\x4f\x2a\x4d\x18", Compression.NONE, id="before the skippable frames"),
        pytest.param(b"\x1f\x8c\x08\x00", Compression.NONE, id="nearly gzip"),
        pytest.param(b"etc/", Compression.NONE, id="a name"),
        pytest.param(bytes(512), Compression.NONE, id="zeros"),
        pytest.param(b"", Compression.NONE, id="nothing"),
        pytest.param(b"\x28\xb5", Compression.NONE, id="half of a zstd magic"),
    ],
)
def test_the_bytes_decide_what_a_blob_is(start: bytes, packing: Compression) -> None:
    assert sniff(start) is packing


JOINED = {
    "two members": (gzip_of(b"one") + gzip_of(b"two"), b"onetwo"),
    "an empty member first": (EMPTY_MEMBER + gzip_of(b"one"), b"one"),
    "an empty member between": (gzip_of(b"one") + EMPTY_MEMBER + gzip_of(b"two"), b"onetwo"),
    "an empty member last": (gzip_of(b"one") + EMPTY_MEMBER, b"one"),
    "nothing but empty members": (EMPTY_MEMBER * 5, b""),
    "a thousand members": (gzip_of(b"x") * 1000, b"x" * 1000),
    "zeros behind": (gzip_of(b"one") + bytes(1000), b"one"),
    "zeros between": (gzip_of(b"one") + bytes(512) + gzip_of(b"two"), b"onetwo"),
    "two frames": (zstd_of(b"one") + zstd_of(b"two"), b"onetwo"),
    "an empty frame first": (EMPTY_FRAME + zstd_of(b"one"), b"one"),
    "an empty frame last": (zstd_of(b"one") + EMPTY_FRAME, b"one"),
    "a skippable frame first": (SKIPPABLE_FRAME + zstd_of(b"one"), b"one"),
    "a skippable frame between": (zstd_of(b"one") + SKIPPABLE_FRAME + zstd_of(b"two"), b"onetwo"),
    "a skippable frame last": (zstd_of(b"one") + SKIPPABLE_FRAME, b"one"),
    "nothing but a skippable frame": (SKIPPABLE_FRAME, b""),
    "a frame without checksum": (zstd.compress(b"one"), b"one"),
}


@pytest.mark.parametrize("joined", JOINED)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 65536])
def test_members_and_frames_follow_each_other(joined: str, size: int) -> None:
    blob, content = JOINED[joined]
    assert unpack(blob, size) == content


@given(
    st.lists(st.binary(max_size=2000), min_size=1, max_size=5),
    st.sampled_from([gzip_of, zstd_of]),
    st.integers(1, 3000),
)
def test_any_contents_in_any_pieces(
    contents: list[bytes], packed: Callable[[bytes], bytes], size: int
) -> None:
    blob = b"".join(packed(content) for content in contents)
    assert unpack(blob, size) == b"".join(contents)


def test_a_header_with_every_field_is_passed_over() -> None:
    blob = pack(CONTENT, Packing.GZIP_HEADER)
    assert unpack(blob, 1 << 20) == CONTENT
    assert unpack(blob[:100] + blob[100:], 3) == CONTENT


@pytest.mark.parametrize(
    "packing", [Packing.NONE, Packing.GZIP, Packing.GZIP_MULTI, Packing.ZSTD, Packing.ZSTD_FRAMES]
)
@pytest.mark.parametrize("size", [5000, 10 << 20])
@each_library
def test_chunks_are_bounded(packing: Packing, size: int, library: Library | None) -> None:
    content = CONTENT + bytes(3 << 20)
    chunks = list(iter_contents(iter_pieces(pack(content, packing), size), library))
    assert b"".join(chunks) == content
    assert 0 < max(map(len, chunks)) <= CHUNK
    assert all(chunks), "an empty chunk means nothing"


@pytest.mark.parametrize(
    "zeros",
    [pytest.param(iter_gzip_zeros, id="gzip"), pytest.param(iter_zstd_zeros, id="zstd")],
)
@each_library
def test_a_bomb_inflates_piece_by_piece(
    zeros: Callable[[int], Iterator[bytes]], library: Library | None
) -> None:
    size = 1 << 30
    blob = [piece for piece in zeros(size) if piece]
    assert sum(map(len, blob)) < size // 500
    tracemalloc.start()
    try:
        found = sum(map(len, iter_contents(iter([b"".join(blob)]), library)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == size
    assert peak < 16 << 20


GZIP = gzip_of(CONTENT)
HEADED = pack(CONTENT[:1000], Packing.GZIP_HEADER)
MULTI = pack(CONTENT, Packing.GZIP_MULTI)
ZSTD = zstd_of(CONTENT)
FRAMES = pack(CONTENT, Packing.ZSTD_FRAMES)


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(GZIP[:5], id="gzip, in the header"),
        pytest.param(GZIP[:10], id="gzip, behind the header"),
        pytest.param(HEADED[:20], id="gzip, in the extra field"),
        pytest.param(GZIP[: len(GZIP) // 2], id="gzip, in the data"),
        pytest.param(GZIP[:-8], id="gzip, before the trailer"),
        pytest.param(GZIP[:-4], id="gzip, in the trailer"),
        pytest.param(GZIP[:-1], id="gzip, one byte"),
        pytest.param(EMPTY_MEMBER[:-1], id="gzip of nothing"),
        pytest.param(MULTI[:-1], id="gzip, in the last member"),
        pytest.param(GZIP + GZIP[:3], id="gzip, in a second header"),
        pytest.param(ZSTD[:4], id="zstd, behind the magic"),
        pytest.param(ZSTD[:6], id="zstd, in the header"),
        pytest.param(ZSTD[: len(ZSTD) // 2], id="zstd, in the data"),
        pytest.param(ZSTD[:-4], id="zstd, before the checksum"),
        pytest.param(ZSTD[:-1], id="zstd, one byte"),
        pytest.param(FRAMES[:-1], id="zstd, in the last frame"),
        pytest.param(ZSTD + b"\x28\xb5", id="zstd, in a second magic"),
        pytest.param(SKIPPABLE_FRAME[:6], id="zstd, in a skippable frame's length"),
        pytest.param(SKIPPABLE_FRAME[:-1], id="zstd, in a skippable frame"),
    ],
)
def test_cut_short(blob: bytes, size: int) -> None:
    sentence = f"^{WHERE} is cut short: its compressed stream has no end; build or push the image"
    with pytest.raises(BadCompression, match=sentence):
        unpack(blob, size)


@each_library
def test_what_a_cut_stream_still_holds_comes_out_before_the_error(library: Library | None) -> None:
    content = bytes(CHUNK + 300)
    whole = iter_contents([gzip_of(content)[:-8]], library)
    assert next(whole) + next(whole) == content
    with pytest.raises(BadCompression, match="is cut short"):
        next(whole)


def _changed(blob: bytes, at: int) -> bytes:
    at %= len(blob)
    return blob[:at] + bytes([blob[at] ^ 0x55]) + blob[at + 1 :]


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(_changed(GZIP, 2), id="gzip, method"),
        pytest.param(_changed(GZIP, 3), id="gzip, flags"),
        pytest.param(_changed(GZIP, len(GZIP) // 2), id="gzip, data"),
        pytest.param(_changed(GZIP, -5), id="gzip, checksum"),
        pytest.param(_changed(GZIP, -1), id="gzip, length"),
        pytest.param(_changed(HEADED, 22), id="gzip, header's checksum"),
        pytest.param(_changed(MULTI, -1), id="gzip, the last of many members"),
        pytest.param(_changed(ZSTD, len(ZSTD) // 2), id="zstd, data"),
        pytest.param(_changed(ZSTD, -1), id="zstd, checksum"),
        pytest.param(ZSTD + b"garbage", id="zstd, garbage behind"),
        pytest.param(ZSTD + bytes(100), id="zstd, zeros behind"),
        pytest.param(ZSTD + GZIP, id="zstd, then gzip"),
    ],
)
def test_damaged(blob: bytes, size: int) -> None:
    with pytest.raises(BadCompression, match=f"^{WHERE} is (damaged|cut short): its compressed"):
        unpack(blob, size)


def test_a_stored_gzip_of_a_wrong_length_is_damaged() -> None:
    blob = pack(b"data", Packing.GZIP, 0)
    assert zlib.decompress(blob, 31) == b"data"
    with pytest.raises(BadCompression, match="is damaged"):
        unpack(blob[:-4] + b"\x05\0\0\0")


def zstd_frame(exponent: int, mantissa: int = 0) -> bytes:
    """An empty frame that claims a window of (1 + mantissa / 8) * 2 ** exponent bytes."""
    window = bytes([(exponent - 10) << 3 | mantissa])
    return ZSTD_MAGIC + b"\0" + window + b"\x01\0\0"


def zstd_single(size: int) -> bytes:
    """The start of a frame in a single segment, whose content of `size` bytes is its window."""
    return ZSTD_MAGIC + b"\xe0" + size.to_bytes(8, "little") + b"\x01\0\0"


WINDOWS = {
    "128 MiB without a limit": (zstd_frame(27), None, None, ""),
    "256 MiB": (zstd_frame(28), None, None, ""),
    "2 GiB": (zstd_frame(31), None, None, ""),
    "128 MiB, however low the limit": (zstd_frame(27), 1, None, ""),
    "256 MiB at the limit": (zstd_frame(28), 256 << 20, None, ""),
    "more than the limit": (zstd_frame(28), 200 << 20, LimitExceeded, "256 MiB .* 200 MiB"),
    "an eighth more": (zstd_frame(28, 1), 256 << 20, LimitExceeded, "288 MiB .* 256 MiB"),
    "more than 2 GiB": (zstd_frame(31, 1), None, BadCompression, "2304 MiB .* no reader"),
    "more than both": (zstd_frame(31, 1), 1, BadCompression, "2304 MiB .* no reader"),
    "a single segment": (zstd_single(300 << 20), 1, LimitExceeded, "300 MiB .* 128 MiB"),
    "a second frame": (zstd_frame(17) + zstd_frame(28), 1, LimitExceeded, "256 MiB"),
    "behind a skippable frame": (
        b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zstd_frame(28),
        1,
        LimitExceeded,
        "256 MiB",
    ),
}


@pytest.mark.parametrize("step", [1, 5, 1000])
@pytest.mark.parametrize(
    ("blob", "limit", "error", "words"), list(WINDOWS.values()), ids=list(WINDOWS)
)
def test_zstd_windows(
    blob: bytes, limit: int | None, error: type[Exception] | None, words: str, step: int
) -> None:
    pieces = [blob[at : at + step] for at in range(0, len(blob), step)]
    found = iter_decompressed(pieces, WHERE, None, max_window=limit)
    if error is None:
        assert b"".join(chunk.content for chunk in found) == b""
        return
    with pytest.raises(error, match=words):
        list(found)


MEMBER = pack(b"more", Packing.GZIP)
RUBBISH = {
    "text": (b"rubbish", 7),
    "one byte": (b"x", 1),
    "the first byte of a member": (b"\x1f", 1),
    "the first byte of a member, and another": (b"\x1fx", 2),
    "the first byte of a member, and many": (b"\x1f" + b"y" * 3000, 3001),
    "behind zeros": (bytes(700) + b"rubbish" + bytes(9), 16),
    "before another member": (b"rubbish" + MEMBER, 7 + len(MEMBER)),
    "zstd": (ZSTD_MAGIC + b"more", 8),
    "zeros alone": (bytes(3000), 0),
    "nothing": (b"", 0),
}


@each_library
@pytest.mark.parametrize("step", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize(("rubbish", "count"), list(RUBBISH.values()), ids=list(RUBBISH))
@pytest.mark.parametrize("members", [1, 3])
def test_what_follows_gzip_and_is_none_is_ignored_and_counted(
    library: Library | None, rubbish: bytes, count: int, members: int, step: int
) -> None:
    blob = pack(b"content", Packing.GZIP) * members + rubbish
    pieces = [blob[at : at + step] for at in range(0, len(blob), step)]
    told: list[int] = []
    found = iter_decompressed(pieces, WHERE, library, on_rubbish=told.append)
    assert b"".join(chunk.content for chunk in found) == b"content" * members
    assert told == ([count] if count else [])


@each_library
@pytest.mark.parametrize("behind", [GZIP_MAGIC, GZIP_MAGIC + b"\x08", GZIP_MAGIC + b"\x07rest"])
def test_a_damaged_member_behind_another_is_no_rubbish(
    library: Library | None, behind: bytes
) -> None:
    for step in (1, 1000):
        blob = pack(b"content", Packing.GZIP) + behind
        pieces = [blob[at : at + step] for at in range(0, len(blob), step)]
        with pytest.raises(BadCompression):
            list(iter_decompressed(pieces, WHERE, library))


@given(st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b""]), st.binary(max_size=400))
def test_any_bytes_are_unpacked_or_refused(start: bytes, rest: bytes) -> None:
    try:
        once = unpack(start + rest)
    except BadCompression:
        with pytest.raises(BadCompression):
            unpack(start + rest, 1)
    else:
        assert unpack(start + rest, 1) == once


@each_library
def test_the_blob_is_read_to_its_end(library: Library | None) -> None:
    left = iter_pieces(GZIP + bytes(1 << 20), 1000)
    assert b"".join(iter_contents(left, library)) == CONTENT
    assert next(left, None) is None


def test_nothing_is_read_before_it_is_asked_for() -> None:
    def untouchable() -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    iter_decompressed(untouchable(), WHERE, find_library())


@each_library
def test_empty_pieces_do_no_harm(library: Library | None) -> None:
    blob = [b"", GZIP[:1], b"", GZIP[1:3], b"", b"", GZIP[3:], b""]
    assert b"".join(iter_contents(iter(blob), library)) == CONTENT
    assert b"".join(iter_contents(iter([b"", b""]), library)) == b""
