"""Archives written entry by entry, as the programs of many years did."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from squashproxy.testing import BuiltImage


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic (or hard) link in an archive."""

    target: str
    is_hard: bool = False


Content = bytes | Link | None
"""A file, a link, or a folder."""


def tar_of(entries: Mapping[str, Content]) -> bytes:
    """A tar of the entries, in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, Link):
                info.type = tarfile.LNKTYPE if content.is_hard else tarfile.SYMTYPE
                info.linkname = content.target
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def listed(config: str, layers: list[str], *names: str, **more: Any) -> dict[str, Any]:
    """An entry of `manifest.json`."""
    return {"Config": config, "RepoTags": list(names) or None, "Layers": layers, **more}


def document(value: Any) -> bytes:
    """A JSON document."""
    return json.dumps(value).encode()


def docker_20(image: BuiltImage, *names: str) -> dict[str, Content]:
    """What `docker save` of 1.10 to 24 writes: a folder for each layer, documents at the end."""
    entries: dict[str, Content] = {}
    paths = []
    for number, layer in enumerate(image.layers):
        folder = f"{number:064x}"
        entries |= {f"{folder}/": None, f"{folder}/VERSION": b"1.0", f"{folder}/json": b"{}"}
        entries[f"{folder}/layer.tar"] = image.blobs[layer.digest]
        paths.append(f"{folder}/layer.tar")
    config = f"{image.config.digest[7:]}.json"
    entries[config] = image.blobs[image.config.digest]
    entries["manifest.json"] = document([listed(config, paths, *names)])
    return entries


def docker_25(image: BuiltImage, *names: str) -> dict[str, Content]:
    """What `docker save` of 25 and later writes: an OCI layout, and docker's list beside it."""
    entries: dict[str, Content] = {"blobs/": None, "blobs/sha256/": None}
    for digest, data in {**image.blobs, image.digest: image.manifest.data}.items():
        entries[f"blobs/sha256/{digest[7:]}"] = data
    annotations = {
        "io.containerd.image.name": f"docker.io/library/{names[0]}",
        "org.opencontainers.image.ref.name": names[0].partition(":")[2],
    }
    child = {**image.manifest.descriptor.to_json(), "annotations": annotations}
    entries["index.json"] = document({"schemaVersion": 2, "manifests": [child]})
    blobs = [f"blobs/sha256/{layer.digest[7:]}" for layer in image.layers]
    sources = {layer.digest: layer.to_json() for layer in image.layers}
    config = f"blobs/sha256/{image.config.digest[7:]}"
    entries["manifest.json"] = document([listed(config, blobs, *names, LayerSources=sources)])
    entries["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return entries


def docker_1_9(tars: list[bytes], name: str) -> dict[str, Content]:
    """What `docker save` before 1.10 writes: layers that name their parents, and `repositories`."""
    entries: dict[str, Content] = {}
    identities = [f"{number:064x}" for number in range(1, len(tars) + 1)]
    for number, (identity, tar) in enumerate(zip(identities, tars, strict=True)):
        layer: dict[str, Any] = {
            "id": identity,
            "created": "2015-06-01T00:00:00Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"step {number}"]},
            "config": {"Env": ["A=1"], "Cmd": ["/app/one"]},
            "architecture": "amd64",
            "os": "linux",
            "Size": len(tar),
        }
        if number:
            layer["parent"] = identities[number - 1]
        entries |= {f"{identity}/": None, f"{identity}/VERSION": b"1.0"}
        entries[f"{identity}/json"] = document(layer)
        entries[f"{identity}/layer.tar"] = tar
    repository, _, tag = name.partition(":")
    entries["repositories"] = document({repository: {tag: identities[-1]}})
    return entries
