"""A repository of records in a registry, so that a pipeline on an empty machine profits.

A record is an artifact with one layer, tagged `KIND.ALGORITHM-HEX`; a tag has 128 characters at
most, so the digits of a longer digest are cut. How long artifacts are kept is the registry's
business.

Whoever can write to the repository can decide what is dropped from layers, and what stands in their
place: a record's digest proves that it is whole, not who wrote it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError, IntegrityError, NotFound, RegistryError
from squashproxy.oci.artifact import EMPTY, EMPTY_CONFIG, artifact_manifest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.registry.client import RemoteRepository

ARTIFACT = "application/vnd.squashproxy.layer-memory"
_RECORD = "application/vnd.squashproxy.layer-memory.record"
_LAYER = "dev.squashproxy.layer"
_LONGEST_TAG = 128
_LARGEST = 64 << 20
"""Larger records are neither pushed nor pulled, in bytes."""


class Repository:
    """The records in a repository; see RecordStore.

    A registry that cannot be read gets one warning, and is not asked again; one that refuses pushes
    gets one, and is only read from then on.
    """

    def __init__(self, remote: RemoteRepository, warn: Callable[[str], None]) -> None:
        self._remote = remote
        self._warn = warn
        self._can_read = True
        self._can_write = True
        self._has_config = False
        self._lock = threading.Lock()

    def find(self, kind: str, layer: Digest) -> bytes | None:
        """The record, its digest verified."""
        if not self._can_read:
            return None
        tag = _tag(kind, layer)
        try:
            blob = self._find_blob(tag)
            return None if blob is None else b"".join(self._remote.iter_blob(blob))
        except NotFound:
            return None
        except (FormatError, IntegrityError) as error:
            self.reject(kind, layer, f"cannot be used ({error.fact})")
        except RegistryError as error:
            self._stop(f"the memory of layers in {self._remote.name} cannot be read: {error}")
        return None

    def keep(self, kind: str, layer: Digest, record: bytes) -> None:
        """Push a record."""
        if not self._can_write or len(record) > _LARGEST:
            return
        try:
            self._push(_tag(kind, layer), layer, record)
        except (FormatError, IntegrityError, RegistryError) as error:
            self._stop_writing(f"{self._remote.name} takes no memory of layers: {error}")

    def reject(self, kind: str, layer: Digest, reason: str) -> None:
        """Say so; another record will replace it."""
        self._warn(f"{self._remote.name}:{_tag(kind, layer)} {reason}: the layer is read again")

    def _find_blob(self, tag: str) -> Descriptor | None:
        """The descriptor of the artifact's layer. Raises FormatError for another manifest."""
        where = f"{self._remote.name}:{tag}"
        manifest = parse_manifest(self._remote.get_manifest(tag), where)
        if not isinstance(manifest, ImageManifest) or manifest.kind != ARTIFACT:
            raise FormatError(f"{where} is no memory of layers")
        if len(manifest.layers) != 1 or manifest.layers[0].size > _LARGEST:
            raise FormatError(f"{where} has another form than a memory of layers")
        return manifest.layers[0]

    def _push(self, tag: str, layer: Digest, record: bytes) -> None:
        if not self._has_config:
            if self._remote.find_blob(EMPTY_CONFIG.digest) is None:
                self._remote.upload_blob([EMPTY], EMPTY_CONFIG.digest, EMPTY_CONFIG.size)
            self._has_config = True
        blob = Descriptor(_RECORD, digest_of(record), len(record))
        self._remote.upload_blob([record], blob.digest, blob.size)
        self._remote.put_manifest(
            artifact_manifest(ARTIFACT, [blob], annotations={_LAYER: layer}), tag
        )

    def _stop(self, fact: str) -> None:
        with self._lock:
            could, self._can_read, self._can_write = self._can_read, False, False
        if could:
            self._warn(f"{fact}; layers are not remembered")

    def _stop_writing(self, fact: str) -> None:
        with self._lock:
            could, self._can_write = self._can_write, False
        if could:
            self._warn(f"{fact}; what is new is not remembered")


def _tag(kind: str, layer: Digest) -> str:
    return f"{kind}.{layer.replace(':', '-')}"[:_LONGEST_TAG]
