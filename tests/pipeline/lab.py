"""Two registries on loopback and a copy between them, for tests of the pipeline."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from squashproxy.analysis.plan import plan_image
from squashproxy.digest import Digest, digest_of
from squashproxy.errors import SquashproxyError
from squashproxy.location import Location
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import encode_json
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions, parse_base, parse_compression
from squashproxy.pipeline.results import CopyResult, PlanResult
from squashproxy.progress import Task
from squashproxy.reference import Reference, parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import BuiltImage, BuiltIndex, FakeRegistry, ImageBuilder, LayerBuilder
from squashproxy.transports.registry import RegistrySink, RegistrySource
from tests.model.inode import tree_of
from tests.model.node import Node
from tests.model.untar import Names, apply_layer, read_tree

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Json = dict[str, Any]
Tree = dict[bytes, Node]
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    mediatypes.OCI_LAYER: bytes,
    mediatypes.OCI_LAYER_GZIP: gzip.decompress,
    mediatypes.OCI_LAYER_ZSTD: zstd.decompress,
    mediatypes.DOCKER_LAYER: bytes,
    mediatypes.DOCKER_LAYER_GZIP: gzip.decompress,
    mediatypes.DOCKER_LAYER_ZSTD: zstd.decompress,
}
"""What a layer's media type promises."""


@dataclass(slots=True)
class Listener:
    """An observer that keeps what it hears; `on_advance` may make trouble at the worst moment."""

    warnings: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    on_advance: Callable[[str, int], None] = lambda _label, _count: None

    def start(self, label: str, total: int | None) -> Task:  # noqa: ARG002 - the protocol's names
        self.labels.append(label)
        return _HeardTask(self, label)

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@dataclass(frozen=True, slots=True)
class _HeardTask:
    listener: Listener
    label: str

    def advance(self, count: int) -> None:
        self.listener.on_advance(self.label, count)

    def finish(self, outcome: str = "") -> None:
        """Nothing: the end of a task is not recorded."""


def options(base: str = "auto", compression: str = "keep", **others: Any) -> CopyOptions:
    """Options written as on the command line."""
    return CopyOptions(base=parse_base(base), compression=parse_compression(compression), **others)


@dataclass(frozen=True, slots=True)
class Lab:
    """`old` is where images are copied from, `new` where they go; both may be the same."""

    old: FakeRegistry
    new: FakeRegistry
    client: RegistryClient

    def put(self, image: ImageBuilder | BuiltImage | BuiltIndex, name: str = "app:1") -> Digest:
        """Put an image into the source registry."""
        repo, _, tag = name.partition(":")
        return image.push(self.old, repo, tag)

    def copy(
        self,
        source: str = "app:1",
        target: str = "app:1",
        *,
        observer: Listener | None = None,
        **choices: Any,
    ) -> CopyResult:
        return copy_image(
            self.source(source),
            self.sink(target),
            options(**choices),
            open_source=self.open,
            observer=observer or Listener(),
            clock=time.monotonic,
        )

    def plan(
        self, source: str = "app:1", target: str | None = "app:1", **choices: Any
    ) -> PlanResult:
        return plan_image(
            self.source(source),
            None if target is None else self.sink(target),
            options(**choices),
            open_source=self.open,
            observer=Listener(),
        )

    def source(self, name: str = "app:1") -> RegistrySource:
        return self.open(parse_reference(f"{self.old.host}/{name}"))

    def sink(self, name: str = "app:1") -> RegistrySink:
        return RegistrySink(self.client, parse_reference(f"{self.new.host}/{name}"))

    def open(self, reference: Location) -> RegistrySource:
        assert isinstance(reference, Reference)
        return RegistrySource(self.client, reference)

    def forget_requests(self) -> None:
        self.old.forget_requests()
        self.new.forget_requests()

    def arrived(self, selector: str = "1", repo: str = "app") -> Arrived:
        """The image, not an index, that the target has now."""
        return Arrived(self.new, repo, selector)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An image in a registry, read past the API and past all of the product's code."""

    registry: FakeRegistry
    repo: str
    selector: str

    @property
    def manifest(self) -> Json:
        return _object(self.registry.manifest(self.repo, self.selector).data)

    @property
    def media_type(self) -> str:
        return self.registry.manifest(self.repo, self.selector).media_type

    @property
    def config(self) -> Json:
        return _object(self.registry.blob(self.repo, self.manifest["config"]["digest"]))

    @property
    def layers(self) -> list[str]:
        """The digests of the layers, base first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def blobs(self) -> list[str]:
        """Everything that the manifest names."""
        return [*self.layers, self.manifest["config"]["digest"]]

    @property
    def size(self) -> int:
        """The layers' compressed size in bytes."""
        return sum(int(layer["size"]) for layer in self.manifest["layers"])

    def tars(self) -> Iterator[bytes]:
        """The layers, unpacked as their media types say; sizes, digests and diff IDs must fit."""
        layers, config = self.manifest["layers"], self.config
        diff_ids = config["rootfs"]["diff_ids"]
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            blob = self.registry.blob(self.repo, layer["digest"])
            assert (len(blob), digest_of(blob)) == (layer["size"], layer["digest"])
            tar = UNPACK[layer["mediaType"]](blob)
            assert digest_of(tar) == diff_id
            yield tar
        with_layer = [step for step in config["history"] if not step.get("empty_layer")]
        assert len(with_layer) == len(layers)

    def tree(self) -> Tree:
        """What a container sees."""
        names: Names = {}
        for tar in self.tars():
            names = apply_layer(names, tar)
        return tree_of(names)


def tree(*layers: LayerBuilder) -> Tree:
    """What a container sees of layers that were never squashed."""
    return read_tree(layer.tar() for layer in layers)


def asked(registry: FakeRegistry) -> list[str]:
    """Every request as `METHOD repository/kind/selector status`, uploads without their number."""
    return [
        f"{exchange.method} {_shortened(exchange.path)} {exchange.status}"
        for exchange in registry.requests
    ]


def methods(registry: FakeRegistry) -> set[str]:
    return {exchange.method for exchange in registry.requests}


def fetched(registry: FakeRegistry, digest: str) -> int:
    """How often a blob was asked for with GET."""
    return sum(
        exchange.method == "GET" and exchange.path.endswith(digest)
        for exchange in registry.requests
    )


def pushed_bytes(registry: FakeRegistry) -> int:
    """The bytes of blobs that a registry received."""
    return sum(
        exchange.received
        for exchange in registry.requests
        if exchange.method in ("POST", "PATCH", "PUT") and "/blobs/" in exchange.path
    )


def fails(lab: Lab, error: type[SquashproxyError], *words: str, **choices: Any) -> SquashproxyError:
    """A copy must fail with this error, in one sentence with these words, and leave nothing.

    The target's tag stands before and points to the same image after.
    """
    before = ImageBuilder().layer(LayerBuilder().file("old", b"old")).build()
    if not lab.new.tags("app"):
        before.push(lab.new, "app", "1")
    tags = lab.new.tags("app")
    with pytest.raises(error) as caught:
        lab.copy(**choices)
    sentence = str(caught.value)
    assert type(caught.value) is error, f"{type(caught.value).__name__}: {sentence}"
    for word in words:
        assert word in sentence, f"{word!r} is not in: {sentence}"
    assert "\n" not in sentence, sentence
    assert not re.search("Traceback|object at 0x|Error\\(", sentence), sentence
    assert lab.new.tags("app") == tags, "the tag has moved"
    assert lab.new.open_uploads == 0, "an upload session is left open"
    return caught.value


def changed(image: BuiltImage, **fields: Any) -> BuiltImage:
    """The image with other fields in its manifest."""
    document = {**json.loads(image.manifest.data), **fields}
    return replace(image, manifest=replace(image.manifest, data=encode_json(document)))


def digests(layers: Sequence[Any]) -> list[str]:
    return [layer.digest for layer in layers]


def _shortened(path: str) -> str:
    place, _, query = path.removeprefix("/v2/").partition("?")
    if "/blobs/uploads/" not in place:
        return place
    repo = place.partition("/blobs/")[0]
    return f"{repo}/uploads" + (" mount" if query.startswith("mount=") else "")


def _object(data: bytes) -> Json:
    document = json.loads(data)
    assert isinstance(document, dict)
    return document
