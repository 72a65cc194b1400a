"""The options by which a cleanup rule squashes in place: the same wherever they are worked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.keys import load_signing
from squashproxy.pipeline.options import CopyOptions


def squash_options(
    rule: CleanupRule,
    defaults: CopyOptions,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> CopyOptions:
    """The options of a rule; `defaults` holds what rules do not set.

    Its key may come from `environ`, and `warn` is told what is wrong with it. Raises UsageError for
    a key that cannot be read.
    """
    return replace(
        defaults,
        mode=rule.mode,
        prune_over=rule.prune_over,
        max_layer_size=rule.max_layer_size,
        base=rule.base,
        compression=rule.compression,
        signing=load_signing(rule.sign, environ, warn),
    )
