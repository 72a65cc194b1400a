"""Arguments and options that several commands share: images, and how they are squashed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from squashproxy.cli.common_options import CommonOptions, value_of
from squashproxy.cli.limit_options import LIMIT_OPTIONS, limits_of
from squashproxy.config.values import parse_size
from squashproxy.errors import UsageError
from squashproxy.layer_memory.choice import parse_layer_memory
from squashproxy.location import ArchiveReference, Location, Transport, parse_location
from squashproxy.oci.platform import parse_platform
from squashproxy.pipeline.mode import Mode, parse_mode, parse_prune_threshold
from squashproxy.pipeline.options import CopyOptions, parse_base, parse_compression
from squashproxy.reference import parse_host, parse_reference, parse_repository

_F = TypeVar("_F", bound=Callable[..., Any])
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
    base_hosts: tuple[str, ...],
    **values: Any,
) -> CopyOptions:
    """CopyOptions from the values of `squash_options` and of the command's own options."""
    limits = limits_of(
        memory=memory, max_unpacked=max_unpacked, max_entries=max_entries, max_ratio=max_ratio
    )
    hosts = common.plain_http | common.insecure | frozenset(base_hosts)
    return CopyOptions(limits=limits, jobs=common.jobs, base_hosts=hosts, **values)


_SHAPING = (
    *("prune_over", "base", "base_repos", "base_hosts", "compression", "strict", "max_unpacked"),
    *("max_entries", "max_ratio", "provenance", "max_layer_size", "check_diff_ids"),
)
"""Options, as click names them, that mean nothing where no byte changes."""


_PRUNING = ("prune_over",)
"""Options, as click names them, that shape a pruned image only."""


def check_mode(context: click.Context, mode: Mode) -> None:
    """Raise UsageError for options that were given and mean nothing in the mode."""
    if mode is Mode.COPY:
        _check_exact(context)
    elif mode is Mode.SQUASH:
        given = _given(context, _PRUNING)
        if given:
            raise UsageError(
                f"{given[0]} only means something with --mode prune",
                advice="leave it out, or prune",
            )


def _given(context: click.Context, names: Sequence[str]) -> list[str]:
    """The options of these names that were given, as they are written."""
    return [
        option.opts[0]
        for option in context.command.params
        if option.name in names
        and context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
    ]


def _check_exact(context: click.Context) -> None:
    """Raise UsageError for options that shape a result, where nothing is shaped."""
    given = _given(context, _SHAPING)
    if given:
        verb = "shapes" if len(given) == 1 else "shape"
        raise UsageError(
            f"--mode copy keeps every byte, and {' and '.join(given)} {verb} a squashed or pruned "
            "image",
            advice="leave out the one or the other",
        )


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
        "--mode",
        type=value_of("--mode:", parse_mode),
        default="squash",
        show_default=True,
        metavar="squash|prune|copy",
        help="What becomes of the layers above the base: one layer; each without what upper "
        "layers hide, so that layers that lose nothing stay shared; or all stay as they are, and "
        "so do the digests.",
    ),
    click.option(
        "--prune-over",
        type=value_of("--prune-over:", partial(parse_prune_threshold, parse_size=parse_size)),
        default="1%",
        show_default=True,
        metavar="SIZE|PERCENT",
        help="With --mode prune: write a layer again only where at least so much of its blob goes. "
        "Files that look secret always go.",
    ),
    click.option(
        "--layer-memory",
        type=value_of("--layer-memory:", parse_layer_memory),
        metavar="DIR|HOST/REPO|none",
        help="Where plan and --mode prune remember the files of layers and results: a layer that "
        "is known is not read. Who can write there decides what is left out. Default: a "
        "folder among the user's caches.",
    ),
    click.option(
        "--base",
        type=value_of("--base", parse_base),
        default="auto",
        show_default=True,
        metavar="auto|none|N|REF",
        help="Layers to keep as they are: found by itself, none, the first N, or those of an image "
        "whose layers the source begins with, or its squashed form.",
    ),
    click.option(
        "--base-repo",
        "base_repos",
        type=value_of("--base-repo:", parse_repository),
        multiple=True,
        metavar="REPO",
        help="Repository of the target registry that holds bases, also in squashed form; its blobs "
        "are mounted. Repeatable.",
    ),
    click.option(
        "--base-host",
        "base_hosts",
        type=value_of("--base-host:", parse_host),
        multiple=True,
        metavar="HOST",
        help="Another registry to ask for the base that an image names. Without it: those of "
        "source, target and --base-repo, and docker.io. Repeatable.",
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
        "--max-layer-size",
        type=value_of("--max-layer-size:", parse_size),
        metavar="SIZE",
        help="With --mode squash: cut the new layer into several of about this packed size, which "
        "are pulled and unpacked side by side.",
    ),
    click.option(
        "--strict", is_flag=True, help="Fail where unpackers disagree about a layer; else warn."
    ),
    click.option(
        "--check-diff-ids",
        is_flag=True,
        help="Also hash what layers of the source unpack to, and compare with its config. Size, "
        "digest and CRC-32 of layers are always checked.",
    ),
    *LIMIT_OPTIONS,
)
