"""Applications that were built on an original find its squashed form, and share that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from squashproxy.errors import BaseMismatch, ServerFault, TreesDiffer
from squashproxy.oci.chain import chain_id
from squashproxy.oci.mediatypes import Family, family_of_layer
from squashproxy.pipeline.bases.base_repository import MOST_TAGS, natural_key
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult, LayerAction
from squashproxy.progress import SilentObserver
from squashproxy.reference import Repository, parse_reference
from squashproxy.testing import BuiltImage, Fault, ImageBuilder, LayerBuilder, index_of
from squashproxy.transports.registry import RegistrySource
from squashproxy.verify.verification import verify_images
from tests.pipeline.images import (
    APP,
    ARM64,
    BASE_DIGEST,
    BASE_NAME,
    LAYERS,
    OPTIONS,
    OS,
    RUNTIME,
    SOURCE_DIGEST,
    TOP,
    app,
    base,
    image_of,
    noise,
)
from tests.pipeline.lab import Arrived, Lab, Listener, asked, changed, fails, options, tree

Labs = Callable[..., Lab]
REPLACED = "layers 1 to 2 replaced by their squashed form"
CHAIN = "dev.squashproxy.source.chain"
FAMILIES = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)


def squashed_base(lab: Lab, image: Any = None, name: str = "base/os:1", **choices: Any) -> Arrived:
    """Put the squashed form of a base (by default of `base()`) into the target registry."""
    lab.put(image or base(), "original:1")
    lab.copy("original:1", name, **{"base": "none", **choices})
    repo, _, tag = name.partition(":")
    lab.forget_requests()
    return lab.arrived(tag, repo)


def in_repos(lab: Lab, *names: str) -> tuple[Repository, ...]:
    return tuple(Repository(lab.new.host, name) for name in names or ("base/os",))


def identical(lab: Lab, name: str = "app:1") -> bool:
    """Whether the witness finds no difference between source and result."""
    result = RegistrySource(lab.client, parse_reference(f"{lab.new.host}/{name}"))
    return verify_images(
        lab.source(name), result, observer=SilentObserver(), clock=time.monotonic
    ).identical


class TestAResultRecordsTheChainOfItsSource:
    def test_as_an_annotation_and_in_the_history(self, lab: Lab) -> None:
        image = app()
        lab.put(image)
        lab.copy()
        arrived = lab.arrived()
        chain = chain_id(image.diff_ids)
        assert arrived.manifest["annotations"][CHAIN] == chain
        assert arrived.config["history"][-1]["comment"].endswith(f" {CHAIN}={chain}")

    def test_of_a_docker_image_in_the_history_alone(self, lab: Lab) -> None:
        image = app(Family.DOCKER)
        lab.put(image)
        lab.copy()
        arrived = lab.arrived()
        comment = arrived.config["history"][-1]["comment"]
        assert "annotations" not in arrived.manifest
        assert comment.split()[-1] == f"{CHAIN}={chain_id(image.diff_ids)}"

    def test_of_an_index_each_image_its_own_and_the_index_none(self, lab: Lab) -> None:
        images = [app(), ImageBuilder(platform=ARM64).layer(OS).layer(APP).layer(TOP).build()]
        lab.put(index_of(images))
        lab.copy()
        index = lab.arrived()
        assert CHAIN not in index.manifest["annotations"]
        for image, child in zip(images, index.manifest["manifests"], strict=True):
            annotations = lab.arrived(child["digest"]).manifest["annotations"]
            assert annotations[CHAIN] == chain_id(image.diff_ids)

    def test_what_was_squashed_twice_records_the_chain_of_its_own_source(self, lab: Lab) -> None:
        lab.put(app())
        lab.copy()
        first = lab.arrived()
        copy_image(
            RegistrySource(lab.client, parse_reference(f"{lab.new.host}/app:1")),
            lab.sink("app:2"),
            options("none"),
            open_source=lab.open,
            observer=Listener(),
            clock=time.monotonic,
        )
        own = chain_id(first.config["rootfs"]["diff_ids"])
        assert lab.arrived("2").manifest["annotations"][CHAIN] == own

    @FAMILIES
    def test_a_result_of_an_older_version_is_made_again(self, lab: Lab, family: Family) -> None:
        """Its options carry the older number, and it records no chain."""
        lab.put(app(family))
        lab.copy()
        new = lab.arrived()
        stamp = {
            SOURCE_DIGEST: app(family).digest,
            OPTIONS: "3-0123456789ab",
        }
        older = ImageBuilder(family, annotations=stamp if family is Family.OCI else None)
        comment = " ".join(f"{name}={value}" for name, value in stamp.items())
        older.layer(OS, history={"created_by": "squashproxy", "comment": comment})
        older.push(lab.new, "app", "1")
        assert not lab.copy().skipped
        assert lab.arrived().manifest == new.manifest


class TestTheResultStandsOnTheSquashedForm:
    @pytest.mark.parametrize("base_family", Family, ids=lambda family: f"base-{family.value}")
    @FAMILIES
    def test_whatever_the_families(self, lab: Lab, family: Family, base_family: Family) -> None:
        form = squashed_base(lab, base(base_family))
        lab.put(app(family))
        lab.forget_requests()
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        arrived = lab.arrived()
        assert len(form.layers) == 1
        assert arrived.layers[:1] == form.layers
        assert (copied.base_layers, copied.layers_before, copied.layers_after) == (2, 4, 2)
        assert copied.mounted_blobs == 1
        types = {family_of_layer(layer["mediaType"]) for layer in arrived.manifest["layers"]}
        assert types == {family}
        assert arrived.tree() == tree(*LAYERS)
        assert identical(lab)
        lab.forget_requests()
        assert lab.copy(base_repos=in_repos(lab)).skipped
        assert len(asked(lab.old)) + len(asked(lab.new)) <= 4

    def test_its_annotations_name_it(self, lab: Lab) -> None:
        form = squashed_base(lab)
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        annotations = lab.arrived().manifest["annotations"]
        assert annotations[BASE_NAME] == f"{lab.new.host}/base/os:1"
        assert annotations[BASE_DIGEST] == lab.new.tags("base/os")["1"]
        assert annotations[CHAIN] == chain_id(app().diff_ids) != form.manifest["annotations"][CHAIN]

    def test_its_history_is_that_of_the_base_with_what_is_above(self, lab: Lab) -> None:
        original = ImageBuilder().layer(OS).instruction("ENV a").layer(RUNTIME).instruction("CMD b")
        squashed_base(lab, original)
        lab.put(original.layer(APP).instruction("ENV c").layer(TOP))
        lab.copy(base_repos=in_repos(lab))
        steps = [
            (entry["created_by"], entry.get("empty_layer", False))
            for entry in lab.arrived().config["history"]
        ]
        assert steps == [
            *(("layer 1", True), ("ENV a", True), ("layer 2", True), ("CMD b", True)),
            ("squashproxy: layers 1 to 2 squashed", False),
            *(("layer 3", True), ("ENV c", True), ("layer 4", True)),
            (
                f"squashproxy: layers 3 to 4 squashed, {REPLACED}",
                False,
            ),
        ]

    def test_a_layer_that_is_alone_above_it_stays_as_it_is(self, lab: Lab) -> None:
        form = squashed_base(lab)
        extra = LayerBuilder().directory("srv").file("srv/one", b"1")
        image = image_of(OS, RUNTIME, extra)
        lab.put(image)
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        arrived = lab.arrived()
        assert arrived.layers == [*form.layers, image.layers[-1].digest]
        assert [layer.action for layer in copied.layers] == ["base", "base", "kept"]
        assert (copied.layers_before, copied.layers_after) == (3, 2)
        assert arrived.tree() == tree(OS, RUNTIME, extra)
        assert lab.copy(base_repos=in_repos(lab)).skipped

    @FAMILIES
    def test_an_image_that_adds_no_layer_becomes_its_layers_alone(
        self, lab: Lab, family: Family
    ) -> None:
        form = squashed_base(lab, base(family))
        child = ImageBuilder(family, config={"Cmd": ["/child"]}).layer(OS).layer(RUNTIME)
        lab.put(child.instruction("CMD /child"))
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        arrived = lab.arrived()
        assert arrived.layers == form.layers
        assert arrived.config["config"] == {"Cmd": ["/child"]}
        assert (copied.base_layers, copied.layers_after) == (2, 1)
        assert identical(lab)
        assert lab.copy(base_repos=in_repos(lab)).skipped

    def test_layers_above_it_of_which_nothing_is_left_become_none(self, lab: Lab) -> None:
        form = squashed_base(lab)
        made = LayerBuilder().file("usr/made", b"1")
        lab.put(image_of(OS, RUNTIME, made, LayerBuilder().whiteout("usr/made")))
        lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers == form.layers
        assert lab.arrived().tree() == tree(OS, RUNTIME)

    @pytest.mark.parametrize(
        "above",
        {
            "a whiteout of one of its files": LayerBuilder().whiteout("usr/runtime"),
            "a whiteout of one of its directories": LayerBuilder().whiteout("usr"),
            "an opaque directory": LayerBuilder().directory("usr").opaque("usr").file("usr/a", b""),
            "a file in place of a directory": LayerBuilder().file("usr", b"file"),
            "a directory in place of a file": LayerBuilder()
            .directory("etc/os-release")
            .file("etc/os-release/x", b"x"),
            "a file below a directory that only it describes": LayerBuilder().file("usr/b", b"b"),
        }.values(),
    )
    def test_what_refers_to_it_is_right(self, lab: Lab, above: LayerBuilder) -> None:
        squashed_base(lab)
        layers = (OS, RUNTIME, APP, above)
        lab.put(image_of(*layers))
        lab.copy(base_repos=in_repos(lab))
        assert len(lab.arrived().layers) == 2
        assert lab.arrived().tree() == tree(*layers)
        assert identical(lab)

    def test_a_base_without_any_file_has_no_layer(self, lab: Lab) -> None:
        gone = (LayerBuilder().file("a", b"1"), LayerBuilder().whiteout("a"))
        form = squashed_base(lab, image_of(*gone))
        lab.put(image_of(*gone, APP, TOP))
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        assert form.layers == []
        assert [layer.digest is None for layer in copied.layers] == [True, True, False, False]
        assert copied.layers_after == 1
        assert lab.arrived().tree() == tree(APP, TOP)

    def test_a_base_that_kept_its_own_base_has_two_layers(self, lab: Lab) -> None:
        extra = LayerBuilder().file("extra", noise(900, 7))
        form = squashed_base(lab, image_of(OS, RUNTIME, extra), base="1")
        image = image_of(OS, RUNTIME, extra, APP, TOP)
        lab.put(image)
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        arrived = lab.arrived()
        assert arrived.layers[:2] == form.layers
        assert form.layers[0] == image.layers[0].digest
        digests = [layer.digest for layer in copied.layers]
        assert digests == [form.layers[0], form.layers[1], form.layers[1], *arrived.layers[2:] * 2]
        sizes = [layer["size"] for layer in arrived.manifest["layers"]]
        after = [layer.packed_after for layer in copied.layers]
        assert after == [sizes[0], sizes[1], 0, sizes[2], 0]
        assert copied.compressed_after == arrived.size
        assert [layer.action for layer in copied.layers] == [
            *[LayerAction.BASE] * 3,
            *[LayerAction.SQUASHED] * 2,
        ]

    def test_its_compression_stays(self, lab: Lab) -> None:
        form = squashed_base(lab, compression="zstd")
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        types = [
            layer["mediaType"].rpartition("+")[2] for layer in lab.arrived().manifest["layers"]
        ]
        assert types == ["zstd", "gzip"]
        assert lab.arrived().layers[:1] == form.layers
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_a_mount_that_is_declined_costs_an_upload_from_the_base_repository(
        self, labs: Labs
    ) -> None:
        lab = labs(new={"mounts": False})
        form = squashed_base(lab)
        lab.put(app())
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        assert copied.mounted_blobs == 0
        assert lab.arrived().layers[:1] == form.layers
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_of_an_index_every_platform_has_its_own(self, lab: Lab) -> None:
        arm = [LayerBuilder().file("usr-arm", noise(500, 9)), RUNTIME]
        arm_base = ImageBuilder(platform=ARM64)
        arm_app = ImageBuilder(platform=ARM64)
        for layer in arm:
            arm_base.layer(layer)
            arm_app.layer(layer)
        arm_app.layer(APP).layer(TOP)
        forms = squashed_base(lab, index_of([base(), arm_base]))
        lab.put(index_of([app(), arm_app]))
        platforms = lab.copy(base_repos=in_repos(lab)).platforms
        assert [copied.base_layers for copied in platforms] == [2, 2]
        kept = [lab.arrived(copied.digest).layers[0] for copied in platforms]
        children = [child["digest"] for child in forms.manifest["manifests"]]
        assert kept == [lab.arrived(child, "base/os").layers[0] for child in children]
        assert kept[0] != kept[1]
        assert identical(lab)


class TestPrune:
    """The layers above a squashed base stay apart."""

    @FAMILIES
    def test_layers_above_it_are_pruned_where_they_stand(self, lab: Lab, family: Family) -> None:
        form = squashed_base(lab, base(family))
        image = app(family)
        lab.put(image)
        (copied,) = lab.copy(base_repos=in_repos(lab), mode=Mode.PRUNE).platforms
        arrived = lab.arrived()
        assert [layer.action for layer in copied.layers] == ["base", "base", "pruned", "kept"]
        assert (len(arrived.layers), copied.layers_after) == (3, 3)
        assert (arrived.layers[:1], arrived.layers[2]) == (form.layers, image.layers[3].digest)
        sizes = [layer["size"] for layer in arrived.manifest["layers"]]
        assert [layer.packed_after for layer in copied.layers] == [sizes[0], 0, *sizes[1:]]
        assert copied.compressed_after == arrived.size
        assert arrived.tree() == tree(*LAYERS)
        assert identical(lab)
        assert arrived.config["history"][-1]["created_by"] == (
            f"squashproxy: layers 3 to 4 pruned, {REPLACED}"
        )
        assert lab.copy(base_repos=in_repos(lab), mode=Mode.PRUNE).skipped

    @FAMILIES
    def test_layers_that_lose_nothing_stay_on_it(self, lab: Lab, family: Family) -> None:
        form = squashed_base(lab, base(family))
        extra = LayerBuilder().file("usr/more", noise(500, 3))
        image = image_of(OS, RUNTIME, APP, extra, family=family)
        lab.put(image)
        (copied,) = lab.copy(base_repos=in_repos(lab), mode=Mode.PRUNE).platforms
        arrived = lab.arrived()
        assert arrived.layers == [*form.layers, *(layer.digest for layer in image.layers[2:])]
        assert (copied.layers_after, copied.hidden_bytes) == (3, 0)
        assert arrived.tree() == tree(OS, RUNTIME, APP, extra)
        assert lab.copy(base_repos=in_repos(lab), mode=Mode.PRUNE).skipped

    def test_a_layer_of_which_nothing_is_left_goes(self, lab: Lab) -> None:
        form = squashed_base(lab)
        made = LayerBuilder().directory("srv").file("srv/made", noise(5000, 3))
        top = LayerBuilder().whiteout("srv").file("usr/top", b"1")
        lab.put(image_of(OS, RUNTIME, made, top))
        (copied,) = lab.copy(base_repos=in_repos(lab), mode=Mode.PRUNE).platforms
        assert [layer.action for layer in copied.layers] == ["base", "base", "dropped", "kept"]
        assert lab.arrived().layers[:1] == form.layers
        assert copied.layers_after == len(lab.arrived().layers) == 2
        assert lab.arrived().tree() == tree(OS, RUNTIME, made, top)

    def test_a_pruned_image_is_a_base_in_its_turn(self, lab: Lab) -> None:
        """A pruned result records the chain of its source, as a squashed one does."""
        changed_os = LayerBuilder().file("usr/runtime", noise(2000, 5))
        form = squashed_base(lab, image_of(OS, RUNTIME, changed_os), mode=Mode.PRUNE)
        assert len(form.layers) == 3
        lab.put(image_of(OS, RUNTIME, changed_os, APP, TOP))
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        assert lab.arrived().layers[:3] == form.layers
        assert (copied.base_layers, copied.layers_after) == (3, 4)
        assert lab.arrived().tree() == tree(OS, RUNTIME, changed_os, APP, TOP)

    def test_a_plan_says_what_a_copy_does(self, lab: Lab) -> None:
        squashed_base(lab)
        lab.put(app())
        choices: dict[str, Any] = {"base_repos": in_repos(lab), "mode": Mode.PRUNE}
        (plan,) = lab.plan(**choices).platforms
        (copied,) = lab.copy(**choices).platforms
        assert plan.layers_after == copied.layers_after
        assert plan.compressed_after == copied.compressed_after
        assert plan.upload_bytes == copied.uploaded_bytes
        after = [layer.compressed_after for layer in plan.layers]
        assert after == [layer.packed_after for layer in copied.layers]


class TestWhichOneCounts:
    def test_the_longest_run(self, lab: Lab) -> None:
        squashed_base(lab, image_of(OS, RUNTIME), "base/short:1")
        form = squashed_base(lab, image_of(OS, RUNTIME, APP), "base/long:1")
        squashed_base(lab, image_of(OS, RUNTIME), "base/also-short:1")
        lab.put(app())
        repos = in_repos(lab, "base/short", "base/long", "base/also-short")
        assert lab.copy(base_repos=repos).platforms[0].base_layers == 3
        assert lab.arrived().layers[:1] == form.layers

    def test_the_highest_tag_of_equals(self, lab: Lab) -> None:
        forms = {
            tag: squashed_base(lab, name=f"base/os:{tag}", compression=compression)
            for tag, compression in (("1.9", "zstd:1"), ("1.10", "gzip"), ("1.2", "zstd:19"))
        }
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers[:1] == forms["1.10"].layers

    def test_the_squashed_form_before_blobs_of_the_original_that_are_still_there(
        self, lab: Lab
    ) -> None:
        form = squashed_base(lab)
        base().push(lab.new, "base/os", None)
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers[:1] == form.layers

    def test_layers_that_are_held_as_they_are_if_they_are_more(self, lab: Lab) -> None:
        squashed_base(lab)
        image = app()
        image_of(OS, RUNTIME, APP).push(lab.new, "base/app", "1")
        lab.put(image)
        (copied,) = lab.copy(base_repos=in_repos(lab, "base/os", "base/app")).platforms
        assert copied.base_layers == 3
        assert lab.arrived().layers[:3] == [layer.digest for layer in image.layers[:3]]

    def test_the_squashed_form_before_the_original_that_the_annotation_names(
        self, lab: Lab
    ) -> None:
        form = squashed_base(lab)
        base().push(lab.old, "os", "1")
        lab.put(app(annotations={BASE_NAME: f"{lab.old.host}/os:1"}))
        lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers[:1] == form.layers
        assert lab.arrived().manifest["annotations"][BASE_NAME] == f"{lab.new.host}/base/os:1"

    def test_in_its_own_repository_no_image_is_its_own_base(self, lab: Lab) -> None:
        """With other options it would otherwise stay as it was made before."""
        lab.put(app())
        lab.copy()
        before = lab.arrived().layers
        result = lab.copy(base_repos=in_repos(lab, "app"), compression="zstd")
        assert result.platforms[0].base_layers == 1
        assert lab.arrived().layers[1] != before[1]
        assert lab.arrived().manifest["layers"][1]["mediaType"].endswith("zstd")

    def test_in_its_own_repository_an_earlier_image_may_be(self, lab: Lab) -> None:
        form = squashed_base(lab, name="app:base")
        lab.put(app())
        lab.copy(base_repos=in_repos(lab, "app"))
        assert lab.arrived().layers[:1] == form.layers

    def test_another_choice_of_base_searches_nothing(self, lab: Lab) -> None:
        squashed_base(lab)
        lab.put(app())
        lab.copy(base="1", base_repos=in_repos(lab))
        assert not [line for line in asked(lab.new) if "base/os" in line and "uploads" not in line]


STAMP = {
    SOURCE_DIGEST: base().digest,
    OPTIONS: "4-0123456789ab",
    CHAIN: str(chain_id(base().diff_ids)),
}
NOTE = {"comment": " ".join(f"{name}={value}" for name, value in STAMP.items())}
"""What the squashed form of `base()` records: as annotations, and as the last step."""


class TestWhatIsNotBelieved:
    """The record is a claim; where the image itself contradicts it, it is passed over."""

    @pytest.mark.parametrize(
        "image",
        {
            "annotations that a tool kept when it added a layer": ImageBuilder(annotations=STAMP)
            .layer(OS, history=NOTE)
            .layer(APP),
            "a step after the squash": ImageBuilder(annotations=STAMP)
            .layer(OS, history=NOTE)
            .instruction("CMD x"),
            "another platform": ImageBuilder(annotations=STAMP, platform=ARM64).layer(
                OS, history=NOTE
            ),
            "a chain that is none": ImageBuilder(annotations={**STAMP, CHAIN: "none"}).layer(OS),
            "an artifact": changed(
                ImageBuilder(annotations=STAMP).layer(OS, history=NOTE).build(),
                artifactType="text/plain",
            ),
        }.values(),
    )
    def test_it_is_no_base(self, lab: Lab, image: ImageBuilder | BuiltImage) -> None:
        image.push(lab.new, "base/os", "1")
        lab.put(app())
        result = lab.copy(base_repos=in_repos(lab))
        assert (result.warnings, result.platforms[0].base_layers) == ((), 1)
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_without_such_a_contradiction_it_is_one(self, lab: Lab) -> None:
        """So the cases above fail for what they are named after."""
        ImageBuilder(annotations=STAMP).layer(OS, history=NOTE).push(lab.new, "base/os", "1")
        lab.put(app())
        assert lab.copy(base_repos=in_repos(lab)).platforms[0].base_layers == 2

    def test_a_broken_image_beside_the_base_is_passed_over(self, lab: Lab) -> None:
        form = squashed_base(lab)
        lab.new.put_manifest("base/os", "9", b"{", "application/vnd.oci.image.manifest.v1+json")
        lab.put(app())
        result = lab.copy(base_repos=in_repos(lab))
        assert result.warnings == ()
        assert lab.arrived().layers[:1] == form.layers

    def test_a_lie_is_found_by_verify(self, lab: Lab) -> None:
        liar = ImageBuilder(annotations=STAMP).layer(LayerBuilder().file("evil"), history=NOTE)
        liar.push(lab.new, "base/os", "1")
        lab.put(app())
        with pytest.raises(TreesDiffer):
            lab.copy(base_repos=in_repos(lab), verify=True)
        assert lab.new.tags("app") == {}


class TestRequests:
    def searched(self, lab: Lab) -> list[str]:
        """The requests to the base repository, except those that bring its layers."""
        lines = [line for line in asked(lab.new) if line.split()[1].startswith("base/os/")]
        return [line for line in lines if "uploads" not in line and not line.startswith("HEAD")]

    def test_each_tag_costs_one_and_the_base_two(self, lab: Lab) -> None:
        squashed_base(lab)
        for tag in ("a", "b", "c"):
            image_of(APP).push(lab.new, "base/os", tag)
        form = lab.new.tags("base/os")["1"]
        config = lab.arrived("1", "base/os").manifest["config"]["digest"]
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        searched = self.searched(lab)
        assert sorted(searched[:2]) == ["GET base/os/tags/list 200"] * 2
        assert sorted(searched[2:6]) == [f"GET base/os/manifests/{tag} 200" for tag in "1abc"]
        assert searched[6:] == [
            f"GET base/os/manifests/{form} 200",
            f"GET base/os/blobs/{config} 200",
        ]

    def test_the_tag_that_the_annotation_names_decides_at_once(self, lab: Lab) -> None:
        squashed_base(lab)
        for tag in ("a", "b", "c"):
            image_of(APP).push(lab.new, "base/os", tag)
        lab.put(app(annotations={BASE_NAME: "registry.example.com/library/os:1"}))
        lab.copy(base_repos=in_repos(lab))
        searched = self.searched(lab)
        assert searched[0] == "GET base/os/manifests/1 200"
        assert len(searched) == 3

    @pytest.mark.parametrize(
        "name",
        [
            "registry.example.com/other:1",
            "registry.example.com/os:absent",
            "No Name",
            "os@sha256:0",
        ],
    )
    def test_an_annotation_that_leads_nowhere_costs_one_at_most(self, lab: Lab, name: str) -> None:
        form = squashed_base(lab)
        lab.put(app(annotations={BASE_NAME: name}))
        copied = lab.copy(base_repos=in_repos(lab))
        assert copied.platforms[0].base_layers == 2
        assert lab.arrived().layers[:1] == form.layers
        assert len(self.searched(lab)) <= 6

    def test_images_of_one_run_share_what_was_found_out(self, lab: Lab) -> None:
        squashed_base(lab)
        bases = SquashedBases()
        lab.put(app())
        _copy(lab, bases, "app:1")
        lab.forget_requests()
        _copy(lab, bases, "app:2")
        assert self.searched(lab) == []
        assert lab.arrived("2").layers == lab.arrived("1").layers

    def test_a_base_that_the_run_itself_pushes_is_found(self, lab: Lab) -> None:
        bases = SquashedBases()
        lab.put(app())
        lab.put(base(), "original:1")
        assert _copy(lab, bases, "app:1").platforms[0].base_layers == 1
        _copy(lab, bases, "base/os:1", source="original:1", base="none")
        lab.forget_requests()
        assert _copy(lab, bases, "app:2").platforms[0].base_layers == 2
        assert len(self.searched(lab)) == 3

    def test_of_many_tags_the_highest_are_read_and_a_warning_says_so(self, lab: Lab) -> None:
        form = squashed_base(lab, name="base/os:300")
        data = lab.new.manifest("base/os", image_of(APP).push(lab.new, "base/os", "0"))
        for number in range(MOST_TAGS + 50):
            lab.new.put_manifest("base/os", str(number), data.data, data.media_type)
        lab.put(app())
        lab.forget_requests()
        result = lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers[:1] == form.layers
        read = [line for line in self.searched(lab) if "manifests" in line]
        assert len(read) == MOST_TAGS + 1
        (warning,) = result.warnings
        assert f"more than {MOST_TAGS} tags" in warning

    def test_tags_of_signatures_are_not_read(self, lab: Lab) -> None:
        squashed_base(lab)
        digest = lab.new.tags("base/os")["1"]
        image_of(APP).push(lab.new, "base/os", digest.replace(":", "-") + ".sig")
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        assert not [line for line in self.searched(lab) if ".sig" in line]

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    def test_a_list_that_is_refused_leaves_the_plain_search(self, lab: Lab, status: int) -> None:
        squashed_base(lab)
        base().push(lab.new, "base/os", None)
        lab.new.arm(Fault("GET", "tags/list", status=status, times=100))
        lab.put(app())
        result = lab.copy(base_repos=in_repos(lab))
        assert lab.arrived().layers[:2] == [layer.digest for layer in app().layers[:2]]
        warnings = [word for word in result.warnings if "could not be searched" in word]
        assert len(warnings) == (status != 404)

    def test_a_registry_that_fails_for_now_is_an_error(self, lab: Lab) -> None:
        """With another base the same copy would give another image."""
        squashed_base(lab)
        lab.put(app())
        lab.new.arm(Fault("GET", "base/os/tags/list", status=503, times=100))
        fails(lab, ServerFault, "base/os", base_repos=in_repos(lab))

    def test_a_repository_that_is_not_there_holds_none(self, lab: Lab) -> None:
        lab.put(app())
        result = lab.copy(base_repos=in_repos(lab, "absent"))
        assert (result.warnings, result.platforms[0].base_layers) == ((), 1)


def _copy(
    lab: Lab, bases: SquashedBases, target: str, *, source: str = "app:1", base: str = "auto"
) -> CopyResult:
    return copy_image(
        lab.source(source),
        lab.sink(target),
        options(base, base_repos=in_repos(lab)),
        open_source=lab.open,
        observer=Listener(),
        clock=time.monotonic,
        squashed_bases=bases,
    )


class TestABaseThatIsNamed:
    """By `--base REF`, or by the annotation of the image itself."""

    def test_is_taken_in_squashed_form(self, lab: Lab) -> None:
        form = squashed_base(lab)
        lab.put(app())
        (copied,) = lab.copy(base=f"{lab.new.host}/base/os:1").platforms
        assert copied.base_layers == 2
        assert lab.arrived().layers[:1] == form.layers
        assert identical(lab)

    def test_in_another_registry_its_layers_are_copied_from_there(self, labs: Labs) -> None:
        lab, elsewhere = labs(), labs()
        form = squashed_base(elsewhere)
        lab.put(app())
        (copied,) = lab.copy(base=f"{elsewhere.new.host}/base/os:1").platforms
        assert copied.mounted_blobs == 0
        assert lab.arrived().layers[:1] == form.layers
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_by_the_annotation(self, lab: Lab) -> None:
        form = squashed_base(lab)
        name = f"{lab.new.host}/base/os:1"
        lab.put(app(annotations={BASE_NAME: name}))
        lab.copy()
        assert lab.arrived().layers[:1] == form.layers
        assert lab.arrived().manifest["annotations"][BASE_NAME] == name

    def test_the_squashed_form_of_something_else_is_an_error(self, lab: Lab) -> None:
        squashed_base(lab, image_of(RUNTIME, OS))
        lab.put(app())
        name = f"{lab.new.host}/base/os:1"
        fails(lab, BaseMismatch, name, "is not the base of", base=name)

    def test_is_not_believed_for_another_platform(self, lab: Lab) -> None:
        squashed_base(lab, ImageBuilder(platform=ARM64).layer(OS).layer(RUNTIME))
        lab.put(app())
        name = f"{lab.new.host}/base/os:1"
        fails(lab, BaseMismatch, name, "is not the base of", base=name)


class TestAPlan:
    @pytest.mark.parametrize(
        "image",
        {
            "layers above": app(),
            "one layer above": image_of(OS, RUNTIME, LayerBuilder().file("one", b"1")),
            "no layer above": ImageBuilder(config={"Cmd": ["/x"]}).layer(OS).layer(RUNTIME).build(),
        }.values(),
    )
    def test_says_what_a_copy_does(self, lab: Lab, image: BuiltImage) -> None:
        squashed_base(lab)
        lab.put(image)
        (plan,) = lab.plan(base_repos=in_repos(lab)).platforms
        (copied,) = lab.copy(base_repos=in_repos(lab)).platforms
        assert plan.base_reason == (
            f"the squashed form of the first 2 layers, in {lab.new.host}/base/os:1"
        )
        assert (plan.base_layers, plan.layers_before, plan.layers_after) == (
            copied.base_layers,
            copied.layers_before,
            copied.layers_after,
        )
        assert plan.compressed_after == copied.compressed_after
        assert plan.upload_bytes == copied.uploaded_bytes
        assert plan.mountable_bytes == lab.arrived("1", "base/os").size
        assert [layer.role for layer in plan.layers[:2]] == ["base", "base"]
        assert {layer.mountable_from for layer in plan.layers[:2]} == {f"{lab.new.host}/base/os"}

    def test_without_a_target_says_nothing_of_places(self, lab: Lab) -> None:
        squashed_base(lab)
        lab.put(app())
        (plan,) = lab.plan(target=None, base=f"{lab.new.host}/base/os:1").platforms
        assert [layer.in_target for layer in plan.layers] == [None] * 4
        assert plan.layers_after == 2

    def test_once_it_is_there(self, lab: Lab) -> None:
        squashed_base(lab)
        lab.put(app())
        lab.copy(base_repos=in_repos(lab))
        (plan,) = lab.plan(base_repos=in_repos(lab)).platforms
        assert plan.upload_bytes == 0
        assert [layer.in_target for layer in plan.layers[:2]] == [True, True]


def test_a_chain_of_squashed_bases_is_shared_all_the_way(lab: Lab) -> None:
    """The base of a base: each result begins with all layers of the one below it."""
    extra = LayerBuilder().file("extra", noise(4000, 5))
    lab.put(image_of(OS, RUNTIME, APP), "middle:1")
    lab.put(image_of(OS, RUNTIME, APP, TOP, extra), "app:1")
    low = squashed_base(lab)
    repos = in_repos(lab, "base/os", "base/middle")
    lab.copy("middle:1", "base/middle:1", base_repos=repos)
    lab.copy(base_repos=repos)
    middle = lab.arrived("1", "base/middle")
    assert middle.layers[:1] == low.layers
    assert lab.arrived().layers[:2] == middle.layers
    assert lab.arrived().tree() == tree(OS, RUNTIME, APP, TOP, extra)


@pytest.mark.parametrize(
    ("tags", "expected"),
    {
        "numbers count": (["1.9", "1.10", "1.2"], ["1.10", "1.9", "1.2"]),
        "words stand below numbers": (["latest", "1", "edge"], ["1", "latest", "edge"]),
        "longer ones stand above": (["1", "1.1", "1-slim"], ["1.1", "1-slim", "1"]),
    }.values(),
)
def test_the_order_of_tags(tags: Sequence[str], expected: Sequence[str]) -> None:
    assert sorted(tags, key=natural_key, reverse=True) == expected
