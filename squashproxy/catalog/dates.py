"""The dates of images, as their configs state them; cached by digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, NotFound
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    check_depth,
    parse_json_object,
    parse_manifest,
)
from squashproxy.registry.client import RemoteRepository
from squashproxy.state.manifests import ManifestMemory
from squashproxy.transports.documents import read_document

_FIRST_DOCKER = datetime(2013, 3, 1, tzinfo=UTC).timestamp()
_ANNOTATION = "org.opencontainers.image.created"


def created_at(remote: RemoteRepository, digest: Digest, memory: ManifestMemory) -> float | None:
    """When an image was made, in unix seconds; for an index, the date of its newest image.

    Of an index, attestations, blobs, and what is not there do not count. None if the image states
    no date, or one before Docker existed, as reproducible builds do, or if its config is absent or
    unreadable. Raises RegistryError and FormatError; the latter also if indexes are nested too
    deeply.
    """
    return _look(remote, digest, memory, 0).date


@dataclass(frozen=True, slots=True)
class _Found:
    """A date. Where something was absent, it is not remembered: that may be pushed again."""

    date: float | None
    is_whole: bool = True


def _look(remote: RemoteRepository, digest: Digest, memory: ManifestMemory, depth: int) -> _Found:
    """The date of a manifest; `depth` is the number of indexes around it."""
    check_depth(depth, f"{remote.name}@{digest}")
    known = memory.created(digest)
    if known is not None:
        return _Found(known[0])
    raw = remote.get_manifest(digest)
    manifest = parse_manifest(raw, f"the manifest {digest} of {remote.name}")
    if isinstance(manifest, ImageIndex):
        found = _newest(remote, manifest, memory, depth)
    elif manifest.is_image:
        found = _stated(remote, manifest)
    else:
        found = _Found(parse_date(manifest.annotations.get(_ANNOTATION)))
    if found.is_whole:
        memory.note_created(digest, found.date)
    return found


def _newest(
    remote: RemoteRepository, index: ImageIndex, memory: ManifestMemory, depth: int
) -> _Found:
    """The date of the newest image that is there."""
    found: list[_Found] = []
    for child in index.children:
        if child.is_attestation or not child.is_manifest:
            continue
        try:
            found.append(_look(remote, child.descriptor.digest, memory, depth + 1))
        except NotFound:
            found.append(_Found(None, is_whole=False))
    dates = [each.date for each in found if each.date is not None]
    return _Found(max(dates, default=None), all(each.is_whole for each in found))


def _stated(remote: RemoteRepository, image: ImageManifest) -> _Found:
    """The date in a config."""
    where = f"the config of {image.raw.digest} of {remote.name}"
    try:
        data = read_document(remote.iter_blob, image.config, where)
        document = parse_json_object(data, where)
    except NotFound:
        return _Found(None, is_whole=False)
    except FormatError:
        return _Found(None)
    return _Found(parse_date(document.get("created")))


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
