"""What is handed out, and where it came from."""

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
    """From the store, squashed or not."""
    ORIGINAL = "original"
    """Upstream's own, passed through."""


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest; `raw` is None where only its descriptor was asked for.

    `made_from` is the digest of the source, where the manifest is squashed.
    """

    descriptor: Descriptor
    origin: Origin
    raw: RawManifest | None = None
    made_from: Digest | None = None
