"""The keys that a promotion rule names, read when the rule is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from squashproxy.config.promote import PromoteRule
from squashproxy.pipeline.options import CopyOptions


def with_keys(
    options: CopyOptions,
    rule: PromoteRule,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> CopyOptions:
    """The options with the rule's keys. Raises UsageError for a key that cannot be read."""
    sign = rule.sign
    if sign is None and not rule.require_signature:
        return options
    from squashproxy.signing import load  # noqa: PLC0415 - loads cryptography
    from squashproxy.signing.signing import Signing  # noqa: PLC0415 - as above

    required = tuple(load.load_public_key(each, environ) for each in rule.require_signature)
    options = replace(options, required_keys=required, signed_as=rule.signed_as)
    if sign is None:
        return options
    password = None if sign.password is None else sign.password.encode()
    key = load.load_private_key(sign.key, password, environ, warn)
    return replace(options, signing=Signing(key, sign.format))
