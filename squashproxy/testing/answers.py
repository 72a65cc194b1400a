"""Answers of a fake registry, and refusals in the error format of the specification."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from squashproxy.oci.manifest import encode_json

Headers = tuple[tuple[str, str], ...]


class Code(Enum):
    """Error codes of the distribution specification, with the status and text of distribution."""

    BLOB_UNKNOWN = (404, "blob unknown to registry")
    BLOB_UPLOAD_INVALID = (404, "blob upload invalid")
    BLOB_UPLOAD_UNKNOWN = (404, "blob upload unknown to registry")
    DENIED = (403, "requested access to the resource is denied")
    DIGEST_INVALID = (400, "provided digest did not match uploaded content")
    MANIFEST_BLOB_UNKNOWN = (400, "manifest references a blob that is unknown to registry")
    MANIFEST_INVALID = (400, "manifest invalid")
    MANIFEST_UNKNOWN = (404, "manifest unknown to registry")
    NAME_INVALID = (400, "invalid repository name")
    NAME_UNKNOWN = (404, "repository name not known to registry")
    NOT_FOUND = (404, "no such page")
    PAGINATION_NUMBER_INVALID = (400, "invalid number of results requested")
    RANGE_INVALID = (416, "invalid content range")
    SIZE_INVALID = (400, "provided length did not match content length")
    TAG_INVALID = (400, "manifest tag did not match URI")
    TOOMANYREQUESTS = (429, "too many requests")
    UNAUTHORIZED = (401, "authentication required")
    UNKNOWN = (500, "unknown error")
    UNSUPPORTED = (405, "the operation is unsupported")


@dataclass(frozen=True, slots=True)
class Body:
    """A body of `size` bytes; its chunks may be produced while it is sent."""

    size: int
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Content-Length is the size of the body, unless `headers` hold another."""

    status: int
    headers: Headers = ()
    body: Body = Body(0, ())


class Refusal(Exception):
    """Raised to refuse a request; `answer` is the error to send."""

    def __init__(
        self,
        code: Code,
        message: str = "",
        *,
        status: int | None = None,
        headers: Headers = (),
    ) -> None:
        usual_status, usual_message = code.value
        super().__init__(message or usual_message)
        self.answer = error_answer(code, message or usual_message, status or usual_status, headers)


def bytes_answer(status: int, data: bytes, headers: Headers = ()) -> Answer:
    """An answer whose body is `data`."""
    return Answer(status, headers, Body(len(data), (data,)))


def json_answer(status: int, document: object, headers: Headers = ()) -> Answer:
    """A JSON document as an answer."""
    return bytes_answer(
        status, encode_json(document), (("Content-Type", "application/json"), *headers)
    )


def error_answer(code: Code, message: str, status: int, headers: Headers = ()) -> Answer:
    """The error document of the distribution specification, section Error Codes."""
    errors = [{"code": code.name, "message": message, "detail": None}]
    return json_answer(status, {"errors": errors}, headers)


def code_of(status: int) -> Code:
    """The error code that fits a status, for the answers of faults."""
    codes = {401: Code.UNAUTHORIZED, 403: Code.DENIED, 404: Code.NOT_FOUND}
    codes |= {405: Code.UNSUPPORTED, 416: Code.RANGE_INVALID, 429: Code.TOOMANYREQUESTS}
    return codes.get(status, Code.UNKNOWN)
