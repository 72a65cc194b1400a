"""Pinned digests: each image once, and no two for one tag."""

from __future__ import annotations

import pytest

from tests.cleanup.room import image
from tests.promotion.pair import Pair, errors, outcomes, sign


def pushes(pair: Pair, tag: str) -> int:
    """How often a manifest was written under a tag of the target."""
    return sum(
        each.method == "PUT" and each.path.endswith(f"/manifests/{tag}")
        for each in pair.new.requests
    )


@pytest.fixture
def digest(pair: Pair) -> str:
    pair.push("web", "1")
    return pair.old.tags("web")["1"]


TWICE = {
    "a tag twice": '{"OLD/web@DIGEST": [stable, stable]}',
    "an image by two names": '{"OLD/web@DIGEST": [stable], "docker://OLD/web@DIGEST": [stable]}',
}


@pytest.mark.parametrize("pins", TWICE.values(), ids=TWICE)
def test_a_pin_named_twice_is_copied_once(pair: Pair, digest: str, pins: str) -> None:
    code, document, _ = pair.promote(
        f"to: NEW/prod/{{name}}\npins: {pins.replace('DIGEST', digest)}"
    )
    assert (code, len(document["images"])) == (0, 1)
    assert outcomes(document) == {"prod/web:stable": "copied"}
    assert pushes(pair, "stable") == 1


def test_a_pin_of_two_spellings_of_its_host_is_copied_once(pair: Pair, digest: str) -> None:
    port = pair.old.host.rpartition(":")[2]
    hosts = [f"localhost:{port}", f"LOCALHOST:{port}", f"LocalHost:{port}"]
    pins = ", ".join(f'"{host}/web@{digest}": [stable]' for host in hosts)
    code, document, _ = pair.promote(f"to: NEW/prod/{{name}}\npins: {{{pins}}}")
    assert (code, len(document["images"])) == (0, 1)
    assert pushes(pair, "stable") == 1


def test_two_pins_for_one_tag_are_both_refused(pair: Pair, digest: str) -> None:
    other = image("other").push(pair.old, "web", "2")
    pins = f'{{"OLD/web@{digest}": [stable, "1"], "OLD/web@{other}": [stable, "2"]}}'
    for _ in range(3):
        code, document, _ = pair.promote(f"to: NEW/prod/{{name}}\npins: {pins}")
        assert code == 3
        refused = [each for each in document["images"] if each["outcome"] == "refused"]
        assert {each["source"].rpartition("@")[2] for each in refused} == {digest, other}
        assert all("both go to" in each for each in errors(document))
        assert set(pair.new.tags("prod/web")) == {"1", "2"}


def test_one_image_of_two_repositories_for_one_tag_is_refused(pair: Pair, digest: str) -> None:
    image("web1").push(pair.old, "other", "1")
    pins = f'{{"OLD/web@{digest}": [stable], "OLD/other@{digest}": [stable]}}'
    code, document, _ = pair.promote(f"to: NEW/prod/app\npins: {pins}")
    assert (code, [each["outcome"] for each in document["images"]]) == (1, ["refused"] * 2)


def test_the_signature_tag_of_a_pinned_image_is_found(pair: Pair) -> None:
    built = image("signed")
    built.push(pair.old, "web", "1")
    sign(pair.old, "web", built.manifest.descriptor)
    pins = f'{{"OLD/web@{built.digest}": [stable]}}'
    code, document, _ = pair.promote(f"to: NEW/prod/app\npins: {pins}\nsigned: refuse")
    assert code == 1
    assert "has 1 signature tag and 1 referrer" in errors(document)[0]
