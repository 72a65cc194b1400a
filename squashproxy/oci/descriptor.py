"""Descriptors: references to blobs and manifests (OCI image specification, descriptor.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes; `extra` holds every other field as it was read."""

    media_type: str
    digest: Digest
    size: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def annotations(self) -> Mapping[str, str]:
        """The descriptor's own annotations."""
        return annotations_of(self.extra)

    def to_json(self) -> Json:
        """The descriptor as a manifest contains it."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            **self.extra,
        }


def annotations_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The annotations of a document: those that are texts, as the specification wants them."""
    annotations = document.get("annotations")
    if not isinstance(annotations, dict):
        return {}
    return {key: value for key, value in annotations.items() if isinstance(value, str)}


def parse_descriptor(document: object, where: str) -> Descriptor:
    """Parse one descriptor. Raises FormatError, which begins with `where`."""
    if not isinstance(document, dict):
        raise FormatError(f"{where} is not a descriptor")
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise FormatError(f"{where} has no valid size")
    try:
        digest = parse_digest(str(document.get("digest")))
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
    known = ("mediaType", "digest", "size")
    extra = {key: value for key, value in document.items() if key not in known}
    return Descriptor(str(document.get("mediaType") or ""), digest, size, extra)
