"""The library that inflates block by block, found at run time.

`inflate()` called with Z_BLOCK returns at every block boundary and tells its bit position (zlib.h).
Python's modules do not offer that flag, so it is called through ctypes: in the zlib-ng wheel's own
extension module, which exports the library's symbols, else in the system's zlib.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from zlib_ng import zlib_ng

_GZIP = 31
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
    """Functions of zlib.h; `begin` makes ready for gzip and, as the others, returns zlib's code."""

    name: str
    stream: type[Any]
    begin: Callable[[Any], int]
    inflate: Callable[[Any, int], int]
    end: Callable[[Any], int]


@cache
def find_library() -> Library | None:
    """The fastest one that is there; None where blocks cannot be seen."""
    return try_zlib_ng() or try_zlib()


def try_zlib_ng() -> Library | None:
    """The library inside the zlib-ng wheel, if it exports its symbols."""
    module = _try_load(zlib_ng.__file__)
    if module is None or not hasattr(module, "zng_inflateInit2"):
        return None
    begin, inflate, end = module.zng_inflateInit2, module.zng_inflate, module.zng_inflateEnd
    pointer = ctypes.POINTER(_ZngStream)
    begin.argtypes = (pointer, ctypes.c_int)
    inflate.argtypes = (pointer, ctypes.c_int)
    end.argtypes = (pointer,)
    return Library("zlib-ng", _ZngStream, lambda stream: int(begin(stream, _GZIP)), inflate, end)


def try_zlib() -> Library | None:
    """The system's zlib, where its types have the sizes that we know."""
    module = _try_load(_SYSTEM_ZLIB)
    if module is None or ctypes.sizeof(ctypes.c_ulong) != ctypes.sizeof(ctypes.c_size_t):
        return None
    module.zlibVersion.restype = ctypes.c_char_p
    version, size = module.zlibVersion(), ctypes.sizeof(_ZlibStream)
    begin, inflate, end = module.inflateInit2_, module.inflate, module.inflateEnd
    pointer = ctypes.POINTER(_ZlibStream)
    begin.argtypes = (pointer, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    inflate.argtypes = (pointer, ctypes.c_int)
    end.argtypes = (pointer,)

    def begin_gzip(stream: Any) -> int:
        return int(begin(stream, _GZIP, version, size))

    return Library("zlib", _ZlibStream, begin_gzip, inflate, end)


def _try_load(path: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(path)
    except OSError:
        return None
