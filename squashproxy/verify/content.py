"""The content of files: its digest, with holes counted and not read.

A file has the same digest however it is stored. Blocks of zeros are hashed as they are, up to
ZEROS_READ in a file; of all others only the place is noted. So nearly every file has its plain
sha256, and a sparse file of many exabytes costs no more than what is stored of it.
"""

from __future__ import annotations

from hashlib import sha256

ZEROS_READ = 1 << 20
"""The bytes of zero blocks in a file that are hashed as they are."""

_BLOCK = 4096
_ZEROS = bytes(_BLOCK)
_WITHOUT_HOLES = b"-"


class ContentHasher:
    """Hashes one file from its start to its end."""

    def __init__(self) -> None:
        self._data = sha256()
        self._holes = sha256()
        self._begun = b""
        self._at = 0
        self._zeros_left = ZEROS_READ // _BLOCK
        self._hole: tuple[int, int] | None = None

    def update(self, data: bytes) -> None:
        """Hash the next bytes."""
        if self._begun:
            data = self._begun + data
        whole = len(data) - len(data) % _BLOCK
        self._begun = data[whole:]
        if _ZEROS not in data:
            self._data.update(memoryview(data)[:whole])
            self._at += whole // _BLOCK
            return
        for at in range(0, whole, _BLOCK):
            block = data[at : at + _BLOCK]
            if block == _ZEROS:
                self._pass_zeros(1)
            else:
                self._data.update(block)
                self._at += 1

    def skip(self, size: int) -> None:
        """Hash a hole of `size` bytes."""
        if self._begun:
            filled = min(size, _BLOCK - len(self._begun))
            self.update(bytes(filled))
            size -= filled
        self._pass_zeros(size // _BLOCK)
        self.update(bytes(size % _BLOCK))

    def finish(self) -> bytes:
        """The content's sha256; for a file with holes 33 bytes, of which the first is `-`."""
        self._data.update(self._begun)
        if self._hole is None:
            return self._data.digest()
        self._end_hole()
        return _WITHOUT_HOLES + sha256(self._data.digest() + self._holes.digest()).digest()

    def _pass_zeros(self, count: int) -> None:
        read = min(count, self._zeros_left)
        for _ in range(read):
            self._data.update(_ZEROS)
        self._zeros_left -= read
        begin = self._at + read
        self._at += count
        if count == read:
            return
        if self._hole is not None and self._hole[1] == begin:
            begin = self._hole[0]
        elif self._hole is not None:
            self._end_hole()
        self._hole = begin, self._at

    def _end_hole(self) -> None:
        self._holes.update(b"%d-%d " % (self._hole or (0, 0)))


def hash_text(payload: bytes) -> str:
    """The start of a digest, for people."""
    if payload.startswith(_WITHOUT_HOLES) and len(payload) > sha256().digest_size:
        return f"sha256 without its holes {payload[1:].hex()[:12]}"
    return f"sha256 {payload.hex()[:12]}"
