"""The results of a comparison; the field names are those of the JSON."""

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
    "layers",
]
"""`missing` is only in A, `extra` only in B, `target` is a symlink's, `links` a hard link group.

Two are not about a path: `platform` (only one of the images has that platform) and `layers` (the
layers differ, where each is compared by itself).
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference at `path`; `a` and `b` are the two values, short, for people.

    `path` is relative to the image's root, which is empty; bytes that are not UTF-8 are escaped.
    """

    path: str
    kind: DifferenceKind
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class PlatformVerify:
    """The pair of images of one platform; a digest is None for a missing image.

    `paths` counts the compared paths without the root.
    """

    platform: str
    a_digest: str | None
    b_digest: str | None
    paths: int
    differences_count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class LayersVerify(PlatformVerify):
    """The pair of images of another system than Linux, whose layers are never merged: each is
    compared by itself. `layers` counts them; there are no paths.
    """

    layers: int


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result of a comparison; `identical` is true where there is no difference."""

    a: str
    a_digest: str
    b: str
    b_digest: str
    identical: bool
    seconds: float
    warnings: tuple[str, ...]
    platforms: tuple[PlatformVerify, ...]
