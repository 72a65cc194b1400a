"""Limits: an image that exceeds what the options allow is read no further."""

from __future__ import annotations

from squashproxy.errors import LimitExceeded
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.listing import MOST_LISTED

_LISTED_SHARE = 16
"""A listing that is recorded may take this fraction of the memory; a larger one is not kept."""


def check_limits(
    where: str, options: MergeOptions, *, memory: int, entries: int = 0, unpacked: int = 0
) -> None:
    """Raise LimitExceeded if what was read so far is more than a limit of `options`.

    `where` names the layer being read. `memory` and `unpacked` are bytes.
    """
    for what, value, limit, setting in (
        ("entries", entries, options.max_entries, "{max-entries}"),
        ("unpacked bytes", unpacked, options.max_unpacked, "{max-unpacked}"),
        ("bytes to remember", memory, options.max_memory, "{memory}"),
    ):
        if limit is not None and value > limit:
            raise LimitExceeded(
                f"{where}: the image has more than {limit} {what}; nothing was pushed",
                advice=f"raise the limit with {setting} if you trust the image",
            )


def most_listed(options: MergeOptions) -> int:
    """The most bytes of a listing that is recorded beside everything else."""
    if options.max_memory is None:
        return MOST_LISTED
    return min(MOST_LISTED, options.max_memory // _LISTED_SHARE)
