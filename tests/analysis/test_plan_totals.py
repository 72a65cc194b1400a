"""A plan counts all layers, base included, whichever layers a copy would keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from squashproxy.oci.mediatypes import OCI_LAYER_GZIP
from squashproxy.pipeline.options import Limits
from squashproxy.pipeline.results import LayerPlan
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.model.census import Counted, count_layers
from tests.model.stacks import random_stack
from tests.pipeline.images import OS, RUNTIME, TOP, app, image_of
from tests.pipeline.lab import Lab, fetched

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
STACKS = 40


def counted(layer: LayerPlan) -> tuple[int | None, ...]:
    return layer.unpacked, layer.entries, layer.hidden_entries, layer.hidden_bytes


def expected(count: Counted) -> tuple[int, ...]:
    return count.unpacked, count.entries, count.hidden_entries, count.hidden_bytes


def test_random_stacks_are_counted_as_unpacking_them_shows(lab: Lab) -> None:
    for seed in range(1000, 1000 + STACKS):
        tars = random_stack(seed).build().tars
        lab.put(image_of(*tars))
        counts = count_layers(tars)
        for base in ("none", "1", str(len(tars))):
            (planned,) = lab.plan(target=None, base=base).platforms
            assert list(map(counted, planned.layers)) == list(map(expected, counts)), seed
            assert planned.total_unpacked == sum(count.unpacked for count in counts)
            assert planned.total_hidden == sum(count.hidden_bytes for count in counts)
            payload = sum(folder.hidden_bytes for folder in planned.hidden_folders)
            assert payload == sum(count.payload for count in counts), seed


def test_efficiency_is_the_share_that_is_not_hidden(lab: Lab) -> None:
    layers = (LayerBuilder().file("a", b"x" * 512), LayerBuilder().whiteout("a"))
    lab.put(image_of(*layers))
    (planned,) = lab.plan(target=None, base="1").platforms
    assert planned.total_unpacked == (2 + 2 + 1 + 2) * 512
    assert planned.total_hidden == 2 * 512
    assert planned.efficiency == pytest.approx(5 / 7)
    assert (planned.hidden_bytes, planned.unpacked_before) == (0, 3 * 512)


def test_an_image_of_nothing_wastes_nothing(lab: Lab) -> None:
    lab.put(ImageBuilder().build())
    (planned,) = lab.plan(target=None).platforms
    assert (planned.total_unpacked, planned.total_hidden, planned.efficiency) == (0, 0, 1.0)


def test_the_totals_do_not_depend_on_the_base(lab: Lab) -> None:
    lab.put(app())
    plans = [lab.plan(target=None, base=base).platforms[0] for base in ("none", "1", "2", "4")]
    assert len({(plan.total_unpacked, plan.total_hidden, plan.efficiency) for plan in plans}) == 1
    assert len({plan.hidden_folders for plan in plans}) == 1


def test_of_foreign_layers_nothing_is_known(lab: Lab) -> None:
    built = image_of(OS)
    foreign = replace(built.layers[0], media_type=FOREIGN)
    builder = ImageBuilder().stored_layer(foreign, built.diff_ids[0])
    lab.put(builder.layer(RUNTIME).layer(LayerBuilder().file("z")).build())
    (planned,) = lab.plan(target=None, base="2").platforms
    assert counted(planned.layers[0]) == (None,) * 4
    assert planned.layers[1].entries == 2
    assert planned.total_unpacked == len(RUNTIME.tar()) + len(LayerBuilder().file("z").tar())


def test_a_base_layer_that_is_damaged_is_a_warning_as_a_copy_would_keep_it(lab: Lab) -> None:
    torn = LayerBuilder().file("torn", b"x" * 5000).tar()[:1500]
    lab.put(image_of(OS, torn, RUNTIME, LayerBuilder().file("z")))
    plan = lab.plan(target=None, base="3")
    (planned,) = plan.platforms
    assert [layer.entries for layer in planned.layers] == [None, None, 2, 1]
    (warning,) = plan.warnings
    assert "counted only above layer 2" in warning
    assert "cut short" in warning


def test_a_base_past_the_limit_of_memory_is_a_warning_as_a_copy_would_not_read_it(lab: Lab) -> None:
    large = LayerBuilder()
    for number in range(2000):
        large.file(f"{number}")
    lab.put(image_of(large, LayerBuilder().file("y"), LayerBuilder().file("z")))
    limits = Limits(memory=100_000)
    lab.copy(base="1", limits=limits)
    plan = lab.plan(target=None, base="1", limits=limits)
    assert plan.platforms[0].layers[0].entries is None
    assert "`memory`" in plan.warnings[0]


def test_a_base_that_the_merge_looked_into_is_counted_all_the_same(lab: Lab) -> None:
    linked = LayerBuilder().hardlink("x", "etc/os-release")
    image = image_of(OS, linked, TOP)
    lab.put(image)
    (planned,) = lab.plan(target=None, base="1").platforms
    assert planned.fallbacks == 1
    assert fetched(lab.old, image.layers[0].digest) == 2
    assert (planned.layers[0].unpacked, planned.layers[0].entries) == (len(OS.tar()), 3)


def test_what_a_base_hides_of_itself_is_listed_but_no_gain_of_a_copy(lab: Lab) -> None:
    lower = LayerBuilder().file("opt/gone", b"x" * 3000)
    middle = LayerBuilder().whiteout("opt/gone")
    lab.put(image_of(lower, middle, LayerBuilder().file("z")))
    (planned,) = lab.plan(target=None, base="2").platforms
    assert [(file.path, file.layer, file.hidden_by) for file in planned.largest_hidden] == [
        ("opt/gone", 0, 1)
    ]
    assert planned.hidden_bytes == 0
    assert planned.total_hidden == 512 + 3072
    assert planned.layers[0].media_type == OCI_LAYER_GZIP
