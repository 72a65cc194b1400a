"""Credential files: docker's config.json and podman's auth.json."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from squashproxy.errors import UsageError
from squashproxy.printable import quoted
from squashproxy.reference import Repository, canonical_host

_IDENTITY_USER = "<token>"
"""With this user name, the password is an identity token (docker's credential helpers)."""

_MOST_BYTES = 16 << 20
"""Bytes of a credential file; a larger one was named by mistake."""

_LINE_ENDS = re.compile(r"[\r\n]")
_NO_PROGRAM = re.compile(r"[\0/\ud800-\udfff]")
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


@dataclass(frozen=True, slots=True)
class AuthFile:
    """One credential file; its keys are normalised to `host` or `host/namespace`."""

    name: str
    auths: Mapping[str, Credentials]
    helpers: Mapping[str, str]
    store: str | None

    def helper_for(self, host: str) -> str | None:
        """The helper program that the file names for `host`."""
        return self.helpers.get(host)

    def find(self, repository: Repository) -> Credentials | None:
        """The entry for a repository; the longest key that covers it wins."""
        for key in _covering(repository):
            if key in self.auths:
                return self.auths[key]
        return None


def read_authfile(path: Path) -> AuthFile | None:
    """Read a file; None if it does not exist. Raises UsageError if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(
            f"the credential file {path} cannot be read: {error.strerror or error}"
        ) from error
    if len(data) > _MOST_BYTES:
        raise UsageError(
            f"the credential file {path} has more than {_MOST_BYTES} bytes",
            advice="name the right one",
        )
    return parse_authfile(data, str(path))


def parse_authfile(data: bytes, name: str) -> AuthFile:
    """Parse the content of the file `name`. Raises UsageError, which names it, if it is broken."""
    try:
        document = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"the credential file {name} is not valid JSON", advice="repair it"
        ) from error
    if not isinstance(document, dict):
        raise UsageError(f"the credential file {name} is not a JSON object", advice="repair it")
    auths = {}
    for key, entry in _section(document, "auths", name).items():
        found = _entry(entry, f"the entry {quoted(key)} of the credential file {name}", name)
        if found is not None:
            auths[_normalised(key)] = found
    helpers = {
        _normalised(key): _helper(value, name)
        for key, value in _section(document, "credHelpers", name).items()
        if value
    }
    return AuthFile(name, auths, helpers, _helper(document.get("credsStore") or "", name) or None)


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


def _helper(value: object, name: str) -> str:
    """The checked name of a helper, which becomes part of a program's file name."""
    if isinstance(value, str) and not _NO_PROGRAM.search(value):
        return value
    raise UsageError(
        f"the credential file {name} names a credential helper that is no valid program name",
        advice="repair it",
    )


def _section(document: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    section = document.get(key) or {}
    if not isinstance(section, dict):
        raise UsageError(
            f"{key!r} in the credential file {name} is not a JSON object", advice="repair it"
        )
    return section


def _entry(entry: object, where: str, origin: str) -> Credentials | None:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is not a JSON object", advice="repair it or log in again")
    for key in ("username", "password", "auth", "registrytoken", "identitytoken"):
        if not is_secret_text(entry.get(key)):
            raise UsageError(f"{where} has a {key!r} that is not valid text", advice="log in again")
    token = str(entry.get("registrytoken") or "")
    if not token.isascii() or not token.isprintable():
        raise UsageError(
            f"{where} has a 'registrytoken' that cannot be sent", advice="log in again"
        )
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        username, password = _decoded(str(entry["auth"]), where)
    if token:
        return Credentials(origin, username, registry_token=token)
    if entry.get("identitytoken"):
        return Credentials(origin, username, identity_token=str(entry["identitytoken"]))
    if not username and not password:
        return None
    return credentials_of(origin, username, password)


def _decoded(auth: str, where: str) -> tuple[str, str]:
    """User and password; line breaks are ignored, as docker and podman do."""
    try:
        text = base64.b64decode(_LINE_ENDS.sub("", auth), validate=True).decode()
    except ValueError as error:
        raise UsageError(f"{where} holds no valid base64", advice="log in again") from error
    username, colon, password = text.partition(":")
    if not colon:
        raise UsageError(f"{where} holds no user:password", advice="log in again")
    return username, password.rstrip("\0")


def _normalised(key: str) -> str:
    """Docker writes `https://host/v1/`, podman `host` or `host/namespace`."""
    scheme, slashes, rest = key.partition("://")
    if slashes and scheme in ("http", "https"):
        rest = rest.partition("/")[0]
    else:
        rest = key.rstrip("/").removesuffix("/v1").removesuffix("/v2")
    host, slash, path = rest.partition("/")
    return f"{canonical_host(host)}{slash}{path}"


def _covering(repository: Repository) -> Iterator[str]:
    key = str(repository)
    while key:
        yield key
        key = key.rpartition("/")[0]
