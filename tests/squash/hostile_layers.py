"""Layers that are small, legal, and cost as much as possible to squash."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from squashproxy.testing import LayerBuilder as Layer

Layers = list[bytes]


def path(depth: int, *above: str) -> str:
    """A path of `depth` directories with names of one letter, below those named."""
    return "/".join([*above, *["a"] * depth, "f"])


def _one(depth: int) -> Layers:
    return [Layer().file(path(depth)).tar()]


def _beside_each_other(depth: int) -> Layers:
    layer = Layer()
    for number in range(5):
        layer.file(path(depth, str(number)))
    return [layer.tar()]


def _hidden(depth: int) -> Layers:
    return [*_beside_each_other(depth), *_beside_each_other(depth)]


def _whiteouts(depth: int) -> Layers:
    layer = Layer()
    for number in range(5):
        layer.whiteout(path(depth, str(number)))
    return [*_beside_each_other(depth), layer.tar()]


def _opaque(depth: int) -> Layers:
    return [*_one(depth), Layer().opaque(path(depth - 1)[:-2]).tar()]


def _replaced(depth: int) -> Layers:
    return [*_one(depth), Layer().file("a").tar(), *_one(depth)]


def _links(depth: int) -> Layers:
    layer = Layer()
    for number in range(5):
        layer.hardlink(path(depth, "link", str(number)), path(depth, "file", str(number)))
    files = Layer()
    for number in range(5):
        files.file(path(depth, "file", str(number)))
    return [files.tar(), layer.tar()]


def _links_to_hidden(depth: int) -> Layers:
    target, link = path(depth, "file"), path(depth, "link")
    return [Layer().file(target).hardlink(link, target).tar(), Layer().whiteout("file").tar()]


def _symlinks(depth: int) -> Layers:
    layer = Layer().symlink("s", path(depth)).file("s/x")
    for number in range(5):
        layer.symlink(path(depth, str(number)), "t").file(path(depth, str(number)) + "/x")
    return [layer.tar()]


def _twice(depth: int) -> Layers:
    return [Layer().file(path(depth)).file(path(depth)).file("a").file("b").tar()]


def _directories(depth: int) -> Layers:
    deep = path(depth)[:-2]
    return [Layer().directory(deep).file(f"{deep}/f").tar(), Layer().file("a/b").tar()]


DEEP: dict[str, Callable[[int], Layers]] = {
    "one path": _one,
    "paths beside each other": _beside_each_other,
    "hidden ones": _hidden,
    "whiteouts": _whiteouts,
    "an opaque marker": _opaque,
    "a file in the place of a directory": _replaced,
    "hard links into a lower layer": _links,
    "hard links to hidden files": _links_to_hidden,
    "symlinks": _symlinks,
    "a path that stands twice": _twice,
    "directories": _directories,
}
"""By kind: the layers, base first, with paths of a given depth, at most 2,000."""

_NAME = "n" * 4000


def _many(add: Callable[[Layer, str], object]) -> Iterator[bytes]:
    layer = Layer()
    for number in range(1500):
        add(layer, f"{number:06}{_NAME}")
    yield layer.tar()


def _above(below: Layers, layer: Layer) -> Layers:
    return [*below, layer.tar()]


def many(add: Callable[[Layer, str], object]) -> Layers:
    """A layer of 1,500 entries, each with a name of 4,006 bytes."""
    return list(_many(add))


LARGE: dict[str, Callable[[], Layers]] = {
    "names": lambda: many(lambda layer, name: layer.file(name)),
    "directories": lambda: many(lambda layer, name: layer.directory(name).file(f"{name}/f")),
    "whiteouts": lambda: many(lambda layer, name: layer.whiteout(name)),
    "targets of symlinks": lambda: many(lambda layer, name: layer.symlink(name[:6], name)),
    "targets of hard links": lambda: many(lambda layer, name: layer.hardlink(name[:6], name)),
    "attributes of hard links": lambda: many(
        lambda layer, name: layer.hardlink(name[:6], "t", xattrs={"user.a": name.encode()})
    ),
    "hidden names": lambda: _above(
        many(lambda layer, name: layer.file(f"d/{name}", b"x")), Layer().whiteout("d")
    ),
    "hidden links": lambda: _above(
        many(lambda layer, name: layer.hardlink(f"d/{name}", f"t{name}")), Layer().whiteout("d")
    ),
}
"""By kind: layers of 6 MB of names, targets and attributes, which have to be remembered."""
