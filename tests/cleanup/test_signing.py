"""`sign` of cleanup rules: what is squashed in place is signed before a tag moves, and once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cli.main import run
from squashproxy.digest import Digest
from squashproxy.oci.platform import Platform
from squashproxy.signing.key_box import RANDOM_BYTES
from squashproxy.signing.private_key import seal_private_key
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, index_of
from tests.cleanup.room import held, image
from tests.pipeline.signatures.signed import RIGHT, WRONG, sign_by_bundle, sign_by_tag

PASSWORD = "correct horse battery staple"


@dataclass(slots=True)
class Place:
    """A registry, a folder with keys and the command line."""

    registry: FakeRegistry
    folder: Path
    captured: pytest.CaptureFixture[str]
    said: str = ""

    def clean(self, form: str = "format: bundle", code: int = 0, **changes: str) -> dict[str, Any]:
        """Apply a rule that squashes and signs; the JSON."""
        keys = {"action": "squash", "sign": f"{{key: right.key, password: {PASSWORD}, {form}}}"}
        lines = "\n".join(f"    {key}: {value}" for key, value in (keys | changes).items() if value)
        path = self.folder / "rules.yml"
        path.write_text(
            f"state: state\nregistries: {{'{self.registry.host}': {{retry_for: 0s}}}}\n"
            f"cleanup:\n  - name: old\n    repositories: ['{self.registry.host}/app']\n"
            f"    tags: {{exclude: ['sha256-*']}}\n{lines}\n"
        )
        assert run(["cleanup", "--json", "--apply", str(path)]) == code
        streams = self.captured.readouterr()
        self.said = streams.err
        return json.loads(streams.out) if streams.out else {}

    def signed(self, digest: Digest) -> set[Digest]:
        return held(self.registry).referrers(digest)

    def now(self, tag: str = "1") -> Digest:
        return self.registry.tags("app")[tag]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    sealed = seal_private_key(RIGHT, PASSWORD.encode(), os.urandom(RANDOM_BYTES))
    (tmp_path / "right.key").write_bytes(sealed)
    (tmp_path / "right.key").chmod(0o600)
    with FakeRegistry() as registry:
        yield Place(registry, tmp_path, capsys)


def flat() -> ImageBuilder:
    return ImageBuilder(platform=Platform("linux", "arm64")).layer(
        LayerBuilder().file("only", b"layer")
    )


@pytest.mark.parametrize(("form", "count"), [("bundle", 1), ("tag", 1), ("both", 2)])
def test_a_squashed_image_is_signed_and_a_second_run_adds_nothing(
    place: Place, form: str, count: int
) -> None:
    old = image(1).push(place.registry, "app", "1")
    document = place.clean(f"format: {form}")
    now = place.now()
    assert now != old
    assert len(place.signed(now)) == count
    assert (tag_for(now) in place.registry.tags("app")) == (form != "bundle")
    [step] = document["repositories"][0]["steps"]
    assert [each["format"] for each in step["signatures"]] == (
        ["bundle", "tag"] if form == "both" else [form]
    )
    assert {each["fingerprint"] for each in step["signatures"]} == {RIGHT.public.fingerprint}
    there = held(place.registry)
    place.clean(f"format: {form}")
    assert held(place.registry) == there


def test_all_tags_of_an_image_move_to_the_signed_one(place: Place) -> None:
    for tag in "123":
        image(1).push(place.registry, "app", tag)
    place.clean()
    assert len({place.now(tag) for tag in "123"}) == 1
    assert len(place.signed(place.now())) == 1


def test_each_platform_and_the_index_are_signed_also_one_that_stays(place: Place) -> None:
    """The flat platform keeps its digest; its new signature is no reason to stop."""
    index = index_of([image(1), flat()])
    for tag in "12":
        index.push(place.registry, "app", tag)
    place.clean()
    assert place.now("1") == place.now("2")
    document = json.loads(place.registry.manifest("app", place.now()).data)
    children = [Digest(each["digest"]) for each in document["manifests"]]
    assert flat().build().digest in children
    assert all(len(place.signed(each)) == 1 for each in (place.now(), *children))


def test_the_tag_moves_after_the_signature(place: Place) -> None:
    image(1).push(place.registry, "app", "1")
    place.registry.forget_requests()
    place.clean()
    puts = [each.path for each in place.registry.requests if each.method == "PUT"]
    manifests = [path.rpartition("/")[2] for path in puts if "/manifests/" in path]
    assert manifests[-1] == "1"
    assert len(manifests) == 3


@pytest.mark.parametrize("key", [RIGHT, WRONG], ids=["by the rule's own key", "by another key"])
@pytest.mark.parametrize("sign", [sign_by_bundle, sign_by_tag])
def test_a_signed_image_stays_as_it_is(place: Place, sign: Any, key: Any) -> None:
    """The rule's key vouches for what is made here; it cannot stand for whoever signed that."""
    old = image(1).push(place.registry, "app", "1")
    sign(place.registry, "app", old, key)
    there = held(place.registry)
    place.clean()
    assert held(place.registry) == there


def test_an_image_that_is_signed_while_it_is_squashed_stays(place: Place) -> None:
    old = image(1).push(place.registry, "app", "1")

    def watch(method: str, path: str) -> None:
        if method == "PUT" and "/manifests/" in path and not place.signed(old):
            sign_by_tag(place.registry, "app", old, WRONG)

    place.registry.before_each(watch)
    document = place.clean()
    [step] = document["repositories"][0]["steps"]
    assert step["outcome"] == "left"
    assert "it was signed or attested meanwhile" in step["why"]
    assert place.now() == old


BAD_KEYS = {
    "a wrong password": ("{key: right.key, password: x}", "its password is another one"),
    "no such file": ("{key: absent.key}", "cannot be read: no such file"),
    "a variable that is not set": ("{key: 'env:NO_SUCH_KEY'}", "$NO_SUCH_KEY"),
}


@pytest.mark.parametrize(("sign", "why"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_cannot_be_read_stops_the_run_before_anything_changes(
    place: Place, sign: str, why: str
) -> None:
    image(1).push(place.registry, "app", "1")
    there = held(place.registry)
    place.clean(code=2, sign=sign)
    assert why in place.said
    assert held(place.registry) == there


def test_a_rule_that_only_deletes_has_nothing_to_sign(place: Place) -> None:
    place.clean(code=2, action="delete", keep="{newest: 1}")
    assert "old only deletes, so there is nothing to sign; leave sign out" in place.said
