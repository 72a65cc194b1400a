"""The format of credential files: docker's config.json and podman's auth.json."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from squashproxy.errors import UsageError
from squashproxy.printable import quoted
from squashproxy.reference import Repository, canonical_host
from squashproxy.registry.auth.login import Credentials, credentials_of, is_secret_text

_LINE_ENDS = re.compile(r"[\r\n]")
_NO_PROGRAM = re.compile(r"[\0/\ud800-\udfff]")


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry that cannot be used; an error only for hosts that need it (issue 26)."""

    fact: str
    advice: str


@dataclass(frozen=True, slots=True)
class AuthFile:
    """One credential file; its keys are normalised to `host` or `host/namespace`."""

    name: str
    auths: Mapping[str, Credentials | Broken]
    helpers: Mapping[str, str | Broken]
    default_helper: str | Broken | None

    @property
    def store(self) -> str | None:
        """The helper for hosts without one of their own. Raises UsageError if it is broken."""
        return _sound(self.default_helper)

    def helper_for(self, host: str) -> str | None:
        """The helper program that the file names for `host`. Raises UsageError if it is broken."""
        return _sound(self.helpers.get(host))

    def find(self, repository: Repository) -> Credentials | None:
        """The entry for a repository; the longest key that covers it wins.

        Raises UsageError if that entry is broken.
        """
        for key in _covering(repository):
            if key in self.auths:
                return _sound(self.auths[key])
        return None


def parse_authfile(data: bytes, name: str) -> AuthFile:
    """Parse the content of the file `name`. Raises UsageError, which names it, if it is broken.

    A single broken entry is kept as such.
    """
    try:
        document = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"the credential file {name} is not valid JSON", advice="repair it"
        ) from error
    if not isinstance(document, dict):
        raise UsageError(f"the credential file {name} is not a JSON object", advice="repair it")
    auths: dict[str, Credentials | Broken] = {}
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


def _sound(value: _Value | Broken) -> _Value:
    if isinstance(value, Broken):
        raise UsageError(value.fact, advice=value.advice)
    return value


def _helper(value: object, name: str) -> str | Broken:
    """The checked name of a helper, which becomes part of a program's file name."""
    if isinstance(value, str) and not _NO_PROGRAM.search(value):
        return value
    return Broken(
        f"the credential file {name} names a credential helper that is no valid program name",
        "repair it",
    )


def _section(document: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    section = document.get(key) or {}
    if not isinstance(section, dict):
        raise UsageError(
            f"{key!r} in the credential file {name} is not a JSON object", advice="repair it"
        )
    return section


def _entry(entry: object, where: str, origin: str) -> Credentials | Broken | None:
    if not isinstance(entry, dict):
        return Broken(f"{where} is not a JSON object", "repair it or log in again")
    broken = _unsendable(entry, where)
    if broken is not None:
        return broken
    login: tuple[str, str] | Broken
    login = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        login = _decoded(str(entry["auth"]), where)
    if isinstance(login, Broken):
        return login
    if entry.get("registrytoken"):
        return Credentials(origin, login[0], registry_token=str(entry["registrytoken"]))
    if entry.get("identitytoken"):
        return Credentials(origin, login[0], identity_token=str(entry["identitytoken"]))
    return credentials_of(origin, *login) if any(login) else None


def _unsendable(entry: dict[str, Any], where: str) -> Broken | None:
    for key in ("username", "password", "auth", "registrytoken", "identitytoken"):
        if not is_secret_text(entry.get(key)):
            return Broken(f"{where} has a {key!r} that is not valid text", "log in again")
    token = str(entry.get("registrytoken") or "")
    if not token.isascii() or not token.isprintable():
        return Broken(f"{where} has a 'registrytoken' that cannot be sent", "log in again")
    return None


def _decoded(auth: str, where: str) -> tuple[str, str] | Broken:
    """User and password; line breaks are ignored, as docker and podman do."""
    try:
        text = base64.b64decode(_LINE_ENDS.sub("", auth), validate=True).decode()
    except ValueError:
        return Broken(f"{where} holds no valid base64", "log in again")
    username, colon, password = text.partition(":")
    if not colon:
        return Broken(f"{where} holds no user:password", "log in again")
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
