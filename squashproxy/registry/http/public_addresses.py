"""Connections to public addresses only, for URLs that an answer of a registry names.

A name is resolved once. All of its addresses are checked, and one of these is connected to, so no
second answer of the name service can lead anywhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from squashproxy.errors import Denied
from squashproxy.host import address_of
from squashproxy.registry.http.heads import (
    PlainConnection,
    PlainPool,
    Pools,
    Terms,
    TlsConnection,
    TlsPool,
)

_WITH_IPV4 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""Networks whose last 32 bits are an IPv4 address (RFC 6052, section 2.1; RFC 4291, 2.5.5.1)."""

_IPV4_BITS = 0xFFFFFFFF

_UNICAST = tuple(map(ipaddress.ip_network, ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96")))
"""The only networks of IPv6 that lead to the public internet: global unicast (RFC 4291, section
2.4, and IANA's registry), and IPv4 through a translator or a socket. All others are reserved, or
local like 64:ff9b:1::/48, and Python takes some of them for global."""

_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
"""RFC 9637, which Python does not know before 3.14."""

_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""The middle of an address that ends in the IPv4 address of a tunnel (RFC 5214, section 6.1)."""


class PrivateAddress(Denied):
    """A host that was to be public has an address that is not."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the public internet, with all IPv4 addresses that it contains."""
    if isinstance(address, IPv6Address) and (
        address in _DOCUMENTATION or not any(address in network for network in _UNICAST)
    ):
        return False
    return all(
        each.is_global and not each.is_multicast and not getattr(each, "is_site_local", False)
        for each in (address, *_contained(address))
    )


def resolve(host: str, port: int | None) -> list[str]:
    """The addresses of a host name, in the order in which to try them. Raises OSError."""
    found = socket.getaddrinfo(host.strip("[]"), port, 0, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def first_private(addresses: list[str]) -> str | None:
    """The first of some addresses that is not public, None if all of them are."""
    for text in addresses:
        address = address_of(text)
        if address is None or not is_public(address):
            return text
    return None


def _contained(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to through a translator or a tunnel."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if int(address) >> 32 & _IPV4_BITS in _ISATAP:
        found.append(IPv4Address(int(address) & _IPV4_BITS))
    found += [IPv4Address(int(address) & _IPV4_BITS) for net in _WITH_IPV4 if address in net]
    return [each for each in found if each is not None]


class _ChecksAddress(HTTPConnection):
    """Connects to an address that was checked; TLS still verifies the host's name."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            addresses = resolve(name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        private = first_private(addresses)
        if private is not None:
            raise PrivateAddress(
                f"{self.host} has the private address {private}, so it was not connected to; a "
                "public registry should not send its clients into a private network"
            )
        try:
            return self._connect_to_first(addresses)
        finally:
            self._dns_host = name

    def _connect_to_first(self, addresses: list[str]) -> socket.socket:
        """A connection to the first address that accepts one."""
        for number, address in enumerate(addresses, 1):
            self._dns_host = address
            try:
                return super()._new_conn()
            except (NewConnectionError, ConnectTimeoutError):
                if number == len(addresses):
                    raise
        raise AssertionError("a name that was resolved has an address")


class _PlainConnection(_ChecksAddress, PlainConnection):
    pass


class _TlsConnection(_ChecksAddress, TlsConnection):
    pass


class _PlainPool(PlainPool):
    ConnectionCls = _PlainConnection


class _TlsPool(TlsPool):
    ConnectionCls = _TlsConnection


def public_pools_under(terms: Terms) -> Pools:
    """Pool classes for a PoolManager, by scheme. Connecting raises PrivateAddress."""
    return {"http": partial(_PlainPool, terms), "https": partial(_TlsPool, terms)}
