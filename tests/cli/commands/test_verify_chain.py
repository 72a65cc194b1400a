"""The chain that `squashproxy verify` shows: made from that image, signed by that key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy.oci.mediatypes import Family
from squashproxy.signing.bundle import make_bundle
from squashproxy.signing.private_key import parse_private_key
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.signing.statement import signing_statement
from squashproxy.testing import FakeRegistry, RegistryOptions, index_of
from tests.cleanup.room import image
from tests.cli.command_line import InProcess, Outcome
from tests.pipeline.signatures.signed import WRONG, attach, sign_by_bundle
from tests.signing.keys import pem

PEM = pem("P-256")
RIGHT = parse_private_key(PEM, "right", None)


@dataclass(frozen=True, slots=True)
class Chained:
    """A registry, keys in a folder, and the command line."""

    registry: FakeRegistry
    folder: Path
    squashproxy: InProcess

    @property
    def ends(self) -> tuple[str, str]:
        return f"{self.registry.host}/old:1", f"{self.registry.host}/new:1"

    def copy(self, *options: str) -> None:
        assert self.squashproxy("copy", *options, *self.ends).code == 0

    def sign(self, *options: str) -> None:
        self.copy("--sign", str(self.folder / "right.key"), *options)

    def verify(self, *options: str) -> Outcome:
        return self.squashproxy("verify", *options, *self.ends)

    def chain(self, *options: str, code: int = 0) -> dict[str, Any]:
        """The chain in the JSON."""
        done = self.verify("--json", *options)
        assert done.code == code, done.err
        document = json.loads(done.out)
        assert document["identical"] is True
        found: dict[str, Any] = document["chain"]
        assert len(done.err.splitlines()) == len(found["broken"])
        return found

    def key(self, name: str = "right") -> tuple[str, str]:
        return "--require-signature", str(self.folder / f"{name}.pub")


@pytest.fixture
def chained(tmp_path: Path, squashproxy: InProcess) -> Iterator[Chained]:
    for name, key in (("right", RIGHT), ("wrong", WRONG)):
        (tmp_path / f"{name}.pub").write_bytes(key.public.pem)
    (tmp_path / "right.key").write_bytes(PEM)
    (tmp_path / "right.key").chmod(0o600)
    with FakeRegistry() as registry:
        image("app").push(registry, "old", "1")
        yield Chained(registry, tmp_path, squashproxy)


@pytest.mark.parametrize("form", ["bundle", "tag", "both"])
def test_a_signed_result_holds(chained: Chained, form: str) -> None:
    chained.sign("--sign-format", form)
    chain = chained.chain(*chained.key())
    assert chain["checked"]
    assert chain["broken"] == []
    assert [each["fingerprint"] for each in chain["signed_by"]] == [RIGHT.public.fingerprint]
    assert [each["matches"] for each in chain["links"]] == [True]
    told = chained.verify(*chained.key())
    assert told.code == 0
    assert "The chain holds." in told.out
    assert "made from   A (sha256:" in told.out


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_the_source_is_shown_as_claimed_without_a_key(chained: Chained, mode: str) -> None:
    chained.sign("--mode", mode)
    chain = chained.chain()
    assert not chain["checked"]
    assert chain["signatures"] == 1
    assert chain["links"][0]["matches"]
    told = chained.verify().out
    assert "as B claims" in told
    assert "1 signature, not checked, since no key was given" in told


def test_an_index_is_linked_with_each_of_its_images(chained: Chained) -> None:
    index_of([image("app"), image("more")]).push(chained.registry, "old", "1")
    chained.sign()
    chain = chained.chain(*chained.key())
    assert [each["matches"] for each in chain["links"]] == [True, True, True]
    assert chain["broken"] == []


def test_docker_images_carry_the_stamp_in_their_config(chained: Chained) -> None:
    image("app", family=Family.DOCKER).push(chained.registry, "old", "1")
    chained.sign()
    assert chained.chain(*chained.key())["broken"] == []


def test_signed_provenance_names_the_key_of_the_source(chained: Chained) -> None:
    sign_by_bundle(chained.registry, "old", chained.registry.tags("old")["1"], WRONG)
    chained.sign("--provenance", *chained.key("wrong"))
    [provenance] = chained.chain(*chained.key())["provenance"]
    assert provenance["key"].endswith("right.pub")
    assert provenance["source_digest"] == chained.registry.tags("old")["1"]
    assert provenance["source_keys"] == [f"sha256:{WRONG.public.fingerprint}"]
    assert "the source was signed by sha256:" in chained.verify(*chained.key()).out


def test_unsigned_provenance_is_of_nobody_known(chained: Chained) -> None:
    chained.copy("--provenance")
    [provenance] = chained.chain()["provenance"]
    assert provenance["key"] is None
    assert "signed by nobody known" in chained.verify().out


def _tamper(chained: Chained) -> None:
    """Put the signature of another image beside the result."""
    chained.copy()
    other = image("other").push(chained.registry, "elsewhere", "1")
    bundle = make_bundle(signing_statement(other), RIGHT)
    attach(chained.registry, "new", chained.registry.tags("new")["1"], bundle)


def _other_source(chained: Chained) -> None:
    """Sign, then move the source's tag to an image that unpacks alike."""
    chained.sign()
    image("app", created="2026-02-02T00:00:00Z").push(chained.registry, "old", "1")


def _no_stamp(chained: Chained) -> None:
    digest = image("app", created="2026-02-02T00:00:00Z").push(chained.registry, "new", "1")
    sign_by_bundle(chained.registry, "new", digest, RIGHT)


def _not_signed_tag_only(chained: Chained) -> None:
    """A signature that was pushed although the tag was not, of another result."""
    chained.copy()
    sign_by_bundle(
        chained.registry, "elsewhere", image("x").push(chained.registry, "elsewhere", "x"), RIGHT
    )


BROKEN: dict[str, tuple[Callable[[Chained], None], str, str]] = {
    "not signed": (lambda it: it.copy(), "right", "is not signed by"),
    "another key": (lambda it: it.sign(), "wrong", "is of another key"),
    "a signature of something else": (_tamper, "right", "it signs another digest"),
    "signed elsewhere": (_not_signed_tag_only, "right", "it has no signature"),
    "made from another image": (_other_source, "right", "was made from sha256:"),
    "no stamp": (_no_stamp, "right", "does not say what it was made from"),
}


@pytest.mark.parametrize(("make", "key", "why"), BROKEN.values(), ids=BROKEN)
def test_a_chain_that_does_not_hold_is_a_sentence_and_exit_code_4(
    chained: Chained, make: Callable[[Chained], None], key: str, why: str
) -> None:
    make(chained)
    chain = chained.chain(*chained.key(key), code=4)
    [sentence] = chain["broken"]
    assert why in sentence
    told = chained.verify(*chained.key(key))
    assert told.code == 4
    assert "The chain is broken: " in told.out
    assert why in told.err
    assert chained.verify().code == 0


def test_a_bundle_that_was_tampered_with_does_not_count(chained: Chained) -> None:
    chained.copy()
    digest = chained.registry.tags("new")["1"]
    attach(chained.registry, "new", digest, b'{"mediaType": "x"}')
    [sentence] = chained.chain(*chained.key(), code=4)["broken"]
    assert "does not count: it does not say that it is a sigstore bundle" in sentence


def test_signed_as_allows_the_name_before_an_image_was_moved(chained: Chained) -> None:
    chained.sign("--sign-format", "tag")
    old, new = chained.ends
    moved = f"{chained.registry.host}/moved:1"
    copied = chained.squashproxy("copy", "--mode", "copy", "--referrers", new, moved)
    assert copied.code == 0
    assert tag_for(chained.registry.tags("moved")["1"]) in chained.registry.tags("moved")
    words = ("verify", *chained.key())
    assert chained.squashproxy(*words, old, moved).code == 4
    name = new.rpartition(":")[0]
    assert chained.squashproxy(*words, "--signed-as", name, old, moved).code == 0


USAGE = {
    "an absent key": (("--require-signature", "absent.pub"), "cannot be read: no such file"),
    "a name without a key": (("--signed-as", "a/b"), "only means something with"),
}


@pytest.mark.parametrize(("options", "why"), USAGE.values(), ids=USAGE)
def test_what_cannot_be_meant_is_wrong_usage(
    chained: Chained, options: tuple[str, ...], why: str
) -> None:
    chained.copy()
    done = chained.verify(*options)
    assert done.code == 2
    assert why in done.err


def test_a_registry_without_referrers_tells_what_it_can(chained: Chained) -> None:
    """Its signatures stand in the list under a tag."""
    with FakeRegistry(RegistryOptions(referrers=False)) as registry:
        image("app").push(registry, "old", "1")
        other = Chained(registry, chained.folder, chained.squashproxy)
        other.sign()
        assert other.chain(*other.key())["broken"] == []
