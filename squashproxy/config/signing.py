"""Signatures: the keys that a source must be signed by, and the key that signs results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from squashproxy.config.section import Section
from squashproxy.config.value_types import in_folder, reads
from squashproxy.signing.signature_format import SignatureFormat, parse_formats

ELSEWHERE = ("env:", "exec:")
"""The beginnings of sources that are no files."""


def _read_source(value: Any, info: ValidationInfo) -> str:
    """The source of a key; a file is relative to the folder of the configuration."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("this names no key; write a file, env:NAME or exec:PROGRAM")
    if "-----BEGIN" in value:
        raise ValueError("this is a key itself; write a file, env:NAME or exec:PROGRAM")
    if value.startswith(ELSEWHERE):
        return value
    return str(in_folder(value, info))


KeySource = Annotated[
    str,
    PlainValidator(_read_source),
    WithJsonSchema({"type": "string", "examples": ["cosign.pub", "env:SIGNING_KEY"]}),
]
SignatureFormats = Annotated[
    tuple[SignatureFormat, ...],
    reads(parse_formats),
    WithJsonSchema({"type": "string", "enum": ["bundle", "tag", "both"]}),
]


@dataclass(frozen=True, slots=True)
class SignSettings(Section):
    """The key that signs results."""

    key: KeySource
    """A private key: a file, env:NAME, or exec:PROGRAM, which prints it."""
    password: str | None = field(default=None, repr=False)
    """The key's password; without this key, $COSIGN_PASSWORD."""
    format: SignatureFormats = (SignatureFormat.BUNDLE,)
    """bundle: as referrers (cosign 3); tag: under a tag (older programs); both."""
