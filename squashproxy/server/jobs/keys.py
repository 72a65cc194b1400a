"""The keys that the server's configuration names, read once when it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from squashproxy.config.keys import load_required, load_signing
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
    return ServeKeys(
        tuple(load_required(rule.require_signature, environ) for rule in settings.rules),
        load_signing(settings.sign, environ, warn),
    )
