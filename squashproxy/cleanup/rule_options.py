"""The options by which a cleanup rule squashes in place: the same wherever they are worked out."""

from __future__ import annotations

from dataclasses import replace

from squashproxy.config.cleanup import CleanupRule
from squashproxy.pipeline.options import CopyOptions


def squash_options(rule: CleanupRule, defaults: CopyOptions) -> CopyOptions:
    """The options of a rule; `defaults` holds what rules do not set."""
    return replace(
        defaults,
        mode=rule.mode,
        prune_over=rule.prune_over,
        max_layer_size=rule.max_layer_size,
        base=rule.base,
        compression=rule.compression,
    )
