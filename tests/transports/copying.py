"""The image that moves between places, a copy of it, and what it unpacks to."""

from __future__ import annotations

import json
import time

from squashproxy.digest import digest_of
from squashproxy.oci.descriptor import parse_descriptor
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.results import CopyResult
from squashproxy.transports.base import ImageSource
from tests.model.node import Node
from tests.model.untar import read_tree
from tests.pipeline.images import LAYERS
from tests.pipeline.lab import UNPACK, Listener, options
from tests.transports.places import Place

TREE = read_tree([layer.tar() for layer in LAYERS])
NEW = "new:1"


def copy(old: Place, new: Place, name: str = NEW, **choices: object) -> CopyResult:
    sink = new.sink(name)
    try:
        return copy_image(
            old.source(),
            sink,
            options(**choices),  # type: ignore[arg-type]  # any of the options
            open_source=old.open,
            observer=Listener(),
            clock=time.monotonic,
        )
    finally:
        sink.close()


def tree_of(source: ImageSource) -> dict[bytes, Node]:
    """What the image unpacks to; all that its documents say of its blobs must be true."""
    manifest = json.loads(source.read_manifest().data)
    config = json.loads(read(source, manifest["config"]))
    tars = []
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        tars.append(UNPACK[layer["mediaType"]](read(source, layer)))
        assert digest_of(tars[-1]) == diff_id
    return read_tree(tars)


def read(source: ImageSource, descriptor: dict[str, object]) -> bytes:
    return b"".join(source.iter_blob(parse_descriptor(descriptor, "a blob")))
