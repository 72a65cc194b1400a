"""The options that limit what an image may take: the same for copy, plan and verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from squashproxy.cli.common_options import value_of
from squashproxy.config.values import parse_limit, parse_size
from squashproxy.limits import Limits

_F = TypeVar("_F", bound=Callable[..., Any])


def _parse_entries(text: str) -> int:
    if not text.isdecimal() or not int(text[:19]) >= 1:
        raise ValueError(f"{text!r} is not a number of entries; write one of at least 1, or none")
    return int(text[:19])


def _parse_ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = 0.0
    if not 1.0 <= ratio < float("inf"):
        raise ValueError(f"{text!r} is not in the range of ratios; write 1 or more, or none")
    return ratio


def limit_options(function: _F) -> _F:
    """Give a command the limits; `limits_of` makes Limits of their values."""
    for option in reversed(LIMIT_OPTIONS):
        function = option(function)
    return function


def limits_of(
    *,
    memory: int | None,
    max_unpacked: int | None,
    max_entries: int | None,
    max_ratio: float | None,
) -> Limits:
    """Limits from the values of the options."""
    return Limits(memory=memory, unpacked=max_unpacked, entries=max_entries, ratio=max_ratio)


LIMIT_OPTIONS = (
    click.option(
        "--memory",
        type=value_of("--memory:", parse_limit(parse_size)),
        default="2GiB",
        show_default=True,
        metavar="SIZE",
        help="Limit of what may be remembered of an image's paths, links and attributes, and of a "
        "zstd layer's window. Sizes: bytes, 500M, 2GiB. Each of these limits may be none.",
    ),
    click.option(
        "--max-unpacked",
        type=value_of("--max-unpacked:", parse_limit(parse_size)),
        default="1TiB",
        show_default=True,
        metavar="SIZE",
        help="Refuse an image whose layers unpack to more than this.",
    ),
    click.option(
        "--max-entries",
        type=value_of("--max-entries:", parse_limit(_parse_entries)),
        default=str(Limits().entries),
        show_default=True,
        metavar="N",
        help="Refuse an image with more files, directories and links than this.",
    ),
    click.option(
        "--max-ratio",
        type=value_of("--max-ratio:", parse_limit(_parse_ratio)),
        default="100",
        show_default=True,
        metavar="R",
        help="Refuse an image whose layers unpack to more than R times its size; the first 100 MiB "
        "may have any ratio.",
    ),
)
