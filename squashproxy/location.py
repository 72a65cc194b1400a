"""Locations of images: in a registry, or in a layout or archive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import BadReference, FormatError
from squashproxy.printable import masked
from squashproxy.reference import Reference, parse_reference

STANDARD_STREAM = "-"
"""Stands for standard input or output in place of an archive's file."""

COLON_RULE = "which ends at the first colon"
"""Follows the word `path` in sentences; the image's name comes after the colon."""

_ELSEWHERE = {
    "docker-daemon": "pipe `docker save` into docker-archive:-",
    "containers-storage": "pipe `podman save` into docker-archive:-",
    "dir": "copy it to oci:DIR first",
    "tarball": "name it as docker-archive: or oci-archive:",
}
_STREAMS = (
    *("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"),
    *("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"),
)
_PINNED = re.compile(r"(.*)@(sha(?:256|512):[0-9a-f]*)", re.DOTALL)


class Transport(Enum):
    """The forms in which images are stored outside of registries."""

    OCI = "oci"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"


@dataclass(frozen=True, slots=True)
class ArchiveReference:
    """An image in a folder or file.

    `name` is its tag in a layout, or its reference in a docker archive (or `@N`, the image's
    number). None means the only image there is. A `digest` takes precedence over the name.
    """

    transport: Transport
    path: str
    name: str | None = None
    digest: Digest | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the archive is standard input or output."""
        return self.transport is not Transport.OCI and self.path == STANDARD_STREAM

    def __str__(self) -> str:
        name = f":{self.name}" if self.name else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.transport.value}:{self.path}{name}{digest}"


Location = Reference | ArchiveReference


def parse_location(text: str) -> Location:
    """Parse a reference to a registry, or `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`.

    The last three may be followed by `:NAME` and `@DIGEST`; as with skopeo, their path has no
    colon. Raises BadReference.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in _ELSEWHERE and not rest[:1].isdigit():
        raise BadReference(f"{masked(text)!r}: {kind}: is not read here", advice=_ELSEWHERE[kind])
    if not colon or kind not in {transport.value for transport in Transport}:
        return parse_reference(text)
    pinned = _PINNED.fullmatch(rest)
    digest = _parse_pin(text, pinned[2]) if pinned else None
    path, colon, name = (pinned[1] if pinned else rest).partition(":")
    if not path:
        what = "DIR" if kind == Transport.OCI.value else "FILE"
        raise BadReference(f"{text!r} names no path", advice=f"write {kind}:{what}[:NAME]")
    if colon and not name:
        raise BadReference(
            f"{text!r} ends in a colon", advice="give the image's name, or leave it out"
        )
    if path.endswith("/") and kind != Transport.OCI.value:
        raise BadReference(
            f"{text!r} ends in a slash, but {kind}: names a file", advice="leave it out"
        )
    if path in _STREAMS and kind != Transport.OCI.value:
        path = STANDARD_STREAM
    return ArchiveReference(Transport(kind), path, name or None, digest)


def _parse_pin(text: str, digest: str) -> Digest:
    try:
        return parse_digest(digest)
    except FormatError as error:
        raise BadReference(f"{text!r} is not a reference: {error}") from error
