"""Random stacks through real registries: squashed by the command, unpacked by both judges."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.model.node import compare_trees
from tests.model.stacks import random_stack
from tests.real.command import copy, layer_digests
from tests.real.judges import Judges, push_layout
from tests.real.layout import LayoutWriter
from tests.real.registries import RealRegistry

pytestmark = pytest.mark.real
FIRST = 5000
STACKS = 24
ALWAYS = 3
"""So many of the stacks of each kind are copied in every run, the others with `--long`."""
SPLIT_STACKS = 8
PRUNED_STACKS = 8


def _seeds(stacks: int) -> list[ParameterSet]:
    return [
        pytest.param(FIRST + number, marks=[pytest.mark.long] if number >= ALWAYS else [])
        for number in range(stacks)
    ]


@pytest.mark.parametrize("seed", _seeds(STACKS))
def test_a_copied_stack_runs_as_it_did(
    seed: int,
    tmp_path: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
) -> None:
    stack = random_stack(seed, disputed=False)
    built = stack.build()
    layout = LayoutWriter(tmp_path / "layout")
    layout.add_image("image", [layout.add_layer(tar) for tar in built.tars])
    push_layout(layout.folder, "image", source_registry, f"model:{seed}")
    source = layer_digests(source_registry, f"model:{seed}")
    expected = {path: node for path, node in built.trees[-1].items() if path}
    for kept in (0, random.Random(seed).randrange(1, len(source))):
        base = str(kept) if kept else "none"
        copy(
            source_registry,
            target_registry,
            f"model:{seed}",
            "--base",
            base,
            "--force",
            home=tmp_path,
        )
        digests = layer_digests(target_registry, f"model:{seed}")
        assert digests[:kept] == source[:kept]
        assert len(digests) <= kept + 1
        for judge, tree in judges.trees(target_registry, f"model:{seed}").items():
            difference = compare_trees(expected, tree)
            assert difference == [], f"{judge}, {kept} layers kept, of\n{stack}"


@pytest.mark.parametrize("seed", _seeds(SPLIT_STACKS))
def test_a_stack_that_is_cut_into_layers_runs_as_it_did(
    seed: int,
    tmp_path: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
) -> None:
    stack = random_stack(seed, disputed=False)
    built = stack.build()
    layout = LayoutWriter(tmp_path / "layout")
    added = [layout.add_layer(tar) for tar in built.tars]
    layout.add_image("image", added)
    push_layout(layout.folder, "image", source_registry, f"split:{seed}")
    packed = sum(descriptor["size"] for descriptor, _ in added)
    expected = {path: node for path, node in built.trees[-1].items() if path}
    for base in ("none", "1"):
        options = ("--base", base, "--force", "--max-layer-size", str(max(1, packed // 40)))
        copy(source_registry, target_registry, f"split:{seed}", *options, home=tmp_path)
        if base == "none":
            assert len(layer_digests(target_registry, f"split:{seed}")) > 1
        for judge, tree in judges.trees(target_registry, f"split:{seed}").items():
            difference = compare_trees(expected, tree)
            assert difference == [], f"{judge}, base {base}, of\n{stack}"


@pytest.mark.parametrize("seed", _seeds(PRUNED_STACKS))
def test_a_pruned_stack_runs_as_it_did(
    seed: int,
    tmp_path: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
) -> None:
    stack = random_stack(seed, disputed=False)
    built = stack.build()
    layout = LayoutWriter(tmp_path / "layout")
    layout.add_image("image", [layout.add_layer(tar) for tar in built.tars])
    push_layout(layout.folder, "image", source_registry, f"pruned:{seed}")
    source = layer_digests(source_registry, f"pruned:{seed}")
    expected = {path: node for path, node in built.trees[-1].items() if path}
    kept = random.Random(seed).randrange(len(source))
    options = ("--mode=prune", "--prune-over=0%", f"--base={kept or 'none'}", "--force")
    copy(source_registry, target_registry, f"pruned:{seed}", *options, home=tmp_path)
    digests = layer_digests(target_registry, f"pruned:{seed}")
    assert digests[:kept] == source[:kept]
    assert digests[-1] == source[-1], "nothing hides what the top layer holds"
    for judge, tree in judges.trees(target_registry, f"pruned:{seed}").items():
        difference = compare_trees(expected, tree)
        assert difference == [], f"{judge}, {kept} layers kept, of\n{stack}"
