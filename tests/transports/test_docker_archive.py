"""Docker archives of all ages, and what is asked of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import NoSuchImage, SquashproxyError
from squashproxy.location import ArchiveReference, parse_location
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.testing import BuiltImage, ImageBuilder, LayerBuilder, Packing
from squashproxy.transports import archives
from squashproxy.transports.base import ImageSource
from tests.pipeline.images import LAYERS, app
from tests.transports.copying import TREE, tree_of
from tests.transports.tars import (
    Content,
    Link,
    docker_1_9,
    docker_20,
    docker_25,
    document,
    listed,
    tar_of,
)

PLAIN = app(packing=Packing.NONE)
PACKED = app()
OTHER = ImageBuilder().layer(LayerBuilder().file("other", b"1"), Packing.NONE).build()


def write(path: Path, entries: dict[str, Content]) -> str:
    path.write_bytes(tar_of(entries))
    return f"docker-archive:{path}"


def open_source(text: str) -> ImageSource:
    location = parse_location(text)
    assert isinstance(location, ArchiveReference)
    return archives.open_source(location)


AGES: dict[str, dict[str, Content]] = {
    "docker 1.9": docker_1_9([layer.tar() for layer in LAYERS], "app:1"),
    "docker 20, plain": docker_20(PLAIN, "app:1"),
    "docker 20's form with compressed layers, as crane": docker_20(PACKED, "app:1"),
    "docker 25, plain": docker_25(PLAIN, "app:1"),
    "BuildKit, compressed": docker_25(PACKED, "app:1"),
    "paths that begin with a dot": {f"./{name}": data for name, data in docker_20(PLAIN).items()},
}


@pytest.mark.parametrize("name", AGES)
def test_every_age_unpacks_to_the_same_tree(name: str, tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "app.tar", AGES[name]))
    assert tree_of(source) == TREE
    source.close()


def test_the_layout_inside_gives_the_image_its_digest(tmp_path: Path) -> None:
    for image in (PLAIN, PACKED):
        source = open_source(write(tmp_path / "app.tar", docker_25(image, "app:1")))
        assert source.read_manifest() == image.manifest
        source.close()


def test_without_one_the_digest_hangs_on_config_and_layers_alone(tmp_path: Path) -> None:
    digests = set()
    for number, entries in enumerate((docker_20(PLAIN, "app:1"), docker_20(PLAIN, "b:2", "c:3"))):
        source = open_source(write(tmp_path / f"{number}.tar", entries))
        digests.add(source.find_digest())
        source.close()
    assert len(digests) == 1


def test_an_old_image_gets_the_config_that_docker_would_give_it(tmp_path: Path) -> None:
    tars = [layer.tar() for layer in LAYERS]
    source = open_source(write(tmp_path / "old.tar", docker_1_9(tars, "app:1")))
    manifest = json.loads(source.read_manifest().data)
    assert manifest["mediaType"] == mediatypes.DOCKER_MANIFEST
    (data,) = source.iter_blob(config_of(source))
    config = json.loads(data)
    assert config["rootfs"]["diff_ids"] == [digest_of(tar) for tar in tars]
    assert [step["created_by"] for step in config["history"]] == [
        f"/bin/sh -c step {number}" for number in range(4)
    ]
    assert config["config"]["Cmd"] == ["/app/one"]
    assert {"id", "parent", "container_config"}.isdisjoint(config)
    source.close()


def config_of(source: ImageSource) -> Descriptor:
    parsed = parse_manifest(source.read_manifest(), "the manifest")
    assert isinstance(parsed, ImageManifest)
    return parsed.config


class TestLayersThatSeveralImagesShare:
    """docker wrote the second layer as a symbolic link to the first."""

    @pytest.mark.parametrize("is_hard", [False, True], ids=["symlink", "hard-link"])
    def test_are_found(self, tmp_path: Path, *, is_hard: bool) -> None:
        entries = docker_20(PLAIN, "app:1")
        first = f"{0:064x}/layer.tar"
        moved = "f" * 64 + "/layer.tar"
        target = moved if is_hard else f"../{moved}"
        data = entries.pop(first)
        entries = {moved: data, first: Link(target, is_hard), **entries}
        source = open_source(write(tmp_path / "app.tar", entries))
        assert tree_of(source) == TREE
        source.close()

    def test_links_in_a_circle_are_missing_files(self, tmp_path: Path) -> None:
        entries = docker_20(PLAIN, "app:1")
        first = f"{0:064x}/layer.tar"
        entries[first] = Link("../b")
        entries["b"] = Link(first)
        source = open_source(write(tmp_path / "app.tar", entries))
        with pytest.raises(SquashproxyError, match="holds no"):
            source.find_digest()
        source.close()


class TestSeveralImages:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> str:
        one, two = docker_20(PLAIN), {f"x/{name}": data for name, data in docker_20(OTHER).items()}
        both = [
            listed(f"{PLAIN.config.digest[7:]}.json", paths(one), "app:1", "example.com/app:v1"),
            listed(f"x/{OTHER.config.digest[7:]}.json", paths(two)),
        ]
        entries = {**one, **two, "manifest.json": document(both)}
        return write(tmp_path / "both.tar", entries)

    @pytest.mark.parametrize(
        ("name", "image"),
        [
            ("app:1", PLAIN),
            ("docker.io/library/app:1", PLAIN),
            ("example.com/app:v1", PLAIN),
            ("@0", PLAIN),
            ("@1", OTHER),
        ],
    )
    def test_are_told_apart_by_name_and_number(
        self, archive: str, name: str, image: BuiltImage
    ) -> None:
        source = open_source(f"{archive}:{name}")
        manifest = json.loads(source.read_manifest().data)
        assert manifest["config"]["digest"] == image.config.digest
        source.close()

    @pytest.mark.parametrize("name", ["", ":app:2", ":app", ":@2", ":@x"])
    def test_which_one_has_to_be_said(self, archive: str, name: str) -> None:
        source = open_source(archive + name)
        with pytest.raises(NoSuchImage, match="app:1"):
            source.find_digest()
        source.close()


def paths(entries: dict[str, Content]) -> list[str]:
    return [name for name in entries if name.endswith("layer.tar")]


BROKEN: dict[str, tuple[dict[str, Content], str]] = {
    "no list": ({"a": b"b"}, r"no docker archive: it has no manifest\.json"),
    "an OCI archive": ({"index.json": b"{}", "oci-layout": b"{}"}, "name it as oci-archive:"),
    "a list that is no JSON": ({"manifest.json": b"{"}, "not valid JSON"),
    "a list that is none": ({"manifest.json": b"{}"}, "no list of images"),
    "an entry that is none": ({"manifest.json": b"[7]"}, "without Config"),
    "a layer that is no text": (
        {"manifest.json": document([{"Config": "c", "Layers": [7]}])},
        "no text",
    ),
    "no config": ({"manifest.json": document([listed("c.json", [])])}, "holds no c.json"),
    "a config outside": (
        {"manifest.json": document([listed("../../etc/passwd", [])])},
        "holds no ../../etc/passwd",
    ),
    "a config that is none": (
        {"manifest.json": document([listed("c", ["l"])]), "c": b"[]", "l": b""},
        "not a JSON object",
    ),
    "fewer diff IDs than layers": (
        {
            "manifest.json": document([listed("c", ["l"])]),
            "c": document({"rootfs": {"diff_ids": []}}),
            "l": b"",
        },
        "0 diff IDs for 1 layers",
    ),
    "a diff ID that is none": (
        {
            "manifest.json": document([listed("c", ["l"])]),
            "c": document({"rootfs": {"diff_ids": ["x"]}}),
            "l": b"",
        },
        "diff ID",
    ),
    "a missing layer": (
        {
            "manifest.json": document([listed("c", ["absent/layer.tar"])]),
            "c": document({"rootfs": {"diff_ids": [digest_of(b"")]}}),
        },
        "holds no absent/layer.tar",
    ),
    "an old one with a circle": (
        {
            "repositories": document({"app": {"1": "a"}}),
            "a/json": document({"parent": "a"}),
            "a/layer.tar": b"",
        },
        "circle",
    ),
    "an old one without a parent's document": (
        {"repositories": document({"app": {"1": "a"}}), "a/json": document({"parent": "b"})},
        "holds no b/json",
    ),
    "an old one with a compressed layer": (
        {
            "repositories": document({"app": {"1": "a"}}),
            "a/json": b"{}",
            "a/layer.tar": gzip.compress(b""),
        },
        "is compressed",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path) -> None:
    entries, words = BROKEN[name]
    source = open_source(write(tmp_path / "broken.tar", entries))
    with pytest.raises(SquashproxyError, match=words) as caught:
        source.find_digest()
    assert "broken.tar" in str(caught.value)
    source.close()
