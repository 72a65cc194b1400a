"""Chain IDs, as the OCI image specification computes them (config.md, "Layer ChainID")."""

from __future__ import annotations

import hashlib

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.chain import chain_id, chain_ids

KNOWN = "sha256:22f539497c20a6823f7f589d7dd7c1378148e00e8d43194ff6d0de2b56282f12"
A, B, C = (digest_of(name) for name in (b"A", b"B", b"C"))


def _sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_definition() -> None:
    """ChainID(A) = A; ChainID(A|B) = Digest(ChainID(A) + " " + B); and so on."""
    assert chain_ids([A, B, C]) == (A, _sha256(f"{A} {B}"), _sha256(f"{_sha256(f'{A} {B}')} {C}"))


def test_a_known_value() -> None:
    """Computed once with `printf '%s %s' A B | sha256sum`, not with this code."""
    first = Digest("sha256:" + "0" * 64)
    second = Digest("sha256:" + "f" * 64)
    assert chain_id([first, second]) == KNOWN


@pytest.mark.parametrize(
    ("diff_ids", "expected"),
    {"no layer": ((), None), "one layer": ((A,), A)}.values(),
)
def test_the_ends(diff_ids: tuple[Digest, ...], expected: Digest | None) -> None:
    assert chain_id(diff_ids) == expected


def test_the_order_counts() -> None:
    assert chain_id([A, B]) != chain_id([B, A])
