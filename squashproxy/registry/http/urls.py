"""URLs that somebody else wrote: read strictly, and shown without their secrets.

Registries name URLs in Location, Link and WWW-Authenticate. Browsers and libraries repair wrong
ones, each in its own way; what two readers take for different hosts gets credentials stolen. So
nothing is repaired here (RFC 3986; RFC 9110, section 4.2).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from squashproxy.decimals import MOST_PORT, parse_port
from squashproxy.printable import printable

MOST_URL = 8000
"""Characters of a URL (RFC 9110, section 4.1, wants at least so many to be understood)."""

WEB_PORTS = {"http": 80, "https": 443}
"""The schemes that are spoken, and their usual ports."""

_MOST_SHOWN = 200
_MOST_HOST = 253
_WRONG = re.compile(r"[^!-~]|\\")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^:\[\]]*)(?::(?P<port>.*))?")


class BadUrl(ValueError):
    """A text that is no URL of the web; says why, as a part of a sentence."""


def read_url(base: str, text: str) -> SplitResult:
    """The absolute URL that `text` means at `base`, without its fragment; host in lower case.

    Its scheme may be any, so that the caller can say what it wants of it; the rest is checked for
    http and https only. Raises BadUrl.
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
    """A URL as errors may show it: without user, query and fragment, escaped and shortened.

    Queries hold signatures and tokens. Any text is taken, also what is no URL.
    """
    plain = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, slashes, rest = plain.partition("//")
    authority, slash, path = rest.partition("/")
    text = f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"
    return printable(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")


def _read_authority(netloc: str) -> str:
    """`host` or `host:port`. A user in it is an error (RFC 9110, section 4.2.4)."""
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
    """Raise BadUrl for what is neither a name nor an address in its usual spelling.

    `2130706433`, `0x7f.1` and `127.1` mean 127.0.0.1 to resolvers, and would not look private.
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
