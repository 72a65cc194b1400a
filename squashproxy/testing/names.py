"""Checks of the names in a request's path (OCI distribution specification 1.1)."""

from __future__ import annotations

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import BadReference, FormatError
from squashproxy.reference import parse_reference, parse_repository
from squashproxy.testing.answers import Code, Refusal


def checked_digest(text: str) -> Digest:
    """`text` as a digest. Raises Refusal (DIGEST_INVALID) if it is not one."""
    try:
        return parse_digest(text)
    except FormatError as error:
        raise Refusal(Code.DIGEST_INVALID, str(error)) from error


def check_repository(name: str) -> None:
    """Raise Refusal (NAME_INVALID) unless `name` is a valid repository name."""
    try:
        parse_repository(f"localhost/{name}")
    except BadReference as error:
        raise Refusal(Code.NAME_INVALID, str(error)) from error


def check_tag(tag: str) -> None:
    """Raise Refusal (TAG_INVALID) unless `tag` is a valid tag."""
    try:
        parse_reference(f"localhost/any:{tag}")
    except BadReference as error:
        raise Refusal(Code.TAG_INVALID, str(error)) from error
