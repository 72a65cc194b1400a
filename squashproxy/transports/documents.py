"""Reading an image's documents from any source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.oci.config import ImageConfig, parse_config
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest

MAX_CONFIG = 16 << 20
"""Configs above this many bytes are refused."""


class Readable(Protocol):
    """The common part of sources and sinks."""

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, verified."""
        ...


class ConfigReader(Readable, Protocol):
    """What manifests and their configs are read from."""

    def read_manifest(self, digest: Digest) -> RawManifest:
        """The manifest of `digest`; digest verified."""
        ...


def read_config(place: Readable, manifest: ImageManifest) -> ImageConfig:
    """Read the config of an image. Raises FormatError where it does not fit the manifest."""
    where = f"the config of {place.name}"
    data = read_document(place.iter_blob, manifest.config, where)
    return parse_config(data, len(manifest.layers), where)


def read_document(
    iter_blob: Callable[[Descriptor], Iterator[bytes]], blob: Descriptor, where: str
) -> bytes:
    """The bytes of a config; `where` names it. Raises FormatError above MAX_CONFIG, and what
    `iter_blob` raises.
    """
    if blob.size > MAX_CONFIG:
        raise FormatError(f"{where} has {blob.size} bytes; more than {MAX_CONFIG} are refused")
    return b"".join(iter_blob(blob))


def parse_image(raw: RawManifest, name: str) -> ImageManifest:
    """Parse the manifest of one image. Raises FormatError for an index."""
    parsed = parse_manifest(raw, f"the manifest {short(raw.digest)} of {name}")
    if isinstance(parsed, ImageIndex):
        raise FormatError(
            f"the manifest {short(raw.digest)} of {name} is an index, although the index around it "
            "lists it as an image",
            advice="build the image again, or copy its images one by one",
        )
    return parsed


def in_place_of(old: Descriptor, new: Descriptor) -> Descriptor:
    """`new` with the other fields of `old`, except those that hold or fetch the old content.

    Those are `data` and `urls` (OCI image specification, descriptor.md).
    """
    stale = () if new.digest == old.digest else ("data", "urls")
    return replace(new, extra={key: old.extra[key] for key in old.extra if key not in stale})


def short(digest: Digest) -> str:
    """A digest for people: the algorithm and 12 digits."""
    return digest[:19]
