"""Old clients and registries called the config of an image by other types, which docker still
pulls; what is no image keeps every type that it has.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import Family
from squashproxy.pipeline.inspect import inspect_image
from squashproxy.pipeline.mode import Mode
from squashproxy.testing import BuiltImage, index_of
from tests.pipeline.images import ARM64, LAYERS, app
from tests.pipeline.indexes import Whole
from tests.pipeline.lab import Lab, tree
from tests.pipeline.other_systems import with_config
from tests.server.pull.test_unusual import AS_IT_IS
from tests.transports.copying import NEW, copy, tree_of
from tests.transports.places import HOLDING_INDEXES, open_places

OLD = ("application/octet-stream", "application/json", "text/html", "")
TYPES = pytest.mark.parametrize("old", OLD, ids=lambda old: old or "none")


def old_image(old: str, image: BuiltImage | None = None) -> BuiltImage:
    """An image of Docker's schema 2 whose config has another type."""
    image = image or app(Family.DOCKER)
    return with_config(image, image.blobs[image.config.digest], old)


@TYPES
@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE])
def test_it_is_an_image(lab: Lab, old: str, mode: Mode) -> None:
    lab.put(old_image(old))
    result = lab.copy(base="none", mode=mode, verify=True)
    assert result.warnings == ()
    arrived = lab.arrived()
    assert arrived.tree() == tree(*LAYERS)
    assert arrived.media_type == mediatypes.DOCKER_MANIFEST
    assert arrived.manifest["config"]["mediaType"] == mediatypes.DOCKER_CONFIG
    assert lab.copy(base="none", mode=mode).skipped


@TYPES
def test_a_plan_and_a_look_take_it_for_one(lab: Lab, old: str) -> None:
    lab.put(index_of([old_image(old), old_image(old, app(Family.DOCKER, platform=ARM64))]))
    assert len(lab.plan(base="none").platforms) == 2
    assert [each.platform for each in inspect_image(lab.source()).images] == [
        "linux/amd64",
        "linux/arm64",
    ]


@TYPES
@pytest.mark.parametrize("two", ["oci", "oci-archive", "docker-archive"])
@pytest.mark.parametrize("base", ["none", "4"])
def test_where_types_are_those_of_oci_so_is_that_of_the_config(
    old: str, two: str, base: str, tmp_path: Path
) -> None:
    with open_places(tmp_path, "registry", two) as (here, there):
        here.put(old_image(old))
        copy(here, there, base=base)
        source = there.source(NEW)
        if two != "docker-archive":
            document = json.loads(source.read_manifest().data)
            assert document["config"]["mediaType"] == mediatypes.OCI_CONFIG
        assert len(tree_of(source)) == len(tree(*LAYERS))


def test_in_oci_such_a_config_is_that_of_an_artifact(lab: Lab) -> None:
    image = app()
    lab.put(with_config(image, image.blobs[image.config.digest], "application/octet-stream"))
    result = lab.copy(base="none")
    assert "is no container image but an artifact" in result.warnings[0]
    assert lab.new.tags("app") == lab.old.tags("app")


@pytest.mark.parametrize("whole", AS_IT_IS.values(), ids=AS_IT_IS)
@pytest.mark.parametrize("two", HOLDING_INDEXES)
def test_artifacts_arrive_byte_for_byte(two: str, whole: Whole, tmp_path: Path) -> None:
    with open_places(tmp_path, "registry", two) as (here, there):
        whole.push(here.registry, "app", "1")
        result = copy(here, there, base="none", verify=two != "oci")
        assert result.digest == whole.digest
        source = there.source(NEW)
        assert source.read_manifest().data == whole.manifest.data
        assert len(result.warnings) == 1
        assert copy(here, there, base="none").skipped
