"""The values that a difference shows: short, and never a secret's content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from squashproxy.verify.content import hash_text
from squashproxy.verify.tree import Inode, Metadata

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 12
_NAMES = 5


def decoded(data: bytes) -> str:
    """Bytes as text; those that are not UTF-8 are escaped."""
    return data.decode("utf-8", "backslashreplace")


def mode_text(metadata: Metadata) -> str:
    """The permissions, in octal."""
    return f"{metadata.mode:04o}"


def owner_text(metadata: Metadata) -> str:
    """The numbers of user and group."""
    return "{}:{}".format(*metadata.owner)


def mtime_text(metadata: Metadata) -> str:
    """The time in UTC, down to the nanosecond; a bare number if it is out of the calendar."""
    seconds, rest = divmod(metadata.mtime, _SECOND)
    try:
        time = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds}.{rest:09} seconds since 1970"
    return f"{time:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def xattrs_text(metadata: Metadata) -> str:
    """The names, and of each value its length and the start of its sha256."""
    return _listed(
        [
            f"{decoded(name)} ({len(value)} bytes, sha256 {sha256(value).hexdigest()[:_DIGITS]})"
            for name, value in metadata.xattrs
        ]
    )


def content_text(inode: Inode) -> str:
    """The start of a file's sha256, and its size."""
    return f"{hash_text(inode.payload)}, {inode.size} bytes"


def payload_text(inode: Inode) -> str:
    """A symlink's target or a device's numbers."""
    return decoded(inode.payload)


def links_text(paths: Sequence[bytes]) -> str:
    """The names of a hard link group, the first few of a large one."""
    more = [f"and {len(paths) - _NAMES} more"] if len(paths) > _NAMES else []
    return _listed([*map(decoded, sorted(paths)[:_NAMES]), *more])


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "none"
