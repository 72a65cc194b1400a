"""`require_signature` and `sign` of promotion rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from squashproxy.digest import Digest
from squashproxy.signing.key_box import RANDOM_BYTES
from squashproxy.signing.private_key import PrivateKey, seal_private_key
from squashproxy.signing.signature_manifest import tag_for
from tests.cleanup.room import image
from tests.pipeline.signatures.signed import RIGHT, WRONG, sign_by_bundle, sign_by_tag
from tests.promotion.pair import Pair, errors, outcomes

PASSWORD = "correct horse battery staple"
RULE = "from: OLD/apps/*\nto: NEW/prod/{repo}\nrequire_signature: [right.pub]"
SIGN = f"from: OLD/apps/*\nto: NEW/prod/{{repo}}\nsign: {{key: right.key, password: {PASSWORD}"


def _write_keys(folder: Path, key: PrivateKey = RIGHT) -> None:
    (folder / "right.pub").write_bytes(key.public.pem)
    sealed = seal_private_key(key, PASSWORD.encode(), os.urandom(RANDOM_BYTES))
    (folder / "right.key").write_bytes(sealed)
    (folder / "right.key").chmod(0o600)


def _push_ten(pair: Pair) -> dict[str, Digest]:
    return {
        str(number): image(f"web{number}").push(pair.old, "apps/web", str(number))
        for number in range(10)
    }


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_of_ten_images_the_three_unsigned_are_refused_each_with_its_reason(
    pair: Pair, mode: str
) -> None:
    _write_keys(pair.folder)
    digests = _push_ten(pair)
    for tag in "0123":
        sign_by_bundle(pair.old, "apps/web", digests[tag])
    for tag in "456":
        sign_by_tag(pair.old, "apps/web", digests[tag])
    sign_by_bundle(pair.old, "apps/web", digests["7"], WRONG)
    sign_by_tag(pair.old, "apps/web", digests["8"], WRONG)
    rule = f"{RULE}\ntags: {{exclude: ['sha256-*']}}\nmode: {mode}"
    code, planned, _ = pair.promote(rule, "--dry-run")
    assert sorted(outcomes(planned).values()) == ["copy"] * 7 + ["refused"] * 3
    code, document, _ = pair.promote(rule)
    assert code == 3
    done = outcomes(document)
    assert {tag for tag in digests if done[f"prod/web:{tag}"] == "refused"} == {"7", "8", "9"}
    reasons = errors(document)
    assert sum("is of another key" in each for each in reasons) == 2
    assert sum("it has no signature" in each for each in reasons) == 1
    promoted = {tag for tag in pair.new.tags("prod/web") if not tag.startswith("sha256-")}
    assert promoted == set("0123456")


@pytest.mark.parametrize("form", ["bundle", "tag", "both"])
def test_results_are_signed_once(pair: Pair, form: str) -> None:
    _write_keys(pair.folder)
    pair.push("apps/web", "1", "2")
    rule = f"{SIGN}, format: {form}}}"
    code, document, _ = pair.promote(rule)
    assert code == 0
    held = pair.new.manifests("prod/web")
    targets = [Digest(each["digest"]) for each in document["images"]]
    has_tags = [tag_for(each) in pair.new.tags("prod/web") for each in targets]
    assert all(has_tags) if form != "bundle" else not any(has_tags)
    pair.promote(rule)
    assert pair.new.manifests("prod/web") == held


@pytest.mark.parametrize("mode", ["squash", "copy"])
def test_what_is_up_to_date_is_signed_when_the_rule_begins_to_sign(pair: Pair, mode: str) -> None:
    """No layer is read or sent; a signature that was lost comes back, too."""
    _write_keys(pair.folder)
    pair.push("apps/web", "1", "2")
    more = f"on_existing: keep\nmode: {mode}"
    plain = f"from: OLD/apps/*\nto: NEW/prod/{{repo}}\n{more}"
    signing = f"{SIGN}, format: both}}\n{more}"
    pair.promote(plain)
    unsigned = set(pair.new.manifests("prod/web"))
    for registry in (pair.old, pair.new):
        registry.forget_requests()
    code, document, _ = pair.promote(signing)
    assert (code, set(outcomes(document).values())) == (0, {"current"})
    assert not [each for each in pair.old.requests if "/blobs/" in each.path]
    signed = pair.new.manifests("prod/web")
    digests = [Digest(each["digest"]) for each in document["images"]]
    assert {tag_for(each) for each in digests} <= pair.new.tags("prod/web").keys()
    assert len(set(signed) - unsigned) == 2 * len(digests)
    pair.new.forget_requests()
    code, document, _ = pair.promote(signing)
    assert set(outcomes(document).values()) == {"current"}
    assert pair.new.manifests("prod/web") == signed
    assert {each.method for each in pair.new.requests} <= {"GET", "HEAD"}


def test_neither_key_nor_password_is_ever_shown_or_kept(pair: Pair) -> None:
    """Searched: all output, every state file, and every byte that went to the target."""
    _write_keys(pair.folder)
    pair.push("apps/web", "1")
    rule = f"{SIGN}, format: both}}"
    shown = ""
    for options in ((), ("--dry-run",), ("-vv",)):
        code, document, told = pair.promote(rule, *options)
        shown += f"{code} {document} {told}"
    for broken in ("wrong", PASSWORD * 2):
        shown += str(pair.promote(rule.replace(PASSWORD, broken)))
    kept = [path.read_bytes() for path in (pair.folder / "state").rglob("*") if path.is_file()]
    blobs = [pair.new.blob("prod/web", digest) for digest in pair.new.blobs("prod/web")]
    manifests = [
        pair.new.manifest("prod/web", digest).data for digest in pair.new.manifests("prod/web")
    ]
    raw = RIGHT._raw.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]  # it is ECDSA
    for place in (shown.encode(), *kept, *blobs, *manifests):
        assert PASSWORD.encode() not in place
        assert raw not in place
        assert b"PRIVATE KEY" not in place


BAD_KEYS = {
    "an absent key": ("require_signature: [nowhere.pub]", "cannot be read: no such file"),
    "a private key": ("require_signature: [right.key]", "holds a private key"),
    "a public key to sign with": ("sign: {key: right.pub}", "holds a public key"),
    "a wrong password": ("sign: {key: right.key, password: x}", "its password is another one"),
    "no password": ("sign: {key: right.key}", "is encrypted, and no password was given"),
    "a variable that is not set": ("sign: {key: 'env:NO_SUCH_KEY'}", "$NO_SUCH_KEY"),
    "a program that is absent": ("sign: {key: 'exec:no-such-program x'}", "cannot be run"),
    "a program that fails": ("sign: {key: 'exec:false'}", "ended with exit code 1"),
}


@pytest.mark.parametrize(("line", "why"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_cannot_be_used_stops_its_rule(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, line: str, why: str
) -> None:
    monkeypatch.delenv("COSIGN_PASSWORD", raising=False)
    _write_keys(pair.folder)
    pair.push("apps/web", "1")
    code, document, _ = pair.promote(f"from: OLD/apps/*\nto: NEW/prod/{{repo}}\n{line}")
    assert code != 0
    [problem] = document["problems"]
    assert why in problem
    assert not pair.new.tags("prod/web")


def test_keys_come_from_the_environment_and_from_programs(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_keys(pair.folder)
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    monkeypatch.setenv("THE_KEY", (pair.folder / "right.key").read_text())
    pair.push("apps/web", "1")
    target = "from: OLD/apps/*\nto: NEW/{place}/{repo}\n"
    for place, source in (
        ("first", "env:THE_KEY"),
        ("second", f"exec:cat {pair.folder}/right.key"),
    ):
        rule = f"{target}sign: {{key: '{source}', format: tag}}"
        code, document, told = pair.promote(rule.replace("{place}", place))
        assert code == 0, told
        digest = Digest(document["images"][0]["digest"])
        assert tag_for(digest) in pair.new.tags(f"{place}/web")


def test_a_key_that_others_may_read_is_a_warning(pair: Pair) -> None:
    _write_keys(pair.folder)
    (pair.folder / "right.key").chmod(0o644)
    pair.push("apps/web", "1")
    code, _, told = pair.promote(f"{SIGN}}}")
    assert code == 0
    assert "can be read by other users; run: chmod 600" in told


def test_a_dry_run_says_who_signed_and_what_would_be_signed(pair: Pair) -> None:
    _write_keys(pair.folder)
    digests = _push_ten(pair)
    for tag in "012":
        sign_by_bundle(pair.old, "apps/web", digests[tag])
    rule = f"{RULE}\nsign: {{key: right.key, password: {PASSWORD}, format: both}}"
    _, document, _ = pair.promote(rule, "--dry-run")
    wanted = [each for each in document["images"] if each["outcome"] == "copy"]
    assert len(wanted) == 3
    for each in wanted:
        assert [one["fingerprint"] for one in each["signed_by"]] == [RIGHT.public.fingerprint]
        assert each["to_sign"]["formats"] == ["bundle", "tag"]
        assert each["signatures"] == []
        assert any("1 referrer, which stay behind" in warning for warning in each["warnings"])
    assert not pair.new.tags("prod/web")
    told = pair.show("--dry-run")
    assert "right.pub: 3 images" in told
    assert "3 images as bundle and tag, with the key sha256:" in told
    _, document, _ = pair.promote(rule)
    done = [each for each in document["images"] if each["outcome"] == "copied"]
    assert {(len(each["signed_by"]), len(each["signatures"])) for each in done} == {(1, 2)}


def test_each_signature_of_a_source_is_read_once(pair: Pair) -> None:
    """The plan checks the digest that is copied, so the copy need not."""
    _write_keys(pair.folder)
    digest = image("a").push(pair.old, "apps/web", "1")
    sign_by_bundle(pair.old, "apps/web", digest)
    pair.old.forget_requests()
    assert pair.promote(RULE)[0] == 0
    asked = [each for each in pair.old.requests if f"/referrers/{digest}" in each.path]
    assert len(asked) == 2  # to check them, and to tell what stays behind


@pytest.mark.parametrize("mode", ["squash", "copy"])
def test_an_image_that_is_up_to_date_is_checked_again(pair: Pair, mode: str) -> None:
    """A key that was taken out of the rule is told of by each further run; nothing is deleted."""
    _write_keys(pair.folder)
    (pair.folder / "wrong.pub").write_bytes(WRONG.public.pem)
    digest = image("a").push(pair.old, "apps/web", "1")
    sign_by_bundle(pair.old, "apps/web", digest)
    rule = f"{RULE}\ntags: {{exclude: ['sha256-*']}}\nmode: {mode}"
    assert pair.promote(rule)[0] == 0
    there = pair.new.tags("prod/web")
    for options in ((), ("--dry-run",)):
        code, document, _ = pair.promote(rule, *options)
        assert code == 0
        assert outcomes(document)["prod/web:1"] == "current"
        code, document, _ = pair.promote(rule.replace("right.pub", "wrong.pub"), *options)
        assert code == 1
        assert outcomes(document)["prod/web:1"] == "refused"
        [why] = errors(document)
        assert "is of another key" in why
        assert f"but {pair.new.host}/prod/web:1 holds it since an earlier run" in why
    assert pair.new.tags("prod/web") == there
