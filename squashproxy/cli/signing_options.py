"""Options about signatures, and the keys that they name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from squashproxy.cli.common_options import value_of
from squashproxy.config.keys import load_required
from squashproxy.errors import UsageError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository, parse_repository
from squashproxy.signing.signature_format import parse_formats

_F = TypeVar("_F", bound=Callable[..., Any])

SIGNING_VALUES = ("required", "signed_as", "sign", "formats", "password_file")
"""The values of `signing_options`, as click names them."""

_KEY = "A file, env:NAME, or exec:PROGRAM."


def _required(help_text: str) -> Callable[[_F], _F]:
    return click.option(
        "--require-signature",
        "required",
        multiple=True,
        metavar="PUBKEY",
        help=f"{help_text} {_KEY} Repeatable.",
    )


def _signed_as(what: str) -> Callable[[_F], _F]:
    return click.option(
        "--signed-as",
        multiple=True,
        type=value_of("--signed-as:", parse_repository),
        metavar="REPO",
        help=f"Another name under which {what} may be signed, as before it was moved. Repeatable.",
    )


_CHAIN_OPTIONS = (
    _required("Check that one of these keys signed B, and that B was made from A."),
    _signed_as("B"),
)
_OPTIONS = (
    _required("Refuse a source that none of these keys signed."),
    _signed_as("the source"),
    click.option(
        "--sign",
        metavar="KEY",
        help=f"Sign the result with this private key, before the tag moves. {_KEY}",
    ),
    click.option(
        "--sign-format",
        "formats",
        type=value_of("--sign-format:", parse_formats),
        default="bundle",
        show_default=True,
        metavar="bundle|tag|both",
        help="How signatures are kept: as referrers (cosign 3), or under a tag (older programs).",
    ),
    click.option(
        "--sign-password",
        "password_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The password of --sign's key. Default: $COSIGN_PASSWORD.",
    ),
)


def signing_options(function: _F) -> _F:
    """Give a command the options about signatures."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chain_options(function: _F) -> _F:
    """Give a command the options about the signatures of what was made."""
    for option in reversed(_CHAIN_OPTIONS):
        function = option(function)
    return function


def with_signing(
    options: CopyOptions, values: dict[str, Any], warn: Callable[[str], None]
) -> CopyOptions:
    """The options with the keys that the values of `signing_options` name. Raises UsageError."""
    required, signed_as, sign, formats, password_file = (values[each] for each in SIGNING_VALUES)
    if sign is None and password_file is not None:
        raise UsageError("--sign-password only means something with --sign")
    options = with_required(options, required, signed_as)
    if sign is None:
        return options
    from squashproxy.signing import load  # noqa: PLC0415 - loads cryptography
    from squashproxy.signing.signing import Signing  # noqa: PLC0415 - as above

    password = None if password_file is None else load.load_password(password_file)
    key = load.load_private_key(sign, password, os.environ, warn)
    return replace(options, signing=Signing(key, formats))


def with_required(
    options: CopyOptions, required: Sequence[str], signed_as: tuple[Repository, ...]
) -> CopyOptions:
    """The options with the keys that have to have signed an image. Raises UsageError."""
    if not required and signed_as:
        raise UsageError("--signed-as only means something with --require-signature")
    return replace(options, required_keys=load_required(required, os.environ), signed_as=signed_as)
