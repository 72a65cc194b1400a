"""The zlib library that inflates block by block, found at run time.

`inflate()` called with Z_BLOCK returns at every block boundary and reports its bit position
(zlib.h). Python's modules do not offer that flag, so it is called through ctypes: in the zlib-ng
wheel's extension module, which exports the library's symbols, or else in the system's zlib.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from zlib_ng import zlib_ng

OK = 0
STREAM_END = 1
_BUFFER_ERROR = -5
NO_FLUSH = 0
BLOCK = 5
"""Makes `inflate` return at the next boundary (Z_BLOCK)."""

_GZIP = 31
_RAW = -15
_SYSTEM_ZLIB = "libz.dylib" if sys.platform == "darwin" else "libz.so.1"

_COMMON_FIELDS = (
    ("next_in", ctypes.c_void_p),
    ("avail_in", ctypes.c_uint32),
    ("total_in", ctypes.c_size_t),
    ("next_out", ctypes.c_void_p),
    ("avail_out", ctypes.c_uint32),
    ("total_out", ctypes.c_size_t),
    ("msg", ctypes.c_char_p),
    ("state", ctypes.c_void_p),
    ("zalloc", ctypes.c_void_p),
    ("zfree", ctypes.c_void_p),
    ("opaque", ctypes.c_void_p),
    ("data_type", ctypes.c_int),
)


class _ZngStream(ctypes.Structure):
    """`zng_stream` of zlib-ng."""

    _fields_ = (*_COMMON_FIELDS, ("adler", ctypes.c_uint32), ("reserved", ctypes.c_ulong))


class _ZlibStream(ctypes.Structure):
    """`z_stream` of zlib, where long has the size of a pointer."""

    _fields_ = (*_COMMON_FIELDS, ("adler", ctypes.c_ulong), ("reserved", ctypes.c_ulong))


@dataclass(frozen=True, slots=True)
class Library:
    """Functions of zlib.h. All return zlib's codes.

    `begin` prepares for gzip, `begin_raw` for deflate blocks alone. `set_history` sets the content
    before the first block and its length; `prime` puts bits in front of the input.
    """

    name: str
    stream: type[Any]
    begin: Callable[[Any], int]
    begin_raw: Callable[[Any], int]
    set_history: Callable[[Any, bytes, int], int]
    prime: Callable[[Any, int, int], int]
    inflate: Callable[[Any, int], int]
    end: Callable[[Any], int]


class Stop(NamedTuple):
    """What `data_type` says about the place where `inflate` returned."""

    is_boundary: bool
    is_final: bool
    unused_bits: int

    @classmethod
    def of(cls, stream: Any) -> Stop:
        """The place of `stream`; `unused_bits` counts the unread bits of its last byte."""
        state: int = stream.data_type
        return cls(bool(state & 128), bool(state & 64), state & 7)


def address_of(data: bytes) -> int:
    """The address of the bytes of `data`; valid as long as something holds it."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def is_error(code: int) -> bool:
    """Whether a code is an error that more input or more room would not resolve."""
    return code not in (OK, STREAM_END, _BUFFER_ERROR)


@cache
def find_library() -> Library | None:
    """The fastest library that is there; None where blocks cannot be found."""
    return try_zlib_ng() or try_zlib()


def try_zlib_ng() -> Library | None:
    """The library inside the zlib-ng wheel, if it exports its symbols."""
    module = _try_load(zlib_ng.__file__)
    if module is None or not hasattr(module, "zng_inflateInit2"):
        return None
    begin = module.zng_inflateInit2
    begin.argtypes = (ctypes.POINTER(_ZngStream), ctypes.c_int)
    return _library("zlib-ng", _ZngStream, module, "zng_", lambda bits: lambda s: begin(s, bits))


def try_zlib() -> Library | None:
    """The system's zlib, if its types have the expected sizes."""
    module = _try_load(_SYSTEM_ZLIB)
    if module is None or ctypes.sizeof(ctypes.c_ulong) != ctypes.sizeof(ctypes.c_size_t):
        return None
    module.zlibVersion.restype = ctypes.c_char_p
    version, size = module.zlibVersion(), ctypes.sizeof(_ZlibStream)
    begin = module.inflateInit2_
    begin.argtypes = (ctypes.POINTER(_ZlibStream), ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    return _library(
        "zlib", _ZlibStream, module, "", lambda bits: lambda s: begin(s, bits, version, size)
    )


def _library(
    name: str,
    stream: type[Any],
    module: ctypes.CDLL,
    prefix: str,
    beginning: Callable[[int], Callable[[Any], int]],
) -> Library:
    """The common part; `beginning` gives the function that begins with a number of window bits."""
    pointer = ctypes.POINTER(stream)

    def function(name: str, *arguments: Any) -> Callable[..., int]:
        found: Callable[..., int] = getattr(module, prefix + name)
        found.argtypes = (pointer, *arguments)  # type: ignore[attr-defined]  # ctypes' own
        return found

    return Library(
        name,
        stream,
        begin=beginning(_GZIP),
        begin_raw=beginning(_RAW),
        set_history=function("inflateSetDictionary", ctypes.c_char_p, ctypes.c_uint32),
        prime=function("inflatePrime", ctypes.c_int32, ctypes.c_int32),
        inflate=function("inflate", ctypes.c_int32),
        end=function("inflateEnd"),
    )


def _try_load(path: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(path)
    except OSError:
        return None
