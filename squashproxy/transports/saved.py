"""The images that the `manifest.json` of a docker archive lists (moby, image/tarexport)."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from squashproxy.codec.compression import sniff
from squashproxy.digest import Digest, Hasher, digest_of
from squashproxy.errors import ArchiveError, FormatError
from squashproxy.oci.config import parse_config
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    RawManifest,
    check_depth,
    encode_json,
    parse_manifest,
)
from squashproxy.oci.mediatypes import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    INDEXES,
    Compression,
    Family,
    layer_type,
)
from squashproxy.transports.documents import MAX_CONFIG
from squashproxy.transports.files import Files, missing, read_file
from squashproxy.transports.layout import CONTAINERD_NAME, INDEX, Layout, blob_path
from squashproxy.transports.layout_platforms import described, whole_images

MANIFEST = "manifest.json"
_BLOBS = "blobs/"
_MAGIC = 4


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One entry of `manifest.json`: paths in the archive, and the names of the image."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image of an archive: its manifest, the places of its blobs, and documents made for it.

    `warnings` tell of what the archive names and does not hold.
    """

    manifest: RawManifest
    paths: Mapping[Digest, str]
    documents: Mapping[Digest, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_list(data: bytes, files: Files) -> list[ListedImage]:
    """The images that a `manifest.json` lists. Raises FormatError."""
    where = f"{MANIFEST} of {files.name}"
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not valid JSON", advice="save the image again") from error
    if not isinstance(entries, list):
        raise FormatError(f"{where} is no list of images", advice="save the image again")
    return [_parse_entry(entry, where) for entry in entries]


def open_image(files: Files, image: ListedImage) -> SavedImage:
    """The image of an entry, its layers found and named by their digests.

    Compressed layers are read once for that; the digest of a plain one is its diff ID. Where docker
    with the containerd store lists a platform that it never pulled, the one that is there counts.
    Raises ArchiveError, IntegrityError, FormatError.
    """
    embedded = _try_embedded(files, image)
    if embedded is None and any(files.find(path) is None for path in (image.config, *image.layers)):
        embedded = _try_present(files, image)
    return embedded or _made_up(files, image)


def made_up_image(
    files: Files, config: bytes, layers: Sequence[tuple[Descriptor, str]]
) -> SavedImage:
    """An image made from its config and layers with their paths, base first, in Docker's family."""
    parse_config(config, len(layers), f"the config of {files.name}")
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": Descriptor(DOCKER_CONFIG, digest_of(config), len(config)).to_json(),
        "layers": [layer.to_json() for layer, _ in layers],
    }
    return SavedImage(
        RawManifest(encode_json(document), DOCKER_MANIFEST),
        {layer.digest: path for layer, path in layers},
        {digest_of(config): config},
    )


def describe_layer(files: Files, path: str, diff_id: Digest | None) -> Descriptor:
    """A layer's descriptor. An uncompressed layer with a known `diff_id` is not read."""
    size = files.find(path)
    if size is None:
        raise missing(files, path)
    compression = sniff(b"".join(files.iter_file(path, _MAGIC)))
    media_type = layer_type(Family.DOCKER, compression)
    if compression is Compression.NONE and diff_id is not None:
        return Descriptor(media_type, diff_id, size)
    hasher = Hasher()
    for chunk in files.iter_file(path):
        hasher.update(chunk)
    return Descriptor(media_type, hasher.digest, size)


def _made_up(files: Files, image: ListedImage) -> SavedImage:
    data = read_file(files, image.config, MAX_CONFIG)
    config = parse_config(data, len(image.layers), f"{image.config} of {files.name}")
    layers = [
        (describe_layer(files, path, diff_id), path)
        for path, diff_id in zip(image.layers, config.diff_ids, strict=True)
    ]
    return made_up_image(files, data, layers)


def _try_embedded(files: Files, image: ListedImage) -> SavedImage | None:
    """The image in the archive's OCI layout; None if the layout does not hold all of it."""
    if not image.config.startswith(_BLOBS) or files.find(INDEX) is None:
        return None
    layout = Layout(files)
    for manifest in _iter_manifests(layout, layout.index):
        blobs = [manifest.config, *manifest.layers]
        if blob_path(manifest.config.digest) != image.config:
            continue
        if len(manifest.layers) == len(image.layers) and all(map(layout.has_blob, blobs)):
            return SavedImage(manifest.raw, {blob.digest: blob_path(blob.digest) for blob in blobs})
    return None


def _try_present(files: Files, image: ListedImage) -> SavedImage | None:
    """The image that the archive's OCI layout holds in place of the listed one, which is absent.

    None where it holds none. Raises ArchiveError where it holds several.
    """
    if files.find(INDEX) is None:
        return None
    layout = Layout(files)
    whole: list[ImageManifest] = []
    for child in layout.index.children:
        if not _may_be(child.descriptor, image.names):
            continue
        index = replace(layout.index, children=(child,))
        if child.descriptor.media_type in INDEXES and layout.has_blob(child.descriptor):
            found = parse_manifest(layout.read_manifest(child.descriptor.digest), layout.name)
            index = found if isinstance(found, ImageIndex) else index
        whole += whole_images(layout, index)
    if not whole:
        return None
    there = [described(layout, manifest.raw.descriptor) for manifest in whole]
    absent = f"{files.name} does not hold the image that its {MANIFEST} lists"
    if len(whole) > 1:
        raise ArchiveError(
            f"{absent}, but several others: {', '.join(there)}",
            advice="name it as oci-archive: and choose one by its digest or with {platform}",
        )
    paths = {blob.digest: blob_path(blob.digest) for blob in (whole[0].config, *whole[0].layers)}
    return SavedImage(
        whole[0].raw, paths, warnings=(f"{absent} ({image.config}); {there[0]} is used",)
    )


def _may_be(child: Descriptor, names: Sequence[str]) -> bool:
    """Whether an entry of the layout may be the image of these names."""
    known = child.annotations.get(CONTAINERD_NAME)
    return not names or known is None or any(known.endswith(name) for name in names)


def _iter_manifests(layout: Layout, index: ImageIndex, depth: int = 0) -> Iterator[ImageManifest]:
    """The images of an index, and of indexes in it; images that the layout lacks are left out.

    `depth` is the number of indexes around it. Raises FormatError for too many.
    """
    check_depth(depth, f"an index of {layout.name}")
    for child in index.children:
        if child.is_attestation or not child.is_manifest:
            continue
        if layout.files.find(blob_path(child.descriptor.digest)) is None:
            continue
        found = parse_manifest(layout.read_manifest(child.descriptor.digest), layout.name)
        if isinstance(found, ImageManifest):
            yield found
        else:
            yield from _iter_manifests(layout, found, depth + 1)


def _parse_entry(entry: Any, where: str) -> ListedImage:
    """One entry; paths in the form in which archives are searched."""
    try:
        config = entry["Config"]
        names, layers = entry.get("RepoTags") or [], entry.get("Layers") or []
    except (TypeError, KeyError, AttributeError) as error:
        raise FormatError(
            f"{where} has an entry without Config", advice="save the image again"
        ) from error
    texts = (
        [config, *names, *layers] if isinstance(names, list) and isinstance(layers, list) else [0]
    )
    if not all(isinstance(text, str) for text in texts):
        raise FormatError(f"{where} has an entry whose fields are no text")
    return ListedImage(
        posixpath.normpath(config), tuple(names), tuple(map(posixpath.normpath, layers))
    )
