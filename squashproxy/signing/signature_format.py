"""The forms in which signatures are kept in a registry."""

from __future__ import annotations

from enum import Enum


class SignatureFormat(Enum):
    """A bundle among the referrers (cosign 3), or a payload under a tag (cosign 1 and 2)."""

    BUNDLE = "bundle"
    TAG = "tag"


def parse_formats(text: str) -> tuple[SignatureFormat, ...]:
    """Parse `bundle`, `tag` or `both`. Raises ValueError."""
    if text == "both":
        return tuple(SignatureFormat)
    try:
        return (SignatureFormat(text),)
    except ValueError:
        raise ValueError(f"{text!r} is no form of signatures; write bundle, tag or both") from None
