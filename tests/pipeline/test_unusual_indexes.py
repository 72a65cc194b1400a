"""Indexes that hold more, or less, than runnable images: indexes, artifacts, blobs, nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from squashproxy.errors import FormatError, NoSuchPlatform, NotFound, SquashproxyError, UsageError
from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform, parse_platform
from squashproxy.pipeline.inspect import inspect_image
from squashproxy.pipeline.mode import Mode
from squashproxy.testing import AMD64, BuiltImage, LayerBuilder, attestation_of, index_of
from tests.cli.command_line import InProcess
from tests.pipeline.images import ARM64, BASE_DIGEST, BASE_NAME, LAYERS, OS, app, image_of
from tests.pipeline.indexes import (
    SOCI,
    Whole,
    artifact,
    build_cache,
    entry,
    listing,
    named,
)
from tests.pipeline.lab import Arrived, Json, Lab, fails, tree
from tests.pipeline.other_systems import stating

MODES = {"squash": {}, "flatten": {"base": "none"}, "prune": {"mode": Mode.PRUNE}}
EVERY = {**MODES, "copy": {"mode": Mode.COPY}}
FAMILIES = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)


@pytest.fixture
def squashproxy(capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command line, in this process."""
    return InProcess(capsys)


def put(lab: Lab, whole: Whole, tag: str = "1") -> None:
    whole.push(lab.old, "app", tag)


def children(lab: Lab) -> list[Json]:
    found: list[Json] = json.loads(lab.new.manifest("app", "1").data)["manifests"]
    return found


def holds_all(lab: Lab, digest: str) -> bool:
    """Whether the target has a manifest and all that it lists, byte for byte."""
    document = json.loads(lab.new.manifest("app", digest).data)
    below = document.get("manifests", [])
    manifests = [each for each in below if mediatypes.is_manifest(each["mediaType"])]
    blobs = [each for each in below if each not in manifests]
    blobs += [*document.get("layers", []), *filter(None, [document.get("config")])]
    return all(each["digest"] in lab.new.blobs("app") for each in blobs) and all(
        holds_all(lab, each["digest"]) for each in manifests
    )


class TestBlobsInPlaceOfManifests:
    """BuildKit keeps a cache as an index of layers and a config of its own."""

    @FAMILIES
    @pytest.mark.parametrize("choices", EVERY.values(), ids=EVERY)
    def test_it_is_copied_with_its_blobs(
        self, lab: Lab, family: Family, choices: dict[str, Any]
    ) -> None:
        cache = build_cache(family)
        put(lab, cache)
        result = lab.copy(verify=True, **choices)
        assert result.digest == cache.digest
        assert holds_all(lab, cache.digest)
        assert sum(copied.uploaded_bytes for copied in result.platforms) == sum(
            map(len, cache.blobs)
        )
        assert lab.copy(**choices).skipped

    def test_a_copy_says_so(self, lab: Lab) -> None:
        put(lab, build_cache())
        (warning,) = lab.copy().warnings
        assert "holds no image but application/vnd.buildkit.cacheconfig.v0" in warning
        assert warning.endswith("copied as it is")

    def test_a_plan_says_so(self, lab: Lab) -> None:
        put(lab, build_cache())
        result = lab.plan()
        assert result.platforms == ()
        assert "a copy leaves it as it is" in result.warnings[0]

    def test_it_is_shown(self, lab: Lab) -> None:
        cache = build_cache()
        put(lab, cache)
        shown = inspect_image(lab.source())
        assert [image.compressed for image in shown.images] == list(map(len, cache.blobs))

    def test_there_is_no_tree_to_verify(self, lab: Lab, squashproxy: InProcess) -> None:
        put(lab, build_cache())
        outcome = squashproxy("verify", f"{lab.old.host}/app:1", f"{lab.old.host}/app:1")
        assert outcome.code == 1
        assert "holds application/vnd.buildkit.cacheconfig.v0 and no image" in outcome.err

    def test_it_is_for_no_platform(self, lab: Lab) -> None:
        put(lab, build_cache())
        fails(lab, NoSuchPlatform, "has no image for linux/amd64", platforms=(AMD64,))

    @pytest.mark.parametrize("whole", [build_cache(), artifact()], ids=["a cache", "an artifact"])
    def test_an_archive_of_docker_takes_nothing_but_images(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path, whole: Whole
    ) -> None:
        put(lab, whole)
        target = tmp_path / "app.tar"
        outcome = squashproxy("copy", f"{lab.old.host}/app:1", f"docker-archive:{target}:app:1")
        assert outcome.code == 1
        assert "takes nothing but images" in outcome.err
        assert not target.exists()

    def test_beside_images_they_are_left_out(self, lab: Lab) -> None:
        image, blob = app(), build_cache()
        put(lab, listing([image, *json.loads(blob.manifest.data)["manifests"]], blobs=blob.blobs))
        result = lab.copy(base="none")
        assert len(children(lab)) == 1
        assert "3 that are no images were left out" in result.warnings[0]


class TestAbsentImages:
    """A sparse index names images that the registry does not hold."""

    @pytest.mark.parametrize("choices", EVERY.values(), ids=EVERY)
    def test_a_copy_of_all_names_the_absent_one(self, lab: Lab, choices: dict[str, Any]) -> None:
        absent = self.put(lab)
        words = ("names an image for linux/arm64", absent.digest, "not there", "`platforms`")
        fails(lab, NotFound, *words, **choices)
        assert absent.digest not in lab.new.manifests("app")

    @pytest.mark.parametrize("choices", EVERY.values(), ids=EVERY)
    def test_a_platform_that_is_there_is_copied(self, lab: Lab, choices: dict[str, Any]) -> None:
        self.put(lab)
        result = lab.copy(platforms=(AMD64,), **choices)
        assert result.platforms[0].platform == "linux/amd64"
        assert lab.arrived().tree() == tree(*LAYERS)
        assert lab.copy(platforms=(AMD64,), **choices).skipped

    def test_a_platform_that_is_not_there_is_named(self, lab: Lab) -> None:
        absent = self.put(lab)
        fails(lab, NotFound, "linux/arm64", absent.digest, platforms=(ARM64,))

    def test_a_plan_names_it_too(self, lab: Lab) -> None:
        absent = self.put(lab)
        with pytest.raises(NotFound, match=absent.digest):
            lab.plan()
        assert len(lab.plan(platforms=(AMD64,)).platforms) == 1

    def test_an_absent_attestation_is_not_missed(self, lab: Lab) -> None:
        index = index_of([app()], attestations=True)
        for image in index.images:
            image.push(lab.old, "app")
        lab.old.put_manifest("app", "1", index.manifest.data, index.manifest.media_type)
        assert len(lab.copy(base="none").platforms) == 1

    def test_the_others_are_shown(self, lab: Lab, squashproxy: InProcess) -> None:
        absent = self.put(lab)
        shown = inspect_image(lab.source())
        assert [image.platform for image in shown.images] == ["linux/amd64"]
        assert shown.absent == (absent.digest,)
        outcome = squashproxy("inspect", f"{lab.old.host}/app:1")
        assert outcome.code == 0
        assert absent.digest in outcome.out

    def test_the_others_are_verified(self, lab: Lab, squashproxy: InProcess) -> None:
        absent = self.put(lab)
        lab.copy(platforms=(AMD64,))
        names = (f"{lab.old.host}/app:1", f"{lab.new.host}/app:1")
        assert squashproxy("verify", "--platform", "linux/amd64", *names).code == 0
        outcome = squashproxy("verify", *names)
        assert outcome.code == 1
        assert absent.digest in outcome.err

    def test_an_absent_inner_index(self, lab: Lab) -> None:
        inner = listing([app(platform=ARM64)])
        put(lab, listing([app(), named(inner, "linux/arm64")]))
        fails(lab, NotFound, "linux/arm64", inner.digest)
        assert len(lab.copy(platforms=(AMD64,)).platforms) == 1
        assert inspect_image(lab.source()).absent == (inner.digest,)

    def test_in_a_layout_it_is_left_out_and_named(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        put(lab, listing([app(), app(platform=ARM64)]))
        layout = f"oci:{tmp_path / 'layout'}:app"
        squashproxy("copy", "--mode", "copy", f"{lab.old.host}/app:1", layout)
        absent = app(platform=ARM64).digest
        (tmp_path / "layout/blobs/sha256" / absent.partition(":")[2]).unlink()
        outcome = squashproxy("copy", layout, f"{lab.new.host}/app:1")
        assert outcome.code == 0
        assert f"they are left out: linux/arm64 ({absent[:19]})" in outcome.err
        names = ("--platform", "linux/amd64", layout, f"{lab.new.host}/app:1")
        assert squashproxy("copy", *names).code == 0

    @staticmethod
    def put(lab: Lab) -> BuiltImage:
        absent = app(platform=ARM64)
        put(lab, listing([app(), entry(absent)]))
        return absent


def two_deep(family: Family = Family.OCI, *, attestations: bool = False) -> Whole:
    """A top index, whose children with platforms are indexes of image and attestation."""
    amd64 = index_of([app(family)], family, attestations=attestations)
    arm64 = index_of([app(family, platform=ARM64)], family, attestations=attestations)
    return Whole(
        listing([named(amd64, "linux/amd64"), named(arm64, "linux/arm64")], family).manifest,
        below=(amd64, arm64),
    )


class TestIndexesInIndexes:
    """They are followed in every verb. What is rewritten stands in one flat index."""

    @FAMILIES
    @pytest.mark.parametrize("choices", MODES.values(), ids=MODES)
    def test_their_images_are_squashed_into_one_index(
        self, lab: Lab, family: Family, choices: dict[str, Any]
    ) -> None:
        put(lab, two_deep(family, attestations=True))
        result = lab.copy(verify=True, **choices)
        assert [copied.platform for copied in result.platforms] == ["linux/amd64", "linux/arm64"]
        found = children(lab)
        assert [child["platform"]["architecture"] for child in found] == ["amd64", "arm64"]
        for child in found:
            assert Arrived(lab.new, "app", child["digest"]).tree() == tree(*LAYERS)
        assert result.warnings[0].startswith("2 attestations were left out")
        assert lab.copy(**choices).skipped

    def test_one_platform_is_that_image(self, lab: Lab) -> None:
        put(lab, two_deep(attestations=True))
        for mode in Mode:
            lab.copy(platforms=(ARM64,), mode=mode, target=f"app:{mode.value}")
            arrived = lab.arrived(mode.value)
            assert arrived.config["architecture"] == "arm64"
            assert arrived.tree() == tree(*LAYERS)

    def test_an_inner_index_for_another_platform_is_not_read(self, lab: Lab) -> None:
        whole = two_deep()
        put(lab, whole)
        lab.forget_requests()
        lab.copy(platforms=(ARM64,))
        other = whole.below[0].digest
        assert not any(other in exchange.path for exchange in lab.old.requests)

    def test_an_exact_copy_keeps_them(self, lab: Lab) -> None:
        whole = two_deep(attestations=True)
        put(lab, whole)
        assert lab.copy(mode=Mode.COPY).digest == whole.digest
        assert holds_all(lab, whole.digest)

    def test_where_nothing_changes_every_byte_stays(self, lab: Lab) -> None:
        inner = listing([image_of(OS)])
        whole = listing([inner])
        put(lab, whole)
        assert lab.copy().digest == whole.digest
        assert holds_all(lab, whole.digest)
        assert lab.copy().skipped

    def test_an_image_has_the_platform_of_the_index_around_it(self, lab: Lab) -> None:
        image = app(platform=ARM64)
        inner = listing([image.manifest.descriptor.to_json()])
        put(lab, Whole(listing([named(inner, "linux/arm64")]).manifest, below=(image, inner)))
        lab.copy(base="none")
        assert children(lab)[0]["platform"] == {"os": "linux", "architecture": "arm64"}

    def test_a_plan_looks_into_them(self, lab: Lab) -> None:
        put(lab, two_deep(attestations=True))
        for mode in Mode:
            plans = lab.plan(mode=mode).platforms
            assert [plan.platform for plan in plans] == ["linux/amd64", "linux/arm64"]
            assert all(plan.total_hidden > 0 for plan in plans)

    def test_they_are_shown(self, lab: Lab) -> None:
        put(lab, two_deep(attestations=True))
        shown = inspect_image(lab.source())
        assert [image.platform for image in shown.images] == ["linux/amd64", "linux/arm64"]
        assert shown.attestations == 2

    def test_they_are_verified(self, lab: Lab, squashproxy: InProcess) -> None:
        put(lab, two_deep(attestations=True))
        lab.copy(base="none")
        outcome = squashproxy("verify", f"{lab.old.host}/app:1", f"{lab.new.host}/app:1")
        assert outcome.code == 0, outcome.err
        assert outcome.out.count("the same tree") == 2

    @pytest.mark.parametrize("place", ["oci", "oci-archive"])
    def test_to_files_and_back(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path, place: str
    ) -> None:
        whole = two_deep()
        put(lab, whole)
        source, file = f"{lab.old.host}/app:1", f"{place}:{tmp_path / 'file'}:app"
        assert squashproxy("copy", "--mode", "copy", source, file).code == 0
        assert squashproxy("copy", "--base", "none", file, f"{lab.new.host}/app:1").code == 0
        assert len(children(lab)) == 2

    def test_an_archive_of_docker_takes_one_of_their_images(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        put(lab, two_deep(attestations=True))
        source, file = f"{lab.old.host}/app:1", f"docker-archive:{tmp_path / 'file'}:app:1"
        assert squashproxy("copy", source, file).code == 2
        assert squashproxy("copy", "--platform", "linux/arm64", source, file).code == 0

    def test_as_a_base(self, lab: Lab) -> None:
        inner = index_of([image_of(*LAYERS[:2])])
        whole = listing([inner])
        whole.push(lab.old, "os", "1")
        lab.put(app())
        (copied,) = lab.copy(base=f"{lab.old.host}/os:1").platforms
        assert copied.base_layers == 2

    def test_one_that_two_others_list_is_written_before_them(self, lab: Lab) -> None:
        shared = listing([image_of(OS)])
        whole = listing([listing([shared]), listing([shared], annotations={"a": "b"})])
        put(lab, whole)
        assert lab.copy().digest == whole.digest
        assert holds_all(lab, whole.digest)

    @pytest.mark.parametrize(("depth", "error"), [(7, None), (8, FormatError)])
    @pytest.mark.parametrize("choices", EVERY.values(), ids=EVERY)
    def test_to_a_depth(
        self,
        lab: Lab,
        depth: int,
        error: type[SquashproxyError] | None,
        choices: dict[str, Any],
    ) -> None:
        whole = listing([app()])
        for _ in range(depth):
            whole = listing([whole])
        put(lab, whole)
        if error is None:
            assert len(lab.copy(**choices).platforms) == 1
        else:
            fails(lab, error, "stands in more than 8 indexes", **choices)

    def test_in_many_ways_is_refused_before_it_takes_long(self, lab: Lab) -> None:
        """Seven indexes that list the next one 64 times lead to 64 ** 7 images."""
        whole = listing([app()])
        for _ in range(7):
            entries = [entry(whole) for _ in range(64)]
            whole = Whole(listing(entries).manifest, below=(whole,))
        put(lab, whole)
        lab.forget_requests()
        fails(lab, FormatError, "more than 4096 images")
        assert len(lab.old.requests) < 100

    def test_a_manifest_that_is_listed_as_an_index(self, lab: Lab) -> None:
        image = app()
        wrong = entry(image, mediaType=mediatypes.OCI_INDEX)
        put(lab, Whole(listing([wrong]).manifest, below=(image,)))
        fails(lab, FormatError, "as an index, which it is not")

    def test_an_index_that_is_listed_as_an_image(self, lab: Lab) -> None:
        inner = listing([app()])
        wrong = entry(inner, mediaType=mediatypes.OCI_MANIFEST)
        put(lab, Whole(listing([wrong]).manifest, below=(inner,)))
        fails(lab, FormatError, "is an index, although")


class TestArtifacts:
    """Beside images, what is no image is left out, and so are annotations that name it."""

    @pytest.mark.parametrize("is_told", [True, False], ids=["told by the index", "by itself only"])
    def test_they_are_left_out_with_a_warning(self, lab: Lab, *, is_told: bool) -> None:
        soci = artifact()
        self.put(lab, soci, artifactType=SOCI) if is_told else self.put(lab, soci)
        result = lab.copy(base="none", verify=True)
        (child,) = children(lab)
        assert child["annotations"] == {"org.example.flavour": "kept"}
        (warning,) = result.warnings
        assert "what is no image was left out" in warning
        assert soci.digest[:19] in warning
        assert SOCI in warning
        assert lab.copy(base="none").skipped

    def test_an_annotation_of_the_image_that_names_it_goes(self, lab: Lab) -> None:
        soci = artifact()
        self.put(lab, soci, annotations={"com.amazon.soci.index-digest": soci.digest, "a": "b"})
        lab.copy(base="none")
        found = Arrived(lab.new, "app", children(lab)[0]["digest"]).manifest["annotations"]
        assert found["a"] == "b"
        assert soci.digest not in found.values()

    @pytest.mark.parametrize("odd", [["a list"], {"an": "object"}, 7, None])
    def test_annotations_and_types_that_are_no_text(self, lab: Lab, odd: object) -> None:
        image = app()
        told = entry(image, annotations={"odd": odd}, artifactType=odd)
        put(
            lab,
            Whole(
                listing([told, app(platform=ARM64)]).manifest, below=(image, app(platform=ARM64))
            ),
        )
        assert lab.copy(base="none").platforms[-1].platform == "linux/arm64"

    def test_an_exact_copy_keeps_them(self, lab: Lab) -> None:
        self.put(lab, artifact())
        assert lab.copy(mode=Mode.COPY).digest == lab.old.tags("app")["1"]
        assert len(children(lab)) == 2

    @pytest.mark.parametrize("is_told", [True, False], ids=["told by the index", "by itself only"])
    @pytest.mark.parametrize("choices", EVERY.values(), ids=EVERY)
    def test_the_image_for_a_platform_is_the_image(
        self, lab: Lab, choices: dict[str, Any], *, is_told: bool
    ) -> None:
        told: Json = {"platform": {"os": "linux", "architecture": "amd64"}}
        if is_told:
            told["artifactType"] = SOCI
        self.put(lab, artifact(), **told)
        lab.copy(platforms=(AMD64,), **choices)
        assert lab.arrived().tree() == tree(*LAYERS)
        assert lab.copy(platforms=(AMD64,), **choices).skipped

    @pytest.mark.parametrize("choices", MODES.values(), ids=MODES)
    def test_an_artifact_for_a_platform_is_no_image_for_it(
        self, lab: Lab, choices: dict[str, Any]
    ) -> None:
        self.put(lab, artifact(), platform={"os": "linux", "architecture": "arm64"})
        fails(lab, NoSuchPlatform, "no image for linux/arm64", platforms=(ARM64,), **choices)

    def test_result_and_source_are_verified(self, lab: Lab, squashproxy: InProcess) -> None:
        self.put(lab, artifact())
        lab.copy(base="none")
        outcome = squashproxy("verify", f"{lab.old.host}/app:1", f"{lab.new.host}/app:1")
        assert (outcome.code, outcome.out.count("the same tree")) == (0, 1)

    def test_an_archive_of_docker_takes_the_image(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        self.put(lab, artifact(), platform={"os": "linux", "architecture": "amd64"})
        target = f"docker-archive:{tmp_path / 'file'}:app:1"
        outcome = squashproxy("copy", f"{lab.old.host}/app:1", target)
        assert outcome.code == 0, outcome.err

    def test_an_index_of_nothing_else_is_copied_as_it_is(self, lab: Lab) -> None:
        whole = listing([artifact(content=b"1"), artifact(content=b"2")])
        put(lab, whole)
        result = lab.copy()
        assert result.digest == whole.digest
        assert holds_all(lab, whole.digest)
        assert "holds no image but artifacts" in result.warnings[0]
        assert lab.copy().skipped

    def test_artifacts_for_one_platform_are_named(self, lab: Lab) -> None:
        one, two = artifact(content=b"1"), artifact(content=b"2")
        whole = listing([named(each, "linux/amd64") for each in (one, two)])
        put(lab, Whole(whole.manifest, below=(one, two)))
        words = ("several images for linux/amd64", one.digest, two.digest)
        fails(lab, UsageError, *words, mode=Mode.COPY, platforms=(AMD64,))

    def test_an_image_may_state_the_type_of_its_config(self, lab: Lab) -> None:
        """OCI image specification, descriptor.md: that is what `artifactType` is for an image."""
        image = app()
        told = entry(image, artifactType=mediatypes.OCI_CONFIG)
        put(lab, Whole(listing([told]).manifest, below=(image,)))
        (copied,) = lab.copy(base="none").platforms
        assert copied.layers_after == 1

    @staticmethod
    def put(
        lab: Lab, soci: Whole, annotations: dict[str, str] | None = None, **fields: Any
    ) -> None:
        image = app(annotations=annotations)
        named_by = {"com.amazon.soci.index-digest": soci.digest, "org.example.flavour": "kept"}
        entries = [entry(image, annotations=named_by), entry(soci, **fields)]
        put(lab, Whole(listing(entries).manifest, below=(image, soci)))


class TestAnnotationsOfEntries:
    def test_what_they_say_of_a_base_is_treated_as_on_manifests(self, lab: Lab) -> None:
        stated = {BASE_NAME: "example.com/os:1", BASE_DIGEST: f"sha256:{'a' * 64}", "a": "b"}
        image = app()
        put(lab, Whole(listing([entry(image, annotations=stated)]).manifest, below=(image,)))
        lab.copy(base="none")
        assert children(lab)[0]["annotations"] == {"a": "b"}

    def test_an_image_that_stays_keeps_them(self, lab: Lab) -> None:
        stated = {BASE_NAME: "example.com/os:1"}
        image = image_of(OS)
        whole = Whole(
            listing([entry(image, annotations=stated), app(platform=ARM64)]).manifest,
            below=(image, app(platform=ARM64)),
        )
        put(lab, whole)
        lab.copy(base="1")
        assert children(lab)[0]["annotations"] == stated


SPELLINGS: dict[str, tuple[Json, str]] = {
    "a variant without its letter": (
        {"os": "linux", "architecture": "arm", "variant": "7"},
        "linux/arm/v7",
    ),
    "arm64 with 8": ({"os": "linux", "architecture": "arm64", "variant": "8"}, "linux/arm64"),
    "aarch64": ({"os": "linux", "architecture": "aarch64"}, "linux/arm64"),
    "x86_64": ({"os": "linux", "architecture": "x86_64"}, "linux/amd64"),
    "capitals": ({"os": "Linux", "architecture": "AMD64"}, "linux/amd64"),
    "no system": ({"architecture": "amd64"}, "linux/amd64"),
    "armhf": ({"os": "linux", "architecture": "armhf"}, "linux/arm/v7"),
    "armel": ({"os": "linux", "architecture": "armel"}, "linux/arm/v6"),
    "arm without a variant": ({"os": "linux", "architecture": "arm"}, "linux/arm/v7"),
}


class TestPlatforms:
    """The config says it where the index does not, and spelling does not matter."""

    def test_children_without_platforms_have_that_of_their_config(self, lab: Lab) -> None:
        images = [app(), app(platform=ARM64)]
        bare = [image.manifest.descriptor.to_json() for image in images]
        put(lab, Whole(listing(bare).manifest, below=tuple(images)))
        for mode in Mode:
            result = lab.copy(platforms=(ARM64,), mode=mode, target=f"app:{mode.value}")
            assert lab.arrived(mode.value).config["architecture"] == "arm64"
            assert [copied.platform for copied in result.platforms] == ["linux/arm64"]
        fails(lab, NoSuchPlatform, "it has linux/amd64, linux/arm64", platforms=(S390X,))
        assert [plan.platform for plan in lab.plan(platforms=(ARM64,)).platforms] == ["linux/arm64"]

    @pytest.mark.parametrize(("stated", "asked"), SPELLINGS.values(), ids=SPELLINGS)
    @pytest.mark.parametrize("where", ["index", "config", "single"])
    def test_spellings(
        self, lab: Lab, squashproxy: InProcess, stated: Json, asked: str, where: str
    ) -> None:
        fields = {"os": None, "variant": None, **stated}
        image = stating(app(), **fields)
        if where == "single":
            lab.put(image)
        else:
            bare = image.manifest.descriptor.to_json()
            child = {**bare, "platform": stated} if where == "index" else bare
            put(lab, Whole(listing([child]).manifest, below=(image,)))
        result = lab.copy(platforms=(parse_platform(asked),), base="none")
        assert len(result.platforms) == 1
        names = (f"{lab.old.host}/app:1", f"{lab.new.host}/app:1")
        assert squashproxy("verify", "--platform", asked, *names).code == 0

    def test_a_variant_that_only_the_index_states(self, lab: Lab) -> None:
        image = stating(app(), architecture="arm")
        told = entry(image, platform={"os": "linux", "architecture": "arm", "variant": "v6"})
        put(lab, Whole(listing([told]).manifest, below=(image,)))
        wanted = parse_platform("linux/arm/v6")
        assert len(lab.copy(platforms=(wanted,), base="none").platforms) == 1
        assert len(lab.plan(platforms=(wanted,), base="none").platforms) == 1

    def test_the_base_of_a_variant_that_only_indexes_state(self, lab: Lab) -> None:
        """Each variant has layers of its own; no config says which it is for."""
        bases: list[tuple[BuiltImage, Json]] = []
        images: list[tuple[BuiltImage, Json]] = []
        for variant in ("v6", "v7"):
            first = LayerBuilder().file("etc/variant", variant.encode())
            told = {"os": "linux", "architecture": "arm", "variant": variant}
            for layers, whole in ((LAYERS[:1], bases), (LAYERS, images)):
                image = stating(image_of(first, *layers), architecture="arm")
                whole.append((image, entry(image, platform=told)))
        for repo, whole in (("os", bases), ("app", images)):
            below = tuple(image for image, _ in whole)
            index = listing([told for _, told in whole])
            Whole(index.manifest, below=below).push(lab.old, repo, "1")
        copies = lab.copy(base=f"{lab.old.host}/os:1").platforms
        assert [copied.base_layers for copied in copies] == [2, 2]

    def test_a_base_in_another_spelling(self, lab: Lab) -> None:
        base = stating(image_of(*LAYERS[:2]), architecture="x86_64")
        bare = {
            **base.manifest.descriptor.to_json(),
            "platform": {"os": "linux", "architecture": "x86_64"},
        }
        Whole(listing([bare]).manifest, below=(base,)).push(lab.old, "os", "1")
        lab.put(app())
        (copied,) = lab.copy(base=f"{lab.old.host}/os:1").platforms
        assert copied.base_layers == 2

    def test_the_same_image_twice_is_one_image(
        self, lab: Lab, squashproxy: InProcess, tmp_path: Path
    ) -> None:
        image = app()
        put(lab, Whole(listing([entry(image), entry(image)]).manifest, below=(image,)))
        lab.copy(platforms=(AMD64,), base="none")
        assert lab.arrived().tree() == tree(*LAYERS)
        lab.copy(platforms=(AMD64,), mode=Mode.COPY, target="app:exact")
        assert lab.new.tags("app")["exact"] == image.digest
        target = f"docker-archive:{tmp_path / 'file'}:app:1"
        assert squashproxy("copy", f"{lab.old.host}/app:1", target).code == 0

    def test_two_images_of_one_platform_stay_two(self, lab: Lab) -> None:
        """As Windows has them, for each of its versions."""
        first, second = app(), image_of(*LAYERS, OS)
        put(lab, listing([first, second]))
        result = lab.copy(base="none", verify=True)
        assert [copied.source_digest for copied in result.platforms] == [
            first.digest,
            second.digest,
        ]
        assert len(lab.copy(base="none", platforms=(AMD64,)).platforms) == 2
        fails(lab, UsageError, first.digest, second.digest, platforms=(AMD64,), mode=Mode.COPY)


S390X = Platform("linux", "s390x")


def test_an_index_of_attestations_and_artifacts_is_copied_as_it_is(lab: Lab) -> None:
    attestation = attestation_of(app())
    told = entry(attestation, platform={"os": "unknown", "architecture": "unknown"})
    soci = artifact()
    put(lab, Whole(listing([told, entry(soci)]).manifest, below=(attestation, soci)))
    assert lab.copy().digest == lab.old.tags("app")["1"]
