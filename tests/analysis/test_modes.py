"""The three modes side by side: figures that hold for a copy in each, and one recommended."""

from __future__ import annotations

import pytest

from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import ModePlan
from squashproxy.testing import LayerBuilder
from tests.pipeline.images import LAYERS, OS, RUNTIME, app, image_of, noise
from tests.pipeline.lab import Lab

BODY = LayerBuilder().file("large", noise(60_000)).file("body", noise(90_000, 2))
TOP = LayerBuilder().whiteout("large").file("more", noise(5000, 3))
HEAVY = (OS, BODY, TOP)
SMALL_TOP = LayerBuilder().file("app/version", noise(500))


def modes_of(lab: Lab, mode: Mode, **choices: str) -> dict[Mode, ModePlan]:
    (plan,) = lab.plan(mode=mode, **choices).platforms
    assert [each.mode for each in plan.modes] == list(Mode)
    assert sum(each.recommended for each in plan.modes) == 1
    return {each.mode: each for each in plan.modes}


@pytest.mark.parametrize("mode", Mode)
def test_the_chosen_mode_is_exact_and_a_copy_agrees(lab: Lab, mode: Mode) -> None:
    lab.put(app())
    planned = modes_of(lab, mode)[mode]
    assert not planned.estimated
    (copied,) = lab.copy(mode=mode).platforms
    assert planned.compressed_after == copied.compressed_after
    assert planned.layers_after == copied.layers_after
    sent = sum(layer.packed_after for layer in copied.layers)
    assert planned.upload_bytes == sent


@pytest.mark.parametrize("mode", Mode)
def test_the_others_are_estimated_and_close(lab: Lab, mode: Mode) -> None:
    lab.put(image_of(*HEAVY, SMALL_TOP))
    planned = modes_of(lab, mode)
    for other in Mode:
        (copied,) = lab.copy(target=f"app:{other.value}", mode=other).platforms
        assert planned[other].compressed_after == pytest.approx(copied.compressed_after, rel=0.05)
        assert planned[other].layers_after == copied.layers_after


def test_a_next_version_sends_one_layer_unless_it_is_squashed(lab: Lab) -> None:
    image = image_of(*LAYERS, SMALL_TOP)
    lab.put(image)
    planned = modes_of(lab, Mode.SQUASH)
    top = image.layers[-1].size
    assert planned[Mode.COPY].next_upload_bytes == top
    assert planned[Mode.PRUNE].next_upload_bytes == top
    assert planned[Mode.SQUASH].next_upload_bytes > top


@pytest.mark.parametrize("mode", Mode)
def test_what_changed_since_the_version_at_the_target_changes_again(lab: Lab, mode: Mode) -> None:
    before = (OS, RUNTIME, LayerBuilder().file("a", noise(700)), SMALL_TOP)
    after = (OS, RUNTIME, LayerBuilder().file("a", noise(700, 2)), SMALL_TOP)
    lab.put(image_of(*before))
    lab.copy(mode=mode)
    image = image_of(*after)
    lab.put(image)
    planned = modes_of(lab, Mode.SQUASH)
    assert planned[Mode.COPY].next_upload_bytes == sum(layer.size for layer in image.layers[2:])


@pytest.mark.parametrize(
    ("layers", "best"),
    [
        pytest.param((OS, RUNTIME, SMALL_TOP), Mode.COPY, id="nothing is hidden"),
        pytest.param((*HEAVY, SMALL_TOP), Mode.PRUNE, id="much is hidden below a small top"),
        pytest.param(
            (
                OS,
                LayerBuilder().file("id_rsa", b"key"),
                LayerBuilder().whiteout("id_rsa"),
                SMALL_TOP,
            ),
            Mode.PRUNE,
            id="a secret is hidden",
        ),
    ],
)
def test_what_is_recommended(lab: Lab, layers: tuple[LayerBuilder, ...], best: Mode) -> None:
    lab.put(image_of(*layers))
    for mode in Mode:
        assert modes_of(lab, mode)[best].recommended
