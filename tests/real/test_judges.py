"""Both judges unpack source images to the model's tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.node import compare_trees
from tests.model.stacks import random_stack
from tests.real.judges import Judges, push_layout
from tests.real.layout import LayoutWriter
from tests.real.registries import RealRegistry

pytestmark = pytest.mark.real


@pytest.mark.parametrize("seed", range(12))
def test_the_source_image_of_a_stack_unpacks_to_the_tree_of_the_model(
    seed: int, tmp_path: Path, source_registry: RealRegistry, judges: Judges
) -> None:
    built = random_stack(seed, disputed=False).build()
    layout = LayoutWriter(tmp_path / "layout")
    layout.add_image("image", [layout.add_layer(tar) for tar in built.tars])
    push_layout(layout.folder, "image", source_registry, f"judges/stack:{seed}")
    expected = {path: node for path, node in built.trees[-1].items() if path}
    for judge, tree in judges.trees(source_registry, f"judges/stack:{seed}").items():
        assert compare_trees(expected, tree) == [], judge
