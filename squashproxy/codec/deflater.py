"""Compressing stretches of content between copied code."""

from __future__ import annotations

from collections import deque

from zlib_ng import zlib_ng

from squashproxy.codec.bits import BitWriter

WINDOW = 32 << 10
"""How far back deflate can refer, in bytes (RFC 1951, section 2)."""

_PIECE = 256 << 10
"""zlib-ng gets content in pieces of this many bytes, since its output may depend on them.

Not streams.CHUNK, though it has the same value: another one would change the digests of results.
"""
_SMALL = 4 << 10
_RAW = -15
_MEMORY = 9

Data = bytes | memoryview


class Deflater:
    """Writes deflate blocks to `bits`. Each stretch can refer to what was written before it."""

    def __init__(self, bits: BitWriter, level: int) -> None:
        self._bits = bits
        self._level = level
        self._stretch: zlib_ng._Compress | None = None
        self._waiting: list[Data] = []
        self._waiting_size = 0
        self._recent: deque[Data] = deque()
        self._recent_size = 0
        self.size = 0
        """The bytes of content that were compressed."""

    def put(self, data: Data) -> None:
        """Compress `data` as the next part of a stretch.

        Small views are copied, since a view keeps the whole chunk that it was cut from.
        """
        if len(data) < _SMALL:
            data = bytes(data)
        if self._stretch is None:
            self._stretch = self._begin()
        self.size += len(data)
        self.remember(data)
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= _PIECE:
            self._compress_pieces(self._stretch)

    def end_stretch(self) -> None:
        """Write everything that was put, up to a whole byte."""
        if self._stretch is None:
            return
        self._bits.put_bytes(self._stretch.compress(b"".join(self._waiting)))
        self._bits.put_bytes(self._stretch.flush(zlib_ng.Z_SYNC_FLUSH))
        self._stretch = None
        self._waiting = []
        self._waiting_size = 0

    def remember(self, data: Data) -> None:
        """Note content that was written; its last 32 KiB are the window of the next stretch."""
        recent = self._recent
        recent.append(data)
        self._recent_size += len(data)
        while self._recent_size - len(recent[0]) >= WINDOW:
            self._recent_size -= len(recent.popleft())

    def _begin(self) -> zlib_ng._Compress:
        self._bits.end_byte()
        window = b"".join(self._recent)[-WINDOW:]
        return zlib_ng.compressobj(
            self._level, zlib_ng.DEFLATED, _RAW, _MEMORY, zlib_ng.Z_DEFAULT_STRATEGY, window
        )

    def _compress_pieces(self, stretch: zlib_ng._Compress) -> None:
        """Compress in even pieces: the result may depend on how content is cut."""
        whole = b"".join(self._waiting)
        at = 0
        while len(whole) - at >= _PIECE:
            self._bits.put_bytes(stretch.compress(whole[at : at + _PIECE]))
            at += _PIECE
        self._waiting = [whole[at:]]
        self._waiting_size = len(whole) - at
