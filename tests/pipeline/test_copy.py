"""A copied image runs the same: its tree, its config, its media types, and honest figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import Compression, Family
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.testing import AMD64, CREATED, FakeRegistry, ImageBuilder, LayerBuilder, Packing
from tests.pipeline.images import (
    APP,
    HIDDEN_APP,
    LAYERS,
    OPTIONS,
    OS,
    RUNTIME,
    SOURCE_DIGEST,
    TOP,
    app,
    image_of,
)
from tests.pipeline.lab import Lab, asked, changed, digests, pushed_bytes, tree

FAMILIES = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
PACKINGS = (
    Packing.NONE,
    Packing.GZIP,
    Packing.GZIP_MULTI,
    Packing.ZSTD,
    Packing.ZSTD_FRAMES,
)
BASES = [
    *(
        (family, packing, base)
        for family in Family
        for packing in PACKINGS
        for base in ("none", "2")
    ),
    *((Family.OCI, Packing.GZIP, base) for base in ("1", "3", "auto")),
]


@pytest.mark.parametrize(
    ("family", "packing", "base"),
    [pytest.param(*case, id=f"{case[0].value}-{case[1].value}-{case[2]}") for case in BASES],
)
def test_the_copy_looks_the_same_to_a_container(
    lab: Lab, family: Family, packing: Packing, base: str
) -> None:
    image = app(family, packing=packing)
    lab.put(image)
    result = lab.copy(base=base)
    arrived = lab.arrived()
    kept = {"none": 0, "auto": 1}.get(base) if not base.isdigit() else int(base)
    (copied,) = result.platforms
    assert arrived.tree() == tree(*LAYERS)
    assert arrived.media_type == image.manifest.media_type
    assert arrived.layers[:kept] == digests(image.layers[:kept])
    assert (copied.base_layers, copied.layers_before) == (kept, 4)
    assert copied.layers_after == len(arrived.layers) == copied.base_layers + 1
    wanted = mediatypes.layer_type(family, packing.compression)
    assert {layer["mediaType"] for layer in arrived.manifest["layers"]} == {wanted}
    assert lab.new.tags("app") == {"1": result.digest}


@FAMILIES
@pytest.mark.parametrize(
    ("asked_for", "packed"),
    [
        ("gzip", Compression.GZIP),
        ("zstd", Compression.ZSTD),
        ("zstd:19", Compression.ZSTD),
    ],
)
def test_a_compression_that_was_asked_for(
    lab: Lab, family: Family, asked_for: str, packed: Compression
) -> None:
    lab.put(app(family, packing=Packing.NONE))
    lab.copy(base="2", compression=asked_for)
    arrived = lab.arrived()
    kinds = [mediatypes.compression_of(layer["mediaType"]) for layer in arrived.manifest["layers"]]
    assert kinds == [Compression.NONE, Compression.NONE, packed]
    assert arrived.tree() == tree(*LAYERS)


def test_of_mixed_packings_the_one_with_most_bytes_above_the_base_is_kept(lab: Lab) -> None:
    builder = ImageBuilder().layer(OS, Packing.NONE).layer(RUNTIME, Packing.NONE)
    lab.put(builder.layer(APP, Packing.ZSTD).layer(TOP, Packing.GZIP).build())
    lab.copy(base="1")
    types = [layer["mediaType"] for layer in lab.arrived().manifest["layers"]]
    assert types == [mediatypes.OCI_LAYER, mediatypes.OCI_LAYER_ZSTD]
    assert lab.arrived().tree() == tree(*LAYERS)


@FAMILIES
@pytest.mark.parametrize("base", ["none", "2"])
def test_the_figures_add_up(lab: Lab, family: Family, base: str) -> None:
    image = app(family)
    lab.put(image)
    for layer in image.layers[: base == "2"]:
        lab.new.put_blob("app", image.blobs[layer.digest])
    result = lab.copy(base=base)
    arrived = lab.arrived()
    (copied,) = result.platforms
    kept = copied.base_layers
    tars = [layer.tar() for layer in LAYERS]
    config_size = arrived.manifest["config"]["size"]
    assert copied.uploaded_bytes == pushed_bytes(lab.new)
    assert copied.uploaded_bytes + copied.reused_bytes == arrived.size + config_size
    assert copied.reused_bytes == (image.layers[0].size if base == "2" else 0)
    assert copied.mounted_blobs == 0
    assert copied.compressed_before == sum(layer.size for layer in image.layers)
    assert copied.compressed_after == arrived.size
    assert copied.unpacked_before == sum(map(len, tars[kept:]))
    assert copied.unpacked_after == len(list(arrived.tars())[-1])
    etc_and_usr = 512 + (512 + 512) + 512
    assert copied.hidden_bytes == HIDDEN_APP + (etc_and_usr if base == "none" else 0)
    ends = 1024 * (len(tars) - kept - 1)
    whiteout = 512
    gone = copied.hidden_bytes + ends + whiteout
    assert copied.unpacked_after == copied.unpacked_before - gone
    assert (copied.spliced_bytes, copied.reencoded_bytes) == (0, copied.unpacked_after)
    looks_into_base_for_the_whiteout = base == "2"
    assert copied.fallbacks == looks_into_base_for_the_whiteout
    assert (result.warnings, result.skipped) == ((), False)
    assert (result.source_digest, copied.source_digest) == (image.digest, image.digest)
    assert result.digest == copied.digest == lab.new.tags("app")["1"]
    assert result.source == f"{lab.old.host}/app:1"
    assert result.target == f"{lab.new.host}/app:1"


def test_bytes_that_came_to_the_same_are_not_sent_twice(lab: Lab) -> None:
    builder = ImageBuilder().layer(OS).layer(OS).layer(APP).layer(TOP)
    image = builder.build()
    lab.put(image)
    (copied,) = lab.copy(base="2").platforms
    assert copied.reused_bytes == image.layers[0].size
    assert copied.uploaded_bytes == pushed_bytes(lab.new)


@FAMILIES
def test_the_config_says_what_happened_and_nothing_else_changes(lab: Lab, family: Family) -> None:
    fields = {"author": "somebody", "x-unknown": {"kept": [1, 2]}, "variant": "v3"}
    builder = ImageBuilder(family, config={"Env": ["A=1"], "Labels": {"a": "b"}}, fields=fields)
    builder.layer(OS, history="os").instruction("ENV A=1").layer(APP, history="app")
    builder.layer(TOP, history={"created_by": "top", "comment": "by hand"}).instruction("CMD x")
    image = builder.build()
    before = json.loads(image.blobs[image.config.digest])
    lab.put(image)
    lab.copy(base="1")
    after = lab.arrived().config
    steps = [(step.get("created_by"), step.get("empty_layer", False)) for step in after["history"]]
    assert steps == [
        ("os", False),
        ("ENV A=1", True),
        ("app", True),
        ("top", True),
        ("CMD x", True),
        ("squashproxy: layers 2 to 3 squashed", False),
    ]
    assert after["history"][3]["comment"] == "by hand"
    assert after["history"][5]["created"] == CREATED
    assert image.digest in after["history"][5]["comment"]
    assert after["created"] == CREATED
    assert after["rootfs"]["diff_ids"][0] == image.diff_ids[0]
    left_out = ("history", "rootfs")
    unchanged = {key: value for key, value in before.items() if key not in left_out}
    assert {key: value for key, value in after.items() if key not in left_out} == unchanged
    assert list(after) == list(before)


def test_a_config_without_history_gets_one_that_fits_its_layers(lab: Lab) -> None:
    lab.put(ImageBuilder().layer(OS).layer(APP).layer(TOP).without_history().build())
    lab.copy(base="1")
    assert lab.arrived().tree() == tree(OS, APP, TOP)
    assert [bool(step.get("empty_layer")) for step in lab.arrived().config["history"]] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_config_without_a_date_gets_none(lab: Lab) -> None:
    image = ImageBuilder(fields={"created": None}).layer(OS).layer(APP).layer(TOP).build()
    lab.put(image)
    lab.copy(base="1")
    assert lab.arrived().config["created"] is None
    assert "created" not in lab.arrived().config["history"][-1]


def test_unknown_fields_and_annotations_of_the_manifest_survive(lab: Lab) -> None:
    image = app(annotations={"org.example.team": "blue"})
    document = json.loads(image.manifest.data)
    config = {**document["config"], "annotations": {"about": "config"}}
    layers = document["layers"]
    layers[0]["annotations"] = {"about": "layer"}
    image = changed(image, **{"x-unknown": {"a": 1}, "config": config, "layers": layers})
    lab.put(image)
    lab.copy(base="1")
    after = lab.arrived().manifest
    assert after["x-unknown"] == {"a": 1}
    assert after["config"]["annotations"] == {"about": "config"}
    assert after["layers"][0] == layers[0]
    assert after["annotations"]["org.example.team"] == "blue"
    assert after["annotations"][SOURCE_DIGEST] == image.digest
    assert after["annotations"][OPTIONS].startswith(f"{ENGINE}-")


def test_content_embedded_in_a_descriptor_does_not_outlive_it(lab: Lab) -> None:
    image = app()
    document = json.loads(image.manifest.data)
    config = {**document["config"], "data": "e30=", "urls": ["https://example.com/config"]}
    lab.put(changed(image, config=config))
    lab.copy(base="1")
    assert set(lab.arrived().manifest["config"]) == {"mediaType", "digest", "size"}


def test_docker_manifests_get_no_annotations(lab: Lab) -> None:
    lab.put(app(Family.DOCKER))
    lab.copy(base="1")
    assert "annotations" not in lab.arrived().manifest


def test_blobs_come_before_the_manifest_and_the_tag_last(lab: Lab) -> None:
    lab.put(app())
    lab.copy(base="2")
    writes = [line for line in asked(lab.new) if line.split()[0] in ("POST", "PATCH", "PUT")]
    assert writes[-1] == "PUT app/manifests/1 201"
    assert all("/uploads" in line for line in writes[:-1])
    assert len([line for line in writes if line == "PUT app/uploads 201"]) == 4


def test_nothing_is_pushed_that_the_manifest_does_not_name(lab: Lab) -> None:
    lab.put(app())
    lab.copy(base="2")
    assert lab.new.blobs("app") == set(lab.arrived().blobs)
    assert lab.new.manifests("app") == {lab.new.tags("app")["1"]}


@FAMILIES
@pytest.mark.parametrize("base", ["1", "none"])
def test_one_layer_with_nothing_to_drop_above_the_base_is_copied_as_it_is(
    lab: Lab, family: Family, base: str
) -> None:
    layers = [OS, RUNTIME] if base == "1" else [RUNTIME]
    image = image_of(*layers, family=family)
    lab.put(image)
    result = lab.copy(base=base)
    (copied,) = result.platforms
    assert result.digest == image.digest
    assert lab.new.manifest("app", "1") == image.manifest
    assert (copied.layers_before, copied.layers_after) == (len(layers), len(layers))
    assert copied.uploaded_bytes == pushed_bytes(lab.new)
    assert (copied.hidden_bytes, copied.reencoded_bytes) == (0, 0)
    assert copied.unpacked_before == copied.unpacked_after == len(RUNTIME.tar())


def test_one_layer_with_something_to_repair_is_written_anew(lab: Lab) -> None:
    broken = LayerBuilder().directory("usr").hardlink("usr/link", "etc/os-release")
    lab.put(image_of(OS, broken))
    (copied,) = lab.copy(base="1").platforms
    repaired = LayerBuilder().directory("usr").file("usr/link", b"one\n")
    assert copied.fallbacks == 1
    assert lab.arrived().tree() == tree(OS, repaired)


@FAMILIES
def test_nothing_left_above_the_base_adds_no_layer(lab: Lab, family: Family) -> None:
    made = LayerBuilder().file("usr/made", b"t" * 1000)
    image = image_of(OS, made, LayerBuilder().whiteout("usr/made"), family=family)
    lab.put(image)
    (copied,) = lab.copy(base="1").platforms
    arrived = lab.arrived()
    assert arrived.layers == [image.layers[0].digest]
    assert (copied.layers_after, copied.unpacked_after) == (1, 0)
    assert copied.hidden_bytes == 512 + 1024
    assert all(step.get("empty_layer") for step in arrived.config["history"][1:])
    assert arrived.tree() == tree(OS)


def test_an_image_without_layers_is_copied_as_it_is(lab: Lab) -> None:
    image = ImageBuilder().instruction("CMD x").build()
    lab.put(image)
    for base in ("auto", "none"):
        assert lab.copy(base=base, force=True).digest == image.digest


def test_a_source_that_is_named_by_digest(lab: Lab) -> None:
    image = app()
    lab.put(image)
    by_tag = lab.copy(base="1")
    by_digest = lab.copy(f"app@{image.digest}", "app:digest", base="1")
    assert by_tag.digest == by_digest.digest


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({"head_manifests": False}, id="no-head-of-manifests"),
        pytest.param({"digest_headers": False}, id="no-digest-headers"),
        pytest.param({"relative_locations": True}, id="relative-locations"),
        pytest.param({"ranged_uploads": False}, id="streams-only"),
        pytest.param({"streamed_uploads": False}, id="ranges-only"),
        pytest.param({"chunk_min_length": 5 << 20}, id="long-chunks"),
    ],
)
def test_registries_differ_and_the_result_does_not(
    labs: Callable[..., Lab], choices: dict[str, object]
) -> None:
    ordinary, special = labs(), labs(old=choices, new=choices)
    found = []
    for lab in (ordinary, special):
        lab.put(app())
        found.append(lab.copy(base="2").digest)
        assert lab.arrived().tree() == tree(*LAYERS)
        assert lab.copy(base="2").skipped
    assert found[0] == found[1]


def test_blobs_behind_a_redirect(labs: Callable[..., Lab]) -> None:
    plain = labs()
    with FakeRegistry(shares=plain.old) as storage:
        lab = labs(old={"redirect_blobs_to": storage.host})
        lab.put(app())
        app().push(plain.old, "app", "1")
        lab.copy(base="1")
        assert lab.arrived().tree() == tree(*LAYERS)
        assert any(exchange.status == 307 for exchange in lab.old.requests)


def test_one_registry_mounts_the_base_from_the_source_repository(labs: Callable[..., Lab]) -> None:
    lab = labs(one=True)
    image = app()
    lab.put(image)
    lab.forget_requests()
    (copied,) = lab.copy("app:1", "prod:1", base="2").platforms
    assert copied.mounted_blobs == 2
    assert copied.reused_bytes == sum(layer.size for layer in image.layers[:2])
    assert copied.uploaded_bytes == pushed_bytes(lab.new)
    assert lab.arrived(repo="prod").tree() == tree(*LAYERS)


def test_one_repository_is_squashed_in_place(labs: Callable[..., Lab]) -> None:
    lab = labs(one=True)
    image = app()
    lab.put(image)
    first = lab.copy("app:1", "app:1", base="1", backup="{tag}-before")
    assert lab.new.tags("app") == {"1": first.digest, "1-before": image.digest}
    assert first.platforms[0].reused_bytes == image.layers[0].size
    assert lab.arrived().tree() == tree(*LAYERS)
    assert lab.copy("app:1", "app:1", base="1").skipped


def test_what_can_be_reused_is_known_before_a_layer_is_read(labs: Callable[..., Lab]) -> None:
    lab = labs(one=True)
    replaced = LayerBuilder().directory("app").file("app/one", b"one")
    image = image_of(OS, RUNTIME, APP, replaced)
    lab.put(image)
    lab.forget_requests()
    lab.copy("app:1", "prod:1", base="2")
    lines = asked(lab.old)
    reads = [lines.index(f"GET app/blobs/{layer.digest} 200") for layer in image.layers[2:]]
    for layer in image.layers[:2]:
        head = lines.index(f"HEAD prod/blobs/{layer.digest} 404")
        assert lines[head + 1] == "POST prod/uploads mount 201"
        assert head < min(reads)
        assert not any(line.startswith(f"GET app/blobs/{layer.digest}") for line in lines)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("helm", "application/vnd.cncf.helm.config.v1+json", id="helm-chart"),
        pytest.param("artifact", "application/x-thing", id="artifact-type"),
        pytest.param("wasm", "application/wasm", id="wasm-layer"),
        pytest.param("encrypted", "encrypted layers", id="encrypted-layer"),
    ],
)
def test_what_cannot_be_squashed_is_copied_as_it_is_with_a_warning(
    lab: Lab, kind: str, words: str
) -> None:
    image = app()
    document = json.loads(image.manifest.data)
    if kind == "helm":
        config = {**document["config"], "mediaType": words}
        image = changed(image, config=config)
    elif kind == "artifact":
        image = changed(image, artifactType=words)
    else:
        suffix = mediatypes.OCI_LAYER_GZIP + "+encrypted"
        layers = document["layers"]
        layers[3]["mediaType"] = words if kind == "wasm" else suffix
        image = changed(image, layers=layers)
    lab.put(image)
    result = lab.copy(base="1")
    (copied,) = result.platforms
    assert result.digest == copied.digest == image.digest
    assert lab.new.manifest("app", "1").data == image.manifest.data
    assert lab.new.blobs("app") == set(image.blobs)
    (warning,) = result.warnings
    assert words in warning
    assert "copied as it is" in warning
    assert (copied.layers_before, copied.layers_after, copied.base_layers) == (4, 4, 4)
    assert copied.uploaded_bytes == pushed_bytes(lab.new) == sum(map(len, image.blobs.values()))
    assert lab.copy(base="1").skipped


@FAMILIES
def test_foreign_layers_are_base_and_are_not_pushed(lab: Lab, family: Family) -> None:
    foreign_type = (
        mediatypes.DOCKER_FOREIGN_LAYER
        if family is Family.DOCKER
        else "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    )
    built = image_of(OS)
    (layer,) = built.layers
    foreign = replace(layer, media_type=foreign_type, extra={"urls": ["https://example.com/os"]})
    builder = ImageBuilder(family).stored_layer(foreign, built.diff_ids[0])
    image = builder.layer(APP).layer(TOP).build()
    lab.put(image)
    (copied,) = lab.copy(base="none").platforms
    arrived = lab.arrived()
    assert (copied.base_layers, copied.layers_after) == (1, 2)
    assert arrived.manifest["layers"][0] == foreign.to_json()
    assert layer.digest not in lab.new.blobs("app")
    assert not any(layer.digest in exchange.path for exchange in lab.old.requests)
    assert copied.uploaded_bytes == pushed_bytes(lab.new)


def test_a_foreign_layer_above_others_keeps_those_below_it(lab: Lab) -> None:
    built = image_of(RUNTIME)
    foreign = replace(
        built.layers[0], media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    )
    builder = ImageBuilder(platform=AMD64).layer(OS).stored_layer(foreign, built.diff_ids[0])
    lab.put(builder.layer(APP).layer(TOP).build())
    (copied,) = lab.copy(base="1").platforms
    assert (copied.base_layers, copied.layers_after) == (2, 3)
