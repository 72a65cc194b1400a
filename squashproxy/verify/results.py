"""What a comparison reports; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DifferenceKind = Literal[
    "missing",
    "extra",
    "type",
    "mode",
    "owner",
    "mtime",
    "xattrs",
    "target",
    "content",
    "device",
    "links",
    "platform",
]
"""`missing` is only in A, `extra` only in B, `target` a symlink's, `links` a hard link group;
`platform` is not about a path: only one of the two images runs there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same at `path`; `a` and `b` are the two values, short, for people.

    `path` is relative to the image's root, which is empty; bytes that are not UTF-8 are escaped.
    """

    path: str
    kind: DifferenceKind
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class PlatformVerify:
    """One platform's pair of images; a digest is None where there is no such image.

    `paths` counts those that were compared, the root left out.
    """

    platform: str
    a_digest: str | None
    b_digest: str | None
    paths: int
    differences_count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What `squashproxy verify` found; `identical` is true where there is no difference."""

    a: str
    a_digest: str
    b: str
    b_digest: str
    identical: bool
    seconds: float
    warnings: tuple[str, ...]
    platforms: tuple[PlatformVerify, ...]
