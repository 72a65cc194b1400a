"""Zstandard (RFC 8878): reading any number of frames, writing one."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator

from squashproxy.codec.frames import damaged, iter_frames
from squashproxy.streams import CHUNK

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = range(0x184D2A50, 0x184D2A60)
LEVEL = 3
"""zstd's default level, which builders use."""

_MAX_WINDOW_LOG = 27


class _Frame:
    def __init__(self, where: str) -> None:
        self._where = where
        self._inflater = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        )

    def inflate(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            content = self._inflater.decompress(data, CHUNK)
        except zstd.ZstdError as error:
            raise damaged(self._where, error) from error
        return content, self._inflater.unused_data if self.ended else b""

    @property
    def ended(self) -> bool:
        return self._inflater.eof

    @property
    def has_more(self) -> bool:
        return not self._inflater.needs_input


def iter_inflated(blob: Iterable[bytes], where: str) -> Generator[bytes, None, None]:
    """The content of all frames, in chunks of at most 256 KiB; skippable frames are skipped.

    Frames that need a window of more than 128 MiB are refused, as the zstd program does. Raises
    BadCompression for a damaged stream and for one that is cut short.
    """
    return iter_frames(blob, lambda: _Frame(where), where)


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
