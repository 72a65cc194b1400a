"""`squashproxy keys`: make keys for signing."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from squashproxy.cli.group import examples
from squashproxy.cli.output import say
from squashproxy.errors import UsageError, reason_of

_PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the name of the variable


@click.group(epilog=examples("squashproxy keys new release"))
def keys() -> None:
    """Keys for signing images."""


@keys.command(epilog=examples("squashproxy keys new release"))
@click.argument("name", default="cosign")
def new(name: str) -> None:
    """Write a new key pair: NAME.key, encrypted, and NAME.pub.

    An ECDSA key on P-256, in the form that cosign reads and writes. The
    password is $COSIGN_PASSWORD, or it is asked for.
    """
    from squashproxy.signing.key_box import RANDOM_BYTES  # noqa: PLC0415 - loads cryptography
    from squashproxy.signing.private_key import (  # noqa: PLC0415 - as above
        make_private_key,
        seal_private_key,
    )

    private, public = Path(f"{name}.key"), Path(f"{name}.pub")
    for path in (private, public):
        if path.exists():
            raise UsageError(
                f"{path} exists, and no key is overwritten", advice="give another name"
            )
    key = make_private_key(str(private))
    sealed = seal_private_key(key, _password(), secrets.token_bytes(RANDOM_BYTES))
    _write(private, sealed, 0o600)
    _write(public, key.public.pem, 0o644)
    say(f"{private} signs; keep it and its password safe")
    say(f"{public} checks signatures")


def _password() -> bytes:
    given = os.environ.get(_PASSWORD)
    if given is None:
        what = "Password of the new key"
        given = click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    return str(given).encode()


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file; nobody but `mode` allows can read it at any moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason_of(error)}") from None
