"""Names in a request's path, checked as the specification says."""

from __future__ import annotations

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import BadReference, FormatError
from squashproxy.reference import parse_reference, parse_repository
from squashproxy.testing.answers import Code, Refusal


def checked_digest(text: str) -> Digest:
    """A digest; DIGEST_INVALID where `text` is none."""
    try:
        return parse_digest(text)
    except FormatError as error:
        raise Refusal(Code.DIGEST_INVALID, str(error)) from error


def check_repository(name: str) -> None:
    """Raise NAME_INVALID where `name` is no repository."""
    try:
        parse_repository(f"localhost/{name}")
    except BadReference as error:
        raise Refusal(Code.NAME_INVALID, str(error)) from error


def check_tag(tag: str) -> None:
    """Raise TAG_INVALID where `tag` is none."""
    try:
        parse_reference(f"localhost/any:{tag}")
    except BadReference as error:
        raise Refusal(Code.TAG_INVALID, str(error)) from error
