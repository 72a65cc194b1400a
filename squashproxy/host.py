"""Names of hosts: whether one means this machine, and whether two mean the same."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from squashproxy.reference import canonical_host

_DEFAULT_PORTS = ("", "80", "443")
_REMEMBERED = 1024


def is_loopback(hostname: str) -> bool:
    """Whether a host name or address means this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    address = address_of(hostname)
    return address is not None and address.is_loopback


def address_of(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a host is written as; None if it is a name."""
    try:
        address = ipaddress.ip_address(hostname.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(_REMEMBERED)
def host_key(host: str) -> str:
    """A key for comparing hosts; it is not an address to connect to.

    The same host can be written in several ways: in capitals, with a default port, as one of the
    names of Docker Hub, as any name or address of this machine. Different hosts may share a key, so
    a comparison must be safe if it is wrongly equal.
    """
    name, colon, port = host.lower().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host.lower(), ""
    address = address_of(name.strip("[]"))
    if is_loopback(name.strip("[]")):
        name = "localhost"
    elif address is not None:
        name = str(address)
    return canonical_host(name) if port in _DEFAULT_PORTS else f"{name}:{port}"
