"""Who is at the other end: the address of a client, also behind a proxy that is trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from squashproxy.host import address_of, is_loopback

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


@dataclass(frozen=True, slots=True)
class Peers:
    """Reads addresses; only `trusted` proxies may say who sent a request, in X-Forwarded-For."""

    trusted: Sequence[Network] = ()

    def address(self, request: web.BaseRequest) -> str:
        """The client's address: the last one named there that is no trusted proxy itself."""
        last = request.remote or ""
        named = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        for each in reversed(named):
            if not self._trusts(last):
                break
            if address_of(each.strip().strip("[]")) is None:
                break
            last = each.strip().strip("[]")
        return last

    def is_on_machine(self, request: web.BaseRequest) -> bool:
        """Whether a request was made on this machine itself, by no proxy on behalf of another."""
        if not self.trusted and any(name in request.headers for name in _FORWARDED):
            return False
        return is_loopback(self.address(request))

    def _trusts(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in self.trusted)


def is_rebound(request: web.BaseRequest, known: Sequence[str]) -> bool:
    """Whether a request to a loopback address names a host that is neither local nor `known`.

    A page on the web can give its own name a loopback address. The browser then takes the server
    for the page's own, and only the Host header tells. Names without a dot are in no public domain.
    """
    transport = request.transport
    own = None if transport is None else transport.get_extra_info("sockname")
    if not own or not is_loopback(str(own[0])):
        return False
    host = name_of(request.headers.get("Host", ""))
    return "." in host and not (host in known or is_loopback(host) or address_of(host) is not None)


def name_of(host: str) -> str:
    """A Host header without its port, in lower case."""
    name, colon, port = host.strip().lower().rpartition(":")
    return (name if colon and "]" not in port else host.strip().lower()).strip("[]").rstrip(".")
