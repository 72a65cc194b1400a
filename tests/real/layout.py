"""Writes an image as an OCI layout, with nothing but the standard library and pigz."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, cast

_CREATED = "2024-01-01T00:00:00Z"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Descriptor = dict[str, Any]
StoredLayer = tuple[Descriptor, str]
"""A layer's descriptor and its diff ID."""


class LayoutWriter:
    """An OCI layout in a folder; several images may stand in it, each under its tag."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self._manifests: list[Descriptor] = []

    def add_blob(self, data: bytes, media_type: str) -> Descriptor:
        """Store a blob; its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def add_layer(self, tar: bytes) -> StoredLayer:
        """Store a layer that is in memory, gzip-compressed."""
        packed = gzip.compress(tar, compresslevel=6, mtime=0)
        return self.add_blob(packed, _LAYER), f"sha256:{hashlib.sha256(tar).hexdigest()}"

    def store_layer(self, write: Callable[[IO[bytes]], None]) -> StoredLayer:
        """Store a layer that is written as a stream, compressed by pigz at gzip's level 6."""
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            with subprocess.Popen(["pigz", "-6", "-n"], stdin=subprocess.PIPE, stdout=file) as pigz:
                assert pigz.stdin is not None
                tar = _Hashed(pigz.stdin)
                write(cast("IO[bytes]", tar))
                pigz.stdin.close()
            if pigz.returncode:
                raise RuntimeError(f"pigz: exit code {pigz.returncode}")
        packed = Path(file.name)
        with packed.open("rb") as blob:
            digest = hashlib.file_digest(blob, "sha256").hexdigest()
        size = packed.stat().st_size
        packed.rename(self.blobs / digest)
        descriptor = {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}
        return descriptor, f"sha256:{tar.sha256.hexdigest()}"

    def add_image(self, tag: str, layers: Sequence[StoredLayer]) -> None:
        """Store an image of these layers, base first, and tag it."""
        config = {
            "created": _CREATED,
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [
                {"created": _CREATED, "created_by": f"RUN step {number}"}
                for number in range(len(layers))
            ],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self.add_blob(json.dumps(config).encode(), _CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
        }
        descriptor = self.add_blob(json.dumps(manifest).encode(), _MANIFEST)
        tagged = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        self._manifests.append(tagged)
        index = {"schemaVersion": 2, "manifests": self._manifests}
        (self.folder / "index.json").write_text(json.dumps(index))


class _Hashed:
    """Passes bytes on and hashes them."""

    def __init__(self, sink: IO[bytes]) -> None:
        self.sha256 = hashlib.sha256()
        self._sink = sink

    def write(self, data: bytes) -> int:
        """Hash the bytes and pass them on."""
        self.sha256.update(data)
        return self._sink.write(data)
