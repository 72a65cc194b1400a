"""A fleet, promoted in squashed form: a base, another one on it, two versions of an application.

Squashing makes every image smaller. Only with squashed bases it also makes the registry smaller.
"""

from __future__ import annotations

from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.model.node import Node
from tests.model.untar import read_tree
from tests.pipeline.images import noise
from tests.pipeline.lab import Arrived
from tests.promotion.pair import Pair, outcomes

DEBIAN = (
    LayerBuilder().directory("bin").file("bin/sh", noise(50_000, 1)).file("cache", noise(9_000, 2)),
    LayerBuilder().directory("bin").file("bin/ls", noise(20_000, 3)).whiteout("cache"),
)
PYTHON = (
    LayerBuilder().directory("lib").file("lib/python", noise(80_000, 4)),
    LayerBuilder().directory("lib").file("lib/python", noise(80_000, 5)),
    LayerBuilder().file("pip", noise(10_000, 6)),
)
APP = {
    tag: (
        LayerBuilder().directory("app").file("app/wheels", noise(30_000, 7)),
        LayerBuilder().directory("app").file("app/main", noise(5_000, seed)).whiteout("app/wheels"),
    )
    for tag, seed in (("1", 8), ("2", 9))
}
IMAGES = {
    "debian:12": DEBIAN,
    "python:3.12": (*DEBIAN, *PYTHON),
    "app:1": (*DEBIAN, *PYTHON, *APP["1"]),
    "app:2": (*DEBIAN, *PYTHON, *APP["2"]),
}
DEBIAN_RULE = "from: OLD/debian\nto: NEW/base/{name}\nbase: none"
PYTHON_RULE = "from: OLD/python\nto: NEW/base/{name}\nbase_repos: [base/debian]"
APPS_RULE = "from: OLD/app\nto: NEW/prod/{name}\nbase_repos: [base/debian, base/python]"
SHARED = {"debian": DEBIAN_RULE, "python": PYTHON_RULE, "apps": APPS_RULE}
ALONE = {name: rule.partition("\nbase_repos")[0] for name, rule in SHARED.items()}


def _push_all(registry: FakeRegistry) -> int:
    """Put the fleet into a registry; the bytes of its distinct layers."""
    sizes: dict[str, int] = {}
    for name, layers in IMAGES.items():
        builder = ImageBuilder()
        for layer in layers:
            builder.layer(layer)
        built = builder.build()
        repo, _, tag = name.partition(":")
        built.push(registry, repo, tag)
        sizes |= {layer.digest: layer.size for layer in built.layers}
    return sum(sizes.values())


def _arrived(pair: Pair) -> dict[str, Arrived]:
    """The results by the names of their sources."""
    return {
        name: Arrived(
            pair.new, ("prod/" if "app" in name else "base/") + name.partition(":")[0], tag
        )
        for name in IMAGES
        for tag in [name.partition(":")[2]]
    }


def _sizes(results: dict[str, Arrived]) -> dict[str, int]:
    """The size of every distinct layer."""
    return {
        layer["digest"]: layer["size"]
        for image in results.values()
        for layer in image.manifest["layers"]
    }


def _seen(name: str) -> dict[bytes, Node]:
    return read_tree(layer.tar() for layer in IMAGES[name])


def test_every_layer_is_stored_once_and_hidden_bytes_never(pair: Pair) -> None:
    """In one run: rules run in the order of the file, so the bases come first."""
    plain = _push_all(pair.old)
    code, document, errors = pair.promote_all(SHARED)
    assert (code, set(outcomes(document).values())) == (0, {"copied"}), errors
    results = _arrived(pair)
    layers = {name: image.layers for name, image in results.items()}
    assert [len(each) for each in layers.values()] == [1, 2, 3, 3]
    assert layers["python:3.12"][:1] == layers["debian:12"]
    assert layers["app:1"][:2] == layers["app:2"][:2] == layers["python:3.12"]
    for name, image in results.items():
        assert image.tree() == _seen(name)
    stored = sum(_sizes(results).values())
    assert len(_sizes(results)) == 4
    content = 50_000 + 20_000 + 80_000 + 10_000 + 2 * 5_000
    assert content < stored < content + 4 * 1024
    assert stored < plain - 9_000 - 80_000 - 30_000 + 4 * 1024


def test_without_base_repositories_the_fleet_costs_more_than_plain_copies(pair: Pair) -> None:
    plain = _push_all(pair.old)
    pair.promote_all(ALONE)
    apart = _sizes(_arrived(pair))
    python = 80_000 + 10_000
    assert sum(apart.values()) > plain
    pair.promote_all(SHARED)
    shared = _sizes(_arrived(pair))
    assert sum(apart.values()) - sum(shared.values()) > 2 * python


def test_the_second_version_uploads_its_own_layer_alone(pair: Pair) -> None:
    _push_all(pair.old)
    pair.promote_all({"debian": DEBIAN_RULE, "python": PYTHON_RULE})
    _, document, _ = pair.promote_all({"apps": APPS_RULE}, jobs=1)
    results = _arrived(pair)
    for each in document["images"]:
        image = results["app:" + each["target"].rpartition(":")[2]]
        own = image.manifest["layers"][-1]["size"]
        assert each["uploaded_bytes"] == own + image.manifest["config"]["size"]


def test_base_repositories_are_searched_once_a_rule_and_not_if_all_is_current(pair: Pair) -> None:
    _push_all(pair.old)
    pair.promote_all({"debian": DEBIAN_RULE, "python": PYTHON_RULE})
    pair.new.forget_requests()
    pair.promote_all({"apps": APPS_RULE})
    paths = [each.path for each in pair.new.requests if each.method == "GET"]
    assert sum("base/debian/tags/list" in path for path in paths) == 2
    assert sum("base/python/tags/list" in path for path in paths) == 2
    assert sum("base/python/manifests/3.12" in path for path in paths) == 1
    assert sum("base/debian/manifests/12" in path for path in paths) == 1
    pair.new.forget_requests()
    _, document, _ = pair.promote_all({"apps": APPS_RULE})
    assert set(outcomes(document).values()) == {"current"}
    assert {each.method for each in pair.new.requests} == {"HEAD"}
