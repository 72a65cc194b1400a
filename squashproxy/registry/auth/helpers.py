"""Credential helpers: programs that store passwords (docker's credential helper protocol)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from squashproxy.errors import UsageError
from squashproxy.registry.auth.login import Credentials, credentials_of, is_secret_text

_SECONDS = 60.0
"""How long a helper may take: it may ask a person to unlock a keyring."""

_NOT_FOUND = "credentials not found"


class CredentialHelpers:
    """Runs `docker-credential-NAME get`, found on the PATH of `environ`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def ask(self, helper: str, servers: Iterable[str], file: str) -> Credentials | None:
        """The helper's credentials for the first of `servers` that it knows, None for none.

        `file` is the credential file that names the helper, for error messages. Raises UsageError
        if the program is missing, fails, or its answer cannot be read.
        """
        name = f"docker-credential-{helper}"
        program = shutil.which(name, path=self._environ.get("PATH"))
        if program is None:
            raise UsageError(
                f"the credential helper {name}, named by {file}, is not installed",
                advice="install it, or take it out of that file and log in again",
            )
        for server in servers:
            answer = self._run(program, server)
            if answer is not None:
                return _read(answer, name)
        return None

    def _run(self, program: str, server: str) -> bytes | None:
        try:
            ended = subprocess.run(  # noqa: S603 the program is the one the user configured
                [program, "get"],
                input=server.encode(),
                capture_output=True,
                env=dict(self._environ),
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"the credential helper {program} gave no answer within {_SECONDS:.0f} seconds"
            ) from error
        except OSError as error:
            raise UsageError(
                f"the credential helper {program} cannot be run: {error.strerror or error}"
            ) from error
        if ended.returncode == 0:
            return ended.stdout
        said = (ended.stdout + b" " + ended.stderr).decode(errors="replace").strip()
        if _NOT_FOUND in said.lower():
            return None
        # What it prints may hold the secret itself, so it is not repeated.
        raise UsageError(
            f"the credential helper {program} failed for {server} (exit code {ended.returncode})",
            advice=f"run `echo {server} | {Path(program).name} get` to see what it says",
        )


def _read(answer: bytes, name: str) -> Credentials | None:
    try:
        document = json.loads(answer)
        username, secret = document["Username"], document["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        username = secret = None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise UsageError(
            f"the credential helper {name} gave no user name and secret",
            advice="update it",
        )
    if not is_secret_text(username) or not is_secret_text(secret):
        raise UsageError(
            f"the credential helper {name} gave credentials that are not valid text",
            advice="log in again",
        )
    return credentials_of(name, username, secret) if username or secret else None
