"""Access control: who may pull at all, and which repositories (`serve.auth`)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from squashproxy.lru import LruCache
from squashproxy.reference import Repository
from squashproxy.rules.patterns import Pattern, matches_any, parse_glob
from squashproxy.server.auth.caller import ANYONE, Caller, read_basic
from squashproxy.server.auth.htpasswd import UserFile
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.errors import denied, too_many, unauthorized

_PROVEN_SECONDS = 300.0
_MOST_PROVEN = 10_000
_MOST_FAILURES = 10
_FAILURE_SECONDS = 60.0
_MOST_CHECKS = 4
_LOOK_SECONDS = 2.0


class Gate(Protocol):
    """Access control of one kind."""

    @property
    def challenges(self) -> bool:
        """Whether upstream is asked with the caller's credentials, so that its 401 is theirs."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether everyone may read everything."""
        ...

    async def admit(self, authorization: str | None, peer: str) -> Caller:
        """The caller. Raises ApiError: 401, or 429 after too many wrong passwords."""
        ...

    def check_login(self, caller: Caller) -> None:
        """Raise ApiError, 401, if a client that tries to log in must send credentials first."""
        ...

    def may_read(self, caller: Caller, repository: Repository) -> bool:
        """Whether the caller may read a repository, as far as this gate knows."""
        ...

    async def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the threads that check passwords."""
        ...


def check_read(gate: Gate, caller: Caller, repository: Repository) -> None:
    """Raise ApiError, 403, for a repository that the caller may not read."""
    if not gate.may_read(caller, repository):
        raise denied(f"{caller.name} may not read {repository}")


class OpenGate:
    """Everyone may read everything that the server may."""

    challenges = False
    is_open = True

    async def admit(self, authorization: str | None, peer: str) -> Caller:  # noqa: ARG002 - the protocol's names
        """Anyone."""
        return ANYONE

    def check_login(self, caller: Caller) -> None:
        """Nothing."""

    def may_read(self, caller: Caller, repository: Repository) -> bool:  # noqa: ARG002 - the protocol's names
        """Always."""
        return True

    async def close(self, seconds: float) -> None:
        """Nothing: this gate has no threads."""


class UpstreamGate:
    """Upstream decides, asked with the caller's credentials or with none; see Grants."""

    challenges = True
    is_open = False

    async def admit(self, authorization: str | None, peer: str) -> Caller:  # noqa: ARG002 - the protocol's names
        """The user of the header; without one, a caller with an empty login."""
        user, password = read_basic(authorization) or ("", "")
        return Caller(user, (user, password))

    def check_login(self, caller: Caller) -> None:
        """Raise ApiError, 401, without credentials: clients send them only when challenged."""
        if caller.login == ("", ""):
            raise unauthorized("log in with your credentials for the registry behind this one")

    def may_read(self, caller: Caller, repository: Repository) -> bool:  # noqa: ARG002 - the protocol's names
        """Always: upstream is asked."""
        return True

    async def close(self, seconds: float) -> None:
        """Nothing: this gate has no threads."""


class PasswordGate:
    """Users of an htpasswd file, each with the repositories that they may read.

    `read` maps users to globs over HOST/REPO; None lets every user read everything. A password that
    was right stays so for five minutes, since bcrypt is slow on purpose, but only while the file of
    users is the same; it is looked at every two seconds. Of one address, few passwords are checked
    at a time, so that nobody keeps the others from logging in.
    """

    challenges = False
    is_open = False

    def __init__(
        self,
        users: UserFile,
        read: Mapping[str, Sequence[str]] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._read = None if read is None else _globs_of(read)
        self._clock = clock
        self._threads = Threads(2, "squashproxy-passwords")
        self._files = Threads(1, "squashproxy-users")
        self._secret = secrets.token_bytes(32)
        self._proven: LruCache[bytes, float] = LruCache(_MOST_PROVEN)
        self._failures: LruCache[tuple[str, str], tuple[int, float]] = LruCache(_MOST_PROVEN)
        self._checking: Counter[str] = Counter()
        self._version = users.version
        self._looked = clock()

    async def admit(self, authorization: str | None, peer: str) -> Caller:
        """The user whose name and password the header holds."""
        login = read_basic(authorization)
        if login is None:
            raise unauthorized("this registry wants user and password; log in first")
        user, password = login
        await self._look_at_file()
        proof = self._proof(user, password)
        if self._proven.get(proof, 0.0) > self._clock():
            return Caller(user)
        self._check_failures(peer, user)
        if not await self._verify(peer, user, password):
            self._count_failure(peer, user)
            raise unauthorized("the user or the password is wrong; log in again")
        self._failures.pop((peer, user))
        self._proven[proof] = self._clock() + _PROVEN_SECONDS
        return Caller(user)

    def check_login(self, caller: Caller) -> None:
        """Nothing: the caller was admitted already."""

    def may_read(self, caller: Caller, repository: Repository) -> bool:
        """Whether one of the user's globs matches."""
        if self._read is None:
            return True
        return matches_any(self._read.get(caller.name, ()), str(repository))

    async def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the threads that check passwords."""
        await self._threads.close(seconds)
        await self._files.close(seconds)

    async def _verify(self, peer: str, user: str, password: str) -> bool:
        if self._checking[peer] >= _MOST_CHECKS:
            raise too_many("too many passwords from one address are being checked", 1.0)
        self._checking[peer] += 1
        try:
            return await self._threads.run(self._users.verify, user, password)
        finally:
            self._checking[peer] -= 1
            if not self._checking[peer]:
                del self._checking[peer]

    async def _look_at_file(self) -> None:
        """Forget which passwords were right, if the file of users has changed."""
        if self._clock() - self._looked >= _LOOK_SECONDS:
            self._looked = self._clock()
            await self._files.run(self._users.refresh)
        if self._version != self._users.version:
            self._version = self._users.version
            self._proven.clear()

    def _proof(self, user: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{user}:{password}".encode(), hashlib.sha256)

    def _check_failures(self, peer: str, user: str) -> None:
        count, until = self._failures.get((peer, user), (0, 0.0))
        left = until - self._clock()
        if count >= _MOST_FAILURES and left > 0:
            raise too_many(f"too many wrong passwords for {user!r}; wait a minute", left)

    def _count_failure(self, peer: str, user: str) -> None:
        count, until = self._failures.get((peer, user), (0, 0.0))
        if until <= self._clock():
            count = 0
        self._failures[peer, user] = (count + 1, self._clock() + _FAILURE_SECONDS)


def _globs_of(read: Mapping[str, Sequence[str]]) -> dict[str, list[Pattern]]:
    return {user: [parse_glob(glob) for glob in globs] for user, globs in read.items()}
