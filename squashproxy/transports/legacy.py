"""Archives of docker before 1.10: a `repositories` file, and layers that name their parents.

Such an image has no config of today's form; one is made from the JSON documents of its layers
(Docker Image Specification v1.0.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import MAX_MANIFEST, encode_json, parse_json_object
from squashproxy.oci.mediatypes import Compression, compression_of
from squashproxy.transports.files import Files, read_file
from squashproxy.transports.saved import SavedImage, describe_layer, made_up_image

REPOSITORIES = "repositories"
_OWN = ("id", "parent", "parent_id", "layer_id", "Size", "throwaway", "container_config")
_MOST_LAYERS = 512
"""A longer chain of parents is taken for a circle."""


def read_names(files: Files) -> dict[str, str]:
    """The images' names, as `REPO:TAG`, and the IDs of their top layers. Raises FormatError."""
    where = f"{REPOSITORIES} of {files.name}"
    document = parse_json_object(read_file(files, REPOSITORIES, MAX_MANIFEST), where)
    names = {}
    for repository, tags in document.items():
        if not isinstance(tags, dict):
            raise FormatError(f"{where}: {repository!r} has no tags", advice="save the image again")
        names.update({f"{repository}:{tag}": str(layer) for tag, layer in tags.items()})
    return names


def open_image(files: Files, top: str) -> SavedImage:
    """The image whose top layer is `top`. All its layers are read once, for their digests.

    Raises ArchiveError, FormatError.
    """
    chain = _chain(files, top)
    layers: list[tuple[Descriptor, str]] = []
    diff_ids = []
    for layer in chain:
        path = f"{layer['id']}/layer.tar"
        layer_blob = describe_layer(files, path, None)
        if compression_of(layer_blob.media_type) is not Compression.NONE:
            raise FormatError(
                f"{files.name}: {path} is compressed, which docker never did",
                advice="save the image again",
            )
        layers.append((layer_blob, path))
        diff_ids.append(layer_blob.digest)
    config = {key: value for key, value in chain[-1].items() if key not in _OWN}
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    config["history"] = [_history(layer) for layer in chain]
    return made_up_image(files, encode_json(config), layers)


def _chain(files: Files, top: str) -> list[Json]:
    """The JSON documents of the layers, base first."""
    chain: list[Json] = []
    name: Any = top
    while name:
        if len(chain) == _MOST_LAYERS:
            raise FormatError(f"{files.name}: the parents of layer {top!r} form a circle")
        path = f"{name}/json"
        layer = parse_json_object(read_file(files, path, MAX_MANIFEST), f"{path} of {files.name}")
        chain.append({**layer, "id": name})
        name = layer.get("parent")
    return chain[::-1]


def _history(layer: Mapping[str, Any]) -> Json:
    """A layer's step, as docker makes it of old images (moby, image/v1)."""
    entry = {key: layer[key] for key in ("created", "author", "comment") if layer.get(key)}
    container = layer.get("container_config")
    command = container.get("Cmd") if isinstance(container, dict) else None
    if isinstance(command, list):
        entry["created_by"] = " ".join(map(str, command))
    return entry
