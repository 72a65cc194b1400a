"""Signatures as results and reports tell of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceSignature:
    """A manifest of the source that a required key signed.

    `key` is the key as it was named, `fingerprint` SHA-256 of its DER in hex.
    """

    digest: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ResultSignature:
    """A signature of a manifest of the result; `is_new` says that this run made it.

    `format` is `bundle` or `tag`, `fingerprint` SHA-256 of the public key's DER in hex.
    """

    digest: str
    format: str
    fingerprint: str
    is_new: bool
