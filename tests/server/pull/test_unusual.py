"""What cannot be squashed is handed out as it is: artifacts, caches, images for Windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import Family
from squashproxy.testing import FakeRegistry, index_of
from tests.pipeline.images import app as whole_app
from tests.pipeline.indexes import Whole, artifact, build_cache, listing
from tests.pipeline.other_systems import windows, with_config
from tests.server.serving import Served, run_serve, settings

STORES = ("directory", "registry")


def docker_artifact(config_type: str, layer_type: str = "application/vnd.example.data") -> Whole:
    """A manifest of Docker's schema 2 that is no image."""
    config, layer = b'{"any": "thing"}', b"any data"
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.DOCKER_MANIFEST,
        "config": Descriptor(config_type, digest_of(config), len(config)).to_json(),
        "layers": [Descriptor(layer_type, digest_of(layer), len(layer)).to_json()],
    }
    raw = RawManifest(encode_json(document), mediatypes.DOCKER_MANIFEST)
    return Whole(raw, (config, layer))


PLUGIN = "application/vnd.docker.plugin.v1+json"
AS_IT_IS: dict[str, Whole] = {
    "a plugin of docker": docker_artifact(PLUGIN, mediatypes.DOCKER_LAYER_GZIP),
    "an unknown config": docker_artifact("application/vnd.example", mediatypes.DOCKER_LAYER_GZIP),
    "unknown layers": docker_artifact(mediatypes.DOCKER_CONFIG),
    "a config without a type, unknown layers": docker_artifact("application/octet-stream"),
    "an OCI artifact": artifact(),
    "a list of artifacts": listing([docker_artifact(PLUGIN)], Family.DOCKER),
    "a cache": build_cache(Family.DOCKER),
    "a cache, OCI": build_cache(),
}


@pytest.fixture(params=STORES)
def serving(
    request: pytest.FixtureRequest, upstream: FakeRegistry, tmp_path: Path
) -> Iterator[Served]:
    """A server with either kind of store."""
    more: dict[str, Any] = {"first_pull": {"wait": "25s", "then": "error"}}
    with FakeRegistry() as kept:
        if request.param == "registry":
            more["store"] = {"registry": f"{kept.host}/cache"}
        with run_serve(settings(upstream, tmp_path, **more)) as served:
            yield served


@pytest.mark.parametrize("whole", AS_IT_IS.values(), ids=AS_IT_IS)
def test_artifacts_are_handed_out_byte_for_byte(
    serving: Served, upstream: FakeRegistry, whole: Whole
) -> None:
    whole.push(upstream, "app", "1")
    answer = serving.manifest("app", "1")
    assert answer.status_code == 200
    assert answer.content == whole.manifest.data
    assert answer.headers["Content-Type"] == whole.manifest.media_type
    for data in whole.blobs:
        assert serving.blob("app", digest_of(data)).content == data


@pytest.mark.parametrize("family", Family)
def test_images_for_windows_keep_their_layers_and_config(
    serving: Served, upstream: FakeRegistry, family: Family
) -> None:
    image = windows(family=family)
    image.push(upstream, "app", "1")
    document = serving.manifest("app", "1").json()
    assert [layer["digest"] for layer in document["layers"]] == [x.digest for x in image.layers]
    assert document["config"]["digest"] == image.config.digest
    assert document["config"]["mediaType"] == mediatypes.OCI_CONFIG


def test_the_linux_image_beside_one_for_windows_is_squashed(
    serving: Served, upstream: FakeRegistry
) -> None:
    index_of([windows(), whole_app()]).push(upstream, "app", "1")
    children = serving.manifest("app", "1").json()["manifests"]
    counts = [len(serving.manifest("app", child["digest"]).json()["layers"]) for child in children]
    assert counts == [3, 2]


@pytest.mark.parametrize("old", ["application/octet-stream", "application/json", "text/html", ""])
def test_an_old_image_is_squashed_and_its_config_gets_its_type(
    serving: Served, upstream: FakeRegistry, old: str
) -> None:
    image = whole_app(Family.DOCKER)
    with_config(image, image.blobs[image.config.digest], old).push(upstream, "app", "1")
    document = serving.manifest("app", "1").json()
    assert document["config"]["mediaType"] == mediatypes.OCI_CONFIG
    assert len(document["layers"]) == 2
    assert {layer["mediaType"] for layer in document["layers"]} == {mediatypes.OCI_LAYER_GZIP}


def test_an_index_in_an_index_is_squashed(serving: Served, upstream: FakeRegistry) -> None:
    listing([index_of([whole_app()], attestations=True)]).push(upstream, "app", "1")
    answer = serving.manifest("app", "1")
    (child,) = answer.json()["manifests"]
    assert len(serving.manifest("app", child["digest"]).json()["layers"]) == 2
    assert json.loads(answer.content)["mediaType"] == mediatypes.OCI_INDEX
