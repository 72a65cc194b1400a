"""A base that upstream holds in squashed form is the base of what the server squashes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from squashproxy.pipeline.copy import copy_image
from squashproxy.progress import SilentObserver
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from squashproxy.transports.registry import RegistrySink, RegistrySource
from tests.pipeline.lab import options
from tests.server.serving import UP, run_serve, settings

BASE = (
    LayerBuilder().file("old", b"old" * 900),
    LayerBuilder().file("sh", b"sh" * 900).whiteout("old"),
)
ABOVE = (LayerBuilder().file("cache", b"c" * 900), LayerBuilder().whiteout("cache"))
NAMED = {"org.opencontainers.image.base.name": f"{UP}/os:1"}


def image(*layers: LayerBuilder, annotations: dict[str, str] | None = None) -> ImageBuilder:
    builder = ImageBuilder(annotations=annotations)
    for layer in layers:
        builder.layer(layer)
    return builder


@pytest.fixture
def base(upstream: FakeRegistry) -> str:
    """The digest of the one layer of the squashed base, which is upstream as `os:1`."""
    image(*BASE).push(upstream, "original", "1")
    with RegistryClient(environ={}) as client:
        copy_image(
            RegistrySource(client, Reference(Repository(upstream.host, "original"), "1")),
            RegistrySink(client, Reference(Repository(upstream.host, "os"), "1")),
            options("none"),
            open_source=lambda _: pytest.fail("no base is asked for"),
            observer=SilentObserver(),
            clock=time.monotonic,
        )
    (layer,) = json.loads(upstream.manifest("os", "1").data)["layers"]
    return str(layer["digest"])


@pytest.mark.parametrize(
    ("annotations", "rules"),
    {
        "the image names it": (NAMED, {}),
        "a rule names it": (None, {"rules": [{"match": "*", "base": f"{UP}/os:1"}]}),
    }.values(),
)
def test_the_result_stands_on_it(
    upstream: FakeRegistry,
    tmp_path: Path,
    base: str,
    annotations: dict[str, str] | None,
    rules: dict[str, Any],
) -> None:
    image(*BASE, *ABOVE, annotations=annotations).push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, **rules)) as served:
        answer = served.manifest("app", "1")
        assert answer.headers["X-Squashproxy-Source"] == "squashed"
        layers = [layer["digest"] for layer in answer.json()["layers"]]
        assert layers[0] == base
        assert len(layers) == 2
        for digest in layers:
            assert served.blob("app", digest).status_code == 200
