"""In-toto statements: what is said of which digests (in-toto attestation, spec/v1/statement.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from squashproxy.digest import Digest
from squashproxy.oci.manifest import encode_json
from squashproxy.signing.strict_json import parse_object

STATEMENT = "https://in-toto.io/Statement/v1"
SIGNED = "https://sigstore.dev/cosign/sign/v1"
"""The predicate that says nothing but that a key signs an image (cosign 3)."""

_STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")


@dataclass(frozen=True, slots=True)
class Statement:
    """A predicate about subjects, which are digests as `algorithm:hex`."""

    predicate_type: str
    subjects: frozenset[str]
    predicate: Mapping[str, Any] = field(default_factory=dict)


def signing_statement(digest: Digest) -> bytes:
    """The statement that signs an image, as cosign writes it."""
    algorithm, _, text = digest.partition(":")
    return encode_json(
        {
            "_type": STATEMENT,
            "subject": [{"digest": {algorithm: text}}],
            "predicateType": SIGNED,
            "predicate": {},
        }
    )


def parse_statement(payload: bytes) -> Statement:
    """The statement in a payload. Raises ValueError with the reason."""
    document = parse_object(payload)
    kind, subjects = document.get("predicateType"), document.get("subject")
    if document.get("_type") not in _STATEMENTS or not isinstance(kind, str):
        raise ValueError("its payload is no in-toto statement")
    if not isinstance(subjects, list):
        raise ValueError("its statement has no subjects")  # noqa: TRY004 - parsers of values raise this
    predicate = document.get("predicate")
    return Statement(
        kind,
        frozenset(digest for each in subjects for digest in _digests(each)),
        predicate if isinstance(predicate, dict) else {},
    )


def _digests(subject: object) -> list[str]:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    if not isinstance(digests, dict):
        raise ValueError("a subject of its statement has no digest")  # noqa: TRY004 - as above
    return [f"{algorithm}:{text}" for algorithm, text in digests.items()]
