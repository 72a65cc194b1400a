"""Arguments and options that several commands share: images, and how they are squashed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from squashproxy.cli.common_options import CommonOptions, value_of
from squashproxy.config.values import parse_size
from squashproxy.location import ArchiveReference, Location, Transport, parse_location
from squashproxy.oci.platform import parse_platform
from squashproxy.pipeline.options import CopyOptions, Limits, parse_base, parse_compression
from squashproxy.reference import parse_reference, parse_repository

_F = TypeVar("_F", bound=Callable[..., Any])
_DEFAULT_MEMORY = "2GiB"
_REF_NAME = re.compile(r"[A-Za-z0-9]+(?:(?:[._:@/+-]|--)[A-Za-z0-9]+)*")
"""An image's name in a layout, `ref.name` (OCI image specification, annotations.md)."""


def parse_target(text: str) -> Location:
    """Parse the place to write an image to. Raises ValueError for a digest or an invalid name."""
    target = parse_location(text)
    if target.digest is not None:
        raise ValueError(
            f"{text!r} cannot be a target: squashing changes the digest; give a tag instead"
        )
    if isinstance(target, ArchiveReference) and target.name is not None:
        _check_name(text, target)
    return target


def _check_name(text: str, target: ArchiveReference) -> None:
    name = target.name or ""
    if target.transport is Transport.DOCKER_ARCHIVE:
        if name.startswith("@"):
            raise ValueError(
                f"{text!r} cannot be a target: {name} is the number of an image that is there "
                "already; give a name such as app:1 instead"
            )
        parse_reference(name)
    elif not _REF_NAME.fullmatch(name):
        raise ValueError(
            f"{text!r}: {name!r} cannot name an image in a layout; write letters and digits, with "
            "one of . _ - : / @ + between them"
        )


_POSITIVE = click.IntRange(min=1)


def squash_options(function: _F) -> _F:
    """Give a command the options that shape the result."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def make_options(
    common: CommonOptions,
    *,
    memory: int | None,
    max_unpacked: int | None,
    max_entries: int | None,
    max_ratio: float | None,
    **values: Any,
) -> CopyOptions:
    """CopyOptions from the values of `squash_options` and of the command's own options."""
    limits = Limits(memory=memory, unpacked=max_unpacked, entries=max_entries, ratio=max_ratio)
    return CopyOptions(limits=limits, jobs=common.jobs, **values)


platform_option = click.option(
    "--platform",
    "platforms",
    type=value_of("--platform:", parse_platform),
    multiple=True,
    metavar="OS/ARCH[/VARIANT]",
    help="Only this platform of an index. Repeatable; default: all.",
)

_OPTIONS = (
    click.option(
        "--base",
        type=value_of("--base", parse_base),
        default="auto",
        show_default=True,
        metavar="auto|none|N|REF",
        help="Layers to keep as they are: found by itself, none, the first N, or those of an image "
        "whose layers the source begins with.",
    ),
    click.option(
        "--base-repo",
        "base_repos",
        type=value_of("--base-repo:", parse_repository),
        multiple=True,
        metavar="REPO",
        help="Repository of the target registry that holds bases; its blobs are mounted. "
        "Repeatable.",
    ),
    platform_option,
    click.option(
        "--compression",
        type=value_of("--compression", parse_compression),
        default="keep",
        show_default=True,
        metavar="keep|gzip|zstd[:LEVEL]",
        help="Format of the new layer.",
    ),
    click.option(
        "--strict", is_flag=True, help="Fail where unpackers disagree about a layer; else warn."
    ),
    click.option(
        "--memory",
        type=value_of("--memory:", parse_size),
        default=_DEFAULT_MEMORY,
        show_default=True,
        metavar="SIZE",
        help="Limit of what the merge may remember. Sizes: bytes, 500M, 2GiB.",
    ),
    click.option(
        "--max-unpacked",
        type=value_of("--max-unpacked:", parse_size),
        metavar="SIZE",
        help="Refuse an image whose layers unpack to more than this.",
    ),
    click.option(
        "--max-entries",
        type=_POSITIVE,
        metavar="N",
        help="Refuse an image with more files, directories and links than this.",
    ),
    click.option(
        "--max-ratio",
        type=click.FloatRange(min=1.0),
        metavar="R",
        help="Refuse a layer that unpacks to more than R times its size.",
    ),
)
