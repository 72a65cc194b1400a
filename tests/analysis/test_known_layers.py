"""A plan of an image whose layers are known reads none of them, and says what it said before."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from squashproxy.errors import Ambiguous, LimitExceeded
from squashproxy.layer_memory.base import LayerMemory
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import Limits
from squashproxy.pipeline.results import PlatformPlan
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.testing import BuiltImage, BuiltIndex, ImageBuilder, LayerBuilder, Packing
from tests.analysis.test_plan import IMAGES, LINKED, TWICE
from tests.pipeline.images import APP, LAYERS, OS, RUNTIME, TOP, app, image_of, noise
from tests.pipeline.lab import Lab, fetched

ESTIMATES = {"compressed_after", "upload_bytes", "modes", "layers", "estimated", "unpacked_after"}
"""What may differ where layers were not made; all other figures are the same."""
HEAVY = image_of(
    OS,
    LayerBuilder().file("large", noise(90_000)).file("etc/a", noise(60_000, 2)).directory("opt"),
    LayerBuilder().file("opt/.env", b"secret").file("opt/b", noise(30_000, 3)),
    LayerBuilder().whiteout("large").whiteout("opt").file("more", noise(20_000, 4)),
)
LINKS = image_of(
    OS,
    LINKED,
    LayerBuilder().hardlink("c", "b"),
    LayerBuilder().whiteout("a").hardlink("d", "etc/os-release"),
    TOP,
)
HEAVY_BODY = LayerBuilder().file("large", noise(90_000)).file("kept", noise(60_000, 2))
MORE: dict[str, BuiltImage | BuiltIndex] = {
    **IMAGES,
    "much is hidden": HEAVY,
    "links between layers": LINKS,
    "twice above": image_of(OS, RUNTIME, TWICE, LayerBuilder().file("twice")),
}


@pytest.fixture(name="memory")
def a_memory(tmp_path: Path) -> LayerMemory:
    warnings: list[str] = []
    return RememberedLayers(Folder(tmp_path / "layers", warnings.append), ENGINE)


def exact_part(plan: PlatformPlan) -> dict[str, Any]:
    """All figures that do not depend on the size of a new layer."""
    figures = {
        each.name: getattr(plan, each.name) for each in fields(plan) if each.name not in ESTIMATES
    }
    figures["layers"] = [replace(layer, compressed_after=None) for layer in plan.layers]
    return figures


def layers_read(lab: Lab) -> int:
    """How many blobs were asked for that are layers: the config is one as well."""
    return sum(
        exchange.method == "GET" and "/blobs/" in exchange.path for exchange in lab.old.requests
    )


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("name", "base"),
    [
        (name, base)
        for name in MORE
        for base in ("none", "1", "auto")
        if (name, base) != ("no layers", "1")
    ],
)
def test_its_figures_are_those_of_an_exact_plan(
    lab: Lab, memory: LayerMemory, name: str, base: str, mode: Mode
) -> None:
    lab.put(MORE[name])
    first = lab.plan(base=base, mode=mode, memory=memory)
    configs = sum(len({plan.source_digest}) for plan in first.platforms)
    lab.forget_requests()
    second = lab.plan(base=base, mode=mode, memory=memory)
    assert layers_read(lab) == configs, "no layer is read, only each config"
    assert second.warnings == first.warnings
    for exact, known in zip(first.platforms, second.platforms, strict=True):
        assert not exact.estimated
        assert exact_part(known) == exact_part(exact)
        assert known.unpacked_after == pytest.approx(exact.unpacked_after, abs=2048)
        if known.estimated:
            assert known.compressed_after <= known.compressed_before
            if mode is Mode.SQUASH:
                assert known.compressed_after == pytest.approx(exact.estimated_after, abs=1)
        else:
            assert known.compressed_after == exact.compressed_after
            assert known.upload_bytes == exact.upload_bytes


@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE])
@pytest.mark.parametrize("base", ["none", "1"])
def test_what_it_estimates_is_near_where_all_compresses_alike(
    lab: Lab, memory: LayerMemory, base: str, mode: Mode
) -> None:
    lab.put(HEAVY)
    (exact,) = lab.plan(base=base, mode=mode).platforms
    lab.plan(mode=Mode.COPY, memory=memory)
    (known,) = lab.plan(base=base, mode=mode, memory=memory).platforms
    assert known.estimated
    assert known.compressed_after == pytest.approx(exact.compressed_after, rel=0.05)
    assert known.upload_bytes == pytest.approx(exact.upload_bytes, rel=0.05)
    assert {each.mode: each.recommended for each in known.modes} == {
        each.mode: each.recommended for each in exact.modes
    }


@pytest.mark.parametrize("mode", Mode)
def test_any_mode_remembers_the_layers_for_all(lab: Lab, memory: LayerMemory, mode: Mode) -> None:
    lab.put(HEAVY)
    lab.plan(mode=mode, memory=memory)
    for other in Mode:
        lab.forget_requests()
        lab.plan(mode=other, memory=memory)
        assert [fetched(lab.old, layer.digest) for layer in HEAVY.layers] == [0] * 4, other


def test_where_one_layer_is_unknown_the_plan_is_exact_and_the_known_base_is_not_read(
    lab: Lab, memory: LayerMemory
) -> None:
    lab.put(HEAVY)
    lab.plan(memory=memory, base="2")
    image = image_of(*LAYERS[:1], RUNTIME, APP)
    lab.put(image, "app:2")
    lab.forget_requests()
    (planned,) = lab.plan("app:2", "app:2", memory=memory, base="1").platforms
    assert not planned.estimated
    assert [fetched(lab.old, layer.digest) for layer in image.layers] == [0, 1, 1]
    assert planned.layers[0].unpacked == len(OS.tar())


@pytest.mark.parametrize("base", ["none", "1", "2"])
def test_plan_and_copy_agree_on_what_prune_leaves_out(
    lab: Lab, memory: LayerMemory, base: str
) -> None:
    lab.put(HEAVY)
    lab.plan(mode=Mode.COPY, memory=memory)
    (planned,) = lab.plan(mode=Mode.PRUNE, memory=memory, base=base).platforms
    (copied,) = lab.copy(mode=Mode.PRUNE, memory=memory, base=base).platforms
    assert planned.estimated == (base != "2"), "with two, the only layer that loses is left out"
    assert planned.hidden_bytes == copied.hidden_bytes > 0
    assert planned.unpacked_after == copied.unpacked_after
    assert planned.layers_after == copied.layers_after
    assert [layer.hidden_bytes for layer in planned.layers[planned.base_layers :]] == [
        layer.hidden_bytes for layer in copied.layers[copied.base_layers :]
    ]
    (after,) = lab.plan(target="app:2", mode=Mode.PRUNE, memory=memory, base=base).platforms
    assert not after.estimated, "the memory has the very results"
    assert after.compressed_after == copied.compressed_after


def test_an_earlier_result_at_the_target_is_what_a_copy_takes(
    lab: Lab, memory: LayerMemory
) -> None:
    body = LayerBuilder().file("large", noise(90_000)).file("gone", noise(50_000, 2))
    body = body.file("little", b"x" * 300)
    top, later = LayerBuilder().whiteout("gone"), LayerBuilder().whiteout("little")
    lab.put(image_of(OS, body, top), "app:1")
    lab.put(image_of(OS, body, top, later), "app:2")
    lab.copy("app:1", "app:1", mode=Mode.PRUNE, memory=memory)
    lab.plan("app:2", "app:2", mode=Mode.COPY, memory=memory)
    (planned,) = lab.plan("app:2", "app:2", mode=Mode.PRUNE, memory=memory).platforms
    (copied,) = lab.copy("app:2", "app:2", mode=Mode.PRUNE, memory=memory).platforms
    assert copied.layers[1].action.value == "reused"
    assert not planned.estimated
    assert planned.unpacked_after == copied.unpacked_after
    assert planned.upload_bytes == copied.uploaded_bytes
    assert planned.compressed_after == copied.compressed_after


@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE])
def test_another_compression_cannot_be_estimated_and_layers_are_read(
    lab: Lab, memory: LayerMemory, mode: Mode
) -> None:
    lab.put(app(packing=Packing.NONE))
    lab.plan(mode=mode, memory=memory)
    (planned,) = lab.plan(mode=mode, memory=memory, compression="zstd", base="none").platforms
    (copied,) = lab.copy(mode=mode, compression="zstd", base="none").platforms
    assert not planned.estimated
    assert planned.compressed_after == copied.compressed_after


def test_tars_that_are_to_be_hashed_are_read(lab: Lab, memory: LayerMemory) -> None:
    lab.put(HEAVY)
    lab.plan(memory=memory)
    lab.forget_requests()
    (planned,) = lab.plan(memory=memory, check_diff_ids=True).platforms
    assert not planned.estimated
    assert [fetched(lab.old, layer.digest) for layer in HEAVY.layers] == [1] * 4


@pytest.mark.parametrize(
    ("choices", "error"),
    [
        pytest.param({"limits": Limits(entries=2)}, LimitExceeded, id="entries"),
        pytest.param({"limits": Limits(unpacked=20_000)}, LimitExceeded, id="unpacked"),
        pytest.param({"limits": Limits(memory=100)}, LimitExceeded, id="memory"),
        pytest.param({"limits": Limits(ratio=1.5)}, LimitExceeded, id="ratio"),
        pytest.param({"strict": True}, Ambiguous, id="strict"),
    ],
)
def test_it_fails_as_an_exact_plan_does(
    lab: Lab, memory: LayerMemory, choices: dict[str, Any], error: type[Exception]
) -> None:
    large = LayerBuilder().file("zeros", bytes(101 << 20)).file("noise", noise(2 << 20))
    lab.put(image_of(OS, large, TWICE, LayerBuilder().whiteout("zeros")))
    lab.plan(memory=memory)
    with pytest.raises(error) as exact:
        lab.plan(base="1", **choices)
    with pytest.raises(error) as known:
        lab.plan(base="1", memory=memory, **choices)
    assert str(known.value) == str(exact.value)


def test_a_squash_that_is_cut_is_estimated_too(lab: Lab, memory: LayerMemory) -> None:
    lab.put(HEAVY)
    (exact,) = lab.plan(memory=memory, max_layer_size=40_000).platforms
    (known,) = lab.plan(memory=memory, max_layer_size=40_000).platforms
    assert known.estimated
    assert known.layers_after == pytest.approx(exact.layers_after, abs=1)
    assert known.compressed_after == pytest.approx(exact.compressed_after, rel=0.2)


def test_foreign_layers_need_not_be_known(lab: Lab, memory: LayerMemory) -> None:
    built = image_of(OS)
    foreign = replace(
        built.layers[0],
        media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        size=1 << 30,
    )
    builder = ImageBuilder().stored_layer(foreign, built.diff_ids[0])
    image = builder.layer(HEAVY_BODY).layer(LayerBuilder().whiteout("large")).build()
    lab.put(image)
    (exact,) = lab.plan(memory=memory).platforms
    (known,) = lab.plan(memory=memory).platforms
    assert image.layers[1].media_type == OCI_LAYER_GZIP
    assert known.estimated
    assert exact_part(known) == exact_part(exact)
