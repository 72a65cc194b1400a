"""The manifest that a pull gets, and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest


class Origin(Enum):
    """The value of `X-Squashproxy-Source`."""

    SQUASHED = "squashed"
    """Made by the job that this request waited for."""
    CACHED = "cached"
    """From the store, or all of it came from upstream before and is just being stored."""
    ORIGINAL = "original"
    """Passed through from upstream."""


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest; `raw` is None if only its descriptor was asked for.

    `made_from` is the digest of the source of a squashed manifest.
    """

    descriptor: Descriptor
    origin: Origin
    raw: RawManifest | None = None
    made_from: Digest | None = None
