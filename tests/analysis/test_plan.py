"""A plan moves nothing, and says what a copy then reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from squashproxy.errors import BaseMismatch, NoSuchPlatform, NotFound
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP, Family
from squashproxy.reference import parse_repository
from squashproxy.testing import (
    BuiltImage,
    BuiltIndex,
    ImageBuilder,
    LayerBuilder,
    Packing,
    index_of,
)
from tests.pipeline.images import (
    APP,
    ARM64,
    HIDDEN_APP,
    OS,
    RUNTIME,
    TOP,
    app,
    base,
    image_of,
    noise,
)
from tests.pipeline.lab import Lab, fetched, methods

HIDDEN_OS = 512 + (512 + 512) + 512
"""Of OS, what upper layers hide: `etc`, its one small file, and `usr`, which RUNTIME has too."""
MEASURED = (
    "platform",
    "source_digest",
    "base_layers",
    "layers_before",
    "layers_after",
    "compressed_before",
    "unpacked_before",
    "unpacked_after",
    "hidden_bytes",
    "fallbacks",
)
"""What a plan knows exactly; figures of compressed sizes are estimates."""

TWICE = LayerBuilder().file("twice", b"1" * 3000).file("b").file("twice", b"2")
LINKED = LayerBuilder().file("a", b"x" * 9000).hardlink("b", "a")
IMAGES: dict[str, BuiltImage | BuiltIndex] = {
    "an image": app(),
    "docker": app(Family.DOCKER),
    "plain": app(packing=Packing.NONE),
    "zstd": app(packing=Packing.ZSTD),
    "one layer": image_of(OS),
    "one layer above the base": image_of(OS, RUNTIME),
    "nothing left above the base": image_of(
        OS, LayerBuilder().file("usr/x"), LayerBuilder().whiteout("usr/x")
    ),
    "a path twice": image_of(OS, TWICE, TOP),
    "a link that becomes the file": image_of(OS, LINKED, LayerBuilder().whiteout("a")),
    "a link into the base": image_of(OS, LayerBuilder().hardlink("x", "etc/os-release"), TOP),
    "no layers": ImageBuilder().build(),
    "two platforms": index_of([app(), app(platform=ARM64)], attestations=True),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("base", ["none", "1", "auto"])
def test_it_measures_what_the_copy_then_reports(lab: Lab, name: str, base: str) -> None:
    lab.put(IMAGES[name])
    if base == "1" and name == "no layers":
        with pytest.raises(BaseMismatch):
            lab.plan(base=base)
        return
    plan = lab.plan(base=base)
    assert methods(lab.new) <= {"GET", "HEAD"}
    assert lab.new.tags("app") == {}
    assert lab.new.blobs("app") == frozenset()
    result = lab.copy(base=base)
    for planned, copied in zip(plan.platforms, result.platforms, strict=True):
        for figure in MEASURED:
            assert getattr(planned, figure) == getattr(copied, figure), figure
    assert plan.source_digest == result.source_digest
    assert plan.warnings == result.warnings
    assert (plan.source, plan.target) == (result.source, result.target)


@pytest.mark.parametrize("base", ["none", "2", "4"])
def test_its_estimate_is_near_and_its_sizes_are_those_of_the_copy(lab: Lab, base: str) -> None:
    """The estimate assumes that all bytes of a layer compress alike."""
    upper = LayerBuilder().file("a", noise(9000, 1)).file("b", noise(9000, 2))
    lab.put(image_of(OS, RUNTIME, upper, LayerBuilder().whiteout("a").file("c", noise(500))))
    (planned,) = lab.plan(base=base).platforms
    (copied,) = lab.copy(base=base).platforms
    assert planned.estimated_after == pytest.approx(copied.compressed_after, rel=0.2, abs=600)
    assert planned.compressed_after == copied.compressed_after
    assert planned.upload_bytes == copied.uploaded_bytes


@pytest.mark.parametrize("mounts", [True, False])
def test_what_is_reused_and_what_can_be_mounted(labs: Callable[..., Lab], *, mounts: bool) -> None:
    lab = labs(new={"mounts": mounts})
    image = app()
    lab.put(image)
    lab.new.put_blob("app", image.blobs[image.layers[0].digest])
    base().push(lab.new, "os", "1")
    repositories = (parse_repository(f"{lab.new.host}/os"),)
    (planned,) = lab.plan(base_repos=repositories).platforms
    (copied,) = lab.copy(base_repos=repositories).platforms
    first, second, *others = planned.layers
    assert (first.in_target, first.mountable_from) == (True, None)
    assert (second.in_target, second.mountable_from) == (False, f"{lab.new.host}/os")
    assert {(layer.in_target, layer.mountable_from) for layer in others} == {(False, None)}
    assert planned.reused_bytes == image.layers[0].size
    assert planned.mountable_bytes == image.layers[1].size
    assert planned.base_layers == copied.base_layers == 2
    assert "os" in planned.base_reason
    if mounts:
        assert copied.reused_bytes == planned.reused_bytes + planned.mountable_bytes
    else:
        assert copied.reused_bytes == planned.reused_bytes


def test_in_one_registry_layers_can_be_mounted_from_the_source(labs: Callable[..., Lab]) -> None:
    lab = labs(one=True)
    lab.put(app())
    (planned,) = lab.plan("app:1", "prod:1", base="2").platforms
    assert [layer.mountable_from for layer in planned.layers[:2]] == [f"{lab.old.host}/app"] * 2
    assert planned.mountable_bytes == sum(layer.compressed for layer in planned.layers[:2])
    assert planned.upload_bytes == lab.copy("app:1", "prod:1", base="2").platforms[0].uploaded_bytes


def test_without_a_target_it_says_nothing_of_one(lab: Lab) -> None:
    lab.put(app())
    plan = lab.plan(target=None)
    (planned,) = plan.platforms
    assert (plan.target, plan.up_to_date) == (None, None)
    assert (planned.reused_bytes, planned.mountable_bytes, planned.upload_bytes) == (None,) * 3
    assert {layer.in_target for layer in planned.layers} == {None}
    assert lab.new.requests == ()


def test_every_layer_has_its_line(lab: Lab) -> None:
    image = app()
    lab.put(image)
    (planned,) = lab.plan(base="2").platforms
    assert [layer.digest for layer in planned.layers] == [layer.digest for layer in image.layers]
    assert [layer.role for layer in planned.layers] == ["base", "base", "squashed", "squashed"]
    assert [layer.created_by for layer in planned.layers] == [f"layer {n}" for n in range(1, 5)]
    assert [layer.compressed for layer in planned.layers] == [layer.size for layer in image.layers]
    assert {layer.media_type for layer in planned.layers} == {OCI_LAYER_GZIP}
    os, runtime, above, top = planned.layers
    assert (os.unpacked, os.entries) == (len(OS.tar()), 3)
    assert (os.hidden_bytes, os.hidden_entries) == (HIDDEN_OS, 3)
    assert (runtime.unpacked, runtime.entries) == (len(RUNTIME.tar()), 2)
    assert (runtime.hidden_bytes, runtime.hidden_entries) == (0, 0)
    assert (above.unpacked, above.entries) == (len(APP.tar()), 4)
    assert (above.hidden_bytes, above.hidden_entries) == (HIDDEN_APP, 2)
    assert (top.unpacked, top.entries) == (len(TOP.tar()), 5)
    assert (top.hidden_bytes, top.hidden_entries) == (0, 0)


def test_a_single_layer_above_the_base_is_kept(lab: Lab) -> None:
    lab.put(image_of(OS, RUNTIME))
    (planned,) = lab.plan(base="1").platforms
    assert [layer.role for layer in planned.layers] == ["base", "kept"]
    assert planned.estimated_after == planned.compressed_before
    (anew,) = lab.plan(base="1", compression="zstd").platforms
    assert [layer.role for layer in anew.layers] == ["base", "squashed"]


def test_the_largest_hidden_files_come_first_with_their_layers(lab: Lab) -> None:
    lower = LayerBuilder().file("small", b"s" * 10).file("same-b", b"2" * 500).file("empty")
    lower.file("same-a", b"1" * 500).file("large", noise(5000)).file("shown", b"x" * 9000)
    middle = LayerBuilder().file("middle", b"m" * 700).whiteout("large")
    upper = LayerBuilder().whiteout("middle").file("small").whiteout("empty")
    upper.whiteout("same-a").whiteout("same-b")
    lab.put(image_of(lower, middle, upper))
    (planned,) = lab.plan(base="none").platforms
    found = [(file.path, file.size, file.layer, file.hidden_by) for file in planned.largest_hidden]
    assert found == [
        ("large", 5000, 0, 1),
        ("middle", 700, 1, 2),
        ("same-b", 500, 0, 2),
        ("same-a", 500, 0, 2),
        ("small", 10, 0, 2),
    ]


def test_of_many_hidden_files_the_twenty_largest_are_named(lab: Lab) -> None:
    lower, upper = LayerBuilder(), LayerBuilder()
    for number in range(300):
        lower.file(f"f{number}", b"x" * (number * 7919 % 300 + 1))
        upper.whiteout(f"f{number}")
    lab.put(image_of(lower, upper))
    (planned,) = lab.plan(base="none").platforms
    assert [file.size for file in planned.largest_hidden] == list(range(300, 280, -1))


def test_a_file_that_lives_on_as_its_link_is_not_hidden(lab: Lab) -> None:
    lab.put(image_of(OS, LINKED, LayerBuilder().whiteout("a")))
    (planned,) = lab.plan(base="1").platforms
    assert planned.largest_hidden == ()


def test_a_file_that_was_met_before_the_merge_began_again_is_named_once(lab: Lab) -> None:
    middle = LayerBuilder().file("gone", b"x" * 4000)
    lab.put(image_of(OS, TWICE, middle, LayerBuilder().whiteout("gone")))
    (planned,) = lab.plan(base="1").platforms
    assert planned.fallbacks == 1
    assert [file.path for file in planned.largest_hidden] == ["gone", "twice"]


def test_names_that_are_no_text_are_shown_escaped(lab: Lab) -> None:
    name = b"caf\xe9"
    lab.put(image_of(LayerBuilder().file(name, b"x"), LayerBuilder().whiteout(name)))
    (planned,) = lab.plan(base="none").platforms
    assert [file.path for file in planned.largest_hidden] == ["caf\\xe9"]


class TestUpToDate:
    def test_before_and_after_a_copy(self, lab: Lab) -> None:
        lab.put(app())
        assert lab.plan().up_to_date is False
        lab.copy()
        assert lab.plan().up_to_date is True
        assert lab.plan(base="none").up_to_date is False

    def test_where_the_source_has_moved(self, lab: Lab) -> None:
        lab.put(app())
        lab.copy()
        lab.put(image_of(OS, APP, RUNTIME))
        assert lab.plan().up_to_date is False


@pytest.mark.parametrize("base", ["none", "1", "2", "4"])
def test_every_layer_is_read_once(lab: Lab, base: str) -> None:
    image = image_of(OS, RUNTIME, APP, LayerBuilder().directory("app").file("app/large", b"new"))
    lab.put(image)
    lab.plan(base=base)
    assert [fetched(lab.old, layer.digest) for layer in image.layers] == [1, 1, 1, 1]


def test_what_cannot_be_squashed_has_no_plan_but_a_warning(lab: Lab) -> None:
    built = image_of(OS)
    encrypted = replace(built.layers[0], media_type=OCI_LAYER_GZIP + "+encrypted")
    lab.put(ImageBuilder().stored_layer(encrypted, built.diff_ids[0]).build())
    plan = lab.plan()
    assert plan.platforms == ()
    assert "encrypted layers" in plan.warnings[0]


@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
def test_foreign_layers_are_neither_read_nor_counted_as_an_upload(lab: Lab, family: Family) -> None:
    built = image_of(OS)
    foreign = replace(
        built.layers[0],
        media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        size=1 << 30,
    )
    builder = ImageBuilder(family).stored_layer(foreign, built.diff_ids[0])
    lab.put(builder.layer(RUNTIME).layer(LayerBuilder().file("z")).build())
    (planned,) = lab.plan().platforms
    (copied,) = lab.copy().platforms
    assert planned.base_layers == 1
    assert planned.upload_bytes == pytest.approx(copied.uploaded_bytes, rel=0.2, abs=1500)


@pytest.mark.parametrize(
    ("choices", "error"),
    [
        pytest.param({"source": "app:absent"}, NotFound, id="no-such-tag"),
        pytest.param({"base": "9"}, BaseMismatch, id="base-too-long"),
        pytest.param({"platforms": (ARM64,)}, NoSuchPlatform, id="no-such-platform"),
    ],
)
def test_it_fails_as_a_copy_would(
    lab: Lab, choices: dict[str, Any], error: type[Exception]
) -> None:
    lab.put(app())
    with pytest.raises(error) as planned:
        lab.plan(**choices)
    with pytest.raises(error) as copied:
        lab.copy(**choices)
    assert str(planned.value) == str(copied.value)
