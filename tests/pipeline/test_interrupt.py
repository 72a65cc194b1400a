"""Ctrl-C in the middle: the sessions are cancelled, the tag is as it was, no thread goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import BuiltImage, LayerBuilder
from tests.pipeline.images import image_of, noise, other
from tests.pipeline.lab import Lab, Listener, asked

BASE = LayerBuilder().file("base", noise(6 << 20, 1))


def image() -> BuiltImage:
    upper = LayerBuilder().file("a", noise(6 << 20, 2)).file("b", b"b")
    return image_of(BASE, upper, LayerBuilder().file("b", b"new"))


IMAGE = image()


class Interrupter(Listener):
    """Raises KeyboardInterrupt, as Ctrl-C does, when a task has advanced so many bytes."""

    def __init__(self, label: str, after: int) -> None:
        super().__init__(on_advance=self._count)
        self._label = label
        self._left = after

    def _count(self, label: str, count: int) -> None:
        if label.startswith(self._label):
            self._left -= count
            if self._left <= 0:
                raise KeyboardInterrupt


EVERY_WAY = tuple(UploadMode)
CHUNKS = (UploadMode.AUTO,)
MOMENTS = [
    ("at the first layer read", "layer 3/3", 1, CHUNKS),
    ("before a chunk was sent", "layer 2/3", 1 << 20, CHUNKS),
    ("after a chunk was sent", "layer 2/3", 5 << 20, EVERY_WAY),
    ("while writing", "squashed layer", 1 << 20, CHUNKS),
    ("while writing the second chunk", "squashed layer", 5 << 20, CHUNKS),
    ("while copying the base", "blob", 1 << 20, CHUNKS),
    ("while copying the second chunk of the base", "blob", 5 << 20, EVERY_WAY),
]


@pytest.mark.parametrize(
    ("label", "after", "mode"),
    [
        pytest.param(label, after, mode, id=f"{name}, {mode.value}")
        for name, label, after, modes in MOMENTS
        for mode in modes
    ],
)
def test_an_interrupted_copy(
    labs: Callable[..., Lab], label: str, after: int, mode: UploadMode
) -> None:
    lab = labs()
    lab.put(IMAGE)
    before = other().push(lab.new, "app", "1")
    options = ClientOptions(upload={lab.new.host: mode})
    with RegistryClient(options, environ={}) as client:
        interrupted = Lab(lab.old, lab.new, client)
        with pytest.raises(KeyboardInterrupt):
            interrupted.copy(base="1", observer=Interrupter(label, after))
        assert lab.new.open_uploads == 0
        assert lab.new.tags("app") == {"1": before}
        assert not any("PUT app/manifests" in line for line in asked(lab.new))
        result = interrupted.copy(base="1")
    assert lab.new.tags("app") == {"1": result.digest}
