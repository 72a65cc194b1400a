"""Tags as versions, and ranges of them, as npm writes ranges (semver.org 2.0.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from semantic_version import NpmSpec, Version

from squashproxy.errors import UsageError
from squashproxy.printable import quoted

_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?", re.ASCII)
_HYPHEN = " - "
_NUMBER = r"(?:[xX*]|0|[1-9][0-9]*)"
_SIDE = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,2}}(?:-[a-zA-Z0-9.-]*)?(?:\+[a-zA-Z0-9.-]*)?")
"""What may stand beside a hyphen, as in `1.2 - 2`."""


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Such as `>=1.2`, `^1`, `~1.4`, `1.x` or `>=1.2 <2 || ^3`.

    Pre-releases are in it only where it names one of the same version.
    """

    text: str

    def holds(self, tag: str) -> bool:
        """Whether a tag is a version within the range; `v1.2` counts as 1.2.0."""
        version = version_of(tag)
        return version is not None and version in _spec(self.text)

    def __str__(self) -> str:
        return self.text


def parse_range(text: str) -> VersionRange:
    """Read a range; raise UsageError where it is none."""
    try:
        _spec(text)
    except (ValueError, AttributeError) as error:  # semantic_version trips over "a - b"
        raise UsageError(
            f"{quoted(text)} is no range of versions; write one as in '>=1.2', '^1', '~1.4' or "
            "'>=1.2 <2'"
        ) from error
    return VersionRange(text)


def version_of(tag: str) -> Version | None:
    """The version that a tag names, None where it is none."""
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    numbers = ".".join(str(int(number or 0)) for number in match.group(1, 2, 3))
    try:
        return Version(f"{numbers}{match[4] or ''}")
    except ValueError:
        return None


@cache
def _spec(text: str) -> NpmSpec:
    """The range as its library reads it; raises ValueError where it is none.

    Of what stands beside a hyphen the library expects that it is a version.
    """
    plain = " ".join(text.replace(",", " ").split())
    for alternative in plain.split("||"):
        sides = alternative.strip().split(_HYPHEN)
        if len(sides) > 1 and not all(map(_SIDE.fullmatch, sides)):
            raise ValueError("no version beside a hyphen")
    return NpmSpec(plain)
