"""Credentials for a registry, from the places where docker and podman look, in order.

Logins that were given come first, then the environment variable of the host, then the credential
files: the one given, $REGISTRY_AUTH_FILE, $DOCKER_AUTH_CONFIG, podman's and docker's own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from squashproxy.errors import UsageError
from squashproxy.lru import LruCache
from squashproxy.reference import Repository
from squashproxy.registry.auth.authfile import AuthFile, parse_authfile
from squashproxy.registry.auth.helpers import CredentialHelpers
from squashproxy.registry.auth.login import Credentials

_HUB = "docker.io"
_HUB_SERVER = "https://index.docker.io/v1/"

_MOST_BYTES = 16 << 20
"""Bytes of a credential file; a larger one was named by mistake."""

_MOST_REPOSITORIES = 10_000
"""Repositories whose credentials are kept: anybody may ask a server for any number of names."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look-up gave, None included."""

    credentials: Credentials | None


def variable_for(host: str) -> str:
    """The environment variable that holds the credentials of `host`, as user:password."""
    return "SQUASHPROXY_AUTH_" + re.sub(r"[^A-Z0-9]", "_", host.upper())


class CredentialStore:
    """Finds credentials; usable from several threads.

    Files are read and helper programs run when first needed, and their answers kept. `warn` is
    called with a sentence for each helper that gives no answer.
    """

    def __init__(
        self,
        authfile: Path | None,
        environ: Mapping[str, str],
        logins: Mapping[str, tuple[str, str]] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._authfile = authfile
        self._environ = environ
        self._logins = logins or {}
        self._warn = warn
        self._helpers = CredentialHelpers(environ)
        self._lock = threading.Lock()
        self._files: list[AuthFile] | None = None
        self._found: LruCache[Repository, _Found] = LruCache(_MOST_REPOSITORIES)
        self._failures: dict[str, UsageError] = {}

    def find(self, repository: Repository) -> Credentials | None:
        """The credentials for a repository, None where there are none.

        A helper program that is missing or fails counts as one without credentials, since an image
        may be public; `helper_failure` tells. Raises UsageError if a file, or its entry for the
        repository, is broken, or a file that was named does not exist.
        """
        with self._lock:
            found = self._found.find_or_make(repository, lambda: _Found(self._look_up(repository)))
            return found.credentials

    def helper_failure(self, host: str) -> UsageError | None:
        """Why a helper gave no credentials for `host`, if one was asked in vain."""
        with self._lock:
            return self._failures.get(host)

    def _look_up(self, repository: Repository) -> Credentials | None:
        if (login := self._logins.get(repository.host)) is not None:
            return Credentials(f"the login for {repository.host}", *login)
        from_environment = self._from_variable(repository.host)
        if from_environment is not None:
            return from_environment
        if self._files is None:
            self._files = list(self._iter_files())
        for file in self._files:
            found = self._from_file(file, repository)
            if found is not None:
                return found
        failure = self._failures.get(repository.host)
        if failure is not None and self._warn is not None:
            self._warn(_without(failure, repository.host))
        return None

    def _from_variable(self, host: str) -> Credentials | None:
        name = variable_for(host)
        value = self._environ.get(name)
        if not value:
            return None
        username, colon, password = value.partition(":")
        if not colon:
            raise UsageError(
                f"${name} holds no user:password", advice="set it to both, with a colon"
            )
        return Credentials(f"${name}", username, password)

    def _from_file(self, file: AuthFile, repository: Repository) -> Credentials | None:
        servers = (_HUB_SERVER, _HUB) if repository.host == _HUB else (repository.host,)
        helper = file.helper_for(repository.host)
        if helper is not None:
            return self._from_helper(helper, servers, file)
        found = file.find(repository)
        if found is None and file.store is not None:
            return self._from_helper(file.store, servers, file)
        return found

    def _from_helper(
        self, helper: str, servers: tuple[str, ...], file: AuthFile
    ) -> Credentials | None:
        try:
            return self._helpers.ask(helper, servers, file.name)
        except UsageError as error:
            self._failures.setdefault(servers[-1], error)
            return None

    def _iter_files(self) -> Iterator[AuthFile]:
        environ = self._environ
        if self._authfile is not None:
            yield _named(self._authfile, "the option for credentials")
        if named := environ.get("REGISTRY_AUTH_FILE"):
            yield _named(Path(named), "$REGISTRY_AUTH_FILE")
        if inline := environ.get("DOCKER_AUTH_CONFIG"):
            yield parse_authfile(inline.encode(), "$DOCKER_AUTH_CONFIG")
        for path in self._usual_places():
            found = _read_authfile(path)
            if found is not None:
                yield found

    def _usual_places(self) -> Iterator[Path]:
        environ = self._environ
        home = Path(environ["HOME"]) if environ.get("HOME") else None
        if runtime := environ.get("XDG_RUNTIME_DIR"):
            yield Path(runtime, "containers", "auth.json")
        if settings := environ.get("XDG_CONFIG_HOME"):
            yield Path(settings, "containers", "auth.json")
        elif home is not None:
            yield home / ".config" / "containers" / "auth.json"
        if docker := environ.get("DOCKER_CONFIG"):
            yield Path(docker, "config.json")
        elif home is not None:
            yield home / ".docker" / "config.json"


def _without(failure: UsageError, host: str) -> str:
    advice = f"; {failure.advice}" if failure.advice else ""
    return f"{failure.fact}, so {host} is asked without credentials{advice}"


def _named(path: Path, by: str) -> AuthFile:
    found = _read_authfile(path)
    if found is None:
        raise UsageError(f"the credential file {path}, named by {by}, does not exist")
    return found


def _read_authfile(path: Path) -> AuthFile | None:
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
