"""The dates of images, as their configs state them; cached by digest."""

from __future__ import annotations

from datetime import UTC, datetime

from squashproxy.digest import Digest
from squashproxy.oci.manifest import (
    ImageIndex,
    check_depth,
    parse_json_object,
    parse_manifest,
)
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.manifests import ManifestMemory
from squashproxy.transports.documents import MAX_CONFIG

_FIRST_DOCKER = datetime(2013, 3, 1, tzinfo=UTC).timestamp()
_ANNOTATION = "org.opencontainers.image.created"


def created_at(
    remote: RemoteRepository, digest: Digest, memory: ManifestMemory, depth: int = 0
) -> float | None:
    """When an image was made, in unix seconds; for an index, the date of its newest image.

    None if the image states no date, or one before Docker existed, as reproducible builds do.
    `depth` is the number of indexes around this manifest. Raises RegistryError and FormatError; the
    latter also if indexes are nested too deeply.
    """
    check_depth(depth, f"{remote.name}@{digest}")
    known = memory.created(digest)
    if known is not None:
        return known[0]
    raw = remote.get_manifest(digest)
    manifest = parse_manifest(raw, f"the manifest {digest} of {remote.name}")
    found: float | None
    if isinstance(manifest, ImageIndex):
        children = [child for child in manifest.children if not child.is_attestation]
        dates = [
            created_at(remote, child.descriptor.digest, memory, depth + 1) for child in children
        ]
        found = max((date for date in dates if date is not None), default=None)
    elif manifest.is_image and manifest.config.size <= MAX_CONFIG:
        data = b"".join(remote.iter_blob(manifest.config))
        document = parse_json_object(data, f"the config of {digest} of {remote.name}")
        found = parse_date(document.get("created"))
    else:
        found = parse_date(manifest.annotations.get(_ANNOTATION))
    memory.note_created(digest, found)
    return found


def parse_date(text: object) -> float | None:
    """Read an RFC 3339 date as unix seconds; None where it is not a plausible date."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp()
    return seconds if seconds >= _FIRST_DOCKER else None
