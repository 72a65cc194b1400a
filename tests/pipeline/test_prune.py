"""A pruned image: hidden bytes go from each layer where it stands, the rest keeps its digest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from squashproxy.oci.mediatypes import Compression, Family, layer_type
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.results import LayerAction
from squashproxy.testing import AMD64, ImageBuilder, LayerBuilder, Packing, index_of
from tests.pipeline.images import ARM64, HIDDEN_APP, LAYERS, OS, RUNTIME, app, image_of, noise
from tests.pipeline.lab import Lab, digests, fetched, pushed_bytes, tree

ALWAYS = PruneThreshold(share=0)
PACKINGS = tuple(packing for packing in Packing if packing is not Packing.PIGZ)


def actions(lab: Lab, **choices: Any) -> list[LayerAction]:
    (copied,) = lab.copy(mode=Mode.PRUNE, **choices).platforms
    return [layer.action for layer in copied.layers]


@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
@pytest.mark.parametrize("packing", PACKINGS, ids=lambda packing: packing.value)
@pytest.mark.parametrize("base", ["none", "1", "2", "3", "auto"])
def test_the_copy_looks_the_same_to_a_container(
    lab: Lab, family: Family, packing: Packing, base: str
) -> None:
    image = app(family, packing=packing)
    lab.put(image)
    result = lab.copy(base=base, mode=Mode.PRUNE)
    arrived = lab.arrived()
    assert arrived.tree() == tree(*LAYERS)
    assert arrived.media_type == image.manifest.media_type
    media_types = {layer["mediaType"] for layer in arrived.manifest["layers"]}
    assert media_types == {layer_type(family, packing.compression)}
    (copied,) = result.platforms
    assert [layer.packed_after for layer in copied.layers] == [
        layer["size"] for layer in arrived.manifest["layers"]
    ]
    assert lab.new.tags("app") == {"1": result.digest}


def test_layers_that_lose_nothing_keep_their_digests(lab: Lab) -> None:
    image = app()
    lab.put(image)
    (copied,) = lab.copy(mode=Mode.PRUNE, base="1").platforms
    before, after = digests(image.layers), lab.arrived().layers
    assert [layer.action.value for layer in copied.layers] == ["base", "kept", "pruned", "kept"]
    assert (after[:2], after[3]) == (before[:2], before[3])
    assert after[2] != before[2]
    assert copied.hidden_bytes == HIDDEN_APP - 512, "a hidden directory stays"
    assert copied.unpacked_before - copied.unpacked_after == copied.hidden_bytes
    assert copied.compressed_after == lab.arrived().size < copied.compressed_before


def test_the_figures_of_each_layer_are_in_the_source_s_order(lab: Lab) -> None:
    image = app()
    lab.put(image)
    (copied,) = lab.copy(mode=Mode.PRUNE).platforms
    assert [layer.source_digest for layer in copied.layers] == digests(image.layers)
    assert [layer.digest for layer in copied.layers] == lab.arrived().layers
    assert copied.mode is Mode.PRUNE
    assert copied.fetched_bytes == sum(
        len(exchange_body) * fetched(lab.old, digest)
        for digest in digests(image.layers)
        for exchange_body in [lab.old.blob("app", digest)]
    )


def test_an_image_that_hides_nothing_keeps_its_digest(lab: Lab) -> None:
    digest = lab.put(image_of(OS, RUNTIME, LayerBuilder().file("app", b"app")))
    result = lab.copy(mode=Mode.PRUNE)
    assert result.digest == digest
    assert lab.arrived().tree()


def test_a_layer_of_which_nothing_is_left_is_left_out(lab: Lab) -> None:
    layers = (
        OS,
        LayerBuilder().directory("tmp").file("tmp/cache", noise(5000)),
        LayerBuilder().whiteout("tmp"),
    )
    lab.put(image_of(*layers))
    (copied,) = lab.copy(mode=Mode.PRUNE, base="1").platforms
    assert [layer.action.value for layer in copied.layers] == ["base", "dropped", "kept"]
    assert copied.layers[1].digest is None
    assert (copied.layers_before, copied.layers_after) == (3, 2)
    history = lab.arrived().config["history"]
    assert [bool(step.get("empty_layer")) for step in history] == [False, True, False, True]
    assert "pruned" in history[-1]["created_by"]
    assert lab.arrived().tree() == tree(*layers)


def test_a_layer_that_loses_little_stays(lab: Lab) -> None:
    layers = (
        OS,
        LayerBuilder().file("large", noise(200_000)).file("small", b"s" * 400),
        LayerBuilder().whiteout("small"),
    )
    lab.put(image_of(*layers))
    assert actions(lab, base="1") == [LayerAction.BASE, LayerAction.KEPT, LayerAction.KEPT]
    assert lab.arrived().tree() == tree(*layers)
    rewritten = actions(lab, base="1", prune_over=ALWAYS, force=True)
    assert rewritten == [LayerAction.BASE, LayerAction.PRUNED, LayerAction.KEPT]
    assert lab.arrived().tree() == tree(*layers)


@pytest.mark.parametrize(
    ("threshold", "action"),
    [
        (PruneThreshold(share=0.5), LayerAction.PRUNED),
        (PruneThreshold(share=0.99), LayerAction.KEPT),
        (PruneThreshold(size=50_000), LayerAction.PRUNED),
        (PruneThreshold(size=70_000), LayerAction.KEPT),
    ],
    ids=str,
)
def test_thresholds(lab: Lab, threshold: PruneThreshold, action: LayerAction) -> None:
    lab.put(app())
    assert actions(lab, prune_over=threshold)[2] is action
    assert lab.arrived().tree() == tree(*LAYERS)


def test_a_secret_always_goes(lab: Lab) -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----" + noise(400)
    layers = (
        OS,
        LayerBuilder().file("large", noise(900_000)).file("root/.ssh/id_rsa", key),
        LayerBuilder().whiteout("root/.ssh/id_rsa"),
    )
    lab.put(image_of(*layers))
    assert actions(lab, base="1")[1] is LayerAction.PRUNED
    assert all(key not in tar for tar in lab.arrived().tars())


def test_the_next_version_sends_only_what_differs(lab: Lab) -> None:
    for tag, seed in (("1", 1), ("2", 2)):
        image = image_of(*LAYERS, LayerBuilder().file("app/version", noise(5000, seed)))
        lab.put(image, f"app:{tag}")
        lab.forget_requests()
        lab.copy(f"app:{tag}", f"app:{tag}", mode=Mode.PRUNE)
    first, second = lab.arrived("1").layers, lab.arrived("2").layers
    assert first[:-1] == second[:-1]


def test_a_second_run_has_nothing_to_do(lab: Lab) -> None:
    lab.put(app())
    lab.copy(mode=Mode.PRUNE)
    assert lab.copy(mode=Mode.PRUNE).skipped
    assert not lab.copy(mode=Mode.PRUNE, prune_over=PruneThreshold(size=5)).skipped
    assert not lab.copy().skipped, "a squash is something else"


def test_the_same_bytes_each_time(lab: Lab) -> None:
    lab.put(app())
    first = lab.copy(mode=Mode.PRUNE).digest
    assert lab.copy(mode=Mode.PRUNE, force=True).digest == first


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_only_layers_that_are_written_again_change_their_compression(
    lab: Lab, compression: str
) -> None:
    lab.put(app(packing=Packing.GZIP))
    lab.copy(mode=Mode.PRUNE, compression=compression)
    types = [layer["mediaType"] for layer in lab.arrived().manifest["layers"]]
    gzip, wanted = (
        layer_type(Family.OCI, each) for each in (Compression.GZIP, Compression(compression))
    )
    assert types == [gzip, gzip, wanted, gzip]
    assert lab.arrived().tree() == tree(*LAYERS)


def test_blobs_that_the_target_has_are_not_sent(lab: Lab) -> None:
    lab.put(app())
    lab.copy(mode=Mode.PRUNE)
    lab.forget_requests()
    (copied,) = lab.copy(target="app:again", mode=Mode.PRUNE).platforms
    assert copied.uploaded_bytes == lab.arrived("again").manifest["layers"][2]["size"]
    assert pushed_bytes(lab.new) == copied.uploaded_bytes


def test_images_of_an_index_share_what_was_written_again(lab: Lab) -> None:
    images = [app(platform=platform) for platform in (AMD64, ARM64)]
    index_of(images).push(lab.old, "app", "1")
    result = lab.copy(mode=Mode.PRUNE)
    first, second = result.platforms
    assert [layer.digest for layer in first.layers] == [layer.digest for layer in second.layers]
    assert fetched(lab.old, digests(images[0].layers)[2]) == 3, "read by both, written by one"
    children = json.loads(lab.new.manifest("app", "1").data)["manifests"]
    assert [child["digest"] for child in children] == [first.digest, second.digest]


def test_verify_agrees(lab: Lab) -> None:
    lab.put(app())
    assert lab.copy(mode=Mode.PRUNE, verify=True).digest == lab.arrived().registry.tags("app")["1"]


def test_a_layer_that_stays_is_read_once_and_one_that_loses_enough_twice(lab: Lab) -> None:
    image = app()
    lab.put(image)
    lab.copy(mode=Mode.PRUNE, base="none")
    times = [fetched(lab.old, digest) for digest in digests(image.layers)]
    assert times == [2, 1, 2, 1], "a release file and a large one are replaced"


def test_a_blob_that_holds_a_secret_never_comes_to_be_in_the_target(lab: Lab) -> None:
    key = LayerBuilder().file("large", noise(900_000)).file("root/.ssh/id_rsa", noise(400))
    image = image_of(OS, key, LayerBuilder().whiteout("root/.ssh/id_rsa"))
    lab.put(image)
    lab.copy(mode=Mode.PRUNE, base="1")
    assert image.layers[1].digest not in lab.new.blobs("app")
    assert lab.new.open_uploads == 0


def test_a_layer_that_the_target_has_is_not_sent_while_it_is_read(lab: Lab) -> None:
    image = app()
    lab.put(image)
    ImageBuilder().layer(RUNTIME).build().push(lab.new, "app", "base")
    lab.forget_requests()
    (copied,) = lab.copy(mode=Mode.PRUNE, base="1").platforms
    assert copied.reused_bytes >= image.layers[1].size
    assert fetched(lab.old, image.layers[1].digest) == 1


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_jobs(lab: Lab, jobs: int) -> None:
    layers = [LayerBuilder().file(f"f{n}", noise(700_000, n)) for n in range(5)]
    layers += [LayerBuilder().whiteout("f1"), LayerBuilder().whiteout("f3")]
    lab.put(image_of(*layers))
    lab.copy(mode=Mode.PRUNE, base="none", jobs=jobs)
    assert lab.arrived().tree() == tree(*layers)


DOOMED = LayerBuilder().directory("d").file("d/x", noise(3000, 1))
"""A layer of which nothing can be seen under GONE: a directory, and a file below it."""
GONE = LayerBuilder().whiteout("d")
HOLDS_LITTLE = LayerBuilder().file("large", noise(300_000)).directory("d").file("d/y", b"y" * 400)
HOLDS_MUCH = LayerBuilder().directory("d").file("d/y", noise(4000, 3)).file("seen", noise(900, 4))
HOLDS_NOTHING = LayerBuilder().file("large", noise(300_000))


@pytest.mark.parametrize(
    ("above", "action"),
    [
        pytest.param(HOLDS_NOTHING, "dropped", id="nothing hidden"),
        pytest.param(HOLDS_LITTLE, "pruned", id="hidden entries, and it stays"),
        pytest.param(HOLDS_MUCH, "pruned", id="a hidden directory, and it is written again"),
    ],
)
def test_a_layer_is_left_out_only_if_no_layer_above_it_holds_anything_hidden(
    lab: Lab, above: LayerBuilder, action: str
) -> None:
    layers = (OS, DOOMED, above, GONE)
    lab.put(image_of(*layers))
    assert actions(lab, base="1")[1].value == action
    assert lab.arrived().tree() == tree(*layers)


def with_text(layer: LayerBuilder) -> LayerBuilder:
    """A layer in which zstd packs a text better than gzip does."""
    return layer.file("seen", b"".join(b"line %d\n" % number for number in range(40_000)))


def packed_with_zstd(*layers: LayerBuilder) -> ImageBuilder:
    """Layers that become larger when they are written again with gzip."""
    builder = ImageBuilder()
    for layer in layers:
        builder.layer(layer, Packing.ZSTD)
    return builder


def test_a_layer_that_would_not_become_smaller_stays_and_counts_as_holding_what_it_holds(
    lab: Lab,
) -> None:
    stubborn = with_text(LayerBuilder().file("gone", b"g"))
    layers = (OS, DOOMED, stubborn, LayerBuilder().whiteout("d").whiteout("gone"))
    lab.put(packed_with_zstd(*layers))
    found = actions(lab, base="1", prune_over=ALWAYS, compression="gzip")
    assert [each.value for each in found] == ["base", "pruned", "kept", "kept"]
    assert lab.arrived().tree() == tree(*layers)


def test_a_secret_goes_even_if_its_layer_does_not_become_smaller(lab: Lab) -> None:
    key = b"a key"
    stubborn = with_text(LayerBuilder().file("id_rsa", key))
    layers = (OS, stubborn, LayerBuilder().whiteout("id_rsa"))
    lab.put(packed_with_zstd(*layers))
    assert actions(lab, base="1", compression="gzip")[1].value == "pruned"
    assert all(key not in tar for tar in lab.arrived().tars())
