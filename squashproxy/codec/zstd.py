"""Zstandard (RFC 8878): reading any number of frames, writing one."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator

from squashproxy.codec.frames import Gap, damaged, iter_frames
from squashproxy.errors import BadCompression, LimitExceeded
from squashproxy.streams import CHUNK

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = range(0x184D2A50, 0x184D2A60)
LEVEL = 3
"""zstd's default level, which builders use."""

USUAL_WINDOW = 128 << 20
"""The largest window, in bytes, that every reader takes without being asked to."""
MOST_WINDOW = 2 << 30
"""The largest window, in bytes, that the library can read."""

_MAX_WINDOW_LOG = 31
_MIN_WINDOW_LOG = 10
_SINGLE_SEGMENT = 0x20
_DICTIONARY_BYTES = (0, 1, 2, 4)
_MIN_HEAD = 6
_MOST_HEAD = 18
_MIB = 1 << 20


class _Frame:
    def __init__(self, where: str, max_window: int) -> None:
        self._where = where
        self._max_window = max_window
        self._head: bytes | None = b""
        self._inflater = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        )

    def inflate(self, data: bytes) -> tuple[bytes, bytes]:
        if self._head is not None:
            self._check_window(self._head, data)
        try:
            content = self._inflater.decompress(data, CHUNK)
        except zstd.ZstdError as error:
            raise damaged(self._where, error) from error
        return content, self._inflater.unused_data if self.ended else b""

    def _check_window(self, head: bytes, data: bytes) -> None:
        """Raise LimitExceeded or BadCompression if the frame needs too large a window."""
        head += data[:_MOST_HEAD]
        window = window_of(head)
        self._head = head if window is None and len(head) < _MOST_HEAD else None
        if window is None or window <= self._max_window:
            return
        fact = f"{self._where} needs a zstd window of {window / _MIB:g} MiB to be unpacked"
        if window > MOST_WINDOW:
            raise BadCompression(
                f"{fact}; no reader takes more than {MOST_WINDOW >> 20} MiB",
                advice="compress it with a smaller window",
            )
        raise LimitExceeded(
            f"{fact}, and {self._max_window / _MIB:g} MiB are the limit; nothing was pushed",
            advice="raise the limit with {memory} if you trust the image",
        )

    @property
    def ended(self) -> bool:
        return self._inflater.eof

    @property
    def has_more(self) -> bool:
        return not self._inflater.needs_input


def iter_inflated(
    blob: Iterable[bytes], where: str, max_window: int | None = None
) -> Generator[bytes, None, None]:
    """The content of all frames, in chunks of at most 256 KiB; skippable frames are skipped.

    A frame's window is held in memory. Raises LimitExceeded for one above `max_window` bytes (but
    USUAL_WINDOW is always taken), and BadCompression for one that no reader takes, for a damaged
    stream, and for one that is cut short.
    """
    limit = MOST_WINDOW if max_window is None else max(USUAL_WINDOW, max_window)
    return iter_frames(blob, lambda: _Frame(where, min(limit, MOST_WINDOW)), where, Gap())


def window_of(head: bytes) -> int | None:
    """The window, in bytes, that a frame needs; None for a skippable one, or too short a `head`.

    RFC 8878, section 3.1.1.1.
    """
    if len(head) < _MIN_HEAD or not head.startswith(MAGIC):
        return None
    descriptor = head[4]
    if not descriptor & _SINGLE_SEGMENT:
        window = 1 << (_MIN_WINDOW_LOG + (head[5] >> 3))
        return window + (window >> 3) * (head[5] & 7)
    at = 5 + _DICTIONARY_BYTES[descriptor & 3]
    length = 1 << (descriptor >> 6)
    if len(head) < at + length:
        return None
    size = int.from_bytes(head[at : at + length], "little")
    return size + (256 if length == 2 else 0)


def iter_deflated(blocks: Iterable[bytes], level: int, workers: int) -> Iterator[bytes]:
    """One zstd frame that holds `blocks`, with a checksum.

    The bytes depend on how the content is cut into blocks, which callers cut evenly, and not on
    the number of `workers`, as long as there is one.
    """
    frame = zstd.ZstdCompressor(
        options={
            zstd.CompressionParameter.compression_level: level,
            zstd.CompressionParameter.nb_workers: max(1, workers),
            zstd.CompressionParameter.checksum_flag: 1,
        }
    )
    for block in blocks:
        packed = frame.compress(block)
        if packed:
            yield packed
    yield frame.flush()
