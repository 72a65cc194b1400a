"""Signatures as results and reports tell of them."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.verify.results import VerifyResult


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


@dataclass(frozen=True, slots=True)
class PlannedSigning:
    """How a result would be signed: each image and the index.

    `fingerprint` is that of the key, `formats` are `bundle`, `tag`, or both.
    """

    fingerprint: str
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """A statement of where an image came from.

    `source_digest` is the digest of its source, `source_keys` are the fingerprints of the keys that
    the source was checked with. `key` is the key that signed the statement, as it was named, and
    `fingerprint` its own; both None for a statement that none of the given keys signed, which
    anybody may have written.
    """

    source: str
    source_digest: str
    mode: str
    source_keys: tuple[str, ...]
    key: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """An image of the target, and what its stamp says that it was made from.

    `source_digest` is None where there is no stamp; `matches` says that it is the image that it was
    compared with. An image that has the source's own digest was made from nothing else.
    """

    digest: str
    source_digest: str | None
    matches: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of a target. `checked` says that keys were given; else all of it is claimed.

    `signed_by` are the signatures by given keys, `signatures` counts all that are attached to the
    target's own manifest, whoever made them; None where they could not be listed. `broken` says why
    the chain does not hold; `doubts` what was seen on the way and does not count.
    """

    checked: bool
    links: tuple[Link, ...]
    signed_by: tuple[SourceSignature, ...]
    signatures: int | None
    provenance: tuple[Provenance, ...]
    broken: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChainedVerify(VerifyResult):
    """A comparison, and the chain of its target."""

    chain: Chain
