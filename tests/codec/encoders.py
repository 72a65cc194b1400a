"""All gzip encoders that layers may have been compressed with."""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp

import deflate
import pytest
import zopfli.gzip
from _pytest.mark import ParameterSet
from isal import igzip
from zlib_ng import gzip_ng

from squashproxy.testing import Packing, pack

Encoder = Callable[[bytes], bytes]

_MEMBER = 70_000
_FLUSH = 30_000
_GO = Path(__file__).with_name("gzip.go")


def _flushed(content: bytes, flush: int) -> bytes:
    """zlib, told to flush each 30,000 bytes."""
    member = zlib.compressobj(6, zlib.DEFLATED, 31)
    packed = b""
    for at in range(0, len(content), _FLUSH):
        packed += member.compress(content[at : at + _FLUSH]) + member.flush(flush)
    return packed + member.flush()


def _little_memory(content: bytes) -> bytes:
    """Blocks of a few hundred symbols, in a window of 512 bytes."""
    member = zlib.compressobj(6, zlib.DEFLATED, 16 + 9, 1)
    return member.compress(content) + member.flush()


def _one_block(content: bytes) -> bytes:
    """One block for all, whatever its size: every byte a literal of the fixed code."""
    bits, count = 0b011, 3
    out = bytearray()
    for byte in content:
        code, width = (0x30 + byte, 8) if byte < 144 else (0x190 + byte - 144, 9)
        bits |= int(f"{code:0{width}b}"[::-1], 2) << count
        count += width
        while count >= 8:
            out.append(bits & 0xFF)
            bits >>= 8
            count -= 8
    count += 7
    while count > 0:
        out.append(bits & 0xFF)
        bits >>= 8
        count -= 8
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bytes(out) + trailer


def giant_block(size: int) -> bytes:
    """`size` zeros in one block: the fixed code of a zero is 00110000, its first bit first."""
    bits = int.from_bytes(b"\x0c" * size, "little") << 3 | 0b011
    trailer = struct.pack("<II", zlib.crc32(bytes(size)), size & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bits.to_bytes(size + 2, "little") + trailer


def _estargz(content: bytes) -> bytes:
    """A member for each file, and a footer: an empty member with an extra field."""
    members = [content[at : at + _MEMBER] for at in range(0, len(content), _MEMBER)]
    extra = b"SG\x16\0" + b"0000000000001234STARGZ"
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
    footer += b"\x01\0\0\xff\xff" + bytes(8)
    return b"".join(pack(member, Packing.GZIP, 9) for member in members) + footer


def _padded(content: bytes) -> bytes:
    """Members on blocks of 512 bytes, as tapes have them; empty ones at both ends."""
    half = len(content) // 2
    members = (pack(part, Packing.GZIP) for part in (b"", content[:half], content[half:], b""))
    return b"".join(member + bytes(-len(member) % 512) for member in members)


def _libdeflate(content: bytes, level: int) -> bytes:
    return bytes(deflate.gzip_compress(content, level))


def run(command: list[str], content: bytes) -> bytes:
    """What a program makes of `content`."""
    return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout


@cache
def go_program() -> str:
    """Go's compress/gzip as a program, built once; `-d` inflates."""
    folder = mkdtemp(prefix="squashproxy-tests-")
    atexit.register(shutil.rmtree, folder)
    program = f"{folder}/gzip"
    alone = {"GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "build", "-o", program, _GO], check=True, env={**os.environ, **alone})
    return program


def _go(content: bytes, level: int) -> bytes:
    return run([go_program(), "-level", str(level)], content)


ENCODERS: dict[str, Encoder] = {
    **{f"zlib -{level}": partial(pack, packing=Packing.GZIP, level=level) for level in range(10)},
    "zlib, fixed codes": partial(pack, packing=Packing.GZIP_FIXED),
    "zlib, huffman only": partial(pack, packing=Packing.GZIP_HUFFMAN),
    "zlib, run lengths": partial(pack, packing=Packing.GZIP_RLE),
    "zlib, full flushes": partial(_flushed, flush=zlib.Z_FULL_FLUSH),
    "zlib, sync flushes": partial(_flushed, flush=zlib.Z_SYNC_FLUSH),
    "zlib, partial flushes": partial(_flushed, flush=zlib.Z_PARTIAL_FLUSH),
    "zlib, little memory": _little_memory,
    "members, some empty": partial(pack, packing=Packing.GZIP_MULTI),
    "members, padded": _padded,
    "every header field": partial(pack, packing=Packing.GZIP_HEADER),
    "estargz": _estargz,
    "one block": _one_block,
    **{
        f"zlib-ng -{level}": partial(gzip_ng.compress, compresslevel=level, mtime=0)
        for level in range(1, 10)
    },
    **{
        f"igzip -{level}": partial(igzip.compress, compresslevel=level, mtime=0)
        for level in range(4)
    },
    **{f"libdeflate -{level}": partial(_libdeflate, level=level) for level in (1, 6, 12)},
    "zopfli": zopfli.gzip.compress,
}
PROGRAMS: dict[str, Encoder] = {
    "pigz": partial(pack, packing=Packing.PIGZ, level=6),
    "pigz --independent": partial(run, ["pigz", "-c", "-n", "-i", "-b", "128", "-p", "2"]),
    "pigz -11": partial(run, ["pigz", "-c", "-n", "-11", "-b", "128", "-p", "2"]),
    "Go": partial(_go, level=-1),
    "Go, best speed": partial(_go, level=1),
    "Go, best compression": partial(_go, level=9),
    "Go, huffman only": partial(_go, level=-2),
}
COSTLY = frozenset({"zopfli", "pigz -11", "one block"})
"""These take seconds for what others do at once."""


_ALL = {**ENCODERS, **PROGRAMS}


def is_costly(encoder: Encoder) -> bool:
    """Whether the encoder is slow, so that it should get small inputs."""
    return any(encoder is _ALL[name] for name in COSTLY)


@cache
def packed(encoder: Encoder, content: bytes) -> bytes:
    """The blob, made once for all tests."""
    return encoder(content)


def each_encoder(*, costly: bool = True) -> list[ParameterSet]:
    """All encoders by name, for a parametrized test."""
    return [
        pytest.param(encoder, id=name, marks=[pytest.mark.real] if name in PROGRAMS else [])
        for name, encoder in _ALL.items()
        if costly or name not in COSTLY
    ]
