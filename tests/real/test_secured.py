"""A registry with TLS and a password: pushed to and pulled from, and refused without either."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.stacks import random_stack
from tests.real.command import copy, layer_digests
from tests.real.judges import CommandFailedError, push_layout
from tests.real.layout import LayoutWriter
from tests.real.registries import RealRegistry

pytestmark = pytest.mark.real


@pytest.fixture
def image(tmp_path: Path, source_registry: RealRegistry) -> str:
    layout = LayoutWriter(tmp_path / "layout")
    tars = random_stack(1).build().tars
    layout.add_image("image", [layout.add_layer(tar) for tar in tars])
    push_layout(layout.folder, "image", source_registry, "secured/app:v1")
    return "secured/app:v1"


def test_an_image_goes_to_a_secured_registry_and_back(
    image: str,
    source_registry: RealRegistry,
    secured_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
) -> None:
    there = copy(source_registry, secured_registry, image, home=tmp_path)
    copy(secured_registry, target_registry, image, "--base", "1", home=tmp_path)
    source = layer_digests(source_registry, image)
    assert there["platforms"][0]["layers_after"] == len(layer_digests(secured_registry, image))
    assert layer_digests(target_registry, image)[0] == source[0]


@pytest.mark.parametrize(
    ("password", "ca", "word"),
    [
        pytest.param(False, True, "credentials", id="no password"),
        pytest.param(True, False, "certificate", id="a certificate of nobody known"),
    ],
)
def test_a_secured_registry_takes_nothing_from_a_stranger(  # noqa: PLR0917 - by name
    image: str,
    password: bool,
    ca: bool,
    word: str,
    source_registry: RealRegistry,
    secured_registry: RealRegistry,
    tmp_path: Path,
) -> None:
    stranger = RealRegistry(
        secured_registry.host,
        secured_registry.storage,
        secured_registry.log,
        secured_registry.ca if ca else None,
        secured=password,
    )
    with pytest.raises(CommandFailedError, match=f"exit code 1: .*{word}"):
        copy(source_registry, stranger, image, home=tmp_path)
