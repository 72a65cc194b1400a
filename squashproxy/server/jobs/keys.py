"""The keys that the server's configuration names, read once when it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from squashproxy.config.serve import ServeSettings

if TYPE_CHECKING:  # cryptography takes long to import, and few servers need it
    from squashproxy.signing.public_key import PublicKey
    from squashproxy.signing.signing import Signing


@dataclass(frozen=True, slots=True)
class ServeKeys:
    """The keys that each rule requires, in the order of the rules, and the key that signs."""

    required: tuple[tuple[PublicKey, ...], ...] = ()
    signing: Signing | None = None


def load_keys(
    settings: ServeSettings, environ: Mapping[str, str], warn: Callable[[str], None]
) -> ServeKeys:
    """The keys. Raises UsageError for one that cannot be read."""
    sign = settings.sign
    if sign is None and not any(rule.require_signature for rule in settings.rules):
        return ServeKeys()
    from squashproxy.signing import load  # noqa: PLC0415 - loads cryptography
    from squashproxy.signing.signing import Signing  # noqa: PLC0415 - as above

    required = tuple(
        tuple(load.load_public_key(each, environ) for each in rule.require_signature)
        for rule in settings.rules
    )
    if sign is None:
        return ServeKeys(required)
    password = None if sign.password is None else sign.password.encode()
    key = load.load_private_key(sign.key, password, environ, warn)
    return ServeKeys(required, Signing(key, sign.format))
