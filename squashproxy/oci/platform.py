"""Platforms: `os/architecture[/variant]`, spelled and compared as containerd does (its module
`platforms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from squashproxy.oci.mediatypes import is_foreign

_LINUX = "linux"
_WINDOWS = "windows"
_UNKNOWN = "unknown"
_FIELDS_OF_WINDOWS = ("os.version", "os.features")
"""Fields that only images for Windows have (OCI image specification, config.md)."""
_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES: Mapping[str, tuple[str, str | None]] = {
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "i386": ("386", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
"""Other names of an architecture, with the variant that such a name means."""
_VARIANTS = {
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
    ("arm64", "8"): "v8",
    ("arm64", "8.0"): "v8",
    ("arm64", "v8.0"): "v8",
    ("arm64", "9"): "v9",
    ("arm64", "9.0"): "v9",
    ("arm64", "v9.0"): "v9",
}
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

    @property
    def is_linux(self) -> bool:
        """Whether this is for Linux; a system that is not stated counts as Linux."""
        return self.os in (_LINUX, _UNKNOWN)

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform satisfies `wanted`.

        amd64 alone means amd64/v1, and arm64 alone arm64/v8; arm alone, as `wanted`, means any of
        its variants. A system that is not stated is Linux.
        """
        is_system = self.os == wanted.os or (self.is_linux and wanted.is_linux)
        if not is_system or self.architecture != wanted.architecture:
            return False
        if wanted.variant is None and self.architecture == "arm":
            return True
        default = _DEFAULT_VARIANTS.get(self.architecture)
        return (self.variant or default) == (wanted.variant or default)


UNKNOWN = Platform(_UNKNOWN, _UNKNOWN)
"""The platform of what states none, and of attestations."""


def parse_platform(text: str) -> Platform:
    """Parse `OS/ARCH[/VARIANT]`. Raises ValueError."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"{text.lower()!r} is not a platform; write OS/ARCH, as in linux/amd64")
    return _spelled(parts[0], parts[1], parts[2] if len(parts) == 3 else None)


def platform_of(document: Mapping[str, object], stated: Platform = UNKNOWN) -> Platform:
    """The platform that an index entry or an image config states.

    For a system or an architecture that it leaves out, that of `stated` counts, such as the
    platform in its index.
    """
    variant = document.get("variant")
    return _spelled(
        _system_of(document) or stated.os,
        str(document.get("architecture") or stated.architecture),
        str(variant) if variant else None,
    )


def other_system(
    document: Mapping[str, object], stated: Platform | None = None, layers: Iterable[str] = ()
) -> str | None:
    """The system that an image is for, where that is not Linux; None for Linux.

    `document` is its config. Where that says nothing, `stated` counts, the platform in its index,
    and then `layers`, the media types of its layers: Windows has foreign ones. Where nothing tells,
    the image is for Linux.
    """
    system = _system_of(document)
    if system is None and stated is not None and stated.os != _UNKNOWN:
        system = stated.os
    if system is None and any(map(is_foreign, layers)):
        system = _WINDOWS
    return None if system in (None, _LINUX) else system


def _system_of(document: Mapping[str, object]) -> str | None:
    """The system that a document states, or that its other fields tell; None for neither."""
    system = str(document.get("os") or "").strip().lower()
    if system:
        return _SYSTEMS.get(system, system)
    return _WINDOWS if any(document.get(field) for field in _FIELDS_OF_WINDOWS) else None


def _spelled(system: str, architecture: str, variant: str | None) -> Platform:
    """The platform in canonical spelling: `Linux/x86_64` is linux/amd64."""
    system, architecture = system.lower(), architecture.lower()
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, None))
    variant = implied or (variant.lower() if variant else None)
    if variant is not None:
        variant = _VARIANTS.get((architecture, variant), variant)
    return Platform(_SYSTEMS.get(system, system), architecture, variant)
