"""Indexes: every platform or those asked for, shared work once, attestations left out and named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from squashproxy.errors import BadArchive, FormatError, NoSuchPlatform
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import DOCKER_INDEX, OCI_INDEX, OCI_MANIFEST, Family
from squashproxy.oci.platform import Platform, parse_platform
from squashproxy.testing import AMD64, BuiltIndex, ImageBuilder, LayerBuilder, index_of
from tests.pipeline.images import (
    APP,
    ARM64,
    BASE_NAME,
    LAYERS,
    OPTIONS,
    OS,
    RUNTIME,
    S390X,
    SOURCE_DIGEST,
    app,
    base,
    image_of,
    noise,
)
from tests.pipeline.lab import Arrived, Json, Lab, asked, fails, fetched, pushed_bytes, tree

FAMILIES = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
PLATFORMS = (AMD64, ARM64, S390X)
FINISH = LayerBuilder().directory("app").file("app/old", b"new")


def built_for(platform: Platform, family: Family = Family.OCI) -> ImageBuilder:
    """Images for several platforms that share their first layer."""
    builder = ImageBuilder(family, platform=platform).layer(OS)
    return builder.layer(program(platform)).layer(FINISH)


def program(platform: Platform) -> LayerBuilder:
    data = str(platform).encode() + noise(9000)
    return LayerBuilder().directory("app").file("app/program", data).file("app/old", b"old")


def three(family: Family = Family.OCI, **choices: bool) -> BuiltIndex:
    images = [built_for(platform, family) for platform in PLATFORMS]
    return index_of(images, family, annotations={"about": "three"}, **choices)


def children(lab: Lab) -> list[Json]:
    document = json.loads(lab.new.manifest("app", "1").data)
    found = document["manifests"]
    assert isinstance(found, list)
    return found


def child_tree(lab: Lab, child: Json) -> object:
    return Arrived(lab.new, "app", child["digest"]).tree()


@FAMILIES
@pytest.mark.parametrize("base", ["none", "1", "auto"])
def test_every_platform_is_squashed(lab: Lab, family: Family, base: str) -> None:
    index = three(family)
    if family is Family.DOCKER:
        index = without_annotations(index)
    lab.put(index)
    result = lab.copy(base=base)
    assert [copied.platform for copied in result.platforms] == list(map(str, PLATFORMS))
    assert lab.new.manifest("app", "1").media_type == index.manifest.media_type
    for child, platform, image in zip(children(lab), PLATFORMS, index.images, strict=True):
        assert child["platform"]["architecture"] == platform.architecture
        assert child["mediaType"] == image.manifest.media_type
        assert child_tree(lab, child) == tree(OS, program(platform), FINISH)
    assert [child["digest"] for child in children(lab)] == [
        copied.digest for copied in result.platforms
    ]
    assert result.digest == lab.new.tags("app")["1"]
    assert result.source_digest == index.digest


def without_annotations(index: BuiltIndex) -> BuiltIndex:
    document = json.loads(index.manifest.data)
    del document["annotations"]
    return with_document(index, document)


def with_document(index: BuiltIndex, document: Json) -> BuiltIndex:
    raw = RawManifest(json.dumps(document).encode(), index.manifest.media_type)
    return replace(index, manifest=raw)


def test_the_index_says_where_it_comes_from(lab: Lab) -> None:
    index = three()
    lab.put(index)
    lab.copy(base="1")
    annotations = json.loads(lab.new.manifest("app", "1").data)["annotations"]
    assert annotations["about"] == "three"
    assert annotations[SOURCE_DIGEST] == index.digest
    assert OPTIONS in annotations
    for child, image in zip(children(lab), index.images, strict=True):
        arrived = Arrived(lab.new, "app", child["digest"])
        assert arrived.manifest["annotations"][SOURCE_DIGEST] == image.digest


def test_a_list_of_dockers_gets_no_annotations(lab: Lab) -> None:
    lab.put(without_annotations(three(Family.DOCKER)))
    lab.copy(base="1")
    assert "annotations" not in json.loads(lab.new.manifest("app", "1").data)
    assert lab.new.manifest("app", "1").media_type == DOCKER_INDEX


def test_the_indexs_word_on_a_base_is_not_passed_on(lab: Lab) -> None:
    index = index_of([app(), built_for(ARM64)], annotations={BASE_NAME: "example.com/os:1"})
    lab.put(index)
    lab.copy(base="none")
    assert BASE_NAME not in json.loads(lab.new.manifest("app", "1").data)["annotations"]


class TestPlatformsAskedFor:
    def test_one_gives_its_image_without_an_index(self, lab: Lab) -> None:
        index = three()
        lab.put(index)
        result = lab.copy(base="1", platforms=(ARM64,))
        arrived = lab.arrived()
        assert arrived.media_type == OCI_MANIFEST
        assert arrived.tree() == tree(OS, program(ARM64), FINISH)
        assert arrived.config["architecture"] == "arm64"
        assert result.digest == result.platforms[0].digest
        assert len(result.platforms) == 1
        assert lab.new.manifests("app") == {result.digest}

    def test_two_give_an_index_of_two(self, lab: Lab) -> None:
        lab.put(three())
        result = lab.copy(base="1", platforms=(S390X, AMD64))
        assert lab.new.manifest("app", "1").media_type == OCI_INDEX
        found = [child["platform"]["architecture"] for child in children(lab)]
        assert found == ["amd64", "s390x"]
        assert len(result.platforms) == 2

    def test_all_of_them_give_the_same_images(self, lab: Lab) -> None:
        lab.put(three())
        plain = lab.copy(base="none", target="app:all")
        asked_for = lab.copy(base="none", platforms=PLATFORMS)
        assert len(asked_for.platforms) == len(plain.platforms) == 3

    def test_the_others_are_not_read(self, lab: Lab) -> None:
        index = three()
        lab.put(index)
        lab.copy(base="1", platforms=(ARM64,))
        for image in (index.images[0], index.images[2]):
            assert not any(image.digest in line for line in asked(lab.old))
            assert not any(image.layers[1].digest in line for line in asked(lab.old))

    def test_one_that_is_missing_is_an_error_that_names_those_that_are_there(
        self, lab: Lab
    ) -> None:
        lab.put(three(attestations=True))
        wanted = parse_platform("windows/amd64")
        words = ("no image for windows/amd64", "linux/amd64, linux/arm64, linux/s390x")
        error = fails(lab, NoSuchPlatform, *words, platforms=(AMD64, wanted))
        assert "unknown" not in str(error)

    def test_a_single_image_for_another_platform_is_an_error(self, lab: Lab) -> None:
        lab.put(app())
        fails(lab, NoSuchPlatform, "is for linux/amd64", "linux/arm64", platforms=(ARM64,))

    def test_a_single_image_for_one_of_them_is_copied(self, lab: Lab) -> None:
        lab.put(app())
        lab.copy(platforms=(ARM64, AMD64))
        assert lab.arrived().tree() == tree(*LAYERS)

    @pytest.mark.parametrize(
        ("wanted", "variants"),
        [("linux/arm64", ["v8"]), ("linux/arm/v7", ["v7"]), ("linux/arm", ["v6", "v7"])],
    )
    def test_variants(self, lab: Lab, wanted: str, variants: list[str]) -> None:
        stated = [Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7")]
        stated.append(Platform("linux", "arm64", "v8"))
        lab.put(index_of([built_for(platform) for platform in stated]))
        result = lab.copy(platforms=(parse_platform(wanted),))
        assert [copied.platform.rpartition("/")[2] for copied in result.platforms] == variants


class TestSharedWork:
    def test_a_layer_of_the_base_that_platforms_share_is_fetched_and_pushed_once(
        self, lab: Lab
    ) -> None:
        index = three()
        lab.put(index)
        result = lab.copy(base="1")
        shared = index.images[0].layers[0].digest
        assert {image.layers[0].digest for image in index.images} == {shared}
        assert fetched(lab.old, shared) == 1
        assert sum(copied.uploaded_bytes for copied in result.platforms) == pushed_bytes(lab.new)
        reused = [copied.reused_bytes for copied in result.platforms]
        assert reused == [0, index.images[0].layers[0].size, index.images[0].layers[0].size]

    def test_the_same_layers_are_merged_once(self, lab: Lab) -> None:
        images = [app(platform=platform) for platform in PLATFORMS]
        lab.put(index_of(images))
        result = lab.copy(base="none")
        for layer in images[0].layers:
            assert fetched(lab.old, layer.digest) == 1
        assert sum(copied.uploaded_bytes for copied in result.platforms) == pushed_bytes(lab.new)
        assert len({copied.digest for copied in result.platforms}) == 3
        for child in children(lab):
            assert child_tree(lab, child) == tree(*LAYERS)
        first, *others = result.platforms
        for copied in others:
            assert copied.reused_bytes == first.compressed_after
            assert copied.hidden_bytes == first.hidden_bytes

    def test_the_same_layers_on_another_base_are_merged_apart(self, lab: Lab) -> None:
        base().push(lab.old, "os", "1")
        images = [
            app(platform=AMD64, annotations={BASE_NAME: f"{lab.old.host}/os:1"}),
            app(platform=ARM64),
        ]
        lab.put(index_of(images))
        result = lab.copy()
        assert [copied.base_layers for copied in result.platforms] == [2, 1]
        for child in children(lab):
            assert child_tree(lab, child) == tree(*LAYERS)


class TestAttestations:
    def test_they_are_left_out_named_and_counted(self, lab: Lab) -> None:
        index = three(attestations=True)
        lab.put(index)
        result = lab.copy(base="1")
        (warning,) = result.warnings
        assert warning.startswith("3 attestations were left out")
        for attestation in index.attestations:
            assert attestation.digest[:19] in warning
            assert attestation.digest not in lab.new.manifests("app")
        assert [copied.platform for copied in result.platforms] == list(map(str, PLATFORMS))
        assert len(children(lab)) == 3

    def test_one_is_one(self, lab: Lab) -> None:
        lab.put(index_of([app()], attestations=True))
        (warning,) = lab.copy(base="1").warnings
        assert warning.startswith("1 attestation was left out")

    def test_they_are_left_out_even_where_nothing_is_squashed(self, lab: Lab) -> None:
        index = index_of([image_of(OS)], attestations=True)
        lab.put(index)
        lab.copy()
        assert [child["digest"] for child in children(lab)] == [index.images[0].digest]

    def test_an_index_that_holds_nothing_else_is_refused(self, lab: Lab) -> None:
        index = index_of([app()], attestations=True)
        document = json.loads(index.manifest.data)
        document["manifests"] = document["manifests"][1:]
        lab.put(with_document(index, document))
        fails(lab, FormatError, "no image")


def test_what_a_child_is_called_is_kept(lab: Lab) -> None:
    index = three()
    document = json.loads(index.manifest.data)
    first, second, third = document["manifests"]
    first["annotations"] = {"org.example.flavour": "first"}
    second["platform"]["os.version"] = "10.0.1"
    second["platform"]["features"] = ["x"]
    third.update(data="e30=", urls=["https://example.com/third"])
    lab.put(with_document(index, document))
    lab.copy(base="1")
    one, two, three_ = children(lab)
    assert one["annotations"] == {"org.example.flavour": "first"}
    assert two["platform"] == second["platform"]
    assert set(three_) == {"mediaType", "digest", "size", "platform"}


def test_unknown_fields_of_the_index_survive(lab: Lab) -> None:
    index = three()
    document = {**json.loads(index.manifest.data), "x-unknown": [1]}
    lab.put(with_document(index, document))
    lab.copy(base="1")
    assert json.loads(lab.new.manifest("app", "1").data)["x-unknown"] == [1]


@FAMILIES
def test_nothing_to_squash_anywhere_leaves_every_byte_as_it_is(lab: Lab, family: Family) -> None:
    images = [ImageBuilder(family, platform=platform).layer(OS) for platform in PLATFORMS]
    index = index_of(images, family)
    lab.put(index)
    result = lab.copy()
    assert result.digest == index.digest
    assert lab.new.manifest("app", "1") == index.manifest
    assert lab.copy().skipped


def test_what_is_no_image_beside_images_is_left_out(lab: Lab) -> None:
    index = three()
    artifact = replace(
        index.images[2],
        manifest=RawManifest(
            json.dumps(
                {**json.loads(index.images[2].manifest.data), "artifactType": "application/x"}
            ).encode(),
            OCI_MANIFEST,
        ),
    )
    mixed = index_of([*index.images[:2], artifact])
    lab.put(mixed)
    result = lab.copy(base="1")
    (warning,) = result.warnings
    assert "application/x" in warning
    assert artifact.digest[:19] in warning
    assert len(children(lab)) == 2
    assert artifact.digest not in lab.new.manifests("app")
    assert children(lab)[0]["digest"] != index.images[0].digest


def test_the_images_of_an_index_within_an_index_are_squashed_too(lab: Lab) -> None:
    inner = three()
    lab.put(inner, "app")
    document = json.loads(index_of([app()]).manifest.data)
    document["manifests"].append(inner.manifest.descriptor.to_json())
    lab.put(with_document(index_of([app()]), document))
    assert len(lab.copy(base="1").platforms) == 4
    assert len(children(lab)) == 4


def test_children_come_before_the_index_and_the_tag_last(lab: Lab) -> None:
    lab.put(three())
    result = lab.copy(base="1")
    puts = [line.split()[1] for line in asked(lab.new) if "PUT app/manifests" in line]
    assert puts == [f"app/manifests/{copied.digest}" for copied in result.platforms] + [
        "app/manifests/1"
    ]


def test_a_platform_that_fails_leaves_the_tag_as_it_was(lab: Lab) -> None:
    broken = ImageBuilder(platform=ARM64).layer(OS).layer(RUNTIME).layer(b"no tar" * 200)
    lab.put(index_of([app(), broken.layer(APP)]))
    fails(lab, BadArchive, "layer 3 of 4", base="1")
