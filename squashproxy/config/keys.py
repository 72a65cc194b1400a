"""Loading the keys that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pydantic and cryptography take long to import, and few copies need them
    from squashproxy.config.signing import SignSettings
    from squashproxy.signing.public_key import PublicKey
    from squashproxy.signing.signing import Signing


def load_required(sources: Sequence[str], environ: Mapping[str, str]) -> tuple[PublicKey, ...]:
    """The keys of `require_signature`. Raises UsageError for one that cannot be read."""
    if not sources:
        return ()
    from squashproxy.signing.load import load_public_key  # noqa: PLC0415 - loads cryptography

    return tuple(load_public_key(each, environ) for each in sources)


def load_signing(
    settings: SignSettings | None, environ: Mapping[str, str], warn: Callable[[str], None]
) -> Signing | None:
    """The key of `sign`, and the forms of its signatures; None without.

    `warn` is told what is wrong with the key. Raises UsageError for one that cannot be read.
    """
    if settings is None:
        return None
    from squashproxy.signing.load import load_private_key  # noqa: PLC0415 - loads cryptography
    from squashproxy.signing.signing import Signing  # noqa: PLC0415 - as above

    password = None if settings.password is None else settings.password.encode()
    key = load_private_key(settings.key, password, environ, warn)
    return Signing(key, settings.format)
