"""The options of a rule's copies: the same wherever they are worked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from squashproxy.config.keys import load_required, load_signing
from squashproxy.config.promote import OnExisting, PromoteRule
from squashproxy.config.succession import Route
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.rules.target_template import base_repository


def options_of(
    rule: PromoteRule,
    defaults: CopyOptions,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> CopyOptions:
    """The options of a rule; `defaults` holds what rules do not set.

    Its keys may come from `environ`, and `warn` is told what is wrong with them. Raises UsageError
    for a key that cannot be read.
    """
    host = Route(rule).template.host
    return replace(
        defaults,
        required_keys=load_required(rule.require_signature, environ),
        signed_as=rule.signed_as,
        signing=load_signing(rule.sign, environ, warn),
        mode=rule.mode,
        referrers=rule.mode is Mode.COPY and rule.referrers is not False,
        keeps_tags=rule.on_existing is not OnExisting.REPLACE,
        prune_over=rule.prune_over,
        max_layer_size=rule.max_layer_size,
        base=rule.base,
        base_repos=tuple(base_repository(text, host) for text in rule.base_repos),
        platforms=rule.platforms,
        compression=rule.compression,
        strict=rule.strict,
        verify=rule.verify,
        provenance=rule.provenance,
        backup=rule.backup if rule.on_existing is OnExisting.BACKUP else None,
    )
