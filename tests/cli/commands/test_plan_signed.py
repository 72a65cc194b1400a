"""Signatures in `squashproxy plan`: who signed the source, and how a copy would sign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.signing.private_key import parse_private_key
from squashproxy.testing import FakeRegistry
from tests.cleanup.room import image
from tests.cli.command_line import InProcess
from tests.pipeline.signatures.signed import WRONG, sign_by_bundle
from tests.signing.keys import pem

PEM = pem("P-256")
RIGHT = parse_private_key(PEM, "right", None)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FakeRegistry]:
    (tmp_path / "right.pub").write_bytes(RIGHT.public.pem)
    (tmp_path / "right.key").write_bytes(PEM)
    (tmp_path / "right.key").chmod(0o600)
    with FakeRegistry() as running:
        yield running


def test_it_says_who_signed_and_what_would_be_signed(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    sign_by_bundle(registry, "app", image("a").push(registry, "app", "1"), RIGHT)
    there = registry.manifests("app")
    words = [
        *("--require-signature", f"{tmp_path}/right.pub", "--sign", f"{tmp_path}/right.key"),
        *("--sign-format", "both", f"{registry.host}/app:1"),
    ]
    planned = squashproxy("plan", "--json", "--html", f"{tmp_path}/plan.html", *words)
    document = json.loads(planned.out)
    assert [each["fingerprint"] for each in document["signed_by"]] == [RIGHT.public.fingerprint]
    assert document["to_sign"] == {
        "fingerprint": RIGHT.public.fingerprint,
        "formats": ["bundle", "tag"],
    }
    told = squashproxy("plan", *words).out
    assert "signed by   " in told
    assert "right.pub (1 manifest)" in told
    assert f"as bundle and tag, with the key sha256:{RIGHT.public.fingerprint[:16]}" in told
    page = (tmp_path / "plan.html").read_text()
    assert "<dt>Signed by</dt>" in page
    assert "as bundle and tag, with the key" in page
    assert registry.manifests("app") == there


def test_without_keys_nothing_is_said(squashproxy: InProcess, registry: FakeRegistry) -> None:
    image("a").push(registry, "app", "1")
    document = json.loads(squashproxy("plan", "--json", f"{registry.host}/app:1").out)
    assert document["signed_by"] == []
    assert document["to_sign"] is None


def test_a_source_that_a_copy_would_refuse_is_refused_before_a_layer_is_read(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path
) -> None:
    sign_by_bundle(registry, "app", image("a").push(registry, "app", "1"), WRONG)
    key = f"{tmp_path}/right.pub"
    planned = squashproxy("plan", "--require-signature", key, f"{registry.host}/app:1")
    assert planned.code == 1
    assert "is of another key" in planned.err
    assert "nothing was copied; sign it, or name the key that signed it" in planned.err
