"""URLs from registries: parsed strictly, and shown without secrets.

Registries send URLs in Location, Link and WWW-Authenticate. Browsers and libraries repair wrong
ones, each in its own way, and when two readers see different hosts, credentials get stolen. So
nothing is repaired here (RFC 3986; RFC 9110, section 4.2).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from squashproxy.decimals import MOST_PORT, parse_port
from squashproxy.printable import printable

MOST_URL = 8000
"""Characters of a URL: the length that RFC 9110, section 4.1, asks every reader to support."""

WEB_PORTS = {"http": 80, "https": 443}
"""The supported schemes, and their default ports."""

_MOST_SHOWN = 200
_MOST_HOST = 253
_WRONG = re.compile(r"[^!-~]|\\")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::(?P<port>.*))?")


class BadUrl(ValueError):
    """A text that is not a web URL; its text says why, as part of a sentence."""


def read_url(base: str, text: str) -> SplitResult:
    """The absolute URL of `text` relative to `base`, without fragment, host in lower case.

    Any scheme is accepted, so that the caller can name it in an error; everything else is checked
    for http and https only. Raises BadUrl.
    """
    if len(text) > MOST_URL:
        raise BadUrl(f"it has more than {MOST_URL} characters")
    wrong = _WRONG.search(text)
    if wrong is not None:
        raise BadUrl(f"the character {wrong[0]!r} cannot stand in it")
    try:
        own = urlsplit(text)
        found = urlsplit(urljoin(base, text))
    except ValueError as error:
        raise BadUrl("its host is in wrong brackets") from error
    names_host = own.scheme in WEB_PORTS or text.startswith("//")
    if names_host and not own.netloc:
        raise BadUrl("it names no host")
    if found.scheme not in WEB_PORTS:
        return found
    return found._replace(netloc=_read_authority(found.netloc), fragment="")


def shown(url: str) -> str:
    """A URL for error messages: without user, query and fragment, escaped and shortened.

    Queries hold signatures and tokens. Any text is accepted, even one that is not a URL.
    """
    plain = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, slashes, rest = plain.partition("//")
    authority, slash, path = rest.partition("/")
    text = f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"
    return printable(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")


def _read_authority(netloc: str) -> str:
    """`host` or `host:port`. Raises BadUrl, also for a user (RFC 9110, section 4.2.4)."""
    if "@" in netloc:
        raise BadUrl("it holds a user name")
    match = _AUTHORITY.fullmatch(netloc)
    if match is None:
        raise BadUrl("its host is in wrong brackets")
    host = match["host"].lower().removesuffix(".")
    _check_host(host)
    if not match["port"]:
        return host
    port = parse_port(match["port"])
    if port is None:
        raise BadUrl(f"its port is none from 1 to {MOST_PORT}")
    return f"{host}:{port}"


def _check_host(host: str) -> None:
    """Raise BadUrl unless the host is a name or a normally written address.

    `2130706433`, `0x7f.1` and `127.1` are 127.0.0.1 to resolvers, but would not look private.
    """
    if not host:
        raise BadUrl("it names no host")
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        elif _NUMERIC.fullmatch(host):
            ipaddress.IPv4Address(host)
        elif len(host) > _MOST_HOST or not _NAME.fullmatch(host):
            raise BadUrl("its host is no name")
    except ipaddress.AddressValueError as error:
        raise BadUrl("its host is no address") from error
