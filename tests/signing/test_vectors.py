"""What cosign v3.1.3 signed and wrote is read here: vectors/cosign.json has it as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squashproxy.signing.bundle import parse_bundle
from squashproxy.signing.private_key import parse_private_key
from squashproxy.signing.public_key import parse_public_key
from squashproxy.signing.simple_signing import parse_payload
from squashproxy.signing.statement import SIGNED
from squashproxy.signing.strict_json import decode_base64

VECTORS = json.loads((Path(__file__).parent / "vectors" / "cosign.json").read_text())
SIGNED_BY = VECTORS["signed"]
each_kind = pytest.mark.parametrize("kind", SIGNED_BY)


@each_kind
def test_a_bundle_of_cosign_holds(kind: str) -> None:
    made = SIGNED_BY[kind]
    key = parse_public_key(made["public"].encode(), kind)
    bundle = parse_bundle(made["bundle"].encode())
    assert bundle.envelope.signer_among([key]) == key
    assert bundle.statement.predicate_type == SIGNED
    assert bundle.statement.subjects == {made["digest"]}
    material = json.loads(made["bundle"])["verificationMaterial"]
    assert material["publicKey"]["hint"] == key.hint


@each_kind
def test_a_payload_of_cosign_holds(kind: str) -> None:
    made = SIGNED_BY[kind]
    key = parse_public_key(made["public"].encode(), kind)
    payload = made["payload"].encode()
    assert key.verifies(decode_base64(made["signature"]), payload)
    assert not key.verifies(decode_base64(made["signature"]), payload + b" ")
    assert parse_payload(payload).digest == made["digest"]


def test_a_key_of_cosign_opens_and_is_the_one_that_signed() -> None:
    key = parse_private_key(VECTORS["key"].encode(), "key", VECTORS["password"].encode())
    assert key.public == parse_public_key(SIGNED_BY["P-256"]["public"].encode(), "public")
