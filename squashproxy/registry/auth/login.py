"""Logins: the values that a registry's schemes of authentication turn into headers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_IDENTITY_USER = "<token>"
"""With this user name, the password is an identity token (docker's credential helpers)."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login for a registry; `origin` says where it was found, for error messages.

    An `identity_token` is exchanged for access tokens; a `registry_token` is an access token.
    """

    origin: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def credentials_of(origin: str, username: str, secret: str) -> Credentials:
    """Credentials from a user name and a secret; for `<token>` the secret is an identity token."""
    if username == _IDENTITY_USER:
        return Credentials(origin, identity_token=secret)
    return Credentials(origin, username, secret)


def is_secret_text(value: object) -> bool:
    """Whether a JSON value can be sent as a user name or secret; None and numbers can.

    JSON strings may hold half a surrogate pair, which no encoding can write.
    """
    if value is None or isinstance(value, int):
        return True
    return isinstance(value, str) and not _SURROGATE.search(value)
