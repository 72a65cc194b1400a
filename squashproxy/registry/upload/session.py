"""Upload sessions (distribution specification 1.1, pushing blobs)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import quote

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest
from squashproxy.errors import RegistryError, ServerFault, SquashproxyError, Unreachable
from squashproxy.registry.auth.scopes import push
from squashproxy.registry.blobs import find_blob
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.connections import Body
from squashproxy.registry.http.endpoints import origin_of
from squashproxy.registry.http.error_responses import Action, read_refusal
from squashproxy.registry.http.retry import Retry

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]+)")
_TAKEN = frozenset({201, 202, 204})
"""The statuses of an accepted PATCH. ECR answers 201, the specification has 202."""

_ENDED = frozenset({200, 201, 202, 204})
_STATUS = frozenset({200, 202, 204})
_OCTETS = "application/octet-stream"
_CANCEL_TIMEOUT = 10.0
_CANCEL_RETRIES = 2
_LOST = frozenset({404, 409, 410, 412, 416, 499})
"""The statuses by which registries say that they do not know a session, or know it otherwise."""

_OUT_OF_STEP = 416
_UNSURE = 400
"""A status that says so only with one of these codes (distribution specification 1.1)."""

_LOST_CODES = frozenset(
    {
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "RANGE_INVALID",
        "SIZE_INVALID",
    }
)
_CONTENT = re.compile(r"/(?:manifests/[^/?#]+|blobs/[^/?#:%]+(?::|%3[Aa])[^/?#]+)(?:[?#]|$)")
"""The end of the address of a manifest or a blob, which must not be deleted like a session."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class UploadLost(Exception):
    """A session cannot be gone on with, though another one may bring the same blob.

    `error` says what the registry did. It is raised in the end if there is no other attempt.
    """

    def __init__(self, error: RegistryError) -> None:
        super().__init__(error.fact)
        self.error = error

    @property
    def as_temporary(self) -> RegistryError:
        """The error, as one that is worth another attempt."""
        error = self.error
        return error if error.temporary else ServerFault(error.fact, advice=error.advice)


class UploadSession:
    """The upload session of one blob. Unless `end` succeeds, `cancel` must be called.

    `least_chunk` is the smallest chunk, in bytes, that the registry accepts before the last one.
    Raises RegistryError if the registry did not say where to send the blob.
    """

    def __init__(self, caller: Caller, action: Action, begun: Answer) -> None:
        self._caller = caller
        self._action = replace(action, wanted="upload session any more")
        self._location = ""
        self._served = ""
        self.least_chunk = parse_decimal(begun.headers.get("OCI-Chunk-Min-Length", "")) or 0
        self._follow(begun)
        if not self._location:
            raise RegistryError(
                f"{action.host} began {action.text} without saying where to send it (no Location); "
                "it, or a proxy before it, is set up wrong"
            )

    def send(
        self, body: Body, content_range: tuple[int, int] | None, *, alone: bool = False
    ) -> int | None:
        """Send `body` by one PATCH; with `content_range` as a chunk, else as a stream.

        The range holds the first byte's offset in the blob and the offset after the last byte.
        `alone`: the connection carries nothing after it. Returns the number of bytes that the
        registry says it holds now; None if it does not say. Raises UploadLost, RegistryError, and
        the error of the body's source.
        """
        headers = {"Content-Type": _OCTETS}
        if content_range is not None:
            headers["Content-Range"] = f"{content_range[0]}-{content_range[1] - 1}"
        if alone:
            headers["Connection"] = "close"
        timeout = self._caller.timeout if content_range else self._caller.commit_timeout
        expected = _TAKEN | _LOST | {_UNSURE}
        precious = content_range is None
        call = self._call("PATCH", expected, headers, body, timeout=timeout, precious=precious)
        answer = self._caller.ask_once(call)
        if answer.status not in _TAKEN:
            raise self._refused(answer, call)
        self._follow(answer)
        return _held(answer)

    def ask_position(self) -> int:
        """The number of bytes that the registry holds. Raises RegistryError if it does not say."""
        answer = self._caller.ask(self._call("GET", _STATUS))
        self._follow(answer)
        held = _held(answer)
        if held is None:
            raise RegistryError(
                f"{self._action.host} does not tell how much of {self._action.text} it holds, so "
                "what broke off cannot be taken up again",
                advice="try again",
            )
        return held

    def end(self, digest: Digest, size: int, body: Body | None = None) -> None:
        """End the session by a PUT; `body` is the whole blob if nothing was sent before.

        The blob may be stored although the answer was lost. So if the session is gone when the PUT
        is repeated, the upload counts as done if the repository holds the blob. Raises
        UploadLost and RegistryError.
        """
        separator = "&" if "?" in self._location else "?"
        url = f"{self._location}{separator}digest={quote(digest, safe='')}"
        headers = {"Content-Type": _OCTETS} if body is not None else _NO_HEADERS
        timeout = self._caller.commit_timeout
        expected = _ENDED | _LOST | {_UNSURE}
        precious = body is not None
        call = self._call(
            "PUT", expected, headers, body, url=url, timeout=timeout, precious=precious
        )
        answer = self._caller.ask(call)
        if answer.status in _ENDED:
            return
        refused = self._refused(answer, call)
        if isinstance(refused, RegistryError) or find_blob(self._caller, digest) != size:
            raise refused
        self.cancel()  # the blob may have come from somebody else

    def cancel(self) -> None:
        """Cancel the session by a DELETE; errors are ignored, as the registry will expire it.

        The newest Location may be wrong, and lead anywhere. Then the one before it, at which the
        registry last accepted a request, is asked for the same.
        """
        if not self._cancel_here() and self._served not in ("", self._location):
            self._location = self._served
            self._cancel_here()

    def _cancel_here(self) -> bool:
        """Cancel the session at its Location; False if the one before it is worth an attempt.

        The Location may be an old one, since the answer with the next was lost. Distribution 3
        tells the newest; distribution 2 does not, and expires the session after a week. A Location
        of something else is left alone.
        """
        if _CONTENT.search(self._location):
            return False
        try:
            answer = self._ask_to_cancel()
            if _is_old(answer):
                self.ask_position()
                answer = self._ask_to_cancel()
        except Unreachable:
            return bool(self._served) and origin_of(self._location) == origin_of(self._served)
        except SquashproxyError:
            return False
        return answer.status in _ENDED

    def _ask_to_cancel(self) -> Answer:
        call = self._call("DELETE", _ENDED | _LOST | {_UNSURE}, timeout=_CANCEL_TIMEOUT)
        retry = Retry(_CANCEL_RETRIES, self._caller.retry.sleep)
        return retry.call(lambda: self._caller.ask_once(replace(call, ends_session=True)))

    def _refused(self, answer: Answer, call: Call) -> RegistryError | UploadLost:
        """The error for a PATCH or PUT that was not carried out."""
        codes = read_refusal(answer.status, answer.headers, answer.body).codes
        error = self._caller.refused(answer, call)
        if answer.status == _UNSURE and not codes & _LOST_CODES:
            return error
        if answer.status == 404:
            fact = f"{self._action.host} lost {self._action.text} before its end (HTTP 404)"
            error = RegistryError(fact, advice="try again", status=404)
        return UploadLost(error)

    def _call(
        self,
        method: str,
        expected: frozenset[int],
        headers: Mapping[str, str] = _NO_HEADERS,
        body: Body | None = None,
        *,
        url: str | None = None,
        timeout: float | None = None,
        precious: bool = False,
    ) -> Call:
        return Call(
            method,
            url or self._location,
            self._action,
            push(self._action.repository.path),
            expected,
            headers,
            body,
            timeout,
            head_suffices=True,
            precious=precious,
        )

    def _follow(self, answer: Answer) -> None:
        self._served = self._location
        location = answer.headers.get("Location")
        if location:
            self._location = self._caller.endpoint.resolve(answer.url, location, "Location")


def _held(answer: Answer) -> int | None:
    """The bytes held, from a Range of `0-LAST`; distribution writes `0-0` for none."""
    match = _RANGE.fullmatch(answer.headers.get("Range", ""))
    last = None if match is None else parse_decimal(match[1])
    if last is None:
        return None
    return last + 1 if last else 0


def _is_old(answer: Answer) -> bool:
    """Whether a refusal says that the session is there, but not at the Location that was asked."""
    codes = read_refusal(answer.status, answer.headers, answer.body).codes
    return answer.status == _OUT_OF_STEP or "BLOB_UPLOAD_INVALID" in codes
