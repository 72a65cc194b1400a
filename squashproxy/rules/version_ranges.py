"""Tags as versions, and version ranges as npm writes them (semver.org 2.0.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from semantic_version import NpmSpec, Version

from squashproxy.printable import quoted

_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?", re.ASCII)
_HYPHEN = " - "
_NUMBER = r"(?:[xX*]|0|[1-9][0-9]*)"
_SIDE = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,2}}(?:-[a-zA-Z0-9.-]*)?(?:\+[a-zA-Z0-9.-]*)?")
"""What may stand beside a hyphen, as in `1.2 - 2`."""


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range such as `>=1.2`, `^1`, `~1.4`, `1.x` or `>=1.2 <2 || ^3`.

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
    """Parse a range. Raises ValueError."""
    try:
        _spec(text)
    except (ValueError, AttributeError) as error:  # semantic_version trips over "a - b"
        raise ValueError(
            f"{quoted(text)} is no range of versions; write one as in '>=1.2', '^1', '~1.4' or "
            "'>=1.2 <2'"
        ) from error
    return VersionRange(text)


def version_of(tag: str) -> Version | None:
    """The version that a tag names; None where it names none."""
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
    """The range for the library. Raises ValueError.

    The library assumes that versions stand on both sides of a hyphen, so that is checked here.
    """
    plain = " ".join(text.replace(",", " ").split())
    for alternative in plain.split("||"):
        sides = alternative.strip().split(_HYPHEN)
        if len(sides) > 1 and not all(map(_SIDE.fullmatch, sides)):
            raise ValueError("no version beside a hyphen")
    return NpmSpec(plain)
