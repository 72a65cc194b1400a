"""The caller of a request, from its Authorization header."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from squashproxy.server.http.errors import unauthorized


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request; `name` is for the log.

    Requests to upstream carry the caller's `login` (user and password) and nothing else. Without a
    login they carry the server's own credentials.
    """

    name: str = ""
    login: tuple[str, str] | None = field(default=None, repr=False)


ANYONE = Caller()


def read_basic(authorization: str | None) -> tuple[str, str] | None:
    """User and password of the header; None if both are empty or there is no header.

    Raises ApiError for a header that cannot be read: 401.
    """
    if not authorization:
        return None
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise unauthorized("only user and password are taken here; log in again")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError as error:  # of base64, UTF-8, or characters that are not ASCII
        raise unauthorized("the Authorization header cannot be read; log in again") from error
    user, _, password = text.partition(":")
    return (user, password) if user or password else None
