"""Platforms: `os/architecture[/variant]`, compared as containerd does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_DEFAULT_VARIANTS = {"amd64": "v1", "arm64": "v8", "arm": "v7"}


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform that an image is made for."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        variant = f"/{self.variant}" if self.variant else ""
        return f"{self.os}/{self.architecture}{variant}"

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform satisfies `wanted`.

        amd64 alone means amd64/v1, and arm64 alone arm64/v8; arm alone, as `wanted`, means any of
        its variants.
        """
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        if wanted.variant is None and self.architecture == "arm":
            return True
        default = _DEFAULT_VARIANTS.get(self.architecture)
        return (self.variant or default) == (wanted.variant or default)


def parse_platform(text: str) -> Platform:
    """Parse `OS/ARCH[/VARIANT]`. Raises ValueError."""
    parts = text.lower().split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"{text!r} is not a platform; write OS/ARCH, as in linux/amd64")
    architecture = _ARCHITECTURES.get(parts[1], parts[1])
    return Platform(parts[0], architecture, parts[2] if len(parts) == 3 else None)


def platform_of(document: Mapping[str, object]) -> Platform:
    """The platform that an index entry or an image config states; `unknown` for missing fields."""
    variant = document.get("variant")
    return Platform(
        str(document.get("os") or "unknown"),
        str(document.get("architecture") or "unknown"),
        str(variant) if variant else None,
    )
