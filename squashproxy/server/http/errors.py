"""Errors in the form of the API (OCI distribution specification 1.1, error codes)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from squashproxy import errors
from squashproxy.errors import SquashproxyError

_RETRY_SECONDS = 10
LONGEST_PAUSE = 300.0
"""The most seconds in which an upstream is not asked, or that clients are told to wait."""

_STATUSES: tuple[tuple[type[SquashproxyError], int, str], ...] = (
    (errors.NotFound, 404, ""),
    (errors.Denied, 403, "DENIED"),
    (errors.Unsigned, 403, "DENIED"),
    (errors.IntegrityError, 502, "UNKNOWN"),
    (errors.FormatError, 502, "UNKNOWN"),
    (errors.RegistryError, 502, "UNKNOWN"),
)
"""An empty code stands for that of the route, as MANIFEST_UNKNOWN."""


class ApiError(Exception):
    """An answer that is an error; `code` is one of the specification's."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        error = {"code": self.code, "message": str(self), "detail": None}
        return json.dumps({"errors": [error]}).encode()


MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
BLOB_UNKNOWN = "BLOB_UNKNOWN"
NAME_UNKNOWN = "NAME_UNKNOWN"


def name_unknown(message: str) -> ApiError:
    """404: no such repository, or none that may be pulled here."""
    return ApiError(404, NAME_UNKNOWN, message)


def name_invalid(message: str) -> ApiError:
    """400: a name that no repository can have."""
    return ApiError(400, "NAME_INVALID", message)


def digest_invalid(message: str) -> ApiError:
    """400: a malformed digest."""
    return ApiError(400, "DIGEST_INVALID", message)


def unsupported(message: str, status: int = 405) -> ApiError:
    """405 or `status`: an operation that this registry does not have."""
    return ApiError(status, "UNSUPPORTED", message, {"Allow": "GET, HEAD"} if status == 405 else {})


def unauthorized(message: str) -> ApiError:
    """401: credentials are missing or wrong."""
    return ApiError(
        401,
        "UNAUTHORIZED",
        message,
        {"WWW-Authenticate": 'Basic realm="squashproxy", charset="UTF-8"'},
    )


def denied(message: str) -> ApiError:
    """403: the caller may not do this."""
    return ApiError(403, "DENIED", message)


def too_many(message: str, seconds: float) -> ApiError:
    """429: try again after `seconds`."""
    return ApiError(429, "TOOMANYREQUESTS", message, _retry(seconds))


def unavailable(message: str, seconds: float = _RETRY_SECONDS) -> ApiError:
    """503: try again after `seconds`."""
    return ApiError(503, "UNAVAILABLE", message, _retry(seconds))


def api_error_of(error: SquashproxyError, unknown: str, *, challenges: bool) -> ApiError:
    """The answer for an error of upstream or of the store.

    `unknown` is the code for something that does not exist. With `challenges`, the caller's
    credentials were sent to upstream, so its 401 is passed on; else it becomes 403.
    """
    message = str(error)
    if isinstance(error, errors.Unauthorized):
        return unauthorized(message) if challenges else denied(message)
    if isinstance(error, errors.TooManyRequests):
        return too_many(message, error.retry_after or _RETRY_SECONDS)
    if error.temporary or isinstance(error, errors.TlsError):
        return unavailable(message)
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            return ApiError(status, code or unknown, message)
    return ApiError(500, "UNKNOWN", message)


def _retry(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(min(seconds, LONGEST_PAUSE))))}
