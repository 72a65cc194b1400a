"""Inspecting reads manifests and configs, no layer, and says what it found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import NotFound
from squashproxy.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Family
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.inspect import Inspection, inspect_image
from squashproxy.pipeline.stamp import Stamp
from squashproxy.reference import parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import (
    CREATED,
    FakeRegistry,
    ImageBuilder,
    LayerBuilder,
    artifact_manifest,
    index_of,
)
from squashproxy.transports.registry import RegistrySource

LAYER = LayerBuilder().file("a", b"data")
UPPER = LayerBuilder().whiteout("a")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def inspected(registry: FakeRegistry) -> Inspection:
    with RegistryClient() as client:
        reference = parse_reference(f"{registry.host}/app:1")
        return inspect_image(RegistrySource(client, reference))


@pytest.mark.parametrize(
    ("family", "media_type"), [(Family.OCI, OCI_MANIFEST), (Family.DOCKER, DOCKER_MANIFEST)]
)
def test_one_image(registry: FakeRegistry, family: Family, media_type: str) -> None:
    builder = ImageBuilder(family, config={"Labels": {"maintainer": "someone"}})
    image = builder.layer(LAYER).layer(UPPER).build()
    image.push(registry, "app", "1")
    found = inspected(registry)
    (details,) = found.images
    assert (found.digest, found.media_type) == (image.digest, media_type)
    assert (details.platform, details.created) == ("linux/amd64", CREATED)
    assert details.labels == {"maintainer": "someone"}
    assert details.squashed_from is None
    assert [layer.digest for layer in details.layers] == [layer.digest for layer in image.layers]
    assert details.compressed == sum(layer.size for layer in image.layers)


def test_no_layer_is_read(registry: FakeRegistry) -> None:
    image = ImageBuilder().layer(LAYER).build()
    image.push(registry, "app", "1")
    inspected(registry)
    assert not any(image.layers[0].digest in exchange.path for exchange in registry.requests)


def test_every_platform_of_an_index_and_its_attestations_counted(registry: FakeRegistry) -> None:
    images = [
        ImageBuilder(platform=Platform("linux", architecture)).layer(LAYER)
        for architecture in ("amd64", "arm64")
    ]
    index_of(images, attestations=True, annotations={"note": "both"}).push(registry, "app", "1")
    found = inspected(registry)
    assert found.media_type == OCI_INDEX
    assert [image.platform for image in found.images] == ["linux/amd64", "linux/arm64"]
    assert found.attestations == 2
    assert found.annotations == {"note": "both"}


def test_an_annotation_tells_a_squashed_image(registry: FakeRegistry) -> None:
    source = "sha256:" + "1" * 64
    annotations = {"dev.squashproxy.source.digest": source}
    ImageBuilder(annotations=annotations).layer(LAYER).push(registry, "app", "1")
    assert inspected(registry).images[0].squashed_from == source


def test_the_last_history_entry_tells_it_where_manifests_have_no_annotations(
    registry: FakeRegistry,
) -> None:
    source = digest_of(b"the source")
    entry = Stamp(source, "1-0123").history_entry("squashed 2 layers into 1")
    ImageBuilder(Family.DOCKER).layer(LAYER, history=entry).push(registry, "app", "1")
    assert inspected(registry).images[0].squashed_from == source


def test_an_artifact_has_layers_but_no_platform(registry: FakeRegistry) -> None:
    image = ImageBuilder().layer(LAYER).build()
    image.push(registry, "app")
    artifact = artifact_manifest("application/x-thing", image.layers, config=image.config)
    registry.put_manifest("app", "1", artifact.data, artifact.media_type)
    (details,) = inspected(registry).images
    assert (details.platform, details.created) == ("unknown/unknown", None)
    assert len(details.layers) == 1


def test_a_missing_tag(registry: FakeRegistry) -> None:
    ImageBuilder().layer(LAYER).push(registry, "app", "other")
    with pytest.raises(NotFound, match="app"):
        inspected(registry)


def test_the_images_of_an_index_within_an_index_are_shown(registry: FakeRegistry) -> None:
    inner = index_of([ImageBuilder().layer(LAYER)])
    inner.push(registry, "app")
    outer = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[%s]}}'
    child = f'{{"mediaType":"{OCI_INDEX}","digest":"{inner.digest}","size":%d}}'
    data = (outer % (child % len(inner.manifest.data))).encode()
    registry.put_manifest("app", "1", data, OCI_INDEX)
    assert [image.digest for image in inspected(registry).images] == [inner.images[0].digest]
