"""Compression of layers in the ways of builders and tools."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Protocol

from zlib_ng import zlib_ng

from squashproxy.oci.mediatypes import Compression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_WINDOW = 31
_MEMBER = 100_000
_FLUSH_EVERY = 64 << 10
_SKIPPABLE = struct.pack("<II", 0x184D2A50, 9) + b"skip this"


class _Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Packing(Enum):
    """The ways to compress a tar into the blob of a layer.

    - NONE: the tar itself.
    - GZIP: zlib, at a level from 0 (stored blocks) to 9; 6 by default.
    - GZIP_FIXED, GZIP_HUFFMAN, GZIP_RLE: zlib with that strategy.
    - GZIP_FLUSHED: a full flush after each 64 KiB, so that an empty stored block ends each piece.
    - GZIP_MULTI: a member for each 100,000 bytes, and an empty member in the middle.
    - GZIP_HEADER: a header with extra field, name, comment, time and checksum (RFC 1952).
    - ZLIB_NG: the fast encoder that squashproxy uses itself.
    - PIGZ: the program of that name, which must be installed.
    - ZSTD: one frame, level 3 by default, with checksum and content size.
    - ZSTD_FRAMES: a frame for each 100,000 bytes, and a skippable frame after the first.
    """

    NONE = "none"
    GZIP = "gzip"
    GZIP_FIXED = "gzip-fixed"
    GZIP_HUFFMAN = "gzip-huffman"
    GZIP_RLE = "gzip-rle"
    GZIP_FLUSHED = "gzip-flushed"
    GZIP_MULTI = "gzip-multi"
    GZIP_HEADER = "gzip-header"
    ZLIB_NG = "zlib-ng"
    PIGZ = "pigz"
    ZSTD = "zstd"
    ZSTD_FRAMES = "zstd-frames"

    @property
    def compression(self) -> Compression:
        """The compression that the layer's media type states."""
        if self is Packing.NONE:
            return Compression.NONE
        if self in (Packing.ZSTD, Packing.ZSTD_FRAMES):
            return Compression.ZSTD
        return Compression.GZIP


_STRATEGIES = {
    Packing.GZIP: zlib.Z_DEFAULT_STRATEGY,
    Packing.GZIP_FIXED: zlib.Z_FIXED,
    Packing.GZIP_HUFFMAN: zlib.Z_HUFFMAN_ONLY,
    Packing.GZIP_RLE: zlib.Z_RLE,
}


def pack(tar: bytes, packing: Packing, level: int | None = None) -> bytes:
    """The blob of a layer. The same arguments give the same bytes."""
    whole = _WHOLE.get(packing)
    if whole is not None:
        return whole(tar, level)
    return b"".join(iter_packed((tar,), packing, level))


def iter_packed(
    chunks: Iterable[bytes], packing: Packing, level: int | None = None
) -> Iterator[bytes]:
    """The blob of a layer, compressed as a stream, for layers too large for memory.

    Raises ValueError unless `packing` is NONE, a gzip strategy, ZLIB_NG or ZSTD.
    """
    if packing is Packing.NONE:
        yield from chunks
        return
    encoder: _Encoder
    if packing in _STRATEGIES:
        strategy = _STRATEGIES[packing]
        encoder = zlib.compressobj(_level(level), zlib.DEFLATED, _GZIP_WINDOW, 9, strategy)
    elif packing is Packing.ZLIB_NG:
        encoder = zlib_ng.compressobj(_level(level), zlib.DEFLATED, _GZIP_WINDOW)
    elif packing is Packing.ZSTD:
        encoder = zstd.ZstdCompressor(options=_zstd_options(level))
    else:
        raise ValueError(f"{packing.value} needs the whole tar; use pack()")
    for chunk in chunks:
        yield encoder.compress(chunk)
    yield encoder.flush()


def _pack_zstd(tar: bytes, level: int | None) -> bytes:
    return zstd.compress(tar, options=_zstd_options(level))


def _level(level: int | None) -> int:
    return 6 if level is None else level


def _zstd_options(level: int | None) -> dict[int, int]:
    return {
        zstd.CompressionParameter.compression_level: 3 if level is None else level,
        zstd.CompressionParameter.checksum_flag: 1,
    }


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def _pack_flushed(tar: bytes, level: int | None) -> bytes:
    encoder = zlib.compressobj(_level(level), zlib.DEFLATED, _GZIP_WINDOW)
    packed = b""
    for piece in _pieces(tar, _FLUSH_EVERY):
        packed += encoder.compress(piece) + encoder.flush(zlib.Z_FULL_FLUSH)
    return packed + encoder.flush()


def _pack_members(tar: bytes, level: int | None) -> bytes:
    members = _pieces(tar, _MEMBER)
    members.insert((len(members) + 1) // 2, b"")
    return b"".join(pack(member, Packing.GZIP, level) for member in members)


def _pack_with_header(tar: bytes, level: int | None) -> bytes:
    every_flag = 0x01 | 0x02 | 0x04 | 0x08 | 0x10
    header = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, every_flag, 1_700_000_000, 2, 3)
    extra = b"SP" + struct.pack("<H", 5) + b"extra"
    header += struct.pack("<H", len(extra)) + extra + b"layer.tar\0" + b"a comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    encoder = zlib.compressobj(_level(level), zlib.DEFLATED, -15)
    trailer = struct.pack("<II", zlib.crc32(tar), len(tar) & 0xFFFFFFFF)
    return header + encoder.compress(tar) + encoder.flush() + trailer


def _pack_frames(tar: bytes, level: int | None) -> bytes:
    frames = [zstd.compress(piece, options=_zstd_options(level)) for piece in _pieces(tar, _MEMBER)]
    frames.insert(1, _SKIPPABLE)
    return b"".join(frames)


def _run_pigz(tar: bytes, level: int | None) -> bytes:
    command = ["pigz", f"-{_level(level)}", "-n", "-c", "-p", "2", "-b", "128"]
    done = subprocess.run(command, input=tar, stdout=subprocess.PIPE, check=True)  # noqa: S603 - a fixed command
    return done.stdout


_WHOLE: dict[Packing, Callable[[bytes, int | None], bytes]] = {
    Packing.GZIP_FLUSHED: _pack_flushed,
    Packing.GZIP_MULTI: _pack_members,
    Packing.GZIP_HEADER: _pack_with_header,
    Packing.PIGZ: _run_pigz,
    Packing.ZSTD: _pack_zstd,
    Packing.ZSTD_FRAMES: _pack_frames,
}
