"""Errors: every error that is raised on purpose, as one tree.

    SquashproxyError                 exit code 1
    ├── UsageError                   exit code 2: found before any registry or archive was asked
    │   ├── BadReference             also a ValueError, since a parser of values raises it
    │   └── BadConfiguration         one sentence for each problem in a file
    ├── RegistryError                a registry could not do what was asked
    │   ├── NotFound                 no such repository, manifest, tag or blob
    │   ├── ContentMissing           it lacks what a manifest names that was pushed to it
    │   ├── ReferrersUnknown         it lists referrers, but not those of this manifest
    │   ├── Unauthorized             no credentials, or wrong ones
    │   ├── Denied                   known, but not allowed (also: pushes are off)
    │   ├── TlsError                 the certificate is not trusted
    │   └── TemporaryRegistryError   temporary: another attempt may not meet it
    │       ├── Unreachable          temporary: no connection, or it broke
    │       ├── TooManyRequests      temporary
    │       └── ServerFault          temporary: a 5xx answer, 408 or 425
    ├── ArchiveError                 a layout or archive of images could not do what was asked
    │   └── NoSuchImage              it holds no image of that name
    ├── IntegrityError               bytes that differ from their descriptor
    │   └── WrongDiffId              a layer's tar that differs from the diff ID in the config
    ├── FormatError                  an image that breaks a specification, or is unreadable
    │   ├── BadCompression           a gzip or zstd stream that is damaged or cut short
    │   └── BadArchive               a tar stream that is damaged, cut short, or refused
    ├── TreesDiffer                  exit code 4: the verification of a copy found a change
    ├── NoSuchPlatform               the image exists, but not for the platform asked for
    ├── Unsigned                     no required key signed the image
    ├── BaseMismatch                 the base asked for is no prefix of the image's layers
    ├── LimitExceeded                a limit the user set (or the default) was passed
    ├── Ambiguous                    unpackers disagree about this layer, and that was refused
    ├── PlanRefused                  a cleanup that would remove more than its rule allows
    ├── PartlyFailed                 exit code 3: some of many failed; the report says which
    ├── AllFailed                    all of many failed
    ├── ReportLost                   the work is done, but its report could not be written
    └── StreamConsumed               a stream was read a second time: a bug in the caller

An error has a fact (what is wrong, and where) and may have an advice (what to do). Its text is
both, as one sentence. An advice names one of SETTINGS as `{max-ratio}`: the command line prints
that as its option, everything else as the key of the configuration. Other braces, as in a path or a
template, are printed as they are.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from copy import copy
from enum import Enum
from typing import ClassVar

SETTINGS = frozenset(
    {
        "base",
        "base-repo",
        "ca",
        "insecure",
        "max-entries",
        "layer-memory",
        "max-layer-size",
        "max-ratio",
        "max-unpacked",
        "memory",
        "mode",
        "plain-http",
        "platform",
        "provenance",
        "referrers",
        "sign",
        "signed-as",
        "strict",
    }
)
"""The settings that an advice may name."""

_KEYS = {
    "base-repo": "`base_repos`",
    "platform": "`platforms`",
}
"""Settings that are no key of the configuration, or one of another name."""

_AWAY = frozenset({408, 425, 502, 503, 504})
"""The statuses of a server that is not up, or not reached by the gateway before it."""

MORE_DESCRIPTORS = "raise the limit (ulimit -n), or do less at once"
"""The advice of an error for which a file descriptor was needed, and none was left."""

_SETTING = re.compile(rf"\{{({'|'.join(sorted(SETTINGS))})\}}")


def _as_key(setting: str) -> str:
    return _KEYS.get(setting) or f"`{setting.replace('-', '_')}`"


class SquashproxyError(Exception):
    """The root of the tree. `fact` and `advice` are parts of a sentence, without a full stop."""

    exit_code: ClassVar[int] = 1

    def __init__(self, fact: str, *, advice: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.advice = advice

    def __str__(self) -> str:
        return self.worded(_as_key)

    @property
    def temporary(self) -> bool:
        """Whether the same call may succeed if repeated later."""
        return False

    def sentences(self, name_setting: Callable[[str], str] = _as_key) -> tuple[str, ...]:
        """The text to show: one sentence, or one for each of several problems."""
        return (self.worded(name_setting),)

    def worded(self, name_setting: Callable[[str], str]) -> str:
        """The sentence, with the settings in its advice as `name_setting` writes them."""
        if not self.advice:
            return self.fact
        advice = _SETTING.sub(lambda match: name_setting(match[1]), self.advice)
        return f"{self.fact}; {advice}"


def reason_of(error: OSError) -> str:
    """The operating system's reason, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def lacks_descriptors(error: BaseException) -> bool:
    """Whether this process or machine may not open more files: the fault of no place or server."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def advice_of(error: OSError, otherwise: str = "") -> str:
    """What to do about an error of the system: `otherwise`, unless no file descriptor was left."""
    return MORE_DESCRIPTORS if lacks_descriptors(error) else otherwise


def remembered(error: SquashproxyError) -> SquashproxyError:
    """A copy to keep, or to raise of one that is kept: the frames and causes of an error are large.

    Raising an error that is kept would tie the frames of its last caller to it.
    """
    return copy(error)


class UsageError(SquashproxyError):
    """Wrong usage or configuration, found without reading any image."""

    exit_code: ClassVar[int] = 2


class BadReference(UsageError, ValueError):
    """A text that is not the name of an image.

    Like every parser of values, that of references raises ValueError. It is a UsageError as well,
    with an advice, since names also come from databases, logs and annotations, and a bad one there
    must never end in a traceback.
    """


class BadConfiguration(UsageError):
    """A configuration that cannot be used, with all of its problems."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self._problems = problems

    def sentences(self, name_setting: Callable[[str], str] = _as_key) -> tuple[str, ...]:  # noqa: ARG002 - its problems name keys, never options
        """One sentence for each problem, in the order of the file."""
        return self._problems


class RegistryError(SquashproxyError):
    """A registry's refusal or failure.

    `status` is the HTTP status, or None if there was no response. `retry_after` is how long the
    registry asked to wait, in seconds.
    """

    def __init__(
        self,
        fact: str,
        *,
        advice: str = "",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(fact, advice=advice)
        self.status = status
        self.retry_after = retry_after


class NotFound(RegistryError):
    """No such repository, manifest, tag or blob."""


class ContentMissing(RegistryError):
    """A manifest was refused, since the registry does not hold all that it names.

    `digests` is what is missing, as far as that is known.
    """

    def __init__(
        self,
        fact: str,
        *,
        advice: str = "",
        status: int | None = None,
        digests: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(fact, advice=advice, status=status)
        self.digests = digests


class ReferrersUnknown(RegistryError):
    """A registry that lists referrers did not do so for one manifest.

    Something may refer to it, so code that deletes or rewrites it must not treat this as an empty
    list.
    """


class Unauthorized(RegistryError):
    """Credentials are missing or wrong."""


class Denied(RegistryError):
    """The credentials are valid but do not allow the call, or no one may make it."""


class TlsError(RegistryError):
    """The registry's certificate is not trusted."""


class Patience(Enum):
    """How long a call is repeated after a temporary error (registry/http/retry.py)."""

    SECONDS = "seconds"
    """A few attempts: waiting helps little, as for a host that never answered."""
    MINUTE = "minute"
    """A restart may be the cause, but the server answers, and may do so for ever."""
    OUTAGE = "outage"
    """The server, or the way to it, is away and will be back."""


class TemporaryRegistryError(RegistryError):
    """A failure of a registry that another attempt may not meet."""

    @property
    def temporary(self) -> bool:
        """Always true."""
        return True

    @property
    def patience(self) -> Patience:
        """How long the call is worth repeating."""
        return Patience.OUTAGE


class Unreachable(TemporaryRegistryError):
    """There was no connection, or it broke before the response was complete."""

    def __init__(
        self, fact: str, *, advice: str = "", patience: Patience = Patience.OUTAGE
    ) -> None:
        super().__init__(fact, advice=advice)
        self._patience = patience

    @property
    def patience(self) -> Patience:
        """SECONDS for a host that never answered in this run: its name may be wrong."""
        return self._patience


class TooManyRequests(TemporaryRegistryError):
    """HTTP 429."""


class ServerFault(TemporaryRegistryError):
    """A 5xx response, or one that asks to try again (408, 425)."""

    @property
    def patience(self) -> Patience:
        """OUTAGE for answers of gateways and servers that are not up; MINUTE for other failures."""
        return Patience.OUTAGE if self.status in _AWAY else Patience.MINUTE


class ArchiveError(SquashproxyError):
    """An image layout or archive that could not be read or written."""


class NoSuchImage(ArchiveError):
    """A layout or archive without the image that was asked for."""


class IntegrityError(SquashproxyError):
    """Bytes whose size or digest differs from their descriptor.

    `blob` is the digest of a blob that was read, or another name of what may be right when it is
    read again; empty if that would not help.
    """

    def __init__(self, fact: str, *, advice: str = "", blob: str = "") -> None:
        super().__init__(fact, advice=advice)
        self.blob = blob


class WrongDiffId(IntegrityError):
    """A layer whose tar does not have the diff ID in the image's config."""


class FormatError(SquashproxyError):
    """An image that breaks a specification, or that cannot be read."""


class BadCompression(FormatError):
    """A gzip or zstd stream that is damaged or cut short."""


class BadArchive(FormatError):
    """A tar stream that is damaged or cut short, or has an entry that is refused."""


class TreesDiffer(SquashproxyError):
    """The result of a copy unpacks to other content than its source; nothing was published."""

    exit_code: ClassVar[int] = 4


class NoSuchPlatform(SquashproxyError):
    """The image exists, but not for the platform asked for."""


class Unsigned(SquashproxyError):
    """An image that none of the required keys signed; nothing of it was read but documents.

    `reason` says why no signature counts, without the names of keys and files.
    """

    def __init__(self, fact: str, *, advice: str = "", reason: str = "") -> None:
        super().__init__(fact, advice=advice)
        self.reason = reason or fact


class BaseMismatch(SquashproxyError):
    """The base asked for is not a prefix of the image's layers."""


class LimitExceeded(SquashproxyError):
    """A limit was exceeded; nothing was pushed."""


class Ambiguous(SquashproxyError):
    """Unpackers disagree about a layer, and the options do not allow that."""


class PlanRefused(SquashproxyError):
    """A cleanup that would remove more than its rule allows; nothing was changed."""


class PartlyFailed(SquashproxyError):
    """Some of many failed; each failure was reported."""

    exit_code: ClassVar[int] = 3


class AllFailed(SquashproxyError):
    """All of many failed; each failure was reported."""


class ReportLost(SquashproxyError):
    """The work is done, but its report could not be written."""


class StreamConsumed(SquashproxyError):
    """A stream was used again after its end: a bug in the caller."""
