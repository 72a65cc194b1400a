"""Content digests: `sha256:<64 hex digits>` (OCI image specification, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NewType

from squashproxy.errors import FormatError, IntegrityError, StreamConsumed
from squashproxy.printable import quoted

Digest = NewType("Digest", str)
Chunk = bytes | memoryview

_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_DIGEST = re.compile(r"(sha256|sha512):([0-9a-f]+)")


def parse_digest(text: str) -> Digest:
    """Return `text` as a digest. Raises FormatError."""
    if not is_digest(text):
        raise FormatError(f"{quoted(text)} is not a sha256 or sha512 digest")
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether `text` is a sha256 or sha512 digest."""
    match = _DIGEST.fullmatch(text)
    return match is not None and len(match[2]) == _HEX_LENGTHS[match[1]]


def digest_of(data: Chunk) -> Digest:
    """Return the sha256 digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


class Hasher:
    """Hashes a stream and counts its bytes; with sha256, or with the algorithm of `like`."""

    def __init__(self, like: Digest | None = None) -> None:
        self._algorithm = "sha256" if like is None else like.partition(":")[0]
        self._hash = hashlib.new(self._algorithm)
        self.size = 0

    def update(self, data: Chunk) -> None:
        """Add the next piece of the stream."""
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> Digest:
        """The digest of all bytes so far."""
        return Digest(f"{self._algorithm}:{self._hash.hexdigest()}")


def check_written(written: Hasher, digest: Digest | None, name: str) -> None:
    """Raise IntegrityError if what was written to `name` does not have the expected `digest`."""
    if digest not in (None, written.digest):
        raise IntegrityError(
            f"a blob for {name} has the digest {written.digest} instead of {digest}: it was "
            "changed on the way"
        )


class Verified:
    """A stream of chunks that ends with an error if its size or digest is wrong.

    `size` is in bytes, None if it is not known. `what` names the stream in errors. The iteration
    raises IntegrityError: at the first byte too many, or at the end.
    """

    def __init__(
        self, chunks: Iterable[bytes], digest: Digest, size: int | None, what: str
    ) -> None:
        self._chunks = chunks
        self._digest = digest
        self._size = size
        self._what = what
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        if self._started:
            raise StreamConsumed(f"{self._what} was read already")
        self._started = True
        hasher = Hasher(self._digest)
        for chunk in self._chunks:
            hasher.update(chunk)
            if self._size is not None and hasher.size > self._size:
                raise IntegrityError(
                    f"{self._what} is longer than the {self._size} bytes its descriptor says: it "
                    "was changed in its place or on the way",
                    blob=self._digest,
                )
            yield chunk
        self._check(hasher)

    def _check(self, hasher: Hasher) -> None:
        if self._size is not None and hasher.size != self._size:
            raise IntegrityError(
                f"{self._what} ended after {hasher.size} of {self._size} bytes: it was cut short "
                "in its place or on the way",
                blob=self._digest,
            )
        if hasher.digest != self._digest:
            raise IntegrityError(
                f"{self._what} has the digest {hasher.digest} instead of {self._digest}: it was "
                "changed in its place or on the way",
                blob=self._digest,
            )
