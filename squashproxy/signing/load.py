"""Reading keys and passwords: from files, from the environment, or from a program.

A key is named by its source, never given itself: arguments, logs and process lists are read by
others.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from squashproxy.errors import UsageError, reason_of
from squashproxy.signing.private_key import MissingPassword, PrivateKey, parse_private_key
from squashproxy.signing.public_key import PublicKey, parse_public_key

_FROM_ENVIRONMENT = ("env://", "env:")
_FROM_PROGRAM = "exec:"
_PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the name of the variable
_MOST_BYTES = 1 << 20
_SECONDS = 60.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_private_key(
    source: str, password: bytes | None, environ: Mapping[str, str], warn: Callable[[str], None]
) -> PrivateKey:
    """The private key that `source` names: a file, `env:NAME`, or `exec:PROGRAM ARGUMENTS`.

    Where no password is given, $COSIGN_PASSWORD has it. A file that others may read is a warning.
    Raises UsageError, which tells no secret.
    """
    data = _read(source, environ)
    if password is None and _PASSWORD in environ:
        password = environ[_PASSWORD].encode()
    try:
        key = parse_private_key(data, _name(source), password)
    except MissingPassword as error:
        raise UsageError(
            str(error), advice=f"set ${_PASSWORD}, or name a file that has it"
        ) from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    if _is_file(source) and Path(source).stat().st_mode & _OTHERS:
        warn(f"the private key {source} can be read by other users; run: chmod 600 {source}")
    return key


def load_public_key(source: str, environ: Mapping[str, str]) -> PublicKey:
    """The public key that `source` names. Raises UsageError."""
    try:
        return parse_public_key(_read(source, environ), _name(source))
    except ValueError as error:
        raise UsageError(str(error)) from None


def load_password(file: Path) -> bytes:
    """The first line of a file. Raises UsageError."""
    return _first_line(_read_file(file))


def _name(source: str) -> str:
    """The source, for people: of a program its name, since arguments may be secret."""
    if not source.startswith(_FROM_PROGRAM):
        return source
    return _FROM_PROGRAM + next(iter(shlex.split(source[len(_FROM_PROGRAM) :])), "")


def _is_file(source: str) -> bool:
    return not source.startswith((*_FROM_ENVIRONMENT, _FROM_PROGRAM))


def _read(source: str, environ: Mapping[str, str]) -> bytes:
    for prefix in _FROM_ENVIRONMENT:
        if source.startswith(prefix):
            return _read_variable(source[len(prefix) :], environ)
    if source.startswith(_FROM_PROGRAM):
        return _run(source, environ)
    return _read_file(Path(source))


def _read_variable(name: str, environ: Mapping[str, str]) -> bytes:
    if name not in environ:
        raise UsageError(f"the variable ${name}, which is to hold a key, is not set")
    return os.fsencode(environ[name])


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the key or password file {path} cannot be read: {reason_of(error)}"
        ) from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} is too large for a key or a password")
    return data


def _run(source: str, environ: Mapping[str, str]) -> bytes:
    try:
        command = shlex.split(source[len(_FROM_PROGRAM) :])
    except ValueError:
        command = []
    if not command:
        raise UsageError("exec: names no program that prints a key")
    name = _name(source)
    try:
        done = subprocess.run(  # noqa: S603 - the program that the user named
            command, capture_output=True, env=dict(environ), timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{name} printed no key within {_SECONDS:.0f} seconds") from None
    except OSError as error:
        raise UsageError(
            f"{name}, which is to print a key, cannot be run: {reason_of(error)}"
        ) from None
    if done.returncode:
        raise UsageError(f"{name}, which is to print a key, ended with exit code {done.returncode}")
    return done.stdout[:_MOST_BYTES]


def _first_line(data: bytes) -> bytes:
    return data.splitlines()[0] if data else b""
