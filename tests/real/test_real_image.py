"""A real image of Debian packages, promoted with one command, runs as it did."""

from __future__ import annotations

import gzip
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.model.census import count_layers
from tests.model.node import Node, compare_trees
from tests.real.command import copy, layer_digests, plan
from tests.real.judges import Judges, push_layout
from tests.real.real_image import TAG, cache_folder, cached
from tests.real.registries import RealRegistry

# Building the image takes a minute and a half; traps and stacks meet the same judges in every run.
pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The image in its registry, and what each judge sees of it."""

    name: str
    digests: list[str]
    trees: dict[str, dict[bytes, Node]]


@pytest.fixture(scope="module")
def layout() -> Path:
    """The image as an OCI layout, built at most once for each version of its script."""
    return cached(cache_folder())


@pytest.fixture(scope="module")
def image(layout: Path, source_registry: RealRegistry, judges: Judges) -> SourceImage:
    """The image, pushed to the source registry as `app:v1`."""
    name = f"app:{TAG}"
    push_layout(layout, TAG, source_registry, name)
    digests = layer_digests(source_registry, name)
    return SourceImage(name, digests, judges.trees(source_registry, name))


def test_the_image_is_as_large_and_as_awkward_as_promised(layout: Path, image: SourceImage) -> None:
    size = whiteouts = opaque = 0
    for digest in image.digests:
        blob = layout / "blobs" / digest.replace(":", "/")
        with gzip.open(blob) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                size += member.size
                opaque += name == ".wh..wh..opq"
                whiteouts += name.startswith(".wh.") and name != ".wh..wh..opq"
    assert len(image.digests) == 6
    assert size > 400 * MIB
    assert whiteouts > 5
    assert opaque >= 2
    groups = {node.links for node in image.trees["umoci"].values() if node.links}
    assert len(groups) >= 3


def test_both_judges_see_the_same_source(image: SourceImage) -> None:
    assert len(image.trees["umoci"]) > 5_000
    assert compare_trees(image.trees["umoci"], image.trees["overlay"]) == []


@pytest.mark.parametrize(("base", "kept"), [("1", 1), ("none", 0)])
def test_the_squashed_image_unpacks_to_the_same_tree(  # noqa: PLR0917 - fixtures, all by name
    base: str,
    kept: int,
    image: SourceImage,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
    tmp_path: Path,
) -> None:
    document = copy(
        source_registry, target_registry, image.name, "--base", base, "--force", home=tmp_path
    )
    print(json.dumps(document, indent=2))  # noqa: T201 - the figures, where a test failed
    digests = layer_digests(target_registry, image.name)
    assert digests[:kept] == image.digests[:kept]
    assert len(digests) == kept + 1
    [platform] = document["platforms"]
    assert platform["layers_before"] == 6
    assert platform["layers_after"] == len(digests)
    assert platform["base_layers"] == kept
    assert platform["compressed_after"] < platform["compressed_before"]
    trees = judges.trees(target_registry, image.name)
    for judge, tree in trees.items():
        assert compare_trees(image.trees[judge], tree)[:20] == [], judge


@pytest.mark.parametrize(("base", "kept"), [("1", 1), ("none", 0)])
def test_the_pruned_image_unpacks_to_the_same_tree(  # noqa: PLR0917 - fixtures, all by name
    base: str,
    kept: int,
    image: SourceImage,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
    tmp_path: Path,
) -> None:
    """Each layer of its own bytes, where it stood, or not larger."""
    document = copy(
        *(source_registry, target_registry, image.name),
        *("--mode=prune", "--base", base, "--force"),
        home=tmp_path,
    )
    print(json.dumps(document, indent=2))  # noqa: T201 - the figures, where a test failed
    [platform] = document["platforms"]
    digests = layer_digests(target_registry, image.name)
    assert digests == [layer["digest"] for layer in platform["layers"] if layer["digest"]]
    assert digests[:kept] == image.digests[:kept]
    assert digests[-1] == image.digests[-1], "nothing hides what the top layer holds"
    assert "pruned" in {layer["action"] for layer in platform["layers"]}
    assert [layer["source_digest"] for layer in platform["layers"]] == image.digests
    for layer in platform["layers"]:
        if layer["action"] in {"base", "kept"}:
            assert layer["digest"] == layer["source_digest"]
        else:
            assert layer["packed_after"] < layer["packed_before"]
    assert platform["compressed_after"] < platform["compressed_before"]
    for judge, tree in judges.trees(target_registry, image.name).items():
        assert compare_trees(image.trees[judge], tree)[:20] == [], judge


def test_a_second_copy_has_nothing_to_do_and_a_forced_one_gives_the_same_digest(
    image: SourceImage,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
) -> None:
    first = copy(source_registry, target_registry, image.name, "--force", home=tmp_path)
    second = copy(source_registry, target_registry, image.name, home=tmp_path)
    forced = copy(source_registry, target_registry, image.name, "--force", home=tmp_path)
    assert not first["skipped"]
    assert second["skipped"]
    assert second["digest"] == first["digest"] == forced["digest"]
    assert second["seconds"] < 1


def test_a_plan_counts_every_layer_as_unpacking_it_shows(
    layout: Path, image: SourceImage, source_registry: RealRegistry, tmp_path: Path
) -> None:
    tars = [
        gzip.decompress((layout / "blobs" / digest.replace(":", "/")).read_bytes())
        for digest in image.digests
    ]
    document = plan(source_registry, image.name, "--base", "2", home=tmp_path)
    [platform] = document["platforms"]
    found = [
        (layer["unpacked"], layer["entries"], layer["hidden_entries"], layer["hidden_bytes"])
        for layer in platform["layers"]
    ]
    expected = count_layers(tars)
    assert found == [
        (count.unpacked, count.entries, count.hidden_entries, count.hidden_bytes)
        for count in expected
    ]
    payload = sum(count.payload for count in expected)
    assert sum(folder["hidden_bytes"] for folder in platform["hidden_folders"]) == payload
    caches = {found["path"] for found in platform["suspects"] if found["kind"] == "cache"}
    assert "var/cache/apt" in caches
