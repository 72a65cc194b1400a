"""`squashproxy keys new`, and the keys that `copy` takes."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry
from tests.cli.command_line import InProcess
from tests.pipeline.signatures.signed import image

PASSWORD = "a pass phrase"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    return tmp_path


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        image().build().push(registry, "app", "1")
        yield registry


def test_a_new_pair_signs_and_checks(
    squashproxy: InProcess, folder: Path, registry: FakeRegistry
) -> None:
    made = squashproxy("keys", "new", "release")
    assert (made.code, made.err) == (0, "")
    assert stat.S_IMODE((folder / "release.key").stat().st_mode) == 0o600
    names = [f"{registry.host}/{name}:1" for name in ("app", "out", "next")]
    signed = squashproxy("copy", "--sign", "release.key", names[0], names[1])
    assert (signed.code, signed.err) == (0, "")
    assert "signature   bundle of sha256:" in signed.out
    checked = squashproxy("copy", "--require-signature", "release.pub", names[1], names[2])
    assert (checked.code, checked.err) == (0, "")
    assert "signed by   release.pub: sha256:" in checked.out
    refused = squashproxy("copy", "--require-signature", "release.pub", names[0], names[2])
    assert refused.code == 1
    assert "is not signed by release.pub: it has no signature" in refused.err


def test_the_password_may_come_from_a_file(
    squashproxy: InProcess, folder: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    squashproxy("keys", "new", "release")
    monkeypatch.delenv("COSIGN_PASSWORD")
    (folder / "password").write_text(f"{PASSWORD}\n")
    ends = (f"{registry.host}/app:1", f"{registry.host}/out:1")
    key = ("--sign", "release.key")
    assert squashproxy("copy", *key, "--sign-password", "password", *ends).code == 0
    without = squashproxy("copy", *key, *ends)
    assert (without.code, without.err.count("\n")) == (2, 1)
    assert "is encrypted, and no password was given; set $COSIGN_PASSWORD" in without.err


def test_no_key_is_overwritten(squashproxy: InProcess, folder: Path) -> None:
    (folder / "release.pub").write_text("somebody's")
    refused = squashproxy("keys", "new", "release")
    assert refused.code == 2
    assert "release.pub exists, and no key is overwritten" in refused.err
    assert [path.name for path in folder.iterdir()] == ["release.pub"]


WRONG = {
    "a password without a key": ("--sign-password", "x"),
    "another name without a key": ("--signed-as", "registry.example.com/app"),
    "a form that is none": ("--sign", "x", "--sign-format", "pgp"),
    "a name that is none": ("--require-signature", "x", "--signed-as", "UPPER/case"),
    "a key that is not there": ("--sign", "nowhere.key"),
    "a public key that is not there": ("--require-signature", "nowhere.pub"),
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_sentence_and_asks_no_registry(
    squashproxy: InProcess, folder: Path, registry: FakeRegistry, options: tuple[str, ...]
) -> None:
    assert folder.is_dir()
    refused = squashproxy("copy", *options, f"{registry.host}/app:1", f"{registry.host}/out:1")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert not registry.requests
